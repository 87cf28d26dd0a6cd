//! The keys of Better Auth's jwt plugin, in table `jwks` of its schema in this database.
//!
//! The table belongs to somebody who need not be a superuser. It is read by a plain heap scan, after
//! a look at what it is, so that nothing its owner could put in its place ever runs.

use std::ffi::CString;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::clock;
use super::error::Result;
use super::rows::{Rows, in_ordinary_table};
use crate::jwt::key::KeySet;

/// Better Auth serves a key for this long after it expired, its own default.
const GRACE_SECONDS: i64 = 30 * 24 * 60 * 60;

#[derive(Deserialize)]
struct Row {
    id: Value,
    #[serde(rename = "publicKey")]
    public_key: String,
    #[serde(rename = "expiresAt")]
    expires_at: Option<String>,
    alg: Option<String>,
}

/// The keys that Better Auth serves at `now`, or a sentence on why there are none.
pub fn keys(schema: &str, now: i64) -> Result<std::result::Result<KeySet, String>> {
    let none = |reason: &str| Ok(Err(format!("Table \"{schema}\".jwks {reason}.")));
    let Ok(schema_name) = CString::new(schema) else {
        return none("cannot exist");
    };
    // SAFETY: the table is open and has columns of built-in types alone.
    let rows = in_ordinary_table(&schema_name, c"jwks", |table| unsafe { Rows::scan(table) })?;
    let Some(rows) = rows else {
        return none("is not there, or is not an ordinary table with built-in column types");
    };
    let Ok(rows) = rows.parse::<Row>() else {
        return none("does not have the columns that Better Auth makes");
    };
    let mut jwks = Vec::new();
    for row in rows {
        let expires = row
            .expires_at
            .as_deref()
            .map(|time| clock::parse(time).unwrap_or(0));
        if expires.is_none_or(|expires| expires + GRACE_SECONDS > now) {
            jwks.extend(jwk(row));
        }
    }
    match KeySet::parse(&json!({ "keys": jwks }).to_string()) {
        Ok(parsed) => Ok(Ok(parsed.keys)),
        Err(_) => none("has no key that can verify"),
    }
}

/// The public JWK of a row; its `kid` is the id of the row.
fn jwk(row: Row) -> Option<Map<String, Value>> {
    let mut jwk: Map<String, Value> = serde_json::from_str(&row.public_key).ok()?;
    let id = match row.id {
        Value::String(id) => id,
        id => id.to_string(),
    };
    jwk.insert("kid".to_owned(), id.into());
    if let Some(alg) = row.alg {
        jwk.insert("alg".to_owned(), alg.into());
    }
    Some(jwk)
}
