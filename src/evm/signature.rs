//! ECDSA signatures over secp256k1, as wallets give them: r, s and v in 65 bytes.
//!
//! One signature has only one spelling, because contracts are as strict. If a wallet wrote another
//! spelling, the error says what it may mean; this code does not guess.

use k256::ecdsa::{RecoveryId, Signature as Ecdsa, VerifyingKey};

use super::address::Address;
use super::{Word, bytes};

/// A signature in its only spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    ecdsa: Ecdsa,
    recovery_id: RecoveryId,
}

/// Why text or bytes are not a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotASignature {
    /// What is wrong, a sentence.
    pub problem: &'static str,
    /// What to do, a sentence.
    pub hint: &'static str,
}

const GIVE_65_BYTES: &str =
    "Give 0x and 130 hexadecimal digits: r, s and v, as eth_signTypedData_v4 returns them.";

impl Signature {
    /// Reads `0x` and 130 hexadecimal digits.
    ///
    /// # Errors
    /// [`NotASignature`].
    pub fn parse(text: &str) -> Result<Self, NotASignature> {
        let bytes = bytes(text).ok_or(NotASignature {
            problem: "A signature must be 0x and two hexadecimal digits for each byte.",
            hint: GIVE_65_BYTES,
        })?;
        Self::from_bytes(&bytes)
    }

    /// Reads r (32 bytes), s (32 bytes) and v (1 byte).
    ///
    /// # Errors
    /// [`NotASignature`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotASignature> {
        let refused = |problem, hint| Err(NotASignature { problem, hint });
        let Some((r_and_s, &[v])) = bytes.split_at_checked(64) else {
            return match bytes.len() {
                64 => refused(
                    "The signature has 64 bytes. This is the compact form of ERC-2098, and tokens' contracts refuse it.",
                    "Expand it: v is 27 plus the highest bit of s. Then clear that bit of s.",
                ),
                66.. => refused(
                    "The signature has more than 65 bytes. It is a contract wallet's (ERC-1271, ERC-6492), and only the chain can check it.",
                    "Let a facilitator or a node check it.",
                ),
                _ => refused("A signature must have 65 bytes.", GIVE_65_BYTES),
            };
        };
        let is_y_odd = match v {
            0 | 27 => false,
            1 | 28 => true,
            35.. => {
                return refused(
                    "The last byte, v, is that of a transaction (EIP-155).",
                    "Signatures of messages have a v of 27 or 28. Replace an odd EIP-155 v by 27, and an even one by 28.",
                );
            }
            _ => {
                return refused("The last byte, v, must be 0, 1, 27 or 28.", GIVE_65_BYTES);
            }
        };
        let Ok(ecdsa) = Ecdsa::from_slice(r_and_s) else {
            return refused(
                "r and s must be above zero and below the order of secp256k1.",
                GIVE_65_BYTES,
            );
        };
        if ecdsa.normalize_s() != ecdsa {
            return refused(
                "s is in the upper half of its range (EIP-2). Tokens' contracts refuse it.",
                "Replace s by the order of secp256k1 minus s, and exchange 27 and 28 in v.",
            );
        }
        Ok(Self {
            ecdsa,
            recovery_id: RecoveryId::new(is_y_odd, false),
        })
    }

    /// The address of the key that signed a digest; `None` if no key makes this signature.
    #[must_use]
    pub fn signer(&self, digest: &Word) -> Option<Address> {
        let key = VerifyingKey::recover_from_prehash(digest, &self.ecdsa, self.recovery_id).ok()?;
        let point = key.to_sec1_point(false);
        Some(Address::of_public_key(point.as_bytes().get(1..)?))
    }
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
