//! Verification of a provider's token: first its signature, then its claims.

use serde_json::{Map, Value};

use super::jws::Jws;
use super::key::KeySet;
use super::policy::{Policy, Times};
use super::rejection::{Rejection, RejectionReason};

/// A verified token.
#[derive(Debug)]
pub struct Verified<'a> {
    /// The user id that the policy makes of `sub`.
    pub user_id: String,
    /// The claims set.
    pub claims: &'a Map<String, Value>,
    /// The text of the claims set, as the provider wrote it.
    pub text: &'a str,
    /// Its times. Every use compares them with the clock again.
    pub times: Times,
}

/// `iss` of a token that is not verified yet. It tells whose keys to try.
#[must_use]
pub fn unverified_issuer<'a>(jws: &'a Jws) -> Option<&'a str> {
    jws.unverified_claims()?.get("iss")?.as_str()
}

/// Verifies a token against one provider's policy and keys; `now` in seconds since 1970.
///
/// # Errors
/// A [`Rejection`] with the first reason. Claims are checked only after the signature.
pub fn verify<'a>(
    jws: &'a Jws,
    policy: &Policy,
    keys: &KeySet,
    now: i64,
) -> Result<Verified<'a>, Rejection> {
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
    Ok(Verified {
        user_id: policy.user_id(claims)?,
        claims,
        text: std::str::from_utf8(jws.payload()).unwrap_or_default(),
        times,
    })
}
