//! The registry of providers: valid registrations, and the effect of changes on other sessions.

use insforge_integrations_tests::node::{Signed, now, sign};
use insforge_integrations_tests::{Database, Fixture, shared_cluster};
use postgres::Client;
use postgres::error::SqlState;
use serde_json::json;

fn database() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let client = database.connect().unwrap();
    (database, client)
}

const REGISTER: &str =
    "SELECT insforge_integrations.register_auth_provider('issuer', '{https://issuer.example}',
    'https://issuer.example/jwks', '{api}', algorithms => '{ES256}', subject_pattern => '[a-z]+')";

/// Tokens of alice, each signed with another key: `k1`, `k2`.
fn tokens() -> Signed {
    let claims =
        json!({"iss": "https://issuer.example", "aud": "api", "sub": "alice", "exp": now() + 600});
    sign(&json!([{"alg": "ES256", "kid": "k1", "claims": claims}, {"alg": "ES256", "kid": "k2", "claims": claims}])).unwrap()
}

fn only_key(signed: &Signed, kid: &str) -> String {
    let mut jwks: serde_json::Value = serde_json::from_str(&signed.jwks).unwrap();
    jwks["keys"]
        .as_array_mut()
        .unwrap()
        .retain(|key| key["kid"] == kid);
    jwks.to_string()
}

fn set_keys(client: &mut Client, jwks: &str) -> Result<i32, postgres::Error> {
    Ok(client
        .query_one(
            "SELECT insforge_integrations.set_provider_jwks('issuer', $1::text::jsonb)",
            &[&jwks],
        )?
        .get(0))
}

/// The reason code, or `valid`.
fn verdict(client: &mut Client, token: &str) -> String {
    let row = client
        .query_one(
            "SELECT is_valid, reason FROM insforge_integrations.inspect_provider_jwt($1)",
            &[&token],
        )
        .unwrap();
    match row.get(1) {
        None if row.get(0) => "valid".to_owned(),
        reason => reason
            .unwrap_or_else(String::new)
            .split(':')
            .next()
            .unwrap()
            .to_owned(),
    }
}

#[track_caller]
fn refused(client: &mut Client, statement: &str, detail: &str) {
    let error = client.batch_execute(statement).expect_err(statement);
    let error = error.as_db_error().unwrap();
    assert_eq!(
        error.code(),
        &SqlState::INVALID_PARAMETER_VALUE,
        "{statement}: {error:?}"
    );
    assert!(
        error.detail().unwrap_or_default().contains(detail),
        "{statement}: {error:?}"
    );
    assert!(error.hint().is_some());
}

