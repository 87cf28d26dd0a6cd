//! `refresh_provider_jwks()` with a real server over https. Valid keys are stored. Errors are
//! recorded, and the last good keys stay.

use std::path::Path;
use std::time::{Duration, Instant};

use insforge_integrations_tests::node::{self, Process, Signed};
use insforge_integrations_tests::{Cluster, Database, Fixture, has_extension, shared_cluster};
use postgres::Client;
use serde_json::{Value, json};

#[path = "../certificates/mod.rs"]
mod certificates;
mod side_by_side;
use certificates::certificates;

struct Provider {
    database: Database<'static>,
    client: Client,
    server: Process,
    signed: Signed,
    _directory: tempfile::TempDir,
}

fn token(key: &str) -> Value {
    let now = node::now();
    json!({"alg": "ES256", "kid": key, "claims":
        {"iss": "https://i.example", "aud": "api", "sub": "u", "iat": now, "exp": now + 600}})
}

impl Provider {
    /// A server that publishes the first of two keys, and a provider whose keys are there.
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut trusted = String::new();
        for (name, host, is_trusted) in [
            ("trusted", "localhost", true),
            ("unknown", "localhost", false),
            ("other-host", "elsewhere.example", true),
        ] {
            let (authority, server) = certificates(name, host);
            std::fs::write(directory.path().join(format!("{name}.pem")), server).unwrap();
            if is_trusted {
                trusted += &authority;
            }
        }
        let path: &Path = directory.path();
        let server = Process::start("jwks_server.mjs", &[path.to_str().unwrap()]).unwrap();
        let signed = node::sign(&json!([token("first"), token("next")])).unwrap();
        let database = shared_cluster().database(Fixture::Extension).unwrap();
        let mut client = database.connect().unwrap();
        client
            .execute(
                "SELECT insforge_integrations.configure('jwks_ca', $1)",
                &[&trusted],
            )
            .unwrap();
        let mut provider = Self {
            database,
            client,
            server,
            signed,
            _directory: directory,
        };
        provider.publish(&[0]);
        provider.keys_at("trusted", "/jwks");
        provider
    }

    /// Registers the provider with its keys at an address. Keys from another address are gone.
    fn keys_at(&mut self, server: &str, path: &str) {
        let url = self.url(server, path);
        self.client
            .execute(
                "SELECT insforge_integrations.register_auth_provider('p', '{https://i.example}', $1, '{api}',
                   algorithms => '{ES256}', subject_prefix => 'p:')",
                &[&url],
            )
            .unwrap();
    }

    /// Moves the address and keeps the keys.
    fn move_to(&mut self, server: &str, path: &str) {
        let url = self.url(server, path);
        self.client
            .execute(
                "UPDATE insforge_integrations.auth_providers SET jwks_url = $1",
                &[&url],
            )
            .unwrap();
    }

    fn url(&self, server: &str, path: &str) -> String {
        format!("{}{path}", self.server.greeting[server].as_str().unwrap())
    }

    fn publish(&mut self, keys: &[usize]) {
        let jwks: Value = serde_json::from_str(&self.signed.jwks).unwrap();
        let keys: Vec<&Value> = keys.iter().map(|index| &jwks["keys"][index]).collect();
        self.publish_text(&json!({ "keys": keys }).to_string());
    }

    fn publish_text(&mut self, text: &str) {
        self.server.ask(&json!(["publish", text])).unwrap();
    }

    fn requests(&mut self) -> u64 {
        self.server.ask(&json!(["requests"])).unwrap()["requests"]
            .as_u64()
            .unwrap()
    }

    /// The number of keys, or the error, which must be in the table too.
    fn refresh(&mut self) -> Result<i32, String> {
        let row = self
            .client
            .query_one(
                "SELECT provider, key_count, error FROM insforge_integrations.refresh_provider_jwks('p')",
                &[],
            )
            .unwrap();
        let error: Option<String> = row.get(2);
        let recorded: Option<String> = self
            .client
            .query_one(
                "SELECT error FROM insforge_integrations.jwks_fetches WHERE provider = 'p'",
                &[],
            )
            .unwrap()
            .get(0);
        assert_eq!(recorded, error);
        match error {
            None => Ok(row.get(1)),
            Some(error) => Err(error),
        }
    }

    /// Which of the two tokens verify.
    fn verify(&mut self) -> [bool; 2] {
        [0, 1].map(|index| {
            self.client
                .query_one(
                    "SELECT is_valid FROM insforge_integrations.inspect_provider_jwt($1)",
                    &[&self.signed.tokens[index]],
                )
                .unwrap()
                .get(0)
        })
    }
}

