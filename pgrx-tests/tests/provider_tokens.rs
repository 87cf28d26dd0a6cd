//! Tokens that other people's libraries sign: in the exact shape of each provider's user tokens,
//! and in the shapes of its other tokens and of known attacks.

use insforge_integrations_tests::provider_tokens::{presets, providers, register};
use insforge_integrations_tests::{Database, Fixture, shared_cluster};
use postgres::Client;
use serde_json::Value;

fn with_provider(name: &str) -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    register(&mut client, name);
    (database, client)
}

/// Checks every token of a provider, with and without the provider's name.
fn every_token_gets_its_verdict(name: &str) {
    let (database, _superuser) = with_provider(name);
    // With the role that has the fewest rights: everybody may verify.
    let mut client = database.connect_as("anon").unwrap();
    let mut problems = Vec::new();
    let (mut accepted, mut refused) = (0, 0);
    for case in providers()[name]["tokens"].as_array().unwrap() {
        let token = case["token"].as_str().unwrap();
        let behaviour = case["case"].as_str().unwrap();
        for provider in [Some(name), None] {
            let row = client
                .query_one(
                    "SELECT is_valid, provider, user_id, org_id, org_role, permissions, reason
                     FROM insforge_integrations.inspect_provider_jwt($1, $2)",
                    &[&token, &provider],
                )
                .unwrap();
            let reason: Option<String> = row.get("reason");
            let code = reason
                .as_deref()
                .and_then(|reason| reason.split(':').next())
                .unwrap_or_default();
            if case["accept"] == true {
                accepted += 1;
                let text = |value: &Value| value.as_str().map(str::to_owned);
                let expected = (
                    true,
                    Some(name.to_owned()),
                    text(&case["user_id"]),
                    text(&case["org_id"]),
                    text(&case["org_role"]),
                    case["permissions"]
                        .as_array()
                        .map(|list| list.iter().filter_map(text).collect::<Vec<_>>()),
                );
                let got = (
                    row.get(0),
                    row.get(1),
                    row.get(2),
                    row.get(3),
                    row.get(4),
                    row.get(5),
                );
                if got != expected {
                    problems.push(format!(
                        "{behaviour}: {got:?} ({reason:?}), not {expected:?}"
                    ));
                }
            } else {
                refused += 1;
                let allowed: Vec<&str> = match &case["reason"] {
                    Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
                    one => one.as_str().into_iter().collect(),
                };
                // Without a name, the only possible reason is an unknown issuer.
                let is_unknown = provider.is_none() && code == "unknown_issuer";
                if row.get::<_, bool>("is_valid") || !(allowed.contains(&code) || is_unknown) {
                    problems.push(format!(
                        "{behaviour} ({provider:?}): {reason:?}, not {allowed:?}"
                    ));
                }
                let raised = client.query_one(
                    "SELECT insforge_integrations.verify_provider_jwt($1, $2)",
                    &[&token, &provider],
                );
                let error = raised.expect_err(behaviour);
                let error = error.as_db_error().unwrap();
                let expected = if matches!(code, "malformed" | "too_large") {
                    "22P02"
                } else {
                    "28000"
                };
                if error.code().code() != expected
                    || error.hint().is_none()
                    || !error.detail().unwrap().starts_with(code)
                {
                    problems.push(format!("{behaviour}: {error:?}"));
                }
                if token.len() > 20 && format!("{error:?}").contains(&token[token.len() - 20..]) {
                    problems.push(format!("{behaviour}: the token is in the error"));
                }
            }
        }
    }
    println!("{name}: {accepted} accepted, {refused} refused");
    assert!(accepted > 0 && refused > 0);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_token_of_every_provider_gets_its_verdict() {
    for name in providers().keys() {
        every_token_gets_its_verdict(name);
    }
}

/// Better Auth signs its own tokens in `better_auth.rs`; the custom provider's are in
/// `registry.rs`.
#[test]
fn every_preset_has_tokens() {
    let mut presets = presets();
    presets.retain(|preset| !["better_auth", "custom"].contains(preset));
    presets.sort_unstable();
    let mut providers: Vec<&str> = providers().keys().map(String::as_str).collect();
    providers.sort_unstable();
    assert_eq!(providers, presets);
}

#[test]
fn no_token_of_one_provider_passes_as_anothers() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    for name in providers().keys() {
        register(&mut client, name);
    }
    for (name, provider) in providers() {
        for case in provider["tokens"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|case| case["accept"] == true)
        {
            for other in providers().keys() {
                let row = client
                    .query_one(
                        "SELECT is_valid FROM insforge_integrations.inspect_provider_jwt($1, $2)",
                        &[&case["token"].as_str(), &Some(other.as_str())],
                    )
                    .unwrap();
                assert_eq!(
                    row.get::<_, bool>(0),
                    name == other,
                    "{} as {other}",
                    case["case"]
                );
            }
            let row = client
                .query_one(
                    "SELECT provider FROM insforge_integrations.inspect_provider_jwt($1)",
                    &[&case["token"].as_str()],
                )
                .unwrap();
            assert_eq!(
                row.get::<_, Option<String>>(0).as_deref(),
                Some(name.as_str())
            );
        }
    }
}

#[test]
fn the_log_has_no_token() {
    let (_database, mut client) = with_provider("auth0");
    for case in providers()["auth0"]["tokens"].as_array().unwrap() {
        let token = case["token"].as_str().unwrap();
        let _ = client.query("SELECT insforge_integrations.authenticate($1)", &[&token]);
        if let Some(signature) = token
            .rsplit('.')
            .next()
            .filter(|signature| signature.len() > 40)
        {
            assert!(
                !shared_cluster().log().unwrap().contains(signature),
                "{}",
                case["case"]
            );
        }
    }
}
