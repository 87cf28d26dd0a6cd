//! Sessions of Better Auth as credentials: read from its tables as they are now, so that one that
//! was revoked is worth nothing from the next call on.

use std::collections::HashMap;
use std::ffi::CString;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::clock;
use super::error::Result;
use super::providers::{Keys, Provider, REGISTRY};
use super::rows::{Rows, in_ordinary_table};
use super::sys::table_cache::TableCache;
use super::verdict::{first_accepted, not_ready};
use crate::better_auth::{Credential, MemberRow, Session, SessionRow, UserRow, id_text};
use crate::jwt::grant::Grant;
use crate::jwt::rejection::{Reason, Rejection};

/// The secrets that Better Auth signs its cookies with, by provider.
pub static SESSION_SECRETS: TableCache<HashMap<String, String>> =
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

/// What a session's credential grants; `None` when it can be none: a JSON Web Token, or no provider
/// asked takes sessions.
pub fn attempt(credential: Option<&str>, provider: Option<&str>) -> Result<Option<Grant>> {
    let credential = credential.unwrap_or_default();
    if credential.bytes().filter(|byte| *byte == b'.').count() > 1 {
        return Ok(None);
    }
    let registry = REGISTRY.current()?;
    let secrets = SESSION_SECRETS.current()?;
    let mut providers: Vec<(&str, &Provider, &str)> = registry
        .iter()
        .filter(|(name, found)| match provider {
            Some(wanted) => *name == wanted,
            None => found.enabled,
        })
        .filter(|(name, found)| found.allow_bare_sessions || secrets.contains_key(*name))
        .filter_map(|(name, found)| match &found.keys {
            Keys::BetterAuth(schema) => Some((name.as_str(), &**found, schema.as_str())),
            Keys::Stored(_) => None,
        })
        .collect();
    if providers.is_empty() {
        return Ok(None);
    }
    providers.sort_unstable_by_key(|(name, _, _)| *name);
    let credential = Credential::parse(credential)?;
    first_accepted(providers, |(name, provider, schema)| {
        attempt_with(&credential, name, provider, schema, secrets.get(name))
    })
}

fn attempt_with(
    credential: &Credential,
    name: &str,
    provider: &Provider,
    schema: &str,
    secret: Option<&String>,
) -> Result<Grant> {
    let reject = |reason, detail: &str| Err(Rejection::new(reason, detail).into());
    let policy = provider.ready_policy(name)?;
    let secret = secret.map(String::as_bytes);
    let token = credential.session_token(secret, provider.allow_bare_sessions)?;
    let unreadable = |table: &str| {
        Err(not_ready(
            name,
            format!(
                "Table \"{schema}\".\"{table}\" is not there, is not an ordinary table with built-in column types, or does not have the columns that Better Auth makes."
            ),
        ))
    };
    let now = clock::now();

    let Some(sessions) = find::<SessionRow>(schema, "session", "token", token)? else {
        return unreadable("session");
    };
    let Some(row) = sessions.first() else {
        return reject(Reason::SessionNotFound, "There is no such session.");
    };
    let user_id = id_text(&row.user_id).unwrap_or_default();
    let Some(users) = find::<UserRow>(schema, "user", "id", &user_id)? else {
        return unreadable("user");
    };
    let Some(user) = users.first() else {
        return reject(Reason::SessionNotFound, "The session's user is gone.");
    };
    let members = match id_text(&row.organization_id) {
        None => Vec::new(),
        Some(_) => match find::<MemberRow>(schema, "member", "userId", &user_id)? {
            Some(members) => members,
            None => return unreadable("member"),
        },
    };
    let session = Session {
        row,
        ends: clock::parse(&row.expires_at).unwrap_or(0),
        user,
        ban_ends: user
            .ban_expires
            .as_deref()
            .map(|time| clock::parse(time).unwrap_or(i64::MAX)),
        // Where ids are numbers, the session still has the text of one.
        member: members
            .iter()
            .find(|member| id_text(&member.organization_id) == id_text(&row.organization_id)),
    };
    Ok(session.grant(name, policy, now)?)
}

/// The rows of one of Better Auth's tables with a value in a column; `None` when the table is not
/// what Better Auth makes.
fn find<T: DeserializeOwned>(
    schema: &str,
    table: &str,
    column: &str,
    value: &str,
) -> Result<Option<Vec<T>>> {
    let (Ok(schema), Ok(table), Ok(column)) = (
        CString::new(schema),
        CString::new(table),
        CString::new(column),
    ) else {
        return Ok(None);
    };
    // SAFETY: the table is open and has columns of built-in types alone.
    let rows = in_ordinary_table(&schema, &table, |table| unsafe {
        Rows::find(table, &column, value)
    })?;
    Ok(rows.flatten().and_then(|rows| rows.parse().ok()))
}
