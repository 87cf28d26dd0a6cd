//! A real Better Auth (npm) with its tables in the same database. Its tokens verify without a
//! stored key set.

use insforge_integrations_tests::{Database, Fixture, node, shared_cluster};
use postgres::Client;
use serde_json::{Value, json};

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
            "CREATE SCHEMA IF NOT EXISTS better_auth;
             SELECT insforge_integrations.register_better_auth('http://localhost:3000/api/auth')",
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
        // anon may not read Better Auth's tables and does not need to.
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

/// The owner of Better Auth's schema can replace its table by something else.
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
    // A column with a type of the owner's own is refused only if it is read. The error then names
    // it.
    owner
        .batch_execute(
            "CREATE TYPE better_auth.t AS (a int); ALTER TABLE better_auth.jwks ADD c better_auth.t",
        )
        .unwrap();
    assert_eq!(
        verdict(&mut client, &user["token"]),
        user["user_id"].as_str().unwrap()
    );
    owner
        .batch_execute(
            "ALTER TABLE better_auth.jwks DROP alg; ALTER TABLE better_auth.jwks ADD alg better_auth.t",
        )
        .unwrap();
    assert_eq!(
        verdict(&mut client, &user["token"]),
        "unknown_key: Provider \"better_auth\" is not ready. Table \"better_auth\".\"jwks\" has column \"alg\" of type better_auth.t, but it must be text."
    );
    assert_eq!(ran(&mut client), 0);
}

/// With a rotation every day, a year makes more keys than a JWK set may have.
#[test]
fn more_than_a_hundred_keys_are_no_hindrance() {
    let (database, mut client) = prepared();
    let user = sign_up(&database, "better_auth", &[]);
    let id = user["user_id"].as_str().unwrap();
    client
        .batch_execute(
            "INSERT INTO better_auth.jwks (id, \"publicKey\", \"privateKey\", \"createdAt\", \"expiresAt\")
               SELECT 'old' || n, \"publicKey\", '', now() + interval '1 day', now() - interval '31 days'
               FROM better_auth.jwks, generate_series(1, 2000) n;
             INSERT INTO better_auth.jwks (id, \"publicKey\", \"privateKey\", \"createdAt\")
               SELECT 'other' || n, '{\"kty\": \"OKP\", \"crv\": \"X25519\", \"x\": \"\"}', '', now() + interval '1 day'
               FROM generate_series(1, 200) n",
        )
        .unwrap();
    assert_eq!(verdict(&mut client, &user["token"]), id);
    client
        .batch_execute("UPDATE better_auth.jwks SET \"expiresAt\" = now() - interval '31 days'")
        .unwrap();
    assert!(verdict(&mut client, &user["token"]).starts_with("unknown_key"));

    // A token that names no key is tried with the valid and usable keys, the newest first.
    let now = node::now();
    let signed = node::sign(&serde_json::json!([{
        "alg": "EdDSA",
        "claims": {"iss": "http://localhost:3000", "aud": "http://localhost:3000", "sub": id, "iat": now, "exp": now + 60}
    }]))
    .unwrap();
    let keys: Value = serde_json::from_str(&signed.jwks).unwrap();
    let token = Value::from(signed.tokens[0].clone());
    let refused = verdict(&mut client, &token);
    assert!(refused.starts_with("unknown_key"), "{refused}");
    for key in keys["keys"].as_array().unwrap() {
        client
            .execute(
                "INSERT INTO better_auth.jwks (id, \"publicKey\", \"privateKey\", \"createdAt\") VALUES (gen_random_uuid()::text, $1, '', now())",
                &[&key.to_string()],
            )
            .unwrap();
    }
    client
        .batch_execute("UPDATE better_auth.jwks SET \"expiresAt\" = NULL WHERE id LIKE 'other%'")
        .unwrap();
    assert_eq!(verdict(&mut client, &token), id);
}

const SNAKE: &str = "
    CREATE TABLE users (id text PRIMARY KEY, email text, email_verified boolean, banned boolean);
    CREATE TABLE sessions (id text, token text UNIQUE, user_id text, expires_at timestamp);
    CREATE TABLE accounts (id text, user_id text, account_id text, provider_id text, password text);
    CREATE TABLE jwkss (id text, public_key text, private_key text, created_at timestamp);";

/// The tables that registration found, or the DETAIL of its refusal.
fn registered(client: &mut Client, arguments: &str) -> Result<Value, String> {
    let row = client.query_one(
        &format!("SELECT better_auth_names FROM insforge_integrations.register_better_auth('http://localhost:3000', 'public'{arguments})"),
        &[],
    );
    row.map(|row| row.get(0)).map_err(|error| {
        let error = error.as_db_error().unwrap().clone();
        assert_eq!(error.code().code(), "22023", "{error:?}");
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.ends_with("Nothing was changed.")),
            "{error:?}"
        );
        error.detail().unwrap().to_owned()
    })
}

