//! Why a token was refused.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $code:literal),+ $(,)?) => {
        /// The reason codes. Callers see them, so they are part of the interface.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum RejectionReason { $($(#[$doc])* $variant),+ }

        impl RejectionReason {
            /// The code as it stands in DETAIL and in `inspect_provider_jwt`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }
        }
    };
}

reasons! {
    /// Not a compact JWS of a JSON claims set, or a header that this verifier refuses.
    Malformed = "malformed",
    /// Longer than any provider's token.
    TooLarge = "too_large",
    /// `alg` is not one the provider's policy allows.
    AlgorithmNotAllowed = "algorithm_not_allowed",
    /// `iss` belongs to no enabled provider.
    UnknownIssuer = "unknown_issuer",
    /// No key of the provider has the token's `kid` and fits its `alg`.
    UnknownKey = "unknown_key",
    /// The signature is not the key's.
    BadSignature = "bad_signature",
    /// `exp` has passed.
    Expired = "expired",
    /// `nbf` has not come.
    NotYetValid = "not_yet_valid",
    /// `iat` is later than now.
    IssuedInFuture = "issued_in_future",
    /// Issued longer ago than the policy's maximum age.
    TooOld = "too_old",
    /// A required claim is missing, or has another type.
    MissingClaim = "missing_claim",
    /// `aud` names another audience.
    WrongAudience = "wrong_audience",
    /// `azp` names another party.
    WrongAuthorizedParty = "wrong_authorized_party",
    /// Another kind of token, by `typ` or by the provider's own mark.
    WrongType = "wrong_type",
    /// A claim has a value that the policy refuses.
    ClaimRejected = "claim_rejected",
    /// `sub` is not of the form that the provider's users have.
    SubjectRejected = "subject_rejected",
    /// There is no such session, or it has ended.
    SessionNotFound = "session_not_found",
}

/// Why a token was refused. No part of the token is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The code.
    pub reason: RejectionReason,
    /// A sentence for people.
    pub detail: String,
}

impl Rejection {
    #[must_use]
    #[allow(missing_docs)]
    pub fn new(reason: RejectionReason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
        }
    }
}

impl std::error::Error for Rejection {}

impl fmt::Display for Rejection {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}: {}", self.reason.code(), self.detail)
    }
}
