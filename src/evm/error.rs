//! Why an address, a hash or a signature is refused.

use crate::report::{Report, sqlstate};

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Text that is not an address.
    #[error("invalid address")]
    InvalidAddress {
        /// What is wrong with it, a sentence.
        problem: &'static str,
    },

    /// Bytes that are not a hash.
    #[error("invalid digest")]
    InvalidDigest {
        /// Their number.
        length: usize,
    },

    /// Text that is not a signature.
    #[error("invalid signature")]
    InvalidSignature(super::signature::NotASignature),

    /// A signature that no key makes.
    #[error("signature rejected")]
    SignedByNobody,

    /// Text that is not the hash of a transaction.
    #[error("invalid transaction hash")]
    InvalidTransactionHash,
}

impl Error {
    /// SQLSTATE, DETAIL and HINT.
    #[must_use]
    pub fn report(&self) -> Report {
        match self {
            Self::InvalidAddress { problem } => Report::new(
                sqlstate::INVALID_TEXT_REPRESENTATION,
                *problem,
                "Give it in lower case, or as a wallet shows it, such as 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed.",
            ),
            Self::InvalidDigest { length } => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                format!("It has {length} bytes, and a hash has 32."),
                "Sign and recover the hash of a message. eip712_digest() makes the hash of typed data.",
            ),
            Self::InvalidSignature(refused) => Report::new(
                sqlstate::INVALID_TEXT_REPRESENTATION,
                refused.problem,
                refused.hint,
            ),
            Self::SignedByNobody => Report::new(
                sqlstate::INVALID_AUTHORIZATION_SPECIFICATION,
                "No key makes this signature of this digest: its r is not a point of secp256k1.",
                "Give the signature as the wallet returned it.",
            ),
            Self::InvalidTransactionHash => Report::new(
                sqlstate::INVALID_TEXT_REPRESENTATION,
                "A transaction hash must be 0x and 64 hexadecimal digits, and not all zeros.",
                "Give it as the facilitator returned it.",
            ),
        }
    }
}
