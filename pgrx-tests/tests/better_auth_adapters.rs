//! A real Better Auth server (npm) on the tables that its own tools make: by its migration for
//! Kysely, and by its CLI for Drizzle and Prisma, with every kind of names and ids. The tables are
//! in schema public, which InsForge's default privileges open to everybody.

use insforge_integrations_tests::node::Process;
use insforge_integrations_tests::postgrest::Request;
use insforge_integrations_tests::{Database, Fixture, request, shared_cluster};
use postgres::Client;
use serde_json::{Value, json};

const SECRET: &str = "Rk9yIHRlc3RzIG9ubHksIGJ1dCByYW5kb20gZW5vdWdo";

/// The names that `better_auth_tables.mjs` gives.
const RENAMED: &str = r#"{"user": "people", "user.email": "address", "user.emailVerified": "is_verified", "user.banned": "is_out",
    "session": "logins", "session.userId": "person", "session.expiresAt": "valid_until",
    "session.activeOrganizationId": "company", "session.impersonatedBy": "acted_by",
    "account": "links", "verification": "proofs", "jwks": "signing_keys", "jwks.publicKey": "public_part",
    "organization": "companies", "invitation": "letters",
    "member": "memberships", "member.userId": "person", "member.organizationId": "company"}"#;

struct App {
    database: Database<'static>,
    superuser: Client,
    anon: Client,
    server: Process,
}

impl App {
    fn ask(&mut self, question: Value) -> Value {
        self.server.ask(&question).unwrap()
    }

    fn exchange(&mut self, credential: &Value) -> Result<Value, postgres::Error> {
        Request::default().exchange(&mut self.anon, credential.as_str().unwrap(), None)
    }

    /// The claims of the InsForge token.
    fn claims(&mut self, credential: &Value) -> Value {
        let response = self
            .exchange(credential)
            .unwrap_or_else(|error| panic!("{credential}: {error:?}"));
        let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
        validation.set_audience(&["insforge-api"]);
        let key = jsonwebtoken::DecodingKey::from_secret(SECRET.as_bytes());
        let token = response["access_token"].as_str().unwrap();
        jsonwebtoken::decode::<Value>(token, &key, &validation)
            .unwrap()
            .claims
    }

    fn refusal(&mut self, credential: &Value) -> String {
        let error = self.exchange(credential).unwrap_err();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "PT401", "{error:?}");
        let detail = error.detail().unwrap();
        detail.split(':').next().unwrap().to_owned()
    }

    fn run(&mut self, statement: &str) {
        self.superuser
            .batch_execute(statement)
            .unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }

    fn critical(&mut self) -> Vec<(String, String, String)> {
        let found = self.superuser.query(
            "SELECT rule_id, affected_object, recommendation FROM insforge_integrations.advise() WHERE severity = 'critical' AND rule_id <> 'durability_off'",
            &[],
        );
        let found = found.unwrap();
        found
            .iter()
            .map(|row| (row.get(0), row.get(1), row.get(2)))
            .collect()
    }

    /// The tables of the schema that a request reads or writes.
    fn reached(&mut self) -> Vec<String> {
        let rows = self.superuser.query(
            "SELECT DISTINCT c.relname::text FROM pg_class c, unnest('{anon,authenticated}'::name[]) role
             WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname <> 'notes'
               AND (has_table_privilege(role, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
                    OR has_any_column_privilege(role, c.oid, 'SELECT, INSERT, UPDATE')) ORDER BY 1",
            &[],
        );
        rows.unwrap().iter().map(|row| row.get(0)).collect()
    }
}

