//! Typed structured data (EIP-712), hashed by the standard.
//!
//! This code is as strict as viem and ethers together. It refuses documents that one of them
//! refuses, or that the two hash differently, and names the place. Two readers of one document must
//! see the same message.

mod domain;
mod encode;
mod invalid;
mod type_name;
mod types;

pub use invalid::Invalid;

use crate::evm::Word;
use crate::evm::keccak::keccak256;
use crate::json::Json;
use domain::{DOMAIN_TYPE, Domain};
use types::Definitions;

/// The largest document, in bytes.
pub const MAX_DOCUMENT: usize = 1 << 20;
/// The largest number of struct types in a message.
pub const MAX_TYPES: usize = 100;
/// The largest size of their definitions together, in bytes.
pub const MAX_DEFINITIONS: usize = 1 << 16;
/// The deepest nesting of structs and arrays.
pub const MAX_DEPTH: usize = 32;

/// Reads a document of bounded size. `name`: its name in messages.
fn document<'a>(text: &'a str, name: &str) -> Result<Json<'a>, Invalid> {
    if text.len() > MAX_DOCUMENT {
        let problem = format!(
            "It has {} bytes, and the limit is {MAX_DOCUMENT}.",
            text.len()
        );
        return Err(Invalid::new(problem).inside(name));
    }
    Ok(Json::unchecked(text))
}

/// `encodeType`: the type and the types that it uses. `typeHash` is the hash of this text.
///
/// # Errors
/// [`Invalid`].
pub fn encode_type(types: &str, primary_type: &str) -> Result<String, Invalid> {
    let types = Definitions::read(document(types, "types")?)?.resolve(primary_type)?;
    Ok(types.encode_type())
}

/// `hashStruct` of a message.
///
/// # Errors
/// [`Invalid`].
pub fn hash_struct(types: &str, primary_type: &str, message: &str) -> Result<Word, Invalid> {
    let types = Definitions::read(document(types, "types")?)?.resolve(primary_type)?;
    types.hash_message(document(message, "message")?)
}

/// `domainSeparator`: the hash of a domain with any of its five members.
///
/// # Errors
/// [`Invalid`].
pub fn domain_separator(domain: &str) -> Result<Word, Invalid> {
    Domain::read(document(domain, "domain")?)?.separator()
}

/// The digest that a wallet signs for `{types, primaryType, domain, message}`, the argument of
/// `eth_signTypedData_v4`.
///
/// # Errors
/// [`Invalid`].
pub fn digest(typed_data: &str) -> Result<Word, Invalid> {
    let problem = "Typed data must be a JSON object with no name twice.";
    let members = document(typed_data, "typed_data")?.members();
    let members = members.ok_or_else(|| Invalid::new(problem))?;
    let member = |name| {
        let member = members.get(name).copied();
        member.ok_or_else(|| Invalid::new("It is missing.").inside(name))
    };
    let (types, primary_type) = (member("types")?, member("primaryType")?);
    let (domain, message) = (member("domain")?, member("message")?);

    let refused = |problem: &str| Invalid::new(problem).inside("primaryType");
    let primary_type = primary_type.string();
    let primary_type =
        primary_type.ok_or_else(|| refused("The name of a type must be a string."))?;
    if primary_type == DOMAIN_TYPE {
        return Err(refused(
            "The domain is hashed separately. Give the type of the message.",
        ));
    }
    let definitions = Definitions::read(types)?;
    let types = definitions.resolve(&primary_type)?;
    let domain = Domain::read(domain)?;
    domain.check_declaration(&definitions)?;
    Ok(digest_of(
        &domain.separator()?,
        &types.hash_message(message)?,
    ))
}

/// The digest of a struct's hash under a domain:
/// `keccak256(0x19 0x01 ‖ domainSeparator ‖ hashStruct)`.
#[must_use]
pub fn digest_of(separator: &Word, hash: &Word) -> Word {
    keccak256(&[&[0x19, 0x01], &separator[..], &hash[..]].concat())
}

#[cfg(test)]
mod tests;
