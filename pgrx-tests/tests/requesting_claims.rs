//! `requesting_claims()`: the claims of the verified token, or of `request.jwt.claims`.

use insforge_integrations_tests::node::{Signed, now, sign};
use insforge_integrations_tests::{Database, Fixture, shared_cluster};
use postgres::error::SqlState;
use postgres::{Client, Error};
use serde_json::{Value, json};

fn database() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let client = database.connect().unwrap();
    (database, client)
}

fn set_claims(client: &mut Client, claims: &str) {
    let set = "SELECT set_config('request.jwt.claims', $1, false)";
    client.execute(set, &[&claims]).unwrap();
}

/// The claims as Postgres writes them, so that no number is rounded.
fn claims(client: &mut Client) -> Result<Option<String>, Error> {
    client
        .query_one("SELECT requesting_claims()::text", &[])?
        .try_get(0)
}

fn user(client: &mut Client) -> Option<String> {
    let row = client.query_one("SELECT requesting_user_id()", &[]);
    row.unwrap().get(0)
}

/// Tokens of alice and bob, with a claim whose name is Auth0's advice for custom claims.
fn with_tokens(client: &mut Client) -> Signed {
    let token = |sub: &str| {
        let claims = json!({"iss": "https://issuer.example", "aud": "api", "sub": sub, "exp": now() + 600,
                            "role": "owner", "https://app.example/tier": {"name": format!("{sub}'s")}});
        json!({"alg": "ES256", "kid": "k1", "claims": claims})
    };
    let signed = sign(&json!([token("alice"), token("bob")])).unwrap();
    client
        .batch_execute(
            "SELECT insforge_integrations.register_auth_provider('issuer', '{https://issuer.example}',
               'https://issuer.example/jwks', '{api}', algorithms => '{ES256}', subject_pattern => '[a-z]+')",
        )
        .unwrap();
    let store = "SELECT insforge_integrations.set_provider_jwks('issuer', $1::text::jsonb)";
    client.execute(store, &[&signed.jwks]).unwrap();
    signed
}

fn authenticate(client: &mut Client, token: &str) {
    let call = "SELECT insforge_integrations.authenticate($1)";
    client.execute(call, &[&token]).unwrap();
}

fn tier(client: &mut Client) -> Option<String> {
    let query = "SELECT requesting_claims() -> 'https://app.example/tier' ->> 'name'";
    client.query_one(query, &[]).unwrap().get(0)
}

