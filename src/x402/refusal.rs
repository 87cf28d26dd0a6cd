//! Why a payment is refused: by the names of the x402 specification (section 9), and for what that
//! does not name, by those of its reference implementation (`@x402/evm`).

/// A reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidReason {
    /// It is not a payment.
    InvalidPayload,
    /// Its version is not that of the requirements.
    InvalidVersion,
    /// Its scheme is not known, or not offered.
    UnsupportedScheme,
    /// It moves the token in another way than the offer says.
    UnsupportedPayload,
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
    /// The payer did not sign the permit.
    PermitSignature,
    /// The permit is for another contract than that of x402.
    PermitSpender,
    /// The permit pays another recipient.
    PermitRecipient,
    /// The permit can be settled only by another facilitator (scheme `upto`).
    PermitFacilitator,
    /// The permit has ended, or ends too soon.
    PermitDeadline,
    /// The permit is not valid yet.
    PermitNotYetValid,
    /// The permit is for another amount.
    PermitAmount,
    /// The permit is for another token.
    PermitToken,
    /// It has a contract wallet's signature. This name is not in the specification, and no payment
    /// is refused for it.
    NeedsFacilitator,
}

impl InvalidReason {
    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidPayload => "invalid_payload",
            Self::InvalidVersion => "invalid_x402_version",
            Self::UnsupportedScheme => "unsupported_scheme",
            Self::UnsupportedPayload => "unsupported_payload_type",
            Self::InvalidNetwork => "invalid_network",
            Self::InvalidRequirements => "invalid_payment_requirements",
            Self::InvalidSignature => "invalid_exact_evm_payload_signature",
            Self::RecipientMismatch => "invalid_exact_evm_payload_recipient_mismatch",
            Self::ValidBefore => "invalid_exact_evm_payload_authorization_valid_before",
            Self::ValidAfter => "invalid_exact_evm_payload_authorization_valid_after",
            Self::Value => "invalid_exact_evm_payload_authorization_value",
            Self::ValueMismatch => "invalid_exact_evm_payload_authorization_value_mismatch",
            Self::PermitSignature => "invalid_permit2_signature",
            Self::PermitSpender => "invalid_permit2_spender",
            Self::PermitRecipient => "invalid_permit2_recipient_mismatch",
            Self::PermitFacilitator => "upto_facilitator_mismatch",
            Self::PermitDeadline => "permit2_deadline_expired",
            Self::PermitNotYetValid => "permit2_not_yet_valid",
            Self::PermitAmount => "permit2_amount_mismatch",
            Self::PermitToken => "permit2_token_mismatch",
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