#[test]
fn a_rotation_is_followed() {
    let mut provider = Provider::start();
    assert_eq!(provider.verify(), [false, false]);
    assert_eq!(provider.refresh(), Ok(1));
    assert_eq!(provider.verify(), [true, false]);
    provider.publish(&[0, 1]);
    assert_eq!(provider.refresh(), Ok(2));
    assert_eq!(provider.verify(), [true, true]);
    provider.publish(&[1]);
    assert_eq!(provider.refresh(), Ok(1));
    assert_eq!(provider.verify(), [false, true]);
    let version = |client: &mut Client| -> String {
        let row = client.query_one(
            "SELECT xmin::text FROM insforge_integrations.auth_providers",
            &[],
        );
        row.unwrap().get(0)
    };
    let before = version(&mut provider.client);
    assert_eq!(provider.refresh(), Ok(1));
    assert_eq!(
        version(&mut provider.client),
        before,
        "the same keys rewrite nothing"
    );
    // All providers at once, those without an address left out.
    provider
        .client
        .batch_execute("CREATE SCHEMA better_auth; SELECT insforge_integrations.register_better_auth('http://localhost:3000')")
        .unwrap();
    let rows = provider
        .client
        .query(
            "SELECT provider FROM insforge_integrations.refresh_provider_jwks()",
            &[],
        )
        .unwrap();
    assert_eq!(
        rows.iter()
            .map(|row| row.get::<_, String>(0))
            .collect::<Vec<_>>(),
        ["p"]
    );
}

#[test]
fn plain_http_is_for_this_machine_alone() {
    let mut provider = Provider::start();
    provider.keys_at("http", "/jwks");
    assert_eq!(provider.refresh(), Ok(1));
    provider
        .client
        .batch_execute(
            "UPDATE insforge_integrations.auth_providers SET jwks_url = 'http://192.0.2.1/jwks'",
        )
        .unwrap();
    assert!(provider.refresh().unwrap_err().contains("not https"));
    assert_eq!(provider.verify(), [true, false]);
}

#[test]
fn whatever_goes_wrong_the_last_good_keys_stay() {
    let mut provider = Provider::start();
    assert_eq!(provider.refresh(), Ok(1));
    for (server, path, expected) in [
        ("trusted", "/404", "status 404"),
        ("trusted", "/500", "status 500"),
        ("trusted", "/redirect", "redirect (302)"),
        ("trusted", "/endless", "longer than 262144 bytes"),
        ("trusted", "/slow", "within 5 seconds"),
        ("trusted", "/silent", "within 5 seconds"),
        ("unknown", "/jwks", "UnknownIssuer"),
        ("other_host", "/jwks", "not valid for name"),
    ] {
        provider.move_to(server, path);
        let error = provider.refresh().unwrap_err();
        assert!(error.contains(expected), "{server}{path}: {error}");
        assert_eq!(provider.verify(), [true, false], "{server}{path}");
    }
    provider.move_to("trusted", "/jwks");
    for (text, expected) in [
        ("", "not a JSON object"),
        ("<html>", "not a JSON object"),
        (
            r#"{"keys": []}"#,
            "It has no keys. The provider publishes its first key",
        ),
        (
            r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}"#,
            "private part",
        ),
        (
            r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
            "No key fits",
        ),
    ] {
        provider.publish_text(text);
        let error = provider.refresh().unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
        assert_eq!(provider.verify(), [true, false], "{text}");
    }
    provider.publish(&[0, 1]);
    assert_eq!(provider.refresh(), Ok(2));
}

#[test]
fn a_wait_can_be_cancelled() {
    let mut provider = Provider::start();
    assert_eq!(provider.refresh(), Ok(1));
    provider.move_to("trusted", "/silent");
    let refresh = "SELECT insforge_integrations.refresh_provider_jwks('p')";

    let mut session = provider.database.connect().unwrap();
    session
        .batch_execute("SET statement_timeout = '300ms'")
        .unwrap();
    let error = session.batch_execute(refresh).unwrap_err();
    assert_eq!(error.as_db_error().unwrap().code().code(), "57014");
    session.batch_execute("SET statement_timeout = 0").unwrap();

    let pid: i32 = session
        .query_one("SELECT pg_backend_pid()", &[])
        .unwrap()
        .get(0);
    let waiting = std::thread::spawn(move || {
        let error = session.batch_execute(refresh).unwrap_err();
        // The session goes on.
        session.batch_execute("SELECT 1").unwrap();
        error.as_db_error().unwrap().code().code().to_owned()
    });
    let is_waiting = "SELECT wait_event IS NOT NULL FROM pg_stat_activity WHERE pid = $1 AND query LIKE '%refresh%' AND state = 'active'";
    let deadline = Instant::now() + Duration::from_secs(4);
    while provider
        .client
        .query(is_waiting, &[&pid])
        .unwrap()
        .is_empty()
    {
        assert!(Instant::now() < deadline, "it never waited");
        std::thread::sleep(Duration::from_millis(5));
    }
    provider
        .client
        .execute("SELECT pg_cancel_backend($1)", &[&pid])
        .unwrap();
    assert_eq!(waiting.join().unwrap(), "57014");
    assert_eq!(provider.verify(), [true, false]);
    let recorded = provider.client.query(
        "SELECT FROM insforge_integrations.jwks_fetches WHERE error IS NOT NULL",
        &[],
    );
    assert!(
        recorded.unwrap().is_empty(),
        "a cancelled statement records nothing"
    );
}

