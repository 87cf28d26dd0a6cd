//! The keys of Better Auth's jwt plugin, in its table `jwks` in this database.

use pgrx::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::jwt::key::KeySet;
use crate::pg::error::{Result, reported};
use crate::pg::sys::foreign_rows;
use crate::pg::sys::jsonb::Jsonb;
use crate::providers;
use crate::providers::better_auth::tables::{self, Place};

/// Better Auth serves a key for this long after it expired. This is Better Auth's default.
const GRACE_SECONDS: i64 = 30 * 24 * 60 * 60;
/// If a token names no key, at most this number of keys are tried, the newest first.
const MAX_KEYS: usize = 100;

#[derive(Deserialize)]
struct Row {
    id: String,
    #[serde(rename = "publicKey")]
    public_key: String,
    #[serde(rename = "createdAt")]
    created_at: Option<i64>,
    #[serde(rename = "expiresAt")]
    expires_at: Option<i64>,
    alg: Option<String>,
}

/// The keys that Better Auth serves at `now` and that can have signed a token. If the token names a
/// key, only that one.
pub(crate) fn keys(
    provider: &str,
    place: &Place,
    key_id: Option<&str>,
    now: i64,
) -> Result<KeySet> {
    let named = key_id.map(|key_id| ("id", key_id));
    let mut rows: Vec<Row> = foreign_rows::read(provider, place, &tables::JWKS, named)?;
    rows.retain(|row| {
        row.expires_at
            .is_none_or(|expires| expires.saturating_add(GRACE_SECONDS) > now)
    });
    rows.sort_by_key(|row| std::cmp::Reverse(row.created_at));
    let usable = rows.into_iter().filter_map(jwk).filter_map(|jwk| {
        let parsed = KeySet::parse(&json!({ "keys": [jwk] }).to_string());
        parsed.ok().map(|parsed| parsed.keys)
    });
    let mut keys = KeySet::default();
    usable.take(MAX_KEYS).for_each(|key| keys.append(key));
    Ok(keys)
}

/// The public JWK of a row; its `kid` is the id of the row.
fn jwk(row: Row) -> Option<Map<String, Value>> {
    let mut jwk: Map<String, Value> = serde_json::from_str(&row.public_key).ok()?;
    jwk.insert("kid".to_owned(), row.id.into());
    if let Some(alg) = row.alg {
        jwk.insert("alg".to_owned(), alg.into());
    }
    Some(jwk)
}

/// Better Auth's own name for a table with this name and these columns.
#[pg_extern(schema = "insforge_integrations_internal", immutable, parallel_safe)]
fn better_auth_table(name: &str, columns: Vec<Option<String>>) -> Option<&'static str> {
    let columns: Vec<&str> = columns.iter().flatten().map(String::as_str).collect();
    tables::recognise(name, &columns)
}

/// Why the named tables cannot be read, one sentence for each problem.
#[pg_extern(schema = "insforge_integrations_internal", stable, parallel_safe)]
fn better_auth_problems(schema_name: &str, names: Jsonb) -> reported::Result<Vec<String>> {
    let place = Place {
        schema: schema_name.to_owned(),
        names: tables::parse_names(&names.0)
            .map_err(|problem| providers::Error::InvalidRegistration { problem })?,
    };
    let named = tables::READ
        .iter()
        .filter(|table| place.names.contains_key(table.name));
    Ok(named
        .filter_map(|table| foreign_rows::problem_with(&place, table))
        .collect())
}

#[cfg(feature = "pg_test")]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    #[pg_test]
    fn a_table_is_known_by_its_name_and_columns() {
        let is = |arguments: &str| {
            Spi::get_one::<String>(&format!(
                "SELECT insforge_integrations_internal.better_auth_table({arguments})"
            ))
        };
        assert_eq!(
            is("'sessions', '{token,user_id,expires_at}'"),
            Ok(Some("session".to_owned()))
        );
        assert_eq!(is("'sessions', '{id,started_at}'"), Ok(None));
        assert_eq!(is("NULL, '{token}'"), Ok(None));
    }

    #[pg_test]
    fn what_cannot_be_read_is_named() {
        Spi::run("CREATE TABLE public.jwkss (id text, public_key json, private_key text)").unwrap();
        let problems = |names: &str| {
            Spi::get_one::<Vec<String>>(&format!(
                "SELECT insforge_integrations_internal.better_auth_problems('public', '{names}')"
            ))
        };
        assert_eq!(problems(r#"{"account": "x"}"#), Ok(Some(Vec::new())));
        assert_eq!(
            problems(r#"{"jwks": "jwkss"}"#),
            Ok(Some(vec![
                r#"Table "public"."jwkss" has column "public_key" of type json, but it must be text."#
                    .to_owned()
            ]))
        );
        assert_eq!(
            problems(r#"{"user": "nobody"}"#),
            Ok(Some(vec![
                r#"Schema "public" has no table "nobody"."#.to_owned()
            ]))
        );
    }
}
