//! Payments over HTTP (x402, versions 1 and 2, and the mixture in InsForge's guide), of scheme
//! `exact` with EIP-3009 authorizations: a seller's requirements, a buyer's payment, and whether
//! they fit.

pub mod answer;
pub mod authorization;
pub mod challenge;
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
    /// The amount is `maxAmountRequired`, the smallest accepted one. Networks have names.
    V1 = 1,
    /// The amount is `amount`, exactly. Networks are CAIP-2 identifiers.
    V2 = 2,
}

/// The only known scheme: a fixed amount, authorized by one signature.
pub const EXACT: &str = "exact";

/// The largest header or document, in bytes.
pub const MAX_TEXT: usize = 64 << 10;

#[cfg(test)]
mod tests;

pub use error::Error;
