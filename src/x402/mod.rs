//! Payments over HTTP (x402, versions 1 and 2, and the mixture in InsForge's guide), of scheme `exact`
//! with EIP-3009 authorizations: what a seller asks for, what a buyer signed, and whether they fit.

pub mod answer;
pub mod authorization;
mod error;
pub mod facilitator;
pub mod header;
pub mod payment;
pub mod refusal;
pub mod registry;
pub mod requirements;
pub mod reservable;
pub mod reservation;
pub mod settlement;
pub mod verify;

/// A version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Amounts are `maxAmountRequired`, the least that is paid; networks have names.
    V1 = 1,
    /// Amounts are `amount`, exactly what is paid; networks are CAIP-2 identifiers.
    V2 = 2,
}

/// The one scheme that is known here: a fixed amount, authorized by one signature.
pub const EXACT: &str = "exact";

/// Bytes of a header or a document, at most.
pub const MAX_TEXT: usize = 64 << 10;

#[cfg(test)]
mod tests;

pub use error::Error;
