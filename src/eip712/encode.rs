//! Encodes each value in 32 bytes, by its type (`encodeData`).

use super::Invalid;
use super::MAX_DEPTH;
use super::types::{Kind, Types};
use crate::evm::address::Address;
use crate::evm::integer::{Integer, word};
use crate::evm::keccak::{keccak256, keccak256_of};
use crate::evm::{Word, bytes};
use crate::json::Json;

impl Types {
    /// `hashStruct` of a message, a value of the first type.
    pub(super) fn hash_message(&self, message: Json) -> Result<Word, Invalid> {
        let hash = self.hash_struct(0, message, 0);
        hash.map_err(|invalid| invalid.inside("message"))
    }

    fn hash_struct(&self, index: usize, value: Json, depth: usize) -> Result<Word, Invalid> {
        let members = value
            .members()
            .ok_or_else(|| Invalid::new("A struct must be an object with no name twice."))?;
        let mut words = Vec::new();
        if let Some(definition) = self.get(index) {
            words.push(definition.type_hash);
            for field in &definition.fields {
                let encoded = match members.get(field.name.as_str()) {
                    None => Err(Invalid::new("It is missing.")),
                    Some(member) => self.encode(field.kind, &field.dimensions, *member, depth + 1),
                };
                words.push(encoded.map_err(|invalid| invalid.inside(&field.name))?);
            }
        }
        Ok(keccak256_of(words))
    }

    fn encode(
        &self,
        kind: Kind,
        dimensions: &[Option<usize>],
        value: Json,
        depth: usize,
    ) -> Result<Word, Invalid> {
        if depth > MAX_DEPTH {
            return Err(Invalid::new(format!(
                "More than {MAX_DEPTH} structs and arrays are nested."
            )));
        }
        if value.is_null() {
            return Err(Invalid::new("It is null."));
        }
        match (dimensions.split_last(), kind) {
            (Some((length, inner)), _) => self.hash_array(*length, kind, inner, value, depth),
            (None, Kind::Struct(index)) => self.hash_struct(index, value, depth),
            (None, _) => encode_atomic(kind, value),
        }
    }

    fn hash_array(
        &self,
        length: Option<usize>,
        kind: Kind,
        inner: &[Option<usize>],
        value: Json,
        depth: usize,
    ) -> Result<Word, Invalid> {
        let items = value
            .items()
            .ok_or_else(|| Invalid::new("It is not an array."))?;
        if let Some(length) = length.filter(|length| *length != items.len()) {
            return Err(Invalid::new(format!(
                "The array has {} elements instead of {length}.",
                items.len()
            )));
        }
        let mut words = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let word = self.encode(kind, inner, item, depth + 1);
            words.push(word.map_err(|invalid| invalid.in_element(index))?);
        }
        Ok(keccak256_of(words))
    }
}

/// A value of an atomic type, or the hash of a value of a dynamic type.
pub(super) fn encode_atomic(kind: Kind, value: Json) -> Result<Word, Invalid> {
    match kind {
        Kind::Address => {
            let text = value
                .string()
                .ok_or_else(|| Invalid::new("An address must be a string."))?;
            Address::parse(&text)
                .map(Address::word)
                .map_err(Invalid::new)
        }
        Kind::Bool => {
            let boolean = value
                .boolean()
                .ok_or_else(|| Invalid::new("A bool must be true or false."))?;
            let mut word = [0; 32];
            if let Some(last) = word.last_mut() {
                *last = u8::from(boolean);
            }
            Ok(word)
        }
        Kind::String => {
            let text = value
                .string()
                .ok_or_else(|| Invalid::new("It is not a string."))?;
            Ok(keccak256(text.as_bytes()))
        }
        Kind::Bytes => Ok(keccak256(&hexadecimal_bytes(value)?)),
        Kind::FixedBytes(length) => {
            let bytes = hexadecimal_bytes(value)?;
            if bytes.len() != length {
                return Err(Invalid::new(format!(
                    "It has {} bytes instead of {length}.",
                    bytes.len()
                )));
            }
            let mut word = [0; 32];
            for (to, from) in word.iter_mut().zip(bytes) {
                *to = from;
            }
            Ok(word)
        }
        Kind::Uint(bits) => integer(value)?
            .unsigned(bits)
            .map(|integer| word(&integer))
            .ok_or_else(|| {
                Invalid::new(format!(
                    "It is out of range: uint{bits} is 0 to 2^{bits} - 1."
                ))
            }),
        Kind::Int(bits) => integer(value)?
            .signed(bits)
            .map(|integer| word(&integer))
            .ok_or_else(|| {
                Invalid::new(format!(
                    "It is out of range: int{bits} is -2^{0} to 2^{0} - 1.",
                    bits - 1
                ))
            }),
        Kind::Struct(_) => Err(Invalid::new("It is not atomic.")),
    }
}

fn integer(value: Json) -> Result<Integer, Invalid> {
    let string = value.string();
    let digits = string.as_deref().or_else(|| value.number().map(whole));
    Integer::parse(digits.unwrap_or_default()).map_err(Invalid::new)
}

/// Removes a fraction of zeros: in JSON 5.0 equals 5, and both libraries accept it.
fn whole(number: &str) -> &str {
    let fraction = number.split_once('.');
    let whole = fraction.filter(|(_, zeros)| zeros.bytes().all(|digit| digit == b'0'));
    whole.map_or(number, |(whole, _)| whole)
}

fn hexadecimal_bytes(value: Json) -> Result<Vec<u8>, Invalid> {
    let text = value.string();
    text.and_then(|text| bytes(&text)).ok_or_else(|| {
        Invalid::new("Bytes must be a string of 0x and two hexadecimal digits for each byte.")
    })
}