#[test]
fn they_are_those_of_the_request() {
    let (_database, mut client) = database();
    assert_eq!(claims(&mut client).unwrap(), None);
    for (text, expected) in [
        (
            r#"{"sub": "a", "n": 12345678901234567890.10, "l": [1e2]}"#,
            Some(r#"{"l": [100], "n": 12345678901234567890.10, "sub": "a"}"#),
        ),
        (r#" {"x": 1, "x": 2} "#, Some(r#"{"x": 2}"#)),
        ("{}", Some("{}")),
        ("", None),
        // JSON that is not an object has no claims, as for requesting_user_id().
        ("[1]", None),
        ("\"x\"", None),
        ("null", None),
    ] {
        set_claims(&mut client, text);
        assert_eq!(claims(&mut client).unwrap().as_deref(), expected, "{text}");
        assert_eq!(claims(&mut client).unwrap().as_deref(), expected, "{text}");
    }
}

#[test]
fn claims_that_jsonb_cannot_hold_raise_only_here() {
    let (_database, mut client) = database();
    for (claim, detail) in [
        (r#""\u0000""#, "U+0000"),
        (r#""\ud800""#, "half of a character"),
        ("1e999999", "exponent"),
        (&"9".repeat(2000), "1000 digits"),
        (&("[".repeat(200) + &"]".repeat(200)), "inside each other"),
    ] {
        set_claims(&mut client, &format!(r#"{{"sub": "alice", "x": {claim}}}"#));
        assert_eq!(user(&mut client).as_deref(), Some("alice"));
        for _ in 0..2 {
            let error = claims(&mut client).unwrap_err();
            let error = error.as_db_error().unwrap();
            assert_eq!(error.code(), &SqlState::INVALID_TEXT_REPRESENTATION);
            assert_eq!(
                error.message(),
                "request.jwt.claims does not fit into jsonb"
            );
            assert!(error.detail().unwrap().contains(detail), "{error:?}");
        }
        assert_eq!(user(&mut client).as_deref(), Some("alice"));
    }
    set_claims(&mut client, r#"{"sub": "topsecret"#);
    let error = claims(&mut client).unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code(), &SqlState::INVALID_TEXT_REPRESENTATION);
    assert_eq!(error.message(), "request.jwt.claims is not valid JSON");
    assert!(!format!("{error:?}").contains("topsecret"));
}

#[test]
fn they_are_those_of_the_verified_token_while_it_holds() {
    let (_database, mut client) = database();
    let signed = with_tokens(&mut client);
    set_claims(&mut client, r#"{"sub": "carol", "role": "authenticated"}"#);
    client.batch_execute("BEGIN").unwrap();
    authenticate(&mut client, &signed.tokens[0]);
    let seen: Value = client
        .query_one("SELECT requesting_claims()", &[])
        .unwrap()
        .get(0);
    let verify = "SELECT insforge_integrations.verify_provider_jwt($1)";
    let said: Value = client
        .query_one(verify, &[&signed.tokens[0]])
        .unwrap()
        .get(0);
    assert_eq!(seen, said);
    assert_eq!(seen["role"], "owner");

    client.batch_execute("SAVEPOINT s").unwrap();
    authenticate(&mut client, &signed.tokens[1]);
    assert_eq!(tier(&mut client).as_deref(), Some("bob's"));
    client.batch_execute("ROLLBACK TO s").unwrap();
    assert_eq!(tier(&mut client).as_deref(), Some("alice's"));
    assert_eq!(user(&mut client).as_deref(), Some("alice"));

    // Another request's claims make the identity void.
    set_claims(&mut client, r#"{"sub": "carol"}"#);
    assert_eq!(
        claims(&mut client).unwrap().as_deref(),
        Some(r#"{"sub": "carol"}"#)
    );
    client.batch_execute("ROLLBACK").unwrap();
    assert_eq!(tier(&mut client), None);
}

#[test]
fn only_a_verified_token_counts_if_the_operator_says_so() {
    let (_database, mut client) = database();
    let signed = with_tokens(&mut client);
    set_claims(&mut client, r#"{"sub": "carol"}"#);
    assert!(claims(&mut client).unwrap().is_some());
    let configure = "SELECT insforge_integrations.configure('identity_source', 'verified')";
    client.batch_execute(configure).unwrap();
    assert_eq!(claims(&mut client).unwrap(), None);
    client.batch_execute("BEGIN").unwrap();
    authenticate(&mut client, &signed.tokens[0]);
    assert_eq!(tier(&mut client).as_deref(), Some("alice's"));
}

/// A number that this extension would round as a float.
#[test]
fn a_number_in_a_token_is_exact() {
    let (_database, mut client) = database();
    client
        .batch_execute(
            r#"SELECT insforge_integrations.set_jwt_secret('a secret for tests, of 32 bytes and more');
               BEGIN;
               SELECT insforge_integrations.authenticate(
                 insforge_integrations.issue_insforge_token('u', '{"n": 12345678901234567890.1234567890}'))"#,
        )
        .unwrap();
    let number = client.query_one("SELECT requesting_claims() ->> 'n'", &[]);
    assert_eq!(
        number.unwrap().get::<_, String>(0),
        "12345678901234567890.1234567890"
    );
}

#[test]
fn they_expire_with_the_token() {
    let (_database, mut client) = database();
    with_tokens(&mut client);
    // Enough time to sign and authenticate on a busy machine.
    let expires = now() + 10;
    let claims =
        json!({"iss": "https://issuer.example", "aud": "api", "sub": "alice", "exp": expires});
    let signed = sign(&json!([{"alg": "ES256", "kid": "k1", "claims": claims}])).unwrap();
    client
        .execute(
            "SELECT insforge_integrations.set_provider_jwks('issuer', $1::text::jsonb)",
            &[&signed.jwks],
        )
        .unwrap();
    let leeway = "UPDATE insforge_integrations.auth_providers SET leeway_seconds = 0";
    client.batch_execute(leeway).unwrap();
    client.batch_execute("BEGIN").unwrap();
    authenticate(&mut client, &signed.tokens[0]);
    assert!(crate::claims(&mut client).unwrap().is_some());
    while now() <= expires {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let expired = crate::claims(&mut client).unwrap_err();
    let expired = expired.as_db_error().unwrap();
    assert_eq!(
        expired.code(),
        &SqlState::INVALID_AUTHORIZATION_SPECIFICATION
    );
    assert!(
        expired.detail().unwrap().starts_with("expired"),
        "{expired:?}"
    );
}

#[test]
fn parallel_workers_and_every_call_have_their_own() {
    let (_database, mut client) = database();
    let signed = with_tokens(&mut client);
    client
        .batch_execute(
            "CREATE TABLE big AS SELECT CASE i % 2 WHEN 0 THEN 'alice''s' ELSE 'bob''s' END AS tier, repeat('x', 200) FROM generate_series(1, 40000) i;
             ANALYZE big;
             SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
             SET parallel_leader_participation = off",
        )
        .unwrap();
    client.batch_execute("BEGIN").unwrap();
    authenticate(&mut client, &signed.tokens[0]);
    let query = "SELECT count(*) FROM big WHERE requesting_user_id() = 'alice'
                 AND tier = requesting_claims() -> 'https://app.example/tier' ->> 'name'";
    let explain = format!("EXPLAIN (ANALYZE, TIMING OFF) {query}");
    let plan = client.query(&explain, &[]).unwrap();
    let launched = |row: &postgres::Row| row.get::<_, String>(0).contains("Workers Launched: 2");
    assert!(plan.iter().any(launched));
    assert_eq!(
        client.query_one(query, &[]).unwrap().get::<_, i64>(0),
        20_000
    );
    // An executor that frees one value must not free the next.
    let row = client.query_one(
        "SELECT count(DISTINCT said), count(*) FROM generate_series(1, 10000), LATERAL (SELECT requesting_claims() AS said OFFSET 0) s",
        &[],
    );
    let row = row.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (1, 10_000));
}
