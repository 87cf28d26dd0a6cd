//! Why a payment is refused, by the names of the x402 specification (section 9).

/// A reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidReason {
    /// It is not a payment.
    InvalidPayload,
    /// Its version is not that of the requirements.
    InvalidVersion,
    /// Its scheme is not `exact`.
    UnsupportedScheme,
    /// It is for another network.
    InvalidNetwork,
    /// It accepts something that was not offered.
    InvalidRequirements,
    /// The payer did not sign it.
    InvalidSignature,
    /// It pays another recipient.
    RecipientMismatch,
    /// It has ended, or ends too soon.
    ValidBefore,
    /// It is not valid yet.
    ValidAfter,
    /// It pays less (version 1).
    Value,
    /// It pays another amount (version 2).
    ValueMismatch,
    /// It has a contract wallet's signature. This name is not in the specification, and no payment is refused for it.
    NeedsFacilitator,
}

impl InvalidReason {
    /// The specification's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidPayload => "invalid_payload",
            Self::InvalidVersion => "invalid_x402_version",
            Self::UnsupportedScheme => "unsupported_scheme",
            Self::InvalidNetwork => "invalid_network",
            Self::InvalidRequirements => "invalid_payment_requirements",
            Self::InvalidSignature => "invalid_exact_evm_payload_signature",
            Self::RecipientMismatch => "invalid_exact_evm_payload_recipient_mismatch",
            Self::ValidBefore => "invalid_exact_evm_payload_authorization_valid_before",
            Self::ValidAfter => "invalid_exact_evm_payload_authorization_valid_after",
            Self::Value => "invalid_exact_evm_payload_authorization_value",
            Self::ValueMismatch => "invalid_exact_evm_payload_authorization_value_mismatch",
            Self::NeedsFacilitator => "needs_facilitator",
        }
    }
}

/// A reason and a sentence about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRefusal {
    /// The reason.
    pub reason: InvalidReason,
    /// What is wrong, with its place.
    pub message: String,
}

impl PaymentRefusal {
    pub(super) fn new(reason: InvalidReason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}
