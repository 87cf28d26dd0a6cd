//! The function that PostgREST calls before each request (`db-pre-request`).

use pgrx::pg_sys::{self, Datum, FunctionCallInfo};

use super::error::{Result, internal};
use super::request;
use super::sys::encoding::utf8;
use super::sys::fmgr::function_info;
use super::sys::status_error::{Answer, answer};
use super::sys::{bound_identity, guc};
use super::verdict::{Accepted, Refusal};
use super::verification::attempt;
use super::{clock, settings};
use crate::error::Error;
use crate::jwt::grant::{ClaimsSet, Terms};
use crate::jwt::identity::Identity;
use crate::jwt::rejection::{Reason, Rejection};

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

fn admit(_: FunctionCallInfo) -> Answer {
    // PostgREST may have left the transaction of the request before this one open.
    bound_identity::unbind()?;
    let settings = settings::current()?;
    let role = current_role()?;
    let is_anonymous = role == ANONYMOUS;
    if !is_anonymous && role != settings.token_role {
        // An administrator's request is not for a user's token to change.
        return Ok(Ok(None));
    }
    let token = match request::header(&settings.provider_token_header)? {
        Ok(Some(token)) => token,
        Ok(None) => return Ok(Ok(None)),
        Err(error) => return Ok(Err(error)),
    };
    let accepted = match attempt(Some(&token), None)? {
        Ok(accepted) => accepted,
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    let claims = match claims(&accepted, is_anonymous, &settings)? {
        Ok(claims) => claims,
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    let claims = serde_json::to_string(&claims).map_err(internal)?;
    let context = pg_sys::GucContext::PGC_USERSET;
    guc::set_local(c"request.jwt.claims", &claims, context)?;
    accepted.bind()?;
    if is_anonymous {
        guc::set_local(c"role", &settings.token_role, context)?;
    }
    Ok(Ok(None))
}

/// The claims of the request from now on.
fn claims(
    accepted: &Accepted,
    is_anonymous: bool,
    settings: &crate::settings::Settings,
) -> Result<std::result::Result<ClaimsSet, Refusal>> {
    let now = clock::now();
    let grant = match accepted.grant() {
        Ok(grant) => grant,
        Err(rejection) => return Ok(Err(rejection.into())),
    };
    let mut claims = grant.claims(Terms {
        role: &settings.token_role,
        audience: &settings.token_audience,
        issued: now,
        expires: grant.ends as i64,
    })?;
    if is_anonymous {
        return Ok(Ok(claims));
    }
    let present = guc::get(c"request.jwt.claims")?.unwrap_or_else(|| "{}".to_owned());
    if Identity::from_claims(&present)?.user_id != grant.identity.user_id {
        return Ok(Err(Rejection::new(
            Reason::SubjectRejected,
            "The request is another user's than the provider's token in its header.",
        )
        .into()));
    }
    for name in TOKEN_CLAIMS {
        claims.remove(name);
    }
    let mut merged: ClaimsSet =
        serde_json::from_str(&present).map_err(|error| Error::ClaimsNotJson {
            problem: error.to_string(),
        })?;
    merged.append(&mut claims);
    Ok(Ok(merged))
}

fn current_role() -> Result<String> {
    // SAFETY: the name of the current role, a new text.
    unsafe {
        let name = pg_sys::GetUserNameFromId(pg_sys::GetUserId(), false);
        Ok(utf8(std::ffi::CStr::from_ptr(name))?.to_owned())
    }
}
