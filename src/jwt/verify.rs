//! Verification of a provider's token: signature first, then what it says.

use super::identity::Identity;
use super::jws::Jws;
use super::key::KeySet;
use super::policy::{Policy, Times};
use super::rejection::{Rejection, RejectionReason};

/// What a verified token says.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// Who, in which organisation, with which permissions.
    pub identity: Identity,
    /// The claims set as the provider wrote it.
    pub claims: String,
    /// The times, to be compared with the clock again at every use.
    pub times: Times,
}

/// `iss` of a token before anything of it is verified: good for choosing whose keys to try.
#[must_use]
pub fn unverified_issuer<'a>(jws: &'a Jws) -> Option<&'a str> {
    jws.unverified_claims()?.get("iss")?.as_str()
}

/// Verifies a token against one provider's policy and keys; `now` in seconds since 1970.
///
/// # Errors
/// A [`Rejection`] with the first reason found; what is in the token is looked at after its
/// signature has been verified.
pub fn verify(jws: &Jws, policy: &Policy, keys: &KeySet, now: i64) -> Result<Verified, Rejection> {
    jws.verify(policy.algorithms(), keys)?;
    let claims = jws.unverified_claims().ok_or_else(|| {
        Rejection::new(
            RejectionReason::Malformed,
            "The payload is not a JSON object with unique names and storable text.",
        )
    })?;
    policy.check_type(jws.typ.as_deref(), jws.category.as_deref())?;
    let times = policy.times(claims)?;
    policy.check_times(&times, now)?;
    policy.check_claims(claims)?;
    let user_id = policy.user_id(claims)?;
    let text = std::str::from_utf8(jws.payload()).unwrap_or_default();
    let identity = Identity::from_claims(text)
        .map_err(|_| Rejection::new(RejectionReason::Malformed, "The claims cannot be read."))?;
    Ok(Verified {
        identity: Identity {
            user_id: Some(user_id),
            ..identity
        },
        claims: text.to_owned(),
        times,
    })
}