#[test]
fn bad_configuration_is_refused_with_what_is_wrong() {
    let (_database, mut client) = database();
    let custom = |changed: &str| {
        let mut arguments = vec![
            ("name", "'p'"),
            ("issuers", "'{https://i.example}'"),
            ("jwks_url", "'https://i.example/jwks'"),
            ("audiences", "'{api}'"),
            ("subject_pattern", "'.+'"),
        ];
        for change in changed.split(';') {
            let (name, value) = change.split_once('=').unwrap();
            arguments.retain(|(known, _)| *known != name);
            arguments.push((name, value));
        }
        let list: Vec<_> = arguments
            .iter()
            .map(|(name, value)| format!("{name} => {value}"))
            .collect();
        format!(
            "SELECT insforge_integrations.register_auth_provider({})",
            list.join(", ")
        )
    };
    for (statement, detail) in [
        (custom("issuers='{http://i.example}'"), "not https"),
        (custom("jwks_url='http://i.example/jwks'"), "not https"),
        (custom("jwks_url='ftp://i.example/jwks'"), "not the address"),
        (custom("jwks_url=''"), "not the address"),
        (custom("issuers='{}'"), "No issuer"),
        (
            custom(r#"issuers='{""}'"#),
            "empty string is not a valid issuer",
        ),
        (custom("algorithms='{none}'"), "not a known algorithm"),
        (custom("algorithms='{rs256}'"), "not a known algorithm"),
        (custom("algorithms='{}'"), "No algorithm"),
        (custom("algorithms='{HS256}'"), "shared secret"),
        (custom("algorithms='{RS256,HS256}'"), "shared secret"),
        (custom("audiences='{}'"), "none is named"),
        (
            custom(r#"audiences='{""}'"#),
            "empty string is not a valid audience",
        ),
        (
            custom("audience_rule='ignored'"),
            "every token of the issuer",
        ),
        (custom("audience_rule='sometimes'"), "wrong type"),
        (custom("subject_pattern=NULL"), "pattern or a prefix"),
        (custom("subject_pattern='('"), "not a regular expression"),
        (custom("leeway_seconds=301"), "leeway"),
        (custom("leeway_seconds=-1"), "wrong type"),
        (custom("name='insforge'"), "built-in"),
        (custom("name=''"), "empty"),
        (custom("name=NULL"), "empty"),
        (
            "SELECT insforge_integrations.register_clerk('http://clerk.example.com')".into(),
            "not https",
        ),
        (
            "SELECT insforge_integrations.register_clerk('')".into(),
            "empty string is not a valid issuer",
        ),
        (
            "SELECT insforge_integrations.register_clerk(NULL)".into(),
            "missing",
        ),
        (
            "SELECT insforge_integrations.register_auth0('t.eu.auth0.com', NULL)".into(),
            "missing",
        ),
        (
            "SELECT insforge_integrations.register_auth0('t.eu.auth0.com', '')".into(),
            "empty string is not a valid audience",
        ),
        (
            "SELECT insforge_integrations.register_workos('client_1', '{}')".into(),
            "No issuer",
        ),
        (
            "SELECT insforge_integrations.register_workos('a/b')".into(),
            "client id",
        ),
        (
            "SELECT insforge_integrations.register_stytch('my project')".into(),
            "project-test-",
        ),
        (
            "SELECT insforge_integrations.register_better_auth('')".into(),
            "baseURL",
        ),
    ] {
        refused(&mut client, &statement, detail);
    }
    assert!(
        client
            .query("SELECT FROM insforge_integrations.auth_providers", &[])
            .unwrap()
            .is_empty()
    );
    client
        .batch_execute("SELECT insforge_integrations.register_better_auth('http://localhost:3000')")
        .unwrap();
    client
        .batch_execute(&custom(
            "issuers='{http://127.0.0.1:8080}';jwks_url='http://[::1]:8080/jwks'",
        ))
        .unwrap();
}

#[test]
fn a_second_provider_for_the_same_issuer_and_keys_is_refused() {
    let (_database, mut client) = database();
    client.batch_execute(REGISTER).unwrap();
    refused(
        &mut client,
        &REGISTER.replace("'issuer'", "'laxer'"),
        "the laxer of two policies",
    );
    // Other keys make another provider: all Stytch projects share an issuer.
    client
        .batch_execute(
            &REGISTER
                .replace("'issuer'", "'other'")
                .replace("example/jwks", "example/other"),
        )
        .unwrap();
}

#[test]
fn registering_again_updates_the_policy_and_keeps_the_keys_of_the_same_source() {
    let (_database, mut client) = database();
    let signed = tokens();
    client.batch_execute(REGISTER).unwrap();
    set_keys(&mut client, &signed.jwks).unwrap();
    assert_eq!(verdict(&mut client, &signed.tokens[0]), "valid");
    client
        .batch_execute(&REGISTER.replace("{api}", "{another}"))
        .unwrap();
    assert_eq!(verdict(&mut client, &signed.tokens[0]), "wrong_audience");
    client.batch_execute(REGISTER).unwrap();
    assert_eq!(verdict(&mut client, &signed.tokens[0]), "valid");
    client
        .batch_execute(&REGISTER.replace("/jwks", "/elsewhere"))
        .unwrap();
    assert_eq!(verdict(&mut client, &signed.tokens[0]), "unknown_key");
}

#[test]
fn key_sets_that_cannot_be_are_refused_and_the_old_one_stays() {
    let (_database, mut client) = database();
    let signed = tokens();
    client.batch_execute(REGISTER).unwrap();
    assert_eq!(set_keys(&mut client, &signed.jwks).unwrap(), 2);
    let p256 = r#""kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM""#;
    for jwks in [
        "{}".to_owned(),
        "[]".to_owned(),
        r#"{"keys": []}"#.to_owned(),
        r#"{"keys": [1]}"#.to_owned(),
        // RFC 7515 A.3's key with its private part, and a symmetric one beside a good key.
        format!(r#"{{"keys": [{{{p256},"d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE"}}]}}"#),
        format!(r#"{{"keys": [{{{p256}}}, {{"kty":"oct","k":"AAAA"}}]}}"#),
        // Not on the curve, too small, another use, an exponent of one, an unknown curve.
        format!(r#"{{"keys": [{{{}}}]}}"#, p256.replace("\"MKBC", "\"NKBC")),
        format!(r#"{{"keys": [{{{p256},"use":"enc"}}]}}"#),
        format!(r#"{{"keys": [{{{p256},"alg":"RS256"}}]}}"#),
        format!(r#"{{"keys": [{{"kty":"RSA","n":"{}","e":"AQAB"}}]}}"#, "x".repeat(171)),
        format!(r#"{{"keys": [{{"kty":"RSA","n":"{}8","e":"AQ"}}]}}"#, "x".repeat(341)),
        r#"{"keys": [{"kty":"OKP","crv":"X25519","x":"AAAA"}]}"#.to_owned(),
        r#"{"keys": [{"kty":"OKP","crv":"Ed25519","x":"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}"#.to_owned(),
        // Good in itself, and of no use for a provider that signs with ES256 (RFC 8037 A.2).
        r#"{"keys": [{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#.to_owned(),
    ] {
        let error = set_keys(&mut client, &jwks).expect_err(&jwks);
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code(), &SqlState::INVALID_PARAMETER_VALUE, "{jwks}");
        assert!(error.detail().unwrap().ends_with("unchanged."), "{error:?}");
        assert!(!format!("{error:?}").contains("870MB6"), "the private key is in the error");
    }
    assert_eq!(verdict(&mut client, &signed.tokens[0]), "valid");
    let mixed = signed
        .jwks
        .replace("]}", r#",{"kty":"OKP","crv":"X25519","x":"AAAA"}]}"#);
    assert_eq!(
        set_keys(&mut client, &mixed).unwrap(),
        2,
        "what cannot be used is skipped"
    );
    let unknown = client.execute(
        "SELECT insforge_integrations.set_provider_jwks('nobody', '{\"keys\": []}')",
        &[],
    );
    let code = unknown.unwrap_err().code().cloned();
    assert_eq!(code, Some(SqlState::INVALID_PARAMETER_VALUE));
}

#[test]
fn a_change_reaches_every_session_at_its_next_call() {
    let (database, mut operator) = database();
    let signed = tokens();
    operator.batch_execute(REGISTER).unwrap();
    set_keys(&mut operator, &signed.jwks).unwrap();
    let mut session = database.connect_as("anon").unwrap();
    let first = signed.tokens[0].as_str();
    assert_eq!(verdict(&mut session, first), "valid");
    assert_eq!(verdict(&mut session, first), "valid", "remembered");
    // Rotation: the old key goes, the new one stays.
    set_keys(&mut operator, &only_key(&signed, "k2")).unwrap();
    assert_eq!(verdict(&mut session, first), "unknown_key");
    assert_eq!(verdict(&mut session, &signed.tokens[1]), "valid");
    for (statement, expected) in [
        (
            "UPDATE insforge_integrations.auth_providers SET enabled = false",
            "unknown_issuer",
        ),
        (
            "UPDATE insforge_integrations.auth_providers SET enabled = true",
            "valid",
        ),
        (
            "UPDATE insforge_integrations.auth_providers SET audiences = '{other}'",
            "wrong_audience",
        ),
        (
            "UPDATE insforge_integrations.auth_providers SET audiences = '{api}'",
            "valid",
        ),
        (
            "UPDATE insforge_integrations.auth_providers SET subject_pattern = 'b.*'",
            "subject_rejected",
        ),
        (
            "SET session_replication_role = replica; UPDATE insforge_integrations.auth_providers SET subject_pattern = 'a.*'",
            "valid",
        ),
        (
            "TRUNCATE insforge_integrations.auth_providers",
            "unknown_issuer",
        ),
    ] {
        operator.batch_execute(statement).unwrap();
        assert_eq!(
            verdict(&mut session, &signed.tokens[1]),
            expected,
            "{statement}"
        );
    }
}

#[test]
fn a_revoked_key_is_revoked_in_a_transaction_that_began_before() {
    let (database, mut operator) = database();
    let signed = tokens();
    operator.batch_execute(REGISTER).unwrap();
    set_keys(&mut operator, &signed.jwks).unwrap();
    let mut session = database.connect_as("anon").unwrap();
    session
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        .unwrap();
    assert_eq!(verdict(&mut session, &signed.tokens[0]), "valid");
    set_keys(&mut operator, &only_key(&signed, "k2")).unwrap();
    assert_eq!(verdict(&mut session, &signed.tokens[0]), "unknown_key");
    session.batch_execute("COMMIT").unwrap();
    // In its own transaction at once, and back with its rollback.
    operator.batch_execute("BEGIN").unwrap();
    set_keys(&mut operator, &signed.jwks).unwrap();
    assert_eq!(verdict(&mut operator, &signed.tokens[0]), "valid");
    operator.batch_execute("ROLLBACK").unwrap();
    assert_eq!(verdict(&mut operator, &signed.tokens[0]), "unknown_key");
}

/// Two providers whose keys have the same `kid`: neither's key serves for the other.
#[test]
fn the_same_kid_in_two_providers() {
    let (_database, mut client) = database();
    let claims =
        |issuer: &str| json!({"iss": issuer, "aud": "api", "sub": "alice", "exp": now() + 600});
    let names = ["https://issuer.example", "https://second.example"];
    let own = names.map(|issuer| {
        sign(&json!([{"alg": "ES256", "kid": "k1", "claims": claims(issuer)}])).unwrap()
    });
    client.batch_execute(REGISTER).unwrap();
    client
        .batch_execute(
            &REGISTER
                .replace("'issuer'", "'second'")
                .replace("issuer.example", "second.example"),
        )
        .unwrap();
    for (provider, signed) in ["issuer", "second"].iter().zip(&own) {
        client
            .execute(
                "SELECT insforge_integrations.set_provider_jwks($1, $2::text::jsonb)",
                &[provider, &signed.jwks],
            )
            .unwrap();
    }
    for signed in &own {
        assert_eq!(verdict(&mut client, &signed.tokens[0]), "valid");
    }
    // A token with the second's issuer, signed by the first's key.
    let crossed =
        sign(&json!([{"alg": "ES256", "kid": "k1", "claims": claims(names[1])}])).unwrap();
    set_keys(&mut client, &crossed.jwks).unwrap();
    assert_eq!(verdict(&mut client, &crossed.tokens[0]), "bad_signature");
    let as_first = client
        .query_one(
            "SELECT reason FROM insforge_integrations.inspect_provider_jwt($1, 'issuer')",
            &[&crossed.tokens[0]],
        )
        .unwrap();
    assert!(as_first.get::<_, String>(0).starts_with("unknown_issuer"));
}

#[test]
fn a_maximum_age_and_a_prefix() {
    let (_database, mut client) = database();
    let claims = |issued: u64| json!({"iss": "https://issuer.example", "aud": ["x", "api"], "sub": "42", "iat": issued, "exp": now() + 6000});
    let signed = sign(&json!([
        {"alg": "EdDSA", "kid": "k", "claims": claims(now())},
        {"alg": "EdDSA", "kid": "k", "claims": claims(now() - 600)},
        {"alg": "EdDSA", "kid": "k", "claims": json!({"iss": "https://issuer.example", "aud": "api", "sub": "42", "exp": now() + 6000})},
    ]))
    .unwrap();
    client
        .batch_execute(
            "SELECT insforge_integrations.register_auth_provider('issuer', '{https://issuer.example}', 'https://issuer.example/jwks',
               '{api}', algorithms => '{EdDSA}', max_age_seconds => 300, subject_prefix => 'issuer:')",
        )
        .unwrap();
    set_keys(&mut client, &signed.jwks).unwrap();
    let verdicts: Vec<_> = signed
        .tokens
        .iter()
        .map(|token| verdict(&mut client, token))
        .collect();
    assert_eq!(verdicts, ["valid", "too_old", "missing_claim"]);
    let user: String = client
        .query_one(
            "SELECT user_id FROM insforge_integrations.inspect_provider_jwt($1)",
            &[&signed.tokens[0]],
        )
        .unwrap()
        .get(0);
    assert_eq!(user, "issuer:42");
}

#[test]
fn a_session_remembers_a_bounded_number_of_tokens() {
    let (database, mut operator) = database();
    let wanted: Vec<_> = (0..600)
        .map(|number| json!({"alg": "ES256", "kid": "k1", "claims": {"iss": "https://issuer.example", "aud": "api",
                             "sub": "alice", "n": number, "exp": now() + 600}}))
        .collect();
    let signed = sign(&json!(wanted)).unwrap();
    operator.batch_execute(REGISTER).unwrap();
    set_keys(&mut operator, &signed.jwks).unwrap();
    let mut session = database.connect_as("anon").unwrap();
    let memory = |session: &mut Client| -> i64 {
        // Rust's own heap is not in Postgres' contexts: the resident size of the process.
        let row = session.query_one("SELECT pg_backend_pid()", &[]).unwrap();
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", row.get::<_, i32>(0))).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("RssAnon"))
            .unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let mut after_round = Vec::new();
    for _ in 0..4 {
        for token in &signed.tokens {
            assert_eq!(verdict(&mut session, token), "valid");
        }
        after_round.push(memory(&mut session));
    }
    assert!(
        after_round[3] - after_round[1] < 512,
        "resident kB after each round: {after_round:?}"
    );
}

#[test]
fn the_registry_and_the_secret_are_for_superusers() {
    let (database, mut operator) = database();
    operator.batch_execute(REGISTER).unwrap();
    for role in ["anon", "authenticated", "project_admin"] {
        let mut client = database.connect_as(role).unwrap();
        for statement in [
            "SELECT FROM insforge_integrations.auth_providers",
            "SELECT FROM insforge_integrations.jwt_secrets",
            "SELECT FROM insforge_integrations.session_secrets",
            "SELECT insforge_integrations.refresh_provider_jwks()",
            "SELECT insforge_integrations.schedule_jwks_refresh()",
            "SELECT insforge_integrations.seal_better_auth()",
            "INSERT INTO insforge_integrations.jwt_secrets VALUES ('x')",
            "UPDATE insforge_integrations.auth_providers SET enabled = true",
            "SELECT insforge_integrations.set_jwt_secret('0123456789012345678901234567890123456789')",
            "SELECT insforge_integrations.set_provider_jwks('issuer', '{}')",
            "SELECT insforge_integrations.register_workos('client_1')",
            "SELECT insforge_integrations.register_oidc_provider('http://localhost:1', 'api')",
            "SELECT insforge_integrations_internal.discovery_document('http://localhost:1')",
        ] {
            let refused = client.batch_execute(statement).expect_err(statement);
            assert_eq!(
                refused.code(),
                Some(&SqlState::INSUFFICIENT_PRIVILEGE),
                "{role}: {statement}"
            );
        }
    }
}
