//! The function that PostgREST calls before each request (`db-pre-request`).

use pgrx::pg_sys;

use super::request;
use super::verdict::Accepted;
use super::verification::verify_token;
use crate::error::Error;
use crate::grant::{ClaimsSet, IssuerClaims};
use crate::identity::Identity;
use crate::jwt::rejection::{Rejection, RejectionReason};
use crate::pg::error::Result;
use crate::pg::settings;
use crate::pg::sys::clock;
use crate::pg::sys::security_context::{current_role, role_exists};
use crate::pg::sys::{bound_identity, guc};
use crate::providers;

/// Claims of an InsForge token that a provider's token in the header does not change.
const TOKEN_CLAIMS: [&str; 5] = ["sub", "role", "aud", "iat", "exp"];

/// The body of SQL function `pre_request()`.
pub(crate) fn apply_provider_token() -> Result<()> {
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
    let accepted = verify_token(Some(&token), None)?;
    let claims = claims(&accepted, is_anonymous, &settings)?;
    let claims = serde_json::to_string(&claims).map_err(Error::bug)?;
    let context = pg_sys::GucContext::PGC_USERSET;
    guc::set_local(c"request.jwt.claims", &claims, context)?;
    accepted.bind()?;
    if is_anonymous {
        guc::set_local(c"role", &settings.token_role, context)?;
    }
    Ok(())
}

/// The new claims of the request.
fn claims(
    accepted: &Accepted,
    is_anonymous: bool,
    settings: &crate::settings::Settings,
) -> Result<ClaimsSet> {
    let grant = accepted.grant()?;
    let mut claims = grant.claims(IssuerClaims {
        role: &settings.token_role,
        audience: &settings.token_audience,
        issued: clock::now(),
        expires: grant.ends as i64,
    })?;
    if is_anonymous {
        return Ok(claims);
    }
    let present = guc::get(c"request.jwt.claims")?.unwrap_or_else(|| "{}".to_owned());
    if Identity::from_claims(&present)?.user_id != grant.identity.user_id {
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
