//! The verdict on a credential: an accepted identity, or the reason of the refusal.

use std::rc::Rc;

use crate::error::Error;
use crate::grant::{ClaimsSet, Grant, IssuerClaims, Vouched};
use crate::jwt::policy::Times;
use crate::jwt::rejection::RejectionReason;
use crate::pg::error::Result;
use crate::pg::settings;
use crate::pg::sys::bound_identity::{BoundIdentity, bind};
use crate::pg::sys::clock;
use crate::providers;

/// An accepted token and its user.
#[derive(Clone)]
pub(crate) struct Accepted {
    pub provider: Rc<str>,
    pub vouched: Rc<Vouched>,
    /// Its claims set as the provider wrote it.
    pub claims: Rc<str>,
    /// Its times, to be compared with the clock again at every use.
    pub times: Times,
    /// End of the token, in seconds since 1970.
    pub ends: f64,
    /// Seconds for which the token is accepted after its end.
    pub leeway: f64,
}

impl Accepted {
    /// The grant of the token.
    pub(crate) fn grant(&self) -> Result<Grant> {
        Ok(Grant::from_token(&self.provider, &self.vouched, self.ends)?)
    }

    /// The claims of an InsForge token for its user.
    pub(crate) fn claims_of_grant(&self) -> Result<ClaimsSet> {
        let settings = settings::current()?;
        let grant = self.grant()?;
        Ok(grant.claims(IssuerClaims {
            role: &settings.token_role,
            audience: &settings.token_audience,
            issued: clock::now(),
            expires: grant.ends as i64,
        })?)
    }

    /// Binds the identity to the request.
    pub(crate) fn bind(&self) -> Result<()> {
        bind(&BoundIdentity {
            provider: self.provider.to_string(),
            identity: self.vouched.identity.clone(),
            claims: self.claims.to_string(),
            expires: clock::microseconds(self.ends + self.leeway),
        })
    }
}

/// The error for a provider that cannot verify anything. The operator must mend it, not the token's
/// user.
pub(crate) fn not_ready(name: &str, problem: impl Into<String>) -> Error {
    Error::Token(providers::Error::ProviderNotReady {
        name: name.to_owned(),
        problem: problem.into(),
    })
}

/// Asks one candidate after the other, and returns the answer of the first that accepts the
/// credential. `None` if there is no candidate. If all refuse, it returns the most useful refusal:
/// that of a candidate whose key signed the credential takes precedence.
pub(crate) fn first_accepted<C, T>(
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

/// Whether the provider's own key had signed the refused credential.
fn is_about_the_content(refusal: &Error) -> bool {
    use RejectionReason::{AlgorithmNotAllowed, BadSignature, UnknownIssuer, UnknownKey};
    matches!(refusal, Error::Token(providers::Error::TokenRejected(rejection))
        if !matches!(rejection.reason, AlgorithmNotAllowed | BadSignature | UnknownIssuer | UnknownKey))
}
