//! Tokens in the exact shape of each provider's tokens, and the registrations of the providers.

use std::sync::OnceLock;

use postgres::Client;
use serde_json::{Map, Value};

use crate::node;

/// The output of `clients/provider_tokens.mjs`, once for this program.
///
/// # Panics
/// When Node.js or the packages are missing.
#[must_use]
pub fn providers() -> &'static Map<String, Value> {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| {
        let now = node::now().to_string();
        let printed = node::run("provider_tokens.mjs", &[&now]);
        let printed = printed.unwrap_or_else(|error| panic!("{error:#}"));
        serde_json::from_str(&printed).unwrap_or_default()
    });
    let Some(providers) = document["providers"].as_object() else {
        panic!("provider_tokens.mjs printed no providers");
    };
    providers
}

/// The presets, by the functions `register_<preset>()`.
#[must_use]
pub fn presets() -> Vec<&'static str> {
    let script = include_str!("../../sql/register.sql");
    let functions = script.split("CREATE FUNCTION insforge_integrations.register_");
    let named = functions.skip(1).filter_map(|rest| rest.split('(').next());
    named
        .map(|name| match name {
            "auth_provider" => "custom",
            "oidc_provider" => "oidc",
            name => name,
        })
        .collect()
}

/// A provider's simplest token that must be accepted, with its user.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn a_token_of(name: &str) -> &'static Value {
    let cases = providers()[name]["tokens"].as_array().unwrap();
    cases.iter().find(|case| case["accept"] == true).unwrap()
}

/// A value as an SQL literal of its argument's type.
fn literal(value: &Value) -> String {
    let quote = |text: &str| format!("'{}'", text.replace('\'', "''"));
    match value {
        Value::Array(list) => {
            let elements: Vec<_> = list
                .iter()
                .map(|element| quote(element.as_str().unwrap()))
                .collect();
            format!("ARRAY[{}]::text[]", elements.join(", "))
        }
        Value::String(text) => quote(text),
        other => other.to_string(),
    }
}

/// Registers a provider under its name, with its keys.
///
/// # Panics
/// When Postgres refuses it.
pub fn register(client: &mut Client, name: &str) {
    let provider = &providers()[name];
    let registration = &provider["registration"];
    if registration["document"].is_object() {
        discovered(
            client,
            name,
            &registration["arguments"],
            &registration["document"],
        );
        return set_keys(client, name, &provider["jwks"]);
    }
    let arguments: Vec<String> = provider["registration"]["arguments"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| format!("{name} => {}", literal(value)))
        .collect();
    let function = provider["registration"]["function"].as_str().unwrap();
    client
        .execute(
            &format!(
                "SELECT insforge_integrations.{function}({}, name => '{name}')",
                arguments.join(", ")
            ),
            &[],
        )
        .unwrap();
    set_keys(client, name, &provider["jwks"]);
}

/// Registers an issuer by its discovery document, as `register_oidc_provider()` does after it has
/// fetched the document.
///
/// # Panics
/// When Postgres refuses it.
pub fn discovered(client: &mut Client, name: &str, arguments: &Value, document: &Value) {
    let mut arguments = arguments.clone();
    arguments["name"] = name.into();
    arguments["document"] = document.to_string().into();
    client
        .execute(
            "SELECT insforge_integrations_internal.store_auth_provider($1, 'oidc', $2, '{\"leeway_seconds\": null}')",
            &[&name, &arguments],
        )
        .unwrap();
}

/// Stores a provider's keys.
///
/// # Panics
/// When Postgres refuses them.
pub fn set_keys(client: &mut Client, name: &str, jwks: &Value) {
    client
        .execute(
            "SELECT insforge_integrations.set_provider_jwks($1, $2)",
            &[&name, jwks],
        )
        .unwrap();
}
