//! Tokens signed with InsForge's secret, through the built-in provider `insforge`.

use insforge_integrations_tests::node::{now, sign};
use insforge_integrations_tests::{Database, Fixture, shared_cluster};
use postgres::Client;
use postgres::error::SqlState;
use serde_json::{Value, json};

const SECRET: &str = "the secret that InsForge signs with, 32 bytes and more";

fn prepared() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client
        .execute(
            "SELECT insforge_integrations.set_jwt_secret($1)",
            &[&SECRET],
        )
        .unwrap();
    (database, client)
}

fn token(secret: &str, claims: &Value) -> String {
    sign(&json!([{"alg": "HS256", "claims": claims, "header": {"typ": "JWT"}, "secret": secret}]))
        .unwrap()
        .tokens
        .remove(0)
}

fn of_user(changes: Value) -> Value {
    let mut claims = json!({"sub": "user_2alice", "role": "authenticated", "aud": "insforge-api", "exp": now() + 600});
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn verdict(client: &mut Client, token: &str) -> String {
    let row = client
        .query_one("SELECT coalesce(reason, provider || ' ' || user_id) FROM insforge_integrations.inspect_provider_jwt($1)", &[&token])
        .unwrap();
    row.get::<_, String>(0)
        .split(':')
        .next()
        .unwrap()
        .to_owned()
}

#[test]
fn tokens_of_the_guides_verify() {
    let (_database, mut client) = prepared();
    for claims in [
        of_user(json!({})),
        // One of InsForge's own users.
        of_user(json!({"sub": "6f1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d", "email": "a@example.com"})),
        // Clerk's JWT template, signed by Clerk with InsForge's secret.
        of_user(
            json!({"iss": "https://clerk.example.com", "azp": "https://app.example.com", "nbf": now() - 10, "jti": "x"}),
        ),
        // The one that Auth0's guide nests in a claim.
        of_user(json!({"sub": "auth0|42", "iat": now()})),
    ] {
        let verdict = verdict(&mut client, &token(SECRET, &claims));
        assert_eq!(
            verdict,
            format!("insforge {}", claims["sub"].as_str().unwrap())
        );
    }
}

#[test]
fn insforges_other_tokens_are_no_users() {
    let (_database, mut client) = prepared();
    for (changes, reason) in [
        (json!({"type": "refresh"}), "claim_rejected"),
        (json!({"role": "anon"}), "claim_rejected"),
        (json!({"role": "project_admin"}), "claim_rejected"),
        (json!({"role": null}), "missing_claim"),
        (json!({"aud": null}), "wrong_audience"),
        (json!({"aud": "another"}), "wrong_audience"),
        (json!({"exp": now() - 60}), "expired"),
        (json!({"exp": null}), "missing_claim"),
        (json!({"sub": ""}), "subject_rejected"),
    ] {
        assert_eq!(
            verdict(&mut client, &token(SECRET, &of_user(changes.clone()))),
            reason,
            "{changes}"
        );
    }
}

/// Any session can set the setting of InsForge's deploy scripts, so it is never trusted.
#[test]
fn a_secret_that_a_session_sets_is_worth_nothing() {
    let (database, mut operator) = prepared();
    let chosen = "a secret that the attacker chose, 32 bytes and more";
    let forged = token(chosen, &of_user(json!({"sub": "user_2victim"})));
    for setup in ["", "DELETE FROM insforge_integrations.jwt_secrets"] {
        operator.batch_execute(setup).unwrap();
        let mut attacker = database.connect_as("anon").unwrap();
        for name in [
            "app.settings.jwt_secret",
            "app.encryption_key",
            "insforge_integrations.jwt_secret",
            "pgrst.jwt_secret",
        ] {
            let _ = attacker.execute("SELECT set_config($1, $2, false)", &[&name, &chosen]);
        }
        let verdict = verdict(&mut attacker, &forged);
        assert!(
            ["bad_signature", "unknown_issuer"].contains(&verdict.as_str()),
            "{verdict}"
        );
        assert!(
            attacker
                .query("SELECT insforge_integrations.authenticate($1)", &[&forged])
                .is_err()
        );
    }
}

#[test]
fn rotation_keeps_the_previous_secret_for_a_while() {
    let (_database, mut client) = prepared();
    let old = token(SECRET, &of_user(json!({})));
    let next = "another secret for InsForge, also 32 bytes and more";
    let new = token(next, &of_user(json!({})));
    client
        .execute(
            "SELECT insforge_integrations.set_jwt_secret($1, '8 seconds')",
            &[&next],
        )
        .unwrap();
    client
        .execute("SELECT insforge_integrations.set_jwt_secret($1)", &[&next])
        .unwrap();
    assert_eq!(verdict(&mut client, &old), "insforge user_2alice");
    assert_eq!(verdict(&mut client, &new), "insforge user_2alice");
    std::thread::sleep(std::time::Duration::from_secs(9));
    assert_eq!(verdict(&mut client, &old), "bad_signature");
    assert_eq!(verdict(&mut client, &new), "insforge user_2alice");
}

#[test]
fn a_short_secret_is_refused_and_none_is_an_error_of_configuration() {
    let (_database, mut client) = prepared();
    for secret in ["'short'", "''", "NULL"] {
        let call = format!("SELECT insforge_integrations.set_jwt_secret({secret})");
        let error = client.execute(&call, &[]).unwrap_err();
        assert_eq!(
            error.code(),
            Some(&SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE)
        );
    }
    assert_eq!(
        verdict(&mut client, &token(SECRET, &of_user(json!({})))),
        "insforge user_2alice"
    );
    client
        .batch_execute("TRUNCATE insforge_integrations.jwt_secrets")
        .unwrap();
    let error = client
        .query(
            "SELECT insforge_integrations.verify_provider_jwt($1, 'insforge')",
            &[&token(SECRET, &of_user(json!({})))],
        )
        .unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code(), &SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE);
    assert!(
        error.detail().unwrap().contains("set_jwt_secret"),
        "{error:?}"
    );
}

#[test]
fn role_and_audience_are_settings() {
    let (_database, mut client) = prepared();
    client
        .batch_execute(
            "DO $$ BEGIN CREATE ROLE member; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
             SELECT insforge_integrations.configure('token_role', 'member');
             SELECT insforge_integrations.configure('token_audience', 'my-api')",
        )
        .unwrap();
    assert_eq!(
        verdict(&mut client, &token(SECRET, &of_user(json!({})))),
        "claim_rejected"
    );
    assert_eq!(
        verdict(
            &mut client,
            &token(SECRET, &of_user(json!({"role": "member", "aud": "my-api"})))
        ),
        "insforge user_2alice"
    );
}
