//! A real Better Auth server (npm) with its tables in the same database. Its sessions and tokens
//! are exchanged for InsForge's.

mod reading;

use insforge_integrations_tests::node::Process;
use insforge_integrations_tests::postgrest::Request;
use insforge_integrations_tests::{Database, Fixture, request, shared_cluster};
use postgres::Client;
use serde_json::{Value, json};

const SECRET: &str = "insforge's JWT_SECRET, 32 bytes or more";

struct App {
    database: Database<'static>,
    superuser: Client,
    anon: Client,
    server: Process,
}

impl App {
    /// A server, and a registration with further arguments of `register_better_auth`.
    fn start(arguments: &str) -> Self {
        let database = shared_cluster().database(Fixture::Extension).unwrap();
        let mut superuser = database.connect().unwrap();
        superuser
            .execute(
                "SELECT insforge_integrations.set_jwt_secret($1)",
                &[&SECRET],
            )
            .unwrap();
        let socket = shared_cluster().socket_directory().to_str().unwrap();
        let server = Process::start(
            "better_auth_server.mjs",
            &[socket, database.name(), "better_auth"],
        )
        .unwrap();
        let base_url = server.greeting["base_url"].as_str().unwrap();
        superuser
            .batch_execute(&format!(
                "SELECT insforge_integrations.register_better_auth('{base_url}'{arguments})"
            ))
            .unwrap();
        let anon = database.connect_as("anon").unwrap();
        Self {
            database,
            superuser,
            anon,
            server,
        }
    }

    /// One that takes signed cookies.
    fn with_cookies() -> Self {
        Self::start(", session_secret => 'a secret for tests, the same in every run'")
    }

    fn ask(&mut self, question: Value) -> Value {
        self.server.ask(&question).unwrap()
    }

    fn exchange(&mut self, credential: &Value) -> Result<Value, postgres::Error> {
        Request::default().exchange(&mut self.anon, credential.as_str().unwrap(), None)
    }

    /// The claims of the InsForge token, which PostgREST would verify.
    fn claims(&mut self, credential: &Value) -> Value {
        let response = self
            .exchange(credential)
            .unwrap_or_else(|error| panic!("{error:?}"));
        let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
        validation.set_audience(&["insforge-api"]);
        let key = jsonwebtoken::DecodingKey::from_secret(SECRET.as_bytes());
        let token = response["access_token"].as_str().unwrap();
        jsonwebtoken::decode::<Value>(token, &key, &validation)
            .unwrap()
            .claims
    }

    /// The reason code of a refused credential.
    fn refusal(&mut self, credential: &Value) -> String {
        let error = self.exchange(credential).unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "PT401", "{error:?}");
        error
            .detail()
            .unwrap()
            .split(':')
            .next()
            .unwrap()
            .to_owned()
    }

    fn run(&mut self, statement: &str) {
        self.superuser.batch_execute(statement).unwrap();
    }
}

fn decoded(cookie: &Value) -> Value {
    let cookie = cookie.as_str().unwrap();
    assert!(cookie.contains('%'), "{cookie}");
    Value::from(
        cookie
            .replace("%2B", "+")
            .replace("%2F", "/")
            .replace("%3D", "="),
    )
}

/// `passed_claims` names claims of tokens, and a session has none.
#[test]
fn a_session_passes_no_claims() {
    let mut app = App::with_cookies();
    let user = app.ask(json!(["sign-up", "ada@example.com"]));
    app.run("UPDATE insforge_integrations.auth_providers SET passed_claims = '{name,id,userId}'");
    let claims = app.claims(&user["cookie"]);
    let mut names: Vec<&String> = claims.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["aud", "exp", "iat", "provider", "role", "sub"]);
}

