//! Addresses: 20 bytes, and the checksum of ERC-55 in the case of their letters.

use std::fmt;

use super::keccak::keccak256;
use super::{Word, fixed_bytes};

/// The form of an address, as a sentence.
pub const EXPECTED: &str = "An address must be 0x and 40 hexadecimal digits.";

/// An address. Displayed in lower case, as this extension stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address(pub [u8; 20]);

impl Address {
    /// Nobody has this address. Money that is sent to it is lost.
    pub const ZERO: Self = Self([0; 20]);

    /// Reads `0x` and 40 hexadecimal digits: in lower case, or with the checksum of ERC-55.
    ///
    /// # Errors
    /// A sentence on what is wrong.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let address = Self::in_any_case(text)?;
        let has_upper_case = text.bytes().any(|digit| digit.is_ascii_uppercase());
        if has_upper_case && address.digits_in_case() != text.as_bytes() {
            return Err(
                "An address with upper-case digits has the checksum of ERC-55, and this checksum is wrong. A digit may be mistyped.",
            );
        }
        Ok(address)
    }

    /// Reads `0x` and 40 hexadecimal digits, and ignores their case.
    ///
    /// # Errors
    /// A sentence on what is wrong.
    pub fn in_any_case(text: &str) -> Result<Self, &'static str> {
        let bytes = fixed_bytes(text).ok_or(EXPECTED)?;
        Ok(Self(bytes))
    }

    /// The address of a public key, uncompressed and without its first byte.
    #[must_use]
    pub fn of_public_key(key: &[u8]) -> Self {
        let hash = keccak256(key);
        let mut address = [0; 20];
        for (byte, hashed) in address.iter_mut().zip(hash.iter().skip(12)) {
            *byte = *hashed;
        }
        Self(address)
    }

    /// `0x` and 40 digits whose case is the checksum of ERC-55.
    #[must_use]
    pub fn checksummed(self) -> String {
        String::from_utf8_lossy(&self.digits_in_case()).into_owned()
    }

    /// `0x` and 40 digits. A letter is in upper case if the hash of the lower-case digits has a
    /// half byte of 8 or more there.
    fn digits_in_case(self) -> [u8; 42] {
        let mut text = [0; 42];
        if let Some((prefix, digits)) = text.split_first_chunk_mut::<2>() {
            *prefix = *b"0x";
            // It cannot fail, because the lengths are those of an address.
            let _ = hex::encode_to_slice(self.0, digits);
            let hash = keccak256(digits);
            let halves = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
            for (digit, _) in digits.iter_mut().zip(halves).filter(|(_, half)| *half >= 8) {
                digit.make_ascii_uppercase();
            }
        }
        text
    }

    /// The address in a word of 32 bytes.
    #[must_use]
    pub fn word(self) -> Word {
        let mut word = [0; 32];
        for (byte, own) in word.iter_mut().skip(12).zip(self.0) {
            *byte = own;
        }
        word
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "0x{}", hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    /// The test cases of ERC-55.
    const CHECKSUMMED: &[&str] = &[
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ];

    #[test]
    fn the_checksums_of_erc_55() {
        for text in CHECKSUMMED {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.checksummed(), *text);
            assert_eq!(Address::parse(&text.to_lowercase()), Ok(address));
            assert_eq!(address.to_string(), text.to_lowercase());
        }
    }

    #[test]
    fn a_wrong_checksum_is_refused() {
        for text in [
            "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED",
            "0xDE709f2102306220921060314715629080e2fb77",
        ] {
            assert!(
                Address::parse(text).unwrap_err().contains("checksum"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let address = CHECKSUMMED[0];
        for text in [
            "",
            "0x",
            "0x10",
            &address[2..],
            &address.replace("0x", "0X"),
            &format!("{address}0"),
            &format!("{address}00"),
            &address.replace('9', "g"),
            &format!(" {address}"),
            &address.replace('9', "९"),
        ] {
            assert!(Address::parse(text).is_err(), "{text:?}");
        }
    }
}
