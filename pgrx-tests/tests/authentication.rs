//! `authenticate()` gives a verified identity for one transaction. An ordinary role has no way to
//! get another one.

use insforge_integrations_tests::node::{Signed, now, sign};
use insforge_integrations_tests::request::claims_of;
use insforge_integrations_tests::{Database, Fixture, shared_cluster};
use postgres::Client;
use postgres::error::SqlState;
use serde_json::json;

/// A database with a provider, and tokens of alice and bob.
fn prepared() -> (Database<'static>, Signed) {
    let claims = |user: &str| {
        json!({"iss": "https://issuer.example", "aud": "api", "sub": user, "exp": now() + 600,
               "org_id": "org_1", "org_role": "admin", "permissions": ["read", "write"]})
    };
    let signed = sign(&json!([
        {"alg": "ES256", "kid": "k1", "claims": claims("alice")},
        {"alg": "ES256", "kid": "k1", "claims": claims("bob")},
    ]))
    .unwrap();
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute(
            "CREATE TABLE notes AS SELECT unnest('{alice,bob}'::text[]) AS user_id;
             ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
             CREATE POLICY own ON notes TO authenticated USING (user_id = requesting_user_id())",
        )
        .unwrap();
    register(&mut client, &signed, 5);
    (database, signed)
}

/// Registers the issuer of the tokens, with its keys.
fn register(client: &mut Client, signed: &Signed, leeway_seconds: i32) {
    client
        .execute(
            "SELECT insforge_integrations.register_auth_provider('issuer', '{https://issuer.example}',
               'https://issuer.example/jwks', '{api}', algorithms => '{ES256}', subject_pattern => '[a-z]+',
               leeway_seconds => $1)",
            &[&leeway_seconds],
        )
        .unwrap();
    client
        .execute(
            "SELECT insforge_integrations.set_provider_jwks('issuer', $1::text::jsonb)",
            &[&signed.jwks],
        )
        .unwrap();
}

fn authenticate(client: &mut Client, token: &str) -> Result<Option<String>, postgres::Error> {
    client
        .query_one("SELECT insforge_integrations.authenticate($1)", &[&token])?
        .try_get(0)
}

fn user(client: &mut Client) -> Option<String> {
    client
        .query_one("SELECT requesting_user_id()", &[])
        .unwrap()
        .get(0)
}

fn notes_of(client: &mut Client) -> Vec<String> {
    client
        .query("SELECT user_id FROM notes", &[])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect()
}

#[test]
fn the_verified_identity_answers_until_the_claims_change() {
    let (database, signed) = prepared();
    let mut client = database.connect_as("authenticated").unwrap();
    let set_claims = |client: &mut Client, user: &str| {
        client
            .execute(
                "SELECT set_config('request.jwt.claims', $1, false)",
                &[&claims_of(user)],
            )
            .unwrap();
    };
    client.batch_execute("BEGIN").unwrap();
    set_claims(&mut client, "bob");
    assert_eq!(notes_of(&mut client), ["bob"]);
    assert_eq!(
        authenticate(&mut client, &signed.tokens[0])
            .unwrap()
            .as_deref(),
        Some("alice")
    );
    assert_eq!(notes_of(&mut client), ["alice"]);
    // Other claims belong to another request.
    set_claims(&mut client, "carol");
    assert_eq!(user(&mut client).as_deref(), Some("carol"));
    set_claims(&mut client, "bob");
    assert_eq!(notes_of(&mut client), ["alice"]);
    let row = client
        .query_one(
            "SELECT requesting_org_id(), requesting_org_role(), requesting_permissions()",
            &[],
        )
        .unwrap();
    assert_eq!(
        (
            row.get::<_, String>(0),
            row.get::<_, String>(1),
            row.get::<_, Vec<String>>(2)
        ),
        (
            "org_1".into(),
            "admin".into(),
            vec!["read".into(), "write".into()]
        )
    );
    client
        .batch_execute("SELECT insforge_integrations.deauthenticate()")
        .unwrap();
    assert_eq!(notes_of(&mut client), ["bob"]);
}

