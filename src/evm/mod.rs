//! Types of the Ethereum virtual machine and its wallets: addresses, Keccak-256, 256-bit integers,
//! ECDSA signatures over secp256k1.

pub mod address;
mod error;
pub mod integer;
pub mod keccak;
pub mod signature;

pub use error::Error;

/// A word of the virtual machine: 32 bytes.
pub type Word = [u8; 32];

/// Reads `0x` and two hexadecimal digits for each byte, in either case; `None` for anything else.
#[must_use]
pub fn bytes(text: &str) -> Option<Vec<u8>> {
    hex::decode(text.strip_prefix("0x")?).ok()
}

/// Reads the same as [`bytes`], with a fixed number of bytes.
#[must_use]
pub fn fixed_bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text.strip_prefix("0x")?, &mut bytes).ok()?;
    Some(bytes)
}

/// Writes `0x` and the bytes in lower-case hexadecimal digits.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// Reads the hash of a transaction: 64 hexadecimal digits with or without `0x`. Facilitators with
/// PyPI's x402 up to 2.20 leave `0x` out. `None` for anything else, and for the hash of zeros,
/// which no transaction has.
#[must_use]
pub fn transaction_hash(text: &str) -> Option<Word> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut hash).ok()?;
    (hash != [0; 32]).then_some(hash)
}