#[test]
fn from_sign_up_to_sign_out() {
    let mut app = App::with_cookies();
    app.run(
        "CREATE TABLE notes (user_id text DEFAULT requesting_user_id(), body text);
         ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON notes TO authenticated USING (user_id = requesting_user_id());
         INSERT INTO notes VALUES ('somebody else', 'theirs')",
    );
    let user = app.ask(json!(["sign-up", "ada@example.com"]));
    let id = user["user_id"].clone();
    assert_eq!(app.claims(&user["cookie"])["sub"], id);
    assert_eq!(app.claims(&decoded(&user["cookie"]))["sub"], id);
    // Nobody has verified the address.
    assert_eq!(app.claims(&user["cookie"])["email"], Value::Null);
    app.run("UPDATE better_auth.\"user\" SET \"emailVerified\" = true");
    let claims = app.claims(&user["cookie"]);
    assert_eq!(claims["email"], "ada@example.com");
    assert_eq!(
        (&claims["role"], &claims["provider"]),
        (&json!("authenticated"), &json!("better_auth"))
    );
    let rows = request(
        &mut app.superuser,
        "authenticated",
        &claims.to_string(),
        |transaction| {
            transaction.execute("INSERT INTO notes (body) VALUES ('mine')", &[])?;
            transaction.query("SELECT body FROM notes", &[])
        },
    )
    .unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].get::<_, String>(0), "mine");

    let token = app.ask(json!(["token"]))["token"].clone();
    assert_eq!(app.claims(&token)["sub"], id);
    // A new key, as after the rotation interval, and the old one past its grace period.
    app.run("UPDATE better_auth.jwks SET \"expiresAt\" = now() - interval '31 days'");
    let next = app.ask(json!(["token"]))["token"].clone();
    assert_eq!(app.claims(&next)["sub"], id);
    assert_eq!(app.refusal(&token), "unknown_key");

    let again = app.ask(json!(["sign-in", "ada@example.com"]));
    assert_eq!(app.claims(&again["cookie"])["sub"], id);
    assert_eq!(app.ask(json!(["sign-out"]))["status"], 200);
    assert_eq!(app.refusal(&again["cookie"]), "session_not_found");
    // The first session was another one.
    assert_eq!(app.claims(&user["cookie"])["sub"], id);
}

#[test]
fn only_what_the_operator_allowed_is_a_credential() {
    let mut app = App::start("");
    let user = app.ask(json!(["sign-up", "ada@example.com"]));
    for credential in ["cookie", "session_token"] {
        assert_eq!(app.refusal(&user[credential]), "malformed", "{credential}");
    }
    let base_url = app.server.greeting["base_url"].as_str().unwrap().to_owned();
    let register = |app: &mut App, arguments: &str| {
        app.run(&format!(
            "SELECT insforge_integrations.register_better_auth('{base_url}', {arguments})"
        ));
    };
    register(&mut app, "allow_bare_sessions => true");
    assert_eq!(app.claims(&user["session_token"])["sub"], user["user_id"]);
    assert_eq!(app.refusal(&user["cookie"]), "wrong_type");
    register(&mut app, "session_secret => 'another secret'");
    assert_eq!(app.refusal(&user["session_token"]), "wrong_type");
    assert_eq!(app.refusal(&user["cookie"]), "bad_signature");
    register(
        &mut app,
        "session_secret => 'a secret for tests, the same in every run'",
    );
    assert_eq!(app.claims(&user["cookie"])["sub"], user["user_id"]);
    let cookie = user["cookie"].as_str().unwrap();
    for forged in [
        format!("x{cookie}"),
        cookie.replacen('%', "%%", 1),
        cookie[..cookie.len() - 8].to_owned(),
    ] {
        let code = app.refusal(&Value::from(forged));
        assert!(
            ["bad_signature", "malformed"].contains(&code.as_str()),
            "{code}"
        );
    }
    register(&mut app, "allow_bare_sessions => false");
    assert_eq!(app.refusal(&user["cookie"]), "malformed");
    app.run("UPDATE insforge_integrations.auth_providers SET enabled = false");
    assert_eq!(app.refusal(&user["cookie"]), "malformed");
}

