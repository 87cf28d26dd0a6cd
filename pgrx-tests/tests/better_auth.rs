//! A real Better Auth (npm) with its tables in the same database: its tokens verify with no key set.

use insforge_integrations_tests::{Database, Fixture, node, shared_cluster};
use postgres::Client;
use serde_json::Value;

fn sign_up(database: &Database, schema: &str, more: &[&str]) -> Value {
    let socket = shared_cluster().socket_directory().to_str().unwrap();
    let mut arguments = vec![socket, database.name(), schema];
    arguments.extend(more);
    serde_json::from_str(&node::run("better_auth.mjs", &arguments).unwrap()).unwrap()
}

fn prepared() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute(
            "SELECT insforge_integrations.register_better_auth('http://localhost:3000/api/auth')",
        )
        .unwrap();
    (database, client)
}

/// The user id, or the reason.
fn verdict(client: &mut Client, token: &Value) -> String {
    let row = client
        .query_one(
            "SELECT coalesce(user_id, reason) FROM insforge_integrations.inspect_provider_jwt($1)",
            &[&token.as_str()],
        )
        .unwrap();
    row.get(0)
}

#[test]
fn a_user_who_signed_up_is_verified_with_every_algorithm() {
    let (database, mut superuser) = prepared();
    for algorithm in ["EdDSA", "ES256", "ES512", "PS256", "RS256"] {
        let schema = format!("ba_{}", algorithm.to_lowercase());
        let user = sign_up(&database, &schema, &[algorithm]);
        superuser
            .execute(
                "SELECT insforge_integrations.register_better_auth('http://localhost:3000', schema_name => $1)",
                &[&schema],
            )
            .unwrap();
        // anon may not read Better Auth's tables, and need not.
        let mut client = database.connect_as("anon").unwrap();
        assert!(
            client
                .query(&format!("SELECT FROM {schema}.jwks"), &[])
                .is_err()
        );
        assert_eq!(
            verdict(&mut client, &user["token"]),
            user["user_id"].as_str().unwrap(),
            "{algorithm}"
        );
        client.batch_execute("BEGIN").unwrap();
        client
            .query(
                "SELECT insforge_integrations.authenticate($1)",
                &[&user["token"].as_str()],
            )
            .unwrap();
        let id: String = client
            .query_one("SELECT requesting_user_id()", &[])
            .unwrap()
            .get(0);
        assert_eq!(id, user["user_id"].as_str().unwrap());
    }
}

#[test]
fn the_cached_session_cookie_is_no_token() {
    let (database, mut client) = prepared();
    let user = sign_up(&database, "better_auth", &["EdDSA", "cookie-cache"]);
    assert_eq!(
        verdict(&mut client, &user["token"]),
        user["user_id"].as_str().unwrap()
    );
    let cached = verdict(&mut client, &user["session_cache_token"]);
    assert!(cached.starts_with("wrong_type"), "{cached}");
}

#[test]
fn a_key_is_read_at_each_use() {
    let (database, mut client) = prepared();
    let user = sign_up(&database, "better_auth", &[]);
    let id = user["user_id"].as_str().unwrap();
    let mut session = database.connect_as("anon").unwrap();
    assert_eq!(verdict(&mut session, &user["token"]), id);
    for (statement, expected) in [
        ("ALTER TABLE better_auth.jwks RENAME TO away", "unknown_key"),
        ("ALTER TABLE better_auth.away RENAME TO jwks", id),
        // Installations of earlier versions.
        (
            "ALTER TABLE better_auth.jwks DROP COLUMN alg, DROP COLUMN crv, DROP COLUMN \"expiresAt\"",
            id,
        ),
        (
            "ALTER TABLE better_auth.jwks ADD \"expiresAt\" timestamptz; UPDATE better_auth.jwks SET \"expiresAt\" = now() - interval '29 days'",
            id,
        ),
        (
            "UPDATE better_auth.jwks SET \"expiresAt\" = now() - interval '31 days'",
            "unknown_key",
        ),
        (
            "UPDATE better_auth.jwks SET \"expiresAt\" = NULL, id = 'another'",
            "unknown_key",
        ),
        ("DELETE FROM better_auth.jwks", "unknown_key"),
    ] {
        client.batch_execute(statement).unwrap();
        let verdict = verdict(&mut session, &user["token"]);
        assert!(verdict.starts_with(expected), "{statement}: {verdict}");
    }
}

/// Whoever owns Better Auth's schema can put something else in the place of its table.
#[test]
fn what_stands_in_the_place_of_the_table_never_runs() {
    let (database, mut client) = prepared();
    let user = sign_up(&database, "better_auth", &[]);
    client
        .batch_execute(
            "ALTER SCHEMA better_auth OWNER TO project_admin;
             ALTER TABLE better_auth.jwks OWNER TO project_admin;
             CREATE TABLE public.ran (by_whom text);
             GRANT INSERT ON public.ran TO PUBLIC",
        )
        .unwrap();
    let mut owner = database.connect_as("project_admin").unwrap();
    owner
        .batch_execute(
            "ALTER TABLE better_auth.jwks RENAME TO real_jwks;
             CREATE FUNCTION better_auth.trap() RETURNS boolean LANGUAGE plpgsql AS
               $$ BEGIN INSERT INTO public.ran VALUES (current_user); RETURN true; END $$;
             CREATE VIEW better_auth.jwks AS SELECT * FROM better_auth.real_jwks WHERE better_auth.trap()",
        )
        .unwrap();
    let ran = |client: &mut Client| client.query("SELECT FROM public.ran", &[]).unwrap().len();
    assert!(verdict(&mut client, &user["token"]).starts_with("unknown_key"));
    assert_eq!(ran(&mut client), 0);
    owner
        .batch_execute(
            "DROP VIEW better_auth.jwks;
             ALTER TABLE better_auth.real_jwks RENAME TO jwks;
             ALTER TABLE better_auth.jwks ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
             CREATE POLICY trap ON better_auth.jwks USING (better_auth.trap());
             CREATE INDEX ON better_auth.jwks ((id || 'x'))",
        )
        .unwrap();
    assert_eq!(
        verdict(&mut client, &user["token"]),
        user["user_id"].as_str().unwrap()
    );
    assert_eq!(ran(&mut client), 0);
    // A column of a type of the owner's own, whose output function would run.
    owner.batch_execute("CREATE TYPE better_auth.t AS (a int); ALTER TABLE better_auth.jwks ADD c better_auth.t").unwrap();
    assert!(verdict(&mut client, &user["token"]).starts_with("unknown_key"));
}
