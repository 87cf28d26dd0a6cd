//! Typed structured data (EIP-712): what is signed, hashed as the standard says.
//!
//! As strict as viem and ethers are together: what one of them refuses, or they hash differently, is
//! refused here, and the refusal says where it is. Two readers of one document must see one message.

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

/// Bytes of a document, at most.
pub const MAX_DOCUMENT: usize = 1 << 20;
/// Struct types that a message uses, at most.
pub const MAX_TYPES: usize = 100;
/// Bytes of all their definitions together, at most.
pub const MAX_DEFINITIONS: usize = 1 << 16;
/// Structs and arrays inside each other, at most.
pub const MAX_DEPTH: usize = 32;

/// Reads a document of bounded size. `name`: what it is called in refusals.
fn document<'a>(text: &'a str, name: &str) -> Result<Json<'a>, Invalid> {
    if text.len() > MAX_DOCUMENT {
        let problem = format!("It has {} bytes; {MAX_DOCUMENT} are the most.", text.len());
        return Err(Invalid::new(problem).inside(name));
    }
    Ok(Json::unchecked(text))
}

/// `encodeType`: the type and the types it uses, as they are hashed into `typeHash`.
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
    let problem = "Typed data is a JSON object, each name in it given once.";
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
    let primary_type = primary_type.ok_or_else(|| refused("The name of a type is a string."))?;
    if primary_type == DOMAIN_TYPE {
        return Err(refused(
            "The domain is hashed by itself: name the type of the message.",
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

/// The digest of a struct's hash under a domain: `keccak256(0x19 0x01 ‖ domainSeparator ‖ hashStruct)`.
#[must_use]
pub fn digest_of(separator: &Word, hash: &Word) -> Word {
    keccak256(&[&[0x19, 0x01], &separator[..], &hash[..]].concat())
}

#[cfg(test)]
mod tests;