#[test]
fn the_identity_ends_with_the_transaction_and_with_its_savepoint() {
    let (database, signed) = prepared();
    let mut client = database.connect_as("authenticated").unwrap();
    for end in ["COMMIT", "ROLLBACK"] {
        client.batch_execute("BEGIN").unwrap();
        authenticate(&mut client, &signed.tokens[0]).unwrap();
        client.batch_execute("SAVEPOINT s").unwrap();
        authenticate(&mut client, &signed.tokens[1]).unwrap();
        assert_eq!(user(&mut client).as_deref(), Some("bob"));
        client.batch_execute("ROLLBACK TO s").unwrap();
        assert_eq!(user(&mut client).as_deref(), Some("alice"));
        client.batch_execute(end).unwrap();
        // A pooler gives this connection to the next request.
        assert_eq!(user(&mut client), None, "{end}");
    }
    authenticate(&mut client, &signed.tokens[0]).unwrap();
    assert_eq!(
        user(&mut client),
        None,
        "a statement of its own is a transaction of its own"
    );
}

#[test]
fn a_token_that_is_refused_binds_nobody_and_leaves_the_identity_before() {
    let (database, signed) = prepared();
    let mut client = database.connect_as("authenticated").unwrap();
    client.batch_execute("BEGIN").unwrap();
    authenticate(&mut client, &signed.tokens[0]).unwrap();
    client.batch_execute("SAVEPOINT s").unwrap();
    let forged = signed.tokens[1].replace('e', "f");
    assert!(authenticate(&mut client, &forged).is_err());
    client.batch_execute("ROLLBACK TO s").unwrap();
    assert_eq!(user(&mut client).as_deref(), Some("alice"));
}

#[test]
fn parallel_workers_have_the_identity() {
    let (database, signed) = prepared();
    let mut client = database.connect().unwrap();
    client
        .batch_execute(
            "CREATE TABLE big AS SELECT CASE i % 2 WHEN 0 THEN 'alice' ELSE 'bob' END AS user_id, repeat('x', 200) FROM generate_series(1, 40000) i;
             ANALYZE big;
             SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
             SET parallel_leader_participation = off",
        )
        .unwrap();
    client.batch_execute("BEGIN").unwrap();
    authenticate(&mut client, &signed.tokens[0]).unwrap();
    let query = "SELECT count(*) FROM big WHERE user_id = requesting_user_id()";
    let plan = client
        .query(&format!("EXPLAIN (ANALYZE, TIMING OFF) {query}"), &[])
        .unwrap();
    assert!(
        plan.iter()
            .any(|row| row.get::<_, String>(0).contains("Workers Launched: 2"))
    );
    assert_eq!(
        client.query_one(query, &[]).unwrap().get::<_, i64>(0),
        20_000
    );
}

