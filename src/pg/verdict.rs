//! What comes of a credential: an identity that passed, or why it did not.

use std::rc::Rc;

use super::clock;
use super::error::Result;
use super::sys::bound_identity::{BoundIdentity, bind};
use crate::error::Error;
use crate::jwt::grant::Grant;
use crate::jwt::rejection::{Reason, Rejection};
use crate::jwt::verify::Verified;

/// A token that passed, and whose it is.
#[derive(Clone)]
pub struct Accepted {
    pub provider: Rc<str>,
    pub verified: Rc<Verified>,
    /// Seconds since 1970 at which it ends.
    pub ends: f64,
    /// Seconds for which it is accepted after that.
    pub leeway: f64,
}

impl Accepted {
    /// What the token grants.
    pub fn grant(&self) -> std::result::Result<Grant, Rejection> {
        Grant::from_token(&self.provider, &self.verified, self.ends)
    }

    /// Binds the identity to the request.
    pub fn bind(&self) -> Result<()> {
        bind(&BoundIdentity {
            provider: self.provider.to_string(),
            identity: self.verified.identity.clone(),
            expires: clock::microseconds(self.ends + self.leeway),
        })
    }
}

/// Why a token did not pass.
pub enum Refusal {
    Rejected(Rejection),
    /// The provider cannot verify anything: an operator's matter, not the token's.
    NotReady {
        provider: String,
        problem: String,
    },
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Rejected(rejection) => Self::TokenRejected(rejection),
            Refusal::NotReady {
                provider: name,
                problem,
            } => Self::ProviderNotReady { name, problem },
        }
    }
}

pub type Attempt = std::result::Result<Accepted, Refusal>;

/// Whether it was the provider's own credential that was refused.
pub fn is_about_the_content(refusal: &Refusal) -> bool {
    use Reason::{AlgorithmNotAllowed, BadSignature, UnknownKey};
    matches!(refusal, Refusal::Rejected(rejection)
        if !matches!(rejection.reason, AlgorithmNotAllowed | BadSignature | UnknownKey))
}