#[test]
fn what_has_no_address_is_refused() {
    let mut provider = Provider::start();
    provider
        .client
        .batch_execute("CREATE SCHEMA better_auth; SELECT insforge_integrations.register_better_auth('http://localhost:3000')")
        .unwrap();
    for name in ["better_auth", "nobody", "insforge"] {
        let error = provider
            .client
            .execute(
                "SELECT insforge_integrations.refresh_provider_jwks($1)",
                &[&name],
            )
            .unwrap_err();
        assert_eq!(
            error.as_db_error().unwrap().code().code(),
            "22023",
            "{name}: {error:?}"
        );
    }
}

#[test]
fn no_verification_and_no_exchange_fetches() {
    let mut provider = Provider::start();
    provider.client.batch_execute("SELECT insforge_integrations.set_jwt_secret('insforge''s JWT_SECRET, 32 bytes or more')").unwrap();
    assert_eq!(provider.refresh(), Ok(1));
    let before = provider.requests();
    assert_eq!(provider.verify(), [true, false]);
    for token in &provider.signed.tokens {
        let exchange = "SELECT exchange_provider_token($1)";
        let _ = provider.client.query(exchange, &[token]);
        let _ = provider
            .client
            .query("SELECT insforge_integrations.authenticate($1)", &[token]);
    }
    assert_eq!(provider.requests(), before);
}

#[test]
fn without_pg_cron_the_line_for_any_cron_is_told() {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut client = database.connect().unwrap();
    // Not the extension's: never called.
    client
        .batch_execute(
            "CREATE SCHEMA cron; CREATE FUNCTION cron.schedule(text, text, text) RETURNS bigint
               LANGUAGE sql AS 'SELECT 1::bigint / 0'",
        )
        .unwrap();
    let error = client
        .execute("SELECT insforge_integrations.schedule_jwks_refresh()", &[])
        .unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(error.code().code(), "55000", "{error:?}");
    let line = format!(
        "*/5 * * * * psql -d {} -c 'SELECT insforge_integrations.refresh_provider_jwks()'",
        database.name()
    );
    assert!(error.hint().unwrap().ends_with(&line), "{error:?}");
    for interval in [
        "30 seconds",
        "7 minutes",
        "90 minutes",
        "2 days",
        "0",
        "-5 minutes",
    ] {
        let error = client
            .execute(
                &format!("SELECT insforge_integrations.schedule_jwks_refresh('{interval}')"),
                &[],
            )
            .unwrap_err();
        assert_eq!(
            error.as_db_error().unwrap().code().code(),
            "22023",
            "{interval}"
        );
    }
}

#[test]
fn pg_cron_runs_it() {
    if !has_extension("pg_cron") {
        return;
    }
    let cluster = Cluster::start_with(
        "shared_preload_libraries = 'pg_cron'\ncron.database_name = 'db_0'\ncron.use_background_workers = on",
    )
    .unwrap();
    let database = cluster.database(Fixture::Extension).unwrap();
    assert_eq!(database.name(), "db_0");
    let mut client = database.connect().unwrap();
    let job: i64 = {
        client.batch_execute("CREATE EXTENSION pg_cron").unwrap();
        client
            .query_one(
                "SELECT insforge_integrations.schedule_jwks_refresh('1 hour')",
                &[],
            )
            .unwrap()
            .get(0)
    };
    let again: i64 = client
        .query_one(
            "SELECT insforge_integrations.schedule_jwks_refresh('1 minute')",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(again, job);
    let jobs = client.query("SELECT schedule FROM cron.job", &[]).unwrap();
    assert_eq!(
        jobs.iter()
            .map(|row| row.get::<_, String>(0))
            .collect::<Vec<_>>(),
        ["* * * * *"]
    );
    // Nothing listens there. The test only sees the attempt.
    client
        .batch_execute(
            "SELECT insforge_integrations.register_auth_provider('p', '{https://i.example}', 'http://127.0.0.1:1/jwks',
               '{api}', subject_prefix => 'p:')",
        )
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(150);
    while client
        .query(
            "SELECT FROM insforge_integrations.jwks_fetches WHERE error IS NOT NULL",
            &[],
        )
        .unwrap()
        .is_empty()
    {
        assert!(
            Instant::now() < deadline,
            "pg_cron has not run it:\n{}",
            cluster.log().unwrap()
        );
        std::thread::sleep(Duration::from_millis(500));
    }
}