#[test]
fn the_rows_decide_at_every_exchange() {
    let mut app = App::with_cookies();
    let user = app.ask(json!(["sign-up", "ada@example.com"]));
    let cookie = &user["cookie"];
    let is = |app: &mut App, expected: &str| match app.exchange(cookie) {
        Ok(_) => assert_eq!(expected, ""),
        Err(_) => assert_eq!(app.refusal(cookie), expected),
    };
    is(&mut app, "");
    app.run("UPDATE better_auth.session SET \"expiresAt\" = now() - interval '1 second'");
    is(&mut app, "session_not_found");
    // A column without a time zone is in UTC, whatever the caller's time zone.
    app.run(
        "SET timezone = 'UTC';
         ALTER TABLE better_auth.session ALTER \"expiresAt\" TYPE timestamp;
         UPDATE better_auth.session SET \"expiresAt\" = now() - interval '1 hour'",
    );
    app.anon
        .batch_execute("SET timezone = 'Pacific/Honolulu'")
        .unwrap();
    is(&mut app, "session_not_found");
    app.anon
        .batch_execute("SET timezone = 'Asia/Tokyo'")
        .unwrap();
    is(&mut app, "session_not_found");
    app.run("UPDATE better_auth.session SET \"expiresAt\" = now() + interval '20 minutes'");
    let claims = app.claims(cookie);
    let lifetime = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert!((1190..=1200).contains(&lifetime), "{lifetime}");
    app.run("ALTER TABLE better_auth.session ALTER \"expiresAt\" TYPE timestamptz");

    app.run("UPDATE better_auth.\"user\" SET banned = true");
    is(&mut app, "subject_rejected");
    app.run("UPDATE better_auth.\"user\" SET \"banExpires\" = now() + interval '1 hour'");
    is(&mut app, "subject_rejected");
    app.run("UPDATE better_auth.\"user\" SET \"banExpires\" = now() - interval '1 second'");
    is(&mut app, "");
    app.run("UPDATE better_auth.\"user\" SET banned = false");
    is(&mut app, "");

    // In a transaction that began before the session was revoked.
    app.anon
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        .unwrap();
    app.run("DELETE FROM better_auth.session");
    let error = app
        .anon
        .query_one("SELECT exchange_provider_token($1)", &[&cookie.as_str()])
        .unwrap_err();
    assert!(
        error
            .as_db_error()
            .unwrap()
            .detail()
            .unwrap()
            .starts_with("session_not_found")
    );
}

#[test]
fn organisation_and_impersonation_are_the_sessions() {
    let mut app = App::with_cookies();
    let boss = app.ask(json!(["sign-up", "boss@example.com"]));
    let made = app.ask(json!(["post", "/organization/create", {"name": "Acme", "slug": "acme"}]));
    let organization = made["body"]["id"].clone();
    let claims = app.claims(&boss["cookie"]);
    assert_eq!(
        (&claims["org_id"], &claims["org_role"]),
        (&organization, &json!("owner"))
    );
    app.run("UPDATE better_auth.member SET role = 'owner,admin'");
    let claims = app.claims(&boss["cookie"]);
    assert_eq!(
        (&claims["org_id"], &claims["org_role"]),
        (&organization, &Value::Null)
    );
    // The session still names the organisation that its user was removed from.
    app.run("DELETE FROM better_auth.member");
    assert_eq!(app.claims(&boss["cookie"])["org_id"], Value::Null);

    app.ask(json!(["sign-out"]));
    let user = app.ask(json!(["sign-up", "user@example.com"]));
    app.ask(json!(["sign-out"]));
    app.run("UPDATE better_auth.\"user\" SET role = 'admin' WHERE email = 'boss@example.com'");
    app.ask(json!(["sign-in", "boss@example.com"]));
    let answer = app.ask(json!(["post", "/admin/impersonate-user", {"userId": user["user_id"]}]));
    assert_eq!(answer["status"], 200, "{answer}");
    let cookie = app.ask(json!(["cookie"]))["cookie"].clone();
    let claims = app.claims(&cookie);
    assert_eq!(
        (&claims["sub"], &claims["act"]),
        (&user["user_id"], &json!({"sub": boss["user_id"]}))
    );
    // The admin plugin's role is not the token's.
    assert_eq!(claims["role"], "authenticated");
}