/// With `identity_source = verified`: every way in which an ordinary role could try to be another
/// user.
#[test]
fn forgeries_are_worth_nothing() {
    let (database, signed) = prepared();
    let mut operator = database.connect().unwrap();
    operator
        .batch_execute("SELECT insforge_integrations.configure('identity_source', 'verified')")
        .unwrap();
    let forged = r#"{"provider":"issuer","user_id":"bob","org_id":null,"org_role":null,"permissions":null,"expires":9000000000000000}"#;

    // Before the library is loaded, anybody can use the name. That value is dropped.
    let mut early = database.connect_as("authenticated").unwrap();
    early
        .execute(
            "SELECT set_config('insforge_integrations.verified_claims', $1, false)",
            &[&forged],
        )
        .unwrap();
    assert_eq!(user(&mut early), None);
    assert!(notes_of(&mut early).is_empty());
    let options = format!(
        "-c insforge_integrations.verified_claims={}",
        forged.replace(' ', "")
    );
    let mut at_start = database
        .config()
        .user("authenticated")
        .options(&options)
        .connect(postgres::NoTls)
        .unwrap();
    assert_eq!(user(&mut at_start), None);
    operator
        .batch_execute("CREATE ROLE own_default LOGIN IN ROLE authenticated")
        .unwrap();
    let mut own = database.connect_as("own_default").unwrap();
    let _ = own.batch_execute(&format!(
        "ALTER ROLE own_default SET insforge_integrations.verified_claims = '{forged}'"
    ));
    drop(own);
    let mut own = database.connect_as("own_default").unwrap();
    assert_eq!(user(&mut own), None);

    // As PostgREST: a superuser's connection that switches role.
    let mut pooled = database.connect().unwrap();
    pooled
        .batch_execute("BEGIN; SET LOCAL ROLE authenticated")
        .unwrap();
    pooled
        .execute(
            "SELECT set_config('insforge_integrations.verified_claims', $1, true)",
            &[&forged],
        )
        .unwrap();
    assert_eq!(user(&mut pooled), None);
    pooled.batch_execute("ROLLBACK").unwrap();

    // Afterwards only a superuser may set it.
    let mut client = database.connect_as("authenticated").unwrap();
    client.batch_execute("BEGIN").unwrap();
    authenticate(&mut client, &signed.tokens[0]).unwrap();
    for attempt in [
        "SET insforge_integrations.verified_claims = 'x'",
        "SET LOCAL insforge_integrations.verified_claims = 'x'",
        "RESET insforge_integrations.verified_claims",
        "SELECT set_config('insforge_integrations.verified_claims', '', false)",
        "ALTER ROLE authenticated SET insforge_integrations.verified_claims = 'x'",
        "SET insforge_integrations.another = 'x'",
    ] {
        client.batch_execute("SAVEPOINT s").unwrap();
        let refused = client.batch_execute(attempt).expect_err(attempt);
        assert!(
            [
                Some(&SqlState::INSUFFICIENT_PRIVILEGE),
                Some(&SqlState::INVALID_NAME)
            ]
            .contains(&refused.code()),
            "{attempt}: {refused:?}"
        );
        client.batch_execute("ROLLBACK TO s").unwrap();
    }
    client.batch_execute("RESET ALL").unwrap();
    assert_eq!(notes_of(&mut client), ["alice"]);
    client.batch_execute("COMMIT").unwrap();
    client.batch_execute("DISCARD ALL").unwrap();
    assert_eq!(user(&mut client), None);
    client
        .batch_execute("SELECT insforge_integrations.deauthenticate()")
        .unwrap();
    client
        .execute(
            "SELECT set_config('request.jwt.claims', $1, false)",
            &[&claims_of("bob")],
        )
        .unwrap();
    assert_eq!(
        user(&mut client),
        None,
        "without a verified identity there is none"
    );
}

#[test]
fn an_identity_expires_inside_a_long_transaction() {
    // Enough time to sign and authenticate on a busy machine.
    let expires = now() + 10;
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    let claims =
        json!({"iss": "https://issuer.example", "aud": "api", "sub": "alice", "exp": expires});
    let signed = sign(&json!([{"alg": "ES256", "kid": "k1", "claims": claims}])).unwrap();
    register(&mut client, &signed, 0);
    client
        .execute(
            "SELECT set_config('request.jwt.claims', $1, false)",
            &[&claims_of("bob")],
        )
        .unwrap();
    client.batch_execute("BEGIN").unwrap();
    authenticate(&mut client, &signed.tokens[0]).unwrap();
    assert_eq!(user(&mut client).as_deref(), Some("alice"));
    while now() <= expires {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    client.batch_execute("SAVEPOINT s").unwrap();
    let expired = client
        .query_one("SELECT requesting_user_id()", &[])
        .unwrap_err();
    assert_eq!(
        expired.code(),
        Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
    );
    client.batch_execute("ROLLBACK TO s").unwrap();
    // A token that this session has verified before is checked again.
    let expired = authenticate(&mut client, &signed.tokens[0]).unwrap_err();
    assert!(
        expired
            .as_db_error()
            .unwrap()
            .detail()
            .unwrap()
            .starts_with("expired"),
        "{expired:?}"
    );
}
