//! The domain, which keeps messages for different contracts apart.

use super::Invalid;
use super::encode::encode_atomic;
use super::types::{Definitions, Kind};
use crate::evm::Word;
use crate::evm::keccak::{keccak256, keccak256_of};
use crate::json::{Json, Members};

/// The name of a domain's type.
pub(super) const DOMAIN_TYPE: &str = "EIP712Domain";

/// The members that a domain can have, in the standard's order.
const MEMBERS: [(&str, &str, Kind); 5] = [
    ("name", "string", Kind::String),
    ("version", "string", Kind::String),
    ("chainId", "uint256", Kind::Uint(256)),
    ("verifyingContract", "address", Kind::Address),
    ("salt", "bytes32", Kind::FixedBytes(32)),
];

/// A domain with any of the five members.
pub(super) struct Domain<'a>(Members<'a>);

impl<'a> Domain<'a> {
    pub(super) fn read(domain: Json<'a>) -> Result<Self, Invalid> {
        let refused = |problem| Err(Invalid::new(problem).inside("domain"));
        let Some(members) = domain.members() else {
            return refused("A domain must be an object with no name twice.");
        };
        let is_known = |name: &str| MEMBERS.iter().any(|(known, ..)| *known == name);
        if !members.keys().all(|name| is_known(name)) {
            return refused(
                "A domain can have only name, version, chainId, verifyingContract and salt.",
            );
        }
        Ok(Self(members))
    }

    /// `hashStruct` of the domain.
    pub(super) fn separator(&self) -> Result<Word, Invalid> {
        let mut type_name = format!("{DOMAIN_TYPE}(");
        let mut words = Vec::with_capacity(MEMBERS.len() + 1);
        for (name, of_type, kind) in MEMBERS {
            let Some(value) = self.0.get(name) else {
                continue;
            };
            if !words.is_empty() {
                type_name.push(',');
            }
            type_name.push_str(of_type);
            type_name.push(' ');
            type_name.push_str(name);
            let word = encode_atomic(kind, *value);
            words.push(word.map_err(|invalid| invalid.inside(name).inside("domain"))?);
        }
        type_name.push(')');
        words.insert(0, keccak256(type_name.as_bytes()));
        Ok(keccak256_of(words))
    }

    /// Checks that a type `EIP712Domain` among the types fits the domain. Some libraries use that
    /// type, and others ignore it.
    pub(super) fn check_declaration(&self, types: &Definitions) -> Result<(), Invalid> {
        let Some(declared) = types.get(DOMAIN_TYPE).transpose()? else {
            return Ok(());
        };
        let present = MEMBERS
            .iter()
            .filter(|(name, ..)| self.0.contains_key(*name));
        let declared = declared
            .iter()
            .map(|member| (&*member.name, &*member.type_name));
        match declared.eq(present.map(|(name, of_type, _)| (*name, *of_type))) {
            true => Ok(()),
            false => Err(Invalid::new(
                "The type does not fit the domain. It must have the domain's members, in the order name, version, chainId, verifyingContract, salt.",
            )
            .inside(DOMAIN_TYPE)
            .inside("types")),
        }
    }
}
