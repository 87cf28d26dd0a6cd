//! Payments over HTTP (x402, versions 1 and 2, and the mixture in InsForge's guide): a seller's
//! requirements, a buyer's payment, and whether they fit. The buyer signs an authorization of
//! EIP-3009 or a permit for Permit2.

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

/// A scheme of payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// The signed amount moves.
    Exact,
    /// At most the signed amount moves. The seller says how much after its work.
    Upto,
}

impl Scheme {
    /// The protocol's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Upto => "upto",
        }
    }

    /// The scheme with this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Exact, Self::Upto]
            .into_iter()
            .find(|scheme| scheme.name() == name)
    }
}

/// The way to move a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferMethod {
    /// The token's own `transferWithAuthorization`.
    Eip3009,
    /// Contract Permit2, for every token.
    Permit2,
}

impl TransferMethod {
    /// The protocol's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eip3009 => "eip3009",
            Self::Permit2 => "permit2",
        }
    }

    /// The way with this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Eip3009, Self::Permit2]
            .into_iter()
            .find(|method| method.name() == name)
    }
}

/// The largest header or document, in bytes.
pub const MAX_TEXT: usize = 64 << 10;

#[cfg(test)]
mod tests;

pub use error::Error;