/// The owner of Better Auth's schema can replace its tables by something else.
#[test]
fn what_stands_in_the_place_of_the_tables_never_runs() {
    let mut app = App::with_cookies();
    let user = app.ask(json!(["sign-up", "ada@example.com"]));
    app.run(
        "ALTER SCHEMA better_auth OWNER TO project_admin;
         ALTER TABLE better_auth.session OWNER TO project_admin;
         ALTER TABLE better_auth.\"user\" OWNER TO project_admin;
         CREATE TABLE public.ran (by_whom text);
         GRANT INSERT ON public.ran TO PUBLIC",
    );
    let mut owner = app.database.connect_as("project_admin").unwrap();
    owner
        .batch_execute(
            "CREATE FUNCTION better_auth.trap(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
               $$ BEGIN INSERT INTO public.ran VALUES (current_user); RETURN $1; END $$;
             ALTER TABLE better_auth.session RENAME TO real_session;
             CREATE VIEW better_auth.session AS SELECT * FROM better_auth.real_session WHERE better_auth.trap(id) = id",
        )
        .unwrap();
    let error = app.exchange(&user["cookie"]).unwrap_err();
    assert_eq!(
        error.as_db_error().unwrap().code().code(),
        "55000",
        "{error:?}"
    );
    owner
        .batch_execute(
            "DROP VIEW better_auth.session;
             ALTER TABLE better_auth.real_session RENAME TO session;
             ALTER TABLE better_auth.session ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
             CREATE POLICY trap ON better_auth.session USING (better_auth.trap(id) = id);
             CREATE FUNCTION better_auth.equal(text, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
               $$ BEGIN INSERT INTO public.ran VALUES (current_user); RETURN true; END $$;
             CREATE OPERATOR better_auth.= (LEFTARG = text, RIGHTARG = text, FUNCTION = better_auth.equal);
             TRUNCATE public.ran",
        )
        .unwrap();
    assert_eq!(app.claims(&user["cookie"])["sub"], user["user_id"]);
    // Without its index, and with one that does not have every row.
    app.run(
        "ALTER TABLE better_auth.session DROP CONSTRAINT session_token_key;
         CREATE INDEX ON better_auth.session (token) WHERE id = 'none'",
    );
    assert_eq!(app.claims(&user["cookie"])["sub"], user["user_id"]);
    let ran = app
        .superuser
        .query("SELECT FROM public.ran", &[])
        .unwrap()
        .len();
    assert_eq!(ran, 0);
}

#[test]
fn a_session_is_found_by_its_index() {
    let mut app = App::start(", allow_bare_sessions => true");
    let user = app.ask(json!(["sign-up", "ada@example.com"]));
    app.run(
        "INSERT INTO better_auth.session (id, token, \"userId\", \"expiresAt\", \"createdAt\", \"updatedAt\")
           SELECT 's' || n, 't' || n, (SELECT id FROM better_auth.\"user\"), now(), now(), now()
           FROM generate_series(1, 20000) n;
         SELECT pg_stat_force_next_flush()",
    );
    let scans = "SELECT seq_scan, idx_scan FROM pg_stat_user_tables WHERE relname = 'session' AND schemaname = 'better_auth'";
    let read = |app: &mut App| -> (i64, i64) {
        app.anon
            .batch_execute("SELECT pg_stat_force_next_flush()")
            .unwrap();
        let row = app.superuser.query_one(scans, &[]).unwrap();
        (row.get(0), row.get(1))
    };
    let before = read(&mut app);
    assert_eq!(app.claims(&user["session_token"])["sub"], user["user_id"]);
    let after = read(&mut app);
    assert_eq!(after.0, before.0, "no scan of the whole table");
    assert!(after.1 > before.1, "{before:?} {after:?}");
}
