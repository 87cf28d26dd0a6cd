//! What comes of a credential: an identity that passed, or why it did not.

use std::rc::Rc;

use crate::error::Error;
use crate::grant::{Grant, Vouched};
use crate::jwt::policy::Times;
use crate::jwt::rejection::RejectionReason;
use crate::pg::error::Result;
use crate::pg::sys::bound_identity::{BoundIdentity, bind};
use crate::pg::sys::clock;
use crate::providers;

/// A token that passed, and whose it is.
#[derive(Clone)]
pub struct Accepted {
    pub provider: Rc<str>,
    pub vouched: Rc<Vouched>,
    /// Its claims set as the provider wrote it.
    pub claims: Rc<str>,
    /// Its times, to be compared with the clock again at every use.
    pub times: Times,
    /// Seconds since 1970 at which it ends.
    pub ends: f64,
    /// Seconds for which it is accepted after that.
    pub leeway: f64,
}

impl Accepted {
    /// What the token grants.
    pub fn grant(&self) -> Result<Grant> {
        Ok(Grant::from_token(&self.provider, &self.vouched, self.ends)?)
    }

    /// Binds the identity to the request.
    pub fn bind(&self) -> Result<()> {
        bind(&BoundIdentity {
            provider: self.provider.to_string(),
            identity: self.vouched.identity.clone(),
            expires: clock::microseconds(self.ends + self.leeway),
        })
    }
}

/// A provider that cannot verify anything: an operator's matter, not the token's.
pub fn not_ready(name: &str, problem: impl Into<String>) -> Error {
    Error::Token(providers::Error::ProviderNotReady {
        name: name.to_owned(),
        problem: problem.into(),
    })
}

/// Asks one candidate after the other whether a credential is theirs: what the first that takes it says, `None` when
/// there is no candidate. When all refuse it, the refusal that says most is the answer: that of one whose key signed
/// the credential before that of one whose key did not.
pub fn first_accepted<C, T>(
    candidates: impl IntoIterator<Item = C>,
    mut attempt: impl FnMut(C) -> Result<T>,
) -> Result<Option<T>> {
    let mut refusal = None;
    for candidate in candidates {
        match attempt(candidate) {
            Ok(accepted) => return Ok(Some(accepted)),
            Err(
                other @ Error::Token(
                    providers::Error::TokenRejected(_) | providers::Error::ProviderNotReady { .. },
                ),
            ) => {
                if refusal.is_none() || is_about_the_content(&other) {
                    refusal = Some(other);
                }
            }
            Err(error) => return Err(error),
        }
    }
    refusal.map_or(Ok(None), Err)
}

/// Whether it was the provider's own credential that was refused.
fn is_about_the_content(refusal: &Error) -> bool {
    use RejectionReason::{AlgorithmNotAllowed, BadSignature, UnknownIssuer, UnknownKey};
    matches!(refusal, Error::Token(providers::Error::TokenRejected(rejection))
        if !matches!(rejection.reason, AlgorithmNotAllowed | BadSignature | UnknownIssuer | UnknownKey))
}
