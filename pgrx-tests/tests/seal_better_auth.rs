//! `seal_better_auth()` on the tables that a real Better Auth (npm) makes and goes on using.

use insforge_integrations_tests::node::{self, Process};
use insforge_integrations_tests::{Database, Fixture, shared_cluster};
use postgres::Client;
use serde_json::{Value, json};

fn start(database: &Database, schema: &str) -> (Process, Value) {
    let socket = shared_cluster().socket_directory().to_str().unwrap();
    let mut server =
        Process::start("better_auth_server.mjs", &[socket, database.name(), schema]).unwrap();
    let user = server.ask(&json!(["sign-up", "ada@example.com"])).unwrap();
    assert_eq!(user["status"], 200, "{user}");
    (server, user)
}

fn seal(client: &mut Client, schema: &str) -> Vec<(String, String)> {
    let rows = client.query(
        "SELECT object, change FROM insforge_integrations.seal_better_auth($1)",
        &[&schema],
    );
    rows.unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect()
}

fn tables(client: &mut Client, schema: &str) -> Vec<String> {
    let rows = client.query(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = $1 ORDER BY 1",
        &[&schema],
    );
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Whether a request as this role reads a table.
fn reads(database: &Database, role: &str, table: &str) -> bool {
    let mut client = database.connect_as(role).unwrap();
    match client.query(&format!("SELECT * FROM {table}"), &[]) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(
                error.as_db_error().unwrap().code().code(),
                "42501",
                "{table}: {error:?}"
            );
            false
        }
    }
}

const GIVE_ALL_AWAY: &str = "
    ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO anon, authenticated, PUBLIC;
    ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO anon, authenticated;
    CREATE SCHEMA better_auth;
    GRANT ALL ON SCHEMA better_auth TO anon, authenticated, PUBLIC;
    ALTER DEFAULT PRIVILEGES IN SCHEMA better_auth GRANT ALL ON TABLES TO anon, PUBLIC;
    ALTER DEFAULT PRIVILEGES IN SCHEMA better_auth GRANT ALL ON FUNCTIONS TO authenticated;";

#[test]
fn nothing_is_left_to_read_and_everything_goes_on() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client.batch_execute(GIVE_ALL_AWAY).unwrap();
    let (mut server, user) = start(&database, "better_auth");
    client
        .batch_execute(
            "CREATE FUNCTION better_auth.emails() RETURNS SETOF text LANGUAGE sql SECURITY DEFINER
               AS 'SELECT email FROM better_auth.\"user\"';
             CREATE VIEW better_auth.\"a \"\"view\" AS SELECT * FROM better_auth.session;
             CREATE SEQUENCE better_auth.numbers;
             GRANT SELECT (email) ON better_auth.\"user\" TO authenticated;
             GRANT SELECT ON better_auth.session TO project_admin WITH GRANT OPTION;
             SET ROLE project_admin; GRANT SELECT ON better_auth.session TO anon; RESET ROLE",
        )
        .unwrap();
    let all = tables(&mut client, "better_auth");
    assert!(all.len() >= 8, "{all:?}");
    for table in &all {
        assert!(
            reads(&database, "anon", table),
            "{table} was to be open at first"
        );
    }

    let changes = seal(&mut client, "better_auth");
    for object in [
        "schema better_auth",
        "table better_auth.session",
        "sequence better_auth.numbers",
        "table better_auth.\"a \"\"view\"",
        "routine better_auth.emails()",
    ] {
        assert!(
            changes.iter().any(|(changed, _)| changed == object),
            "{object}: {changes:?}"
        );
    }
    assert!(
        changes
            .iter()
            .any(|(object, _)| object.starts_with("default privileges of postgres"))
    );
    // A table that a plugin adds later, under global defaults that still give everything away.
    client
        .batch_execute("CREATE TABLE better_auth.later (secret text)")
        .unwrap();
    for role in ["anon", "authenticated"] {
        for table in tables(&mut client, "better_auth")
            .iter()
            .chain(&["better_auth.\"a \"\"view\"".to_owned()])
        {
            assert!(!reads(&database, role, table), "{role} reads {table}");
        }
        let mut session = database.connect_as(role).unwrap();
        for statement in [
            "SELECT better_auth.emails()",
            "SELECT nextval('better_auth.numbers')",
            "INSERT INTO better_auth.later VALUES ('x')",
            "CREATE TABLE better_auth.mine ()",
        ] {
            let error = session.batch_execute(statement).unwrap_err();
            assert_eq!(
                error.as_db_error().unwrap().code().code(),
                "42501",
                "{role}: {statement}"
            );
        }
    }
    assert_eq!(
        seal(&mut client, "better_auth")
            .iter()
            .filter(|(object, _)| !object.contains("later"))
            .count(),
        0
    );
    assert_eq!(seal(&mut client, "better_auth"), []);

    let again = server.ask(&json!(["sign-in", "ada@example.com"])).unwrap();
    assert_eq!(again["user_id"], user["user_id"]);
    let token = server.ask(&json!(["token"])).unwrap()["token"].clone();
    let base_url = server.greeting["base_url"].as_str().unwrap();
    client
        .batch_execute(&format!(
            "SELECT insforge_integrations.register_better_auth('{base_url}')"
        ))
        .unwrap();
    let mut anon = database.connect_as("anon").unwrap();
    let row = anon
        .query_one(
            "SELECT user_id FROM insforge_integrations.inspect_provider_jwt($1)",
            &[&token.as_str()],
        )
        .unwrap();
    assert_eq!(row.get::<_, Option<&str>>(0), user["user_id"].as_str());
}

