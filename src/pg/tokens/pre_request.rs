//! The function that PostgREST calls before each request (`db-pre-request`).

use pgrx::pg_sys;

use super::request;
use super::verdict::Accepted;
use super::verification::verify_token;
use crate::error::Error;
use crate::grant::ClaimsSet;
use crate::identity::Identity;
use crate::jwt::rejection::{Rejection, RejectionReason};
use crate::pg::error::Result;
use crate::pg::settings;
use crate::pg::sys::security_context::{current_role, role_exists};
use crate::pg::sys::{bound_identity, guc, workers};
use crate::providers;
use crate::settings::IdentitySource;

/// Claims of an InsForge token that a provider's token in the header does not change.
const TOKEN_CLAIMS: [&str; 5] = ["sub", "role", "aud", "iat", "exp"];

/// The body of SQL function `pre_request()`.
pub(crate) fn apply_provider_token() -> Result<()> {
    apply()?;
    hand_on_claims()
}

/// Gives Citus' workers the claims of the request. They have neither its settings nor a bound
/// identity.
pub(super) fn hand_on_claims() -> Result<()> {
    workers::hand_on(|| {
        let counts = bound_identity::is_bound()
            || settings::current()?.identity_source == IdentitySource::Claims;
        let claims = guc::get(c"request.jwt.claims")?;
        Ok(claims.filter(|_| counts).unwrap_or_default())
    })
}

fn apply() -> Result<()> {
    // PostgREST may have left the previous request's transaction open.
    bound_identity::unbind()?;
    let settings = settings::current()?;
    let role = current_role()?;
    let is_anonymous = role == settings.anon_role;
    let is_users = is_anonymous || role == settings.token_role;
    if !is_users && role_exists(&settings.anon_role)? {
        // A user's token must not change an administrator's request.
        return Ok(());
    }
    let Some(token) = request::header(&settings.provider_token_header)? else {
        return Ok(());
    };
    if !is_users {
        let anon_role = settings.anon_role.clone();
        return Err(providers::Error::NobodyAnonymous { anon_role, role }.into());
    }
    let accepted = verify_token(Some(credentials(&token)), None)?;
    let claims = claims(&accepted, is_anonymous)?;
    let claims = serde_json::to_string(&claims).map_err(Error::bug)?;
    let context = pg_sys::GucContext::PGC_USERSET;
    guc::set_local(c"request.jwt.claims", &claims, context)?;
    accepted.bind()?;
    if is_anonymous {
        guc::set_local(c"role", &settings.token_role, context)?;
    }
    Ok(())
}

/// The token in the header's value, which may have the form of `Authorization` (RFC 6750 section
/// 2.1): `Bearer`, blanks and the token.
fn credentials(value: &str) -> &str {
    match value.split_once([' ', '\t']) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer") => token.trim(),
        _ => value,
    }
}

/// The new claims of the request.
fn claims(accepted: &Accepted, is_anonymous: bool) -> Result<ClaimsSet> {
    let mut claims = accepted.claims_of_grant()?;
    if is_anonymous {
        return Ok(claims);
    }
    let present = guc::get(c"request.jwt.claims")?.unwrap_or_else(|| "{}".to_owned());
    if Identity::from_claims(&present)?.user_id != accepted.vouched.identity.user_id {
        let detail = "The provider's token in the header belongs to another user than the request.";
        return Err(Rejection::new(RejectionReason::SubjectRejected, detail).into());
    }
    for name in TOKEN_CLAIMS {
        claims.remove(name);
    }
    let mut merged: ClaimsSet =
        serde_json::from_str(&present).map_err(|error| providers::Error::ClaimsNotJson {
            problem: error.to_string(),
        })?;
    merged.append(&mut claims);
    Ok(merged)
}