#[test]
fn tables_are_found_and_shown_at_registration() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    assert_eq!(registered(&mut client, ""), Ok(json!({})));
    client.batch_execute(SNAKE).unwrap();
    let all =
        json!({"user": "users", "session": "sessions", "account": "accounts", "jwks": "jwkss"});
    assert_eq!(registered(&mut client, ""), Ok(all.clone()));
    // An application's own table, and Better Auth's under another name, which is known by its
    // columns.
    client
        .batch_execute(
            "CREATE TABLE members (organization_id text, user_id text, role text);
             DROP TABLE sessions;
             CREATE TABLE logins (id text, token text, user_id text, expires_at timestamp, created_at timestamp,
               updated_at timestamp, ip_address text, user_agent text)",
        )
        .unwrap();
    let mut found = all.clone();
    found["session"] = "logins".into();
    assert_eq!(registered(&mut client, ""), Ok(found.clone()));
    client
        .batch_execute("CREATE TABLE old_logins (LIKE logins)")
        .unwrap();
    assert_eq!(
        registered(&mut client, ""),
        Err(
            "Tables logins, old_logins of schema public can each be Better Auth's \"session\"."
                .to_owned()
        )
    );
    let given = r#", names => '{"session": "old_logins", "session.userId": "user_id", "member": "members"}'"#;
    found["session"] = "old_logins".into();
    found["session.userId"] = "user_id".into();
    found["member"] = "members".into();
    assert_eq!(registered(&mut client, given), Ok(found.clone()));
    // Names from an earlier registration are not remembered.
    client.batch_execute("DROP TABLE old_logins").unwrap();
    found["session"] = "logins".into();
    let map = found.as_object_mut().unwrap();
    map.remove("member");
    map.remove("session.userId");
    assert_eq!(registered(&mut client, ""), Ok(found));
    for (names, problem) in [
        (
            r#"{"session": "nowhere"}"#,
            "The name given for \"session\" is not one of the schema's tables.",
        ),
        (
            r#"{"sessions": "logins"}"#,
            "\"sessions\" is neither a table of Better Auth",
        ),
        (
            r#"{"session.password": "token"}"#,
            "\"session.password\" is neither a table of Better Auth",
        ),
        (
            r#"{"session": ""}"#,
            "The name given for \"session\" is empty.",
        ),
        (
            r#"{"session": 1}"#,
            "The argument \"names\" is an object whose values are text",
        ),
    ] {
        let refused = registered(&mut client, &format!(", names => '{names}'")).unwrap_err();
        assert!(refused.starts_with(problem), "{names}: {refused}");
    }
}

#[test]
fn the_type_of_the_ids_decides_whose_subjects_they_are() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client.batch_execute(SNAKE).unwrap();
    let mut pattern = |of_type: &str, arguments: &str| -> Result<String, String> {
        client
            .batch_execute(&format!(
                "ALTER TABLE users ALTER id TYPE {of_type} USING NULL"
            ))
            .unwrap();
        registered(&mut client, arguments)?;
        let row = client.query_one(
            "SELECT subject_pattern FROM insforge_integrations.auth_providers",
            &[],
        );
        Ok(row.unwrap().get(0))
    };
    let uuids = ", allow_uuid_subjects => true";
    assert_eq!(pattern("text", "").unwrap(), "[A-Za-z0-9]{32}");
    assert_eq!(pattern("integer", "").unwrap(), "[1-9][0-9]*");
    assert_eq!(pattern("bigint", "").unwrap(), "[1-9][0-9]*");
    assert_eq!(pattern("uuid", uuids).unwrap(), "[0-9a-f-]{36}");
    assert_eq!(pattern("uuid", ", subject_pattern => '.+'").unwrap(), ".+");
    assert_eq!(
        pattern("uuid", ""),
        Err("The users' ids are uuids, as those of InsForge's own users are: give allow_uuid_subjects => true.".to_owned())
    );
    // Another Better Auth that numbers its users would have the same ids.
    assert_eq!(pattern("integer", "").unwrap(), "[1-9][0-9]*");
    let error = client
        .batch_execute("SELECT insforge_integrations.register_better_auth('https://another.example', 'public', name => 'another')")
        .unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "22023", "{error:?}");
    assert_eq!(
        error.detail(),
        Some(
            "Provider \"better_auth\" counts its users, too: user 1 of one would be user 1 of the other."
        )
    );
}

/// Nothing is fetched from the address: the keys are in the database.
#[test]
fn a_server_inside_a_private_network_is_verified() {
    let (database, mut client) = prepared();
    let user = sign_up(&database, "private", &["EdDSA", "private"]);
    client
        .batch_execute("SELECT insforge_integrations.register_better_auth('http://auth.internal:3000', 'private')")
        .unwrap();
    assert_eq!(
        verdict(&mut client, &user["token"]),
        user["user_id"].as_str().unwrap()
    );
}

#[test]
fn issuer_and_audiences_are_those_of_the_plugins_options() {
    let (database, mut client) = prepared();
    let user = sign_up(&database, "private", &["EdDSA", "own-names"]);
    for (arguments, expected) in [
        ("", "unknown_issuer"),
        (", audiences => '{notes}'", "unknown_issuer"),
        (", issuer => 'urn:notes:auth'", "wrong_audience"),
        (
            ", issuer => 'urn:notes:auth', audiences => '{notes}'",
            user["user_id"].as_str().unwrap(),
        ),
        (
            ", issuer => 'urn:notes:auth', audiences => '{mail,https://other.example}'",
            user["user_id"].as_str().unwrap(),
        ),
        // Issuers are compared as they are written.
        (
            ", issuer => 'URN:notes:auth', audiences => '{notes}'",
            "unknown_issuer",
        ),
    ] {
        client
            .batch_execute(&format!(
                "SELECT insforge_integrations.register_better_auth('http://auth.internal:3000', 'private'{arguments})"
            ))
            .unwrap();
        let verdict = verdict(&mut client, &user["token"]);
        assert_eq!(verdict.split(':').next(), Some(expected), "{arguments}");
    }
}