#[test]
fn in_public_only_better_auths_own_tables_are_sealed() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    let (mut server, _user) = start(&database, "public");
    let theirs = tables(&mut client, "public");
    assert!(theirs.len() >= 8 && reads(&database, "anon", "public.session"));
    client
        .batch_execute(
            "CREATE TABLE public.notes (id serial, \"userId\" text REFERENCES public.\"user\"(id), body text);
             CREATE TABLE public.team (id int, label text)",
        )
        .unwrap();
    let changes = seal(&mut client, "public");
    assert!(
        changes
            .last()
            .is_some_and(|(object, change)| object == "schema public" && change.contains("later"))
    );
    for role in ["anon", "authenticated"] {
        for table in &theirs {
            assert!(!reads(&database, role, table), "{role} reads {table}");
        }
        assert!(reads(&database, role, "public.notes") && reads(&database, role, "public.team"));
    }
    assert_eq!(seal(&mut client, "public").len(), 1, "only the warning");
    assert_eq!(
        server.ask(&json!(["sign-in", "ada@example.com"])).unwrap()["status"],
        200
    );
}

#[test]
fn hostile_names_are_quoted() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    let schema = "b'; DROP SCHEMA public CASCADE; --\"x";
    let quoted = format!("\"{}\"", schema.replace('"', "\"\""));
    client
        .batch_execute(&format!(
            "CREATE SCHEMA {quoted}; SET search_path = {quoted};
             CREATE TABLE \"user\" (id text, email text, \"emailVerified\" boolean);
             CREATE TABLE session (id text, token text, \"userId\" text, \"expiresAt\" timestamptz);
             CREATE TABLE account (id text, \"userId\" text, \"accountId\" text, \"providerId\" text);
             CREATE FUNCTION \"f(\"\"int)\"(\"a b\" int) RETURNS int LANGUAGE sql AS 'SELECT 1';
             GRANT SELECT ON ALL TABLES IN SCHEMA {quoted} TO anon; GRANT USAGE ON SCHEMA {quoted} TO anon;
             RESET search_path"
        ))
        .unwrap();
    assert!(reads(&database, "anon", &format!("{quoted}.session")));
    assert_eq!(seal(&mut client, schema).len(), 5);
    assert!(!reads(&database, "anon", &format!("{quoted}.session")));
}

#[test]
fn what_cannot_be_sealed_is_refused_and_nothing_changes() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    let code = |client: &mut Client, argument: &str| {
        let outcome = client.batch_execute(&format!(
            "SELECT insforge_integrations.seal_better_auth({argument})"
        ));
        outcome
            .unwrap_err()
            .as_db_error()
            .unwrap()
            .code()
            .code()
            .to_owned()
    };
    for argument in [
        "",
        "'nowhere'",
        "NULL",
        "'public'",
        "'insforge_integrations'",
        "'pg_catalog'",
    ] {
        assert_eq!(code(&mut client, argument), "22023", "{argument}");
    }
    let socket = shared_cluster().socket_directory().to_str().unwrap();
    node::run("better_auth.mjs", &[socket, database.name(), "better_auth"]).unwrap();
    client
        .batch_execute(
            "CREATE ROLE seal_reader; GRANT seal_reader TO anon;
             GRANT USAGE ON SCHEMA better_auth TO seal_reader, PUBLIC; GRANT SELECT ON better_auth.session TO seal_reader",
        )
        .unwrap();
    assert_eq!(code(&mut client, ""), "55000");
    client
        .batch_execute("REVOKE seal_reader FROM anon")
        .unwrap();
    assert_eq!(
        seal(&mut client, "better_auth"),
        [(
            "schema better_auth".to_owned(),
            "revoked USAGE from PUBLIC".to_owned()
        )]
    );
}

/// In snake_case and plural, beside an application that has organisations of its own; and under
/// names that nothing but a registration tells.
#[test]
fn in_any_spelling_they_are_sealed_and_the_applications_are_not() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    client
        .batch_execute(
            "CREATE TABLE users (id int PRIMARY KEY, email text, email_verified boolean);
             CREATE TABLE sessions (id int, token text, user_id int, expires_at timestamp);
             CREATE TABLE accounts (id int, user_id int, account_id text, provider_id text);
             CREATE TABLE verifications (id int, identifier text, value text, expires_at timestamp);
             CREATE TABLE two_factors (id int, secret text, backup_codes text);
             CREATE TABLE organizations (id int, name text, slug text, created_at timestamptz);
             CREATE TABLE members (organization_id int, user_id int, role text);
             CREATE TABLE secret_things (id int, s text);
             CREATE TABLE notes (id int, user_id int)",
        )
        .unwrap();
    seal(&mut client, "public");
    let theirs = [
        "users",
        "sessions",
        "accounts",
        "verifications",
        "two_factors",
    ];
    let applications = ["organizations", "members", "secret_things", "notes"];
    for role in ["anon", "authenticated"] {
        assert!(theirs.iter().all(|table| !reads(&database, role, table)));
        assert!(
            applications
                .iter()
                .all(|table| reads(&database, role, table))
        );
    }
    // The organization plugin's, once the sessions have its column.
    client
        .batch_execute("ALTER TABLE sessions ADD active_organization_id text")
        .unwrap();
    seal(&mut client, "public");
    assert!(!reads(&database, "anon", "members") && !reads(&database, "anon", "organizations"));
    client
        .batch_execute(
            r#"SELECT insforge_integrations.register_better_auth('https://app.example.com', 'public',
                 names => '{"jwks": "secret_things", "jwks.publicKey": "s"}')"#,
        )
        .unwrap();
    seal(&mut client, "public");
    assert!(!reads(&database, "anon", "secret_things") && reads(&database, "anon", "notes"));
}
