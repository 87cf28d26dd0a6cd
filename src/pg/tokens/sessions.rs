//! Better Auth's sessions as credentials. They are read from its tables at each use, so a revoked
//! session does not count from the next call on.

use std::collections::HashMap;

use serde::Deserialize;

use super::providers::{Keys, Provider, REGISTRY};
use super::verdict::first_accepted;
use crate::grant::Grant;
use crate::jwt::rejection::{Rejection, RejectionReason};
use crate::pg::error::Result;
use crate::pg::sys::clock;
use crate::pg::sys::foreign_rows::read;
use crate::pg::sys::table_cache::TableCache;
use crate::providers::better_auth::session::{Credential, MemberRow, Session, SessionRow, UserRow};
use crate::providers::better_auth::tables::{MEMBER, Place, SESSION, USER};

/// The secrets that Better Auth signs its cookies with, by provider.
pub(crate) static SESSION_SECRETS: TableCache<HashMap<String, String>> =
    TableCache::new(c"session_secrets", |rows| {
        #[derive(Deserialize)]
        struct Row {
            provider: String,
            secret: String,
        }
        let rows: Vec<Row> = rows.parse()?;
        Ok(rows
            .into_iter()
            .map(|row| (row.provider, row.secret))
            .collect())
    });

const NO_SESSION_SECRET: &str = "It is a session cookie, and Better Auth is registered without session_secret. \
     A dump does not contain that secret, so a restored database has none.";

/// The grant of a session's credential. `None` for a JSON Web Token, and if no provider accepts
/// sessions.
pub(crate) fn session_grant(
    credential: Option<&str>,
    provider: Option<&str>,
) -> Result<Option<Grant>> {
    let credential = credential.unwrap_or_default();
    if credential.bytes().filter(|byte| *byte == b'.').count() > 1 {
        return Ok(None);
    }
    let registry = REGISTRY.current()?;
    let secrets = SESSION_SECRETS.current()?;
    let (mut providers, without_secret): (Vec<_>, Vec<_>) = registry
        .iter()
        .filter(|(name, found)| match provider {
            Some(wanted) => *name == wanted,
            None => found.enabled,
        })
        .filter_map(|(name, found)| match &found.keys {
            Keys::BetterAuth(place) => Some((name.as_str(), &**found, place)),
            Keys::Stored(_) => None,
        })
        .partition(|(name, found, _)| found.allow_bare_sessions || secrets.contains_key(*name));
    if providers.is_empty() {
        let is_cookie = matches!(Credential::parse(credential), Ok(Credential::Signed { .. }));
        if is_cookie && !without_secret.is_empty() {
            return Err(Rejection::new(RejectionReason::Malformed, NO_SESSION_SECRET).into());
        }
        return Ok(None);
    }
    providers.sort_unstable_by_key(|(name, _, _)| *name);
    let credential = Credential::parse(credential)?;
    first_accepted(providers, |(name, provider, place)| {
        session_grant_of_provider(&credential, name, provider, place, secrets.get(name))
    })
}

fn session_grant_of_provider(
    credential: &Credential,
    name: &str,
    provider: &Provider,
    place: &Place,
    secret: Option<&String>,
) -> Result<Grant> {
    let reject = |reason, detail: &str| Err(Rejection::new(reason, detail).into());
    let policy = provider.ready_policy(name)?;
    let secret = secret.map(String::as_bytes);
    let token = credential.session_token(secret, provider.allow_bare_sessions)?;
    let sessions = read::<SessionRow>(name, place, &SESSION, Some(("token", token)))?;
    let Some(row) = sessions.first() else {
        return reject(
            RejectionReason::SessionNotFound,
            "There is no such session.",
        );
    };
    let users = read::<UserRow>(name, place, &USER, Some(("id", &row.user_id)))?;
    let Some(user) = users.first() else {
        return reject(
            RejectionReason::SessionNotFound,
            "The session's user does not exist any more.",
        );
    };
    let members = match &row.organization_id {
        None => Vec::new(),
        Some(_) => read::<MemberRow>(name, place, &MEMBER, Some(("userId", &row.user_id)))?,
    };
    let session = Session {
        row,
        user,
        member: members
            .iter()
            .find(|member| Some(&member.organization_id) == row.organization_id.as_ref()),
    };
    Ok(Grant::from_session(name, &session, policy, clock::now())?)
}
