//! Why an address, a hash or a signature is refused.

use crate::report::{Report, sqlstate};

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Text that is no address.
    #[error("invalid address")]
    InvalidAddress {
        /// What is wrong with it, a sentence.
        problem: &'static str,
    },

    /// Bytes that are not the hash of anything.
    #[error("invalid digest")]
    InvalidDigest {
        /// How many they are.
        length: usize,
    },

    /// Text that is no signature.
    #[error("invalid signature")]
    InvalidSignature(super::signature::NotASignature),

    /// A signature that no key makes.
    #[error("signature rejected")]
    SignedByNobody,

    /// Text that is no hash of a transaction.
    #[error("invalid transaction hash")]
    InvalidTransactionHash,
}

impl Error {
    /// What Postgres reports with it.
    #[must_use]
    pub fn report(&self) -> Report {
        match self {
            Self::InvalidAddress { problem } => Report::new(
                sqlstate::INVALID_TEXT_REPRESENTATION,
                *problem,
                "Give it in lower case, or as a wallet shows it, 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed.",
            ),
            Self::InvalidDigest { length } => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                format!("It has {length} bytes; a hash has 32."),
                "Sign and recover the hash of a message: eip712_digest() makes that of typed data.",
            ),
            Self::InvalidSignature(refused) => Report::new(
                sqlstate::INVALID_TEXT_REPRESENTATION,
                refused.problem,
                refused.hint,
            ),
            Self::SignedByNobody => Report::new(
                sqlstate::INVALID_AUTHORIZATION_SPECIFICATION,
                "No key makes this signature of this digest: its r is no point of secp256k1.",
                "Give the signature as the wallet returned it.",
            ),
            Self::InvalidTransactionHash => Report::new(
                sqlstate::INVALID_TEXT_REPRESENTATION,
                "A transaction hash is 0x and 64 hexadecimal digits, and not all zeros.",
                "Give it as the facilitator returned it.",
            ),
        }
    }
}