/// Sign-up, organisation, jwt, ban, impersonation, sign-out, and the application's own table, on
/// one kind of tables.
fn lives(adapter: &str, names: &str, ids: &str) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut superuser = database.connect().unwrap();
    superuser
        .execute(
            "SELECT insforge_integrations.set_jwt_secret($1)",
            &[&SECRET],
        )
        .unwrap();
    let socket = shared_cluster().socket_directory().to_str().unwrap();
    let arguments = [socket, database.name(), "public", adapter, names, ids];
    let server = Process::start("better_auth_server.mjs", &arguments).unwrap();
    let base_url = server.greeting["base_url"].as_str().unwrap();
    let registered = superuser
        .query_one(
            &format!(
                "SELECT better_auth_names FROM insforge_integrations.register_better_auth('{base_url}', 'public',
                   'a secret for tests, the same in every run', allow_uuid_subjects => {}, names => $1::text::jsonb)",
                ids == "uuid"
            ),
            &[&if names == "renamed" { RENAMED } else { "{}" }],
        )
        .unwrap();
    let anon = database.connect_as("anon").unwrap();
    let found: Value = registered.get(0);
    let called = |table: &str| found[table].as_str().unwrap().to_owned();
    let (user, session, member) = (called("user"), called("session"), called("member"));
    if names != "renamed" {
        let plural = if names == "plural" { "s" } else { "" };
        for table in [
            "user",
            "session",
            "account",
            "verification",
            "jwks",
            "organization",
            "member",
            "invitation",
        ] {
            assert_eq!(called(table), format!("{table}{plural}"), "{found}");
        }
    }
    let mut app = App {
        database,
        superuser,
        anon,
        server,
    };

    // An application's table as the guide writes it for these ids.
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/better_auth.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let fence = if ids == "text" {
        "```sql\nCREATE TABLE notes".to_owned()
    } else {
        format!("```sql {ids}\nCREATE TABLE notes")
    };
    let table = guide.split(&fence).nth(1).unwrap();
    let table = table.split("```").next().unwrap();
    let table = table.replace("better_auth.\"user\"", &format!("\"{user}\""));
    app.run(&format!("CREATE TABLE notes{table}"));

    // The tables are open to everybody, and the advisor says so. The recommendation closes all of
    // them for good.
    assert!(app.reached().len() >= 8, "{:?}", app.reached());
    let critical = app.critical();
    let rules: Vec<&str> = critical.iter().map(|found| found.0.as_str()).collect();
    assert_eq!(rules, ["better_auth_exposed"], "{critical:?}");
    assert_eq!(
        critical[0].2,
        "SELECT * FROM insforge_integrations.seal_better_auth('public');"
    );
    app.run(&critical[0].2);
    assert_eq!(app.reached(), [""; 0]);
    assert_eq!(app.critical(), []);

    let boss = app.ask(json!(["sign-up", "boss@example.com"]));
    assert_eq!(boss["status"], 200, "{boss}");
    let id = boss["user_id"].to_string().replace('"', "");
    let made = app.ask(json!(["post", "/organization/create", {"name": "Acme", "slug": "acme"}]));
    let organization = made["body"]["id"].to_string().replace('"', "");
    let verified = if names == "renamed" {
        "is_verified"
    } else if adapter == "drizzle" {
        "email_verified"
    } else {
        "\"emailVerified\""
    };
    app.run(&format!("UPDATE \"{user}\" SET {verified} = true"));
    let claims = app.claims(&boss["cookie"]);
    assert_eq!(
        (
            &claims["sub"],
            &claims["email"],
            &claims["org_id"],
            &claims["org_role"]
        ),
        (
            &json!(id),
            &json!("boss@example.com"),
            &json!(organization),
            &json!("owner")
        ),
        "{claims}"
    );
    // The session's end does not depend on the client's time zone.
    for zone in ["Pacific/Honolulu", "Asia/Tokyo"] {
        app.anon
            .batch_execute(&format!("SET timezone = '{zone}'"))
            .unwrap();
        assert_eq!(app.claims(&boss["cookie"])["sub"], json!(id));
    }
    let token = app.ask(json!(["token"]))["token"].clone();
    assert_eq!(app.claims(&token)["sub"], json!(id));
    let rows = request(
        &mut app.superuser,
        "authenticated",
        &claims.to_string(),
        |transaction| {
            transaction.execute("INSERT INTO notes (body) VALUES ('mine')", &[])?;
            transaction.query("SELECT body FROM notes", &[])
        },
    );
    assert_eq!(rows.unwrap().len(), 1);
    let strangers = claims.to_string().replace(
        &format!("\"sub\":\"{id}\""),
        match ids {
            "uuid" => "\"sub\":\"6a3f0d1e-0000-4000-8000-000000000001\"",
            _ => "\"sub\":\"987654321\"",
        },
    );
    let rows = request(
        &mut app.superuser,
        "authenticated",
        &strangers,
        |transaction| transaction.query("SELECT body FROM notes", &[]),
    );
    assert_eq!(rows.unwrap().len(), 0);

    // A ban ends the sessions. A session that is left does not count.
    app.ask(json!(["sign-out"]));
    assert_eq!(app.refusal(&boss["cookie"]), "session_not_found");
    let ada = app.ask(json!(["sign-up", "ada@example.com"]));
    let banned = if names == "renamed" {
        "is_out"
    } else {
        "banned"
    };
    app.run(&format!(
        "UPDATE \"{user}\" SET {banned} = true WHERE role IS DISTINCT FROM 'admin'"
    ));
    assert_eq!(app.refusal(&ada["cookie"]), "subject_rejected");
    app.run(&format!("UPDATE \"{user}\" SET {banned} = false, role = CASE WHEN id::text = '{id}' THEN 'admin' ELSE role END"));
    assert_eq!(
        app.claims(&ada["cookie"])["sub"].as_str(),
        Some(ada["user_id"].to_string().replace('"', "").as_str())
    );
    app.ask(json!(["sign-out"]));
    let again = app.ask(json!(["sign-in", "boss@example.com"]));
    let answer = app.ask(json!(["post", "/admin/impersonate-user", {"userId": ada["user_id"]}]));
    assert_eq!(answer["status"], 200, "{answer}");
    let cookie = app.ask(json!(["cookie"]))["cookie"].clone();
    assert_eq!(app.claims(&cookie)["act"], json!({"sub": id}));
    assert_eq!(app.ask(json!(["sign-out"]))["status"], 200);
    assert_eq!(app.refusal(&cookie), "session_not_found");
    assert_eq!(app.claims(&again["cookie"])["sub"], json!(id));

    // The session still names the organisation that its user was removed from.
    app.run(&format!(
        "DELETE FROM \"{member}\"; SELECT FROM \"{session}\""
    ));
    assert_eq!(app.claims(&again["cookie"])["org_id"], Value::Null);
    drop(app.database);
}

#[test]
fn kysely_with_default_names_and_text_ids() {
    lives("kysely", "default", "text");
}

#[test]
fn kysely_with_plural_names_and_uuids() {
    lives("kysely", "plural", "uuid");
}

#[test]
fn kysely_with_names_of_its_own_and_numbers() {
    lives("kysely", "renamed", "serial");
}

#[test]
fn drizzle_with_default_names_and_text_ids() {
    lives("drizzle", "default", "text");
}

#[test]
fn drizzle_with_plural_names_and_numbers() {
    lives("drizzle", "plural", "serial");
}

#[test]
fn drizzle_with_names_of_its_own_and_uuids() {
    lives("drizzle", "renamed", "uuid");
}

#[test]
fn prisma_with_default_names_and_uuids() {
    lives("prisma", "default", "uuid");
}

#[test]
fn prisma_with_plural_names_and_text_ids() {
    lives("prisma", "plural", "text");
}

#[test]
fn prisma_with_names_of_its_own_and_numbers() {
    lives("prisma", "renamed", "serial");
}
