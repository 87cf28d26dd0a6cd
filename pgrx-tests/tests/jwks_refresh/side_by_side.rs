//! Keys of many providers are fetched side by side.

use std::time::Duration;

use serde_json::json;

use super::Provider;

/// Adds a provider for each address. Each has an issuer of its own.
fn add_providers(provider: &mut Provider, prefix: &str, count: u32, path: &str) {
    let url = provider.url("http", path);
    provider
        .client
        .execute(
            "SELECT insforge_integrations.register_auth_provider(
               format('%s%s', $1::text, n), ARRAY[format('https://%s%s.example', $1, n)],
               format('%s?%s', $2::text, n), '{api}', algorithms => '{ES256}', subject_prefix => format('%s%s:', $1, n))
             FROM generate_series(1, $3) n",
            &[&prefix, &url, &i32::try_from(count).unwrap()],
        )
        .unwrap();
}

const REFRESH_ALL: &str = "SELECT count(*), count(*) FILTER (WHERE key_count = 1 AND error IS NULL)
     FROM insforge_integrations.refresh_provider_jwks()";

#[test]
fn servers_that_do_not_answer_hold_nobody_up() {
    let mut provider = Provider::start();
    // Their names come first, and their servers answer only when the last one was asked.
    add_providers(&mut provider, "a", 4, "/after");
    let row = provider.client.query_one(REFRESH_ALL, &[]).unwrap();
    let (all, with_keys): (i64, i64) = (row.get(0), row.get(1));
    assert_eq!((all, with_keys), (5, 5));
    assert_eq!(provider.verify(), [true, false]);
}

#[test]
fn four_servers_that_never_answer_and_one_that_does() {
    let mut provider = Provider::start();
    add_providers(&mut provider, "a", 4, "/silent");
    let rows = provider
        .client
        .query(
            "SELECT provider, key_count, error FROM insforge_integrations.refresh_provider_jwks()",
            &[],
        )
        .unwrap();
    let rows: Vec<(String, Option<i32>, Option<String>)> = rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    let silent = Some("The server did not answer within 5 seconds.".to_owned());
    let mut expected: Vec<_> = ["a1", "a2", "a3", "a4"]
        .map(|name| (name.to_owned(), None, silent.clone()))
        .into();
    expected.push(("p".to_owned(), Some(1), None));
    assert_eq!(rows, expected);
    assert_eq!(provider.verify(), [true, false]);
}

#[test]
fn many_providers_are_asked_a_few_at_a_time() {
    let mut provider = Provider::start();
    add_providers(&mut provider, "many", 60, "/later");
    let row = provider.client.query_one(REFRESH_ALL, &[]).unwrap();
    let (all, with_keys): (i64, i64) = (row.get(0), row.get(1));
    assert_eq!((all, with_keys), (61, 61));
    let counts = provider.server.ask(&json!(["requests"])).unwrap();
    assert_eq!(counts["requests"], 61);
    let most_open = counts["most_open"].as_u64().unwrap();
    assert!((2..=16).contains(&most_open), "{most_open}");
}

#[test]
fn a_cancelled_refresh_of_many_asks_nobody_else() {
    let mut provider = Provider::start();
    add_providers(&mut provider, "many", 30, "/silent");
    let mut session = provider.database.connect().unwrap();
    let refresh = "SELECT insforge_integrations.refresh_provider_jwks()";
    session
        .batch_execute("SET statement_timeout = '300ms'")
        .unwrap();
    let error = session.batch_execute(refresh).unwrap_err();
    assert_eq!(error.as_db_error().unwrap().code().code(), "57014");
    session.batch_execute("SET statement_timeout = 0").unwrap();
    // The end of the session waits for the threads, which would have asked the others meanwhile.
    let pid: i32 = session
        .query_one("SELECT pg_backend_pid()", &[])
        .unwrap()
        .get(0);
    drop(session);
    let is_there = "SELECT FROM pg_stat_activity WHERE pid = $1";
    while !provider.client.query(is_there, &[&pid]).unwrap().is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(provider.requests() <= 16, "{}", provider.requests());
}

#[test]
fn stored_rules_that_are_invalid_hold_nobody_up() {
    let mut provider = Provider::start();
    add_providers(&mut provider, "a", 1, "/jwks");
    provider
        .client
        .batch_execute(
            "UPDATE insforge_integrations.auth_providers SET algorithms = '{XX}' WHERE name = 'a1'",
        )
        .unwrap();
    let rows = provider
        .client
        .query(
            "SELECT provider, key_count, error IS NOT NULL FROM insforge_integrations.refresh_provider_jwks()",
            &[],
        )
        .unwrap();
    let rows: Vec<(String, Option<i32>, bool)> = rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    let expected = [
        ("a1".to_owned(), None, true),
        ("p".to_owned(), Some(1), false),
    ];
    assert_eq!(rows, expected);
}
