//! The function that PostgREST calls before each request (`db-pre-request`).

use pgrx::pg_sys::{self, Datum, FunctionCallInfo};

use super::error::Result;
use super::request;
use super::sys::encoding::utf8;
use super::sys::fmgr::function_info;
use super::sys::status_error::answer;
use super::sys::{bound_identity, guc};
use super::verdict::Accepted;
use super::verification::attempt;
use super::{clock, settings};
use crate::error::Error;
use crate::grant::{ClaimsSet, IssuerClaims};
use crate::identity::Identity;
use crate::jwt::rejection::{Rejection, RejectionReason};

/// The role of requests without a token, InsForge's and PostgREST's usual name for it.
const ANONYMOUS: &str = "anon";
/// What a token of a provider's does not change about a request that had one of InsForge's.
const TOKEN_CLAIMS: [&str; 5] = ["sub", "role", "aud", "iat", "exp"];

/// SQL function `pre_request()`; see sql/exchange.sql.
///
/// # Safety
/// Called by Postgres' function manager.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn pre_request(call: FunctionCallInfo) -> Datum {
    // SAFETY: the function manager gives a valid call, and this frame owns nothing.
    unsafe { answer(call, admit) }
}

function_info!(pg_finfo_pre_request);

fn admit(_: FunctionCallInfo) -> Result<Option<Datum>> {
    // PostgREST may have left the transaction of the request before this one open.
    bound_identity::unbind()?;
    let settings = settings::current()?;
    let role = current_role()?;
    let is_anonymous = role == ANONYMOUS;
    if !is_anonymous && role != settings.token_role {
        // An administrator's request is not for a user's token to change.
        return Ok(None);
    }
    let Some(token) = request::header(&settings.provider_token_header)? else {
        return Ok(None);
    };
    let accepted = attempt(Some(&token), None)?;
    let claims = claims(&accepted, is_anonymous, &settings)?;
    let claims = serde_json::to_string(&claims).map_err(Error::bug)?;
    let context = pg_sys::GucContext::PGC_USERSET;
    guc::set_local(c"request.jwt.claims", &claims, context)?;
    accepted.bind()?;
    if is_anonymous {
        guc::set_local(c"role", &settings.token_role, context)?;
    }
    Ok(None)
}

/// The claims of the request from now on.
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
        let detail = "The request is another user's than the provider's token in its header.";
        return Err(Rejection::new(RejectionReason::SubjectRejected, detail).into());
    }
    for name in TOKEN_CLAIMS {
        claims.remove(name);
    }
    let mut merged: ClaimsSet =
        serde_json::from_str(&present).map_err(|error| Error::ClaimsNotJson {
            problem: error.to_string(),
        })?;
    merged.append(&mut claims);
    Ok(merged)
}

fn current_role() -> Result<String> {
    // SAFETY: the name of the current role, a new text.
    unsafe {
        let name = pg_sys::GetUserNameFromId(pg_sys::GetUserId(), false);
        Ok(utf8(std::ffi::CStr::from_ptr(name))?.to_owned())
    }
}
