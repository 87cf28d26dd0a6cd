//! A real InsForge without Docker: its migrations, its backend and a PostgREST, in front of a
//! throwaway Postgres.

use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use insforge_integrations_tests::{Cluster, Database, Fixture};
use ureq::Agent;

use crate::server::{Answer, Call, Server, agent, programs};

pub(crate) const ANON_KEY: &str = "anon_a-key-for-tests";
pub(crate) const API_KEY: &str = "ik_a-key-for-tests";

/// The two secrets in InsForge's environment.
#[derive(Clone, Copy)]
pub(crate) struct Secrets<'a> {
    pub jwt_secret: &'a str,
    /// Empty, as InsForge's example environment has it: then InsForge takes `jwt_secret`.
    pub encryption_key: &'a str,
}

/// A checkout of InsForge with its packages.
pub(crate) struct Checkout(PathBuf);

impl Checkout {
    /// The checkout that INSFORGE names. If it or PostgREST is missing, a line on stderr says so.
    pub(crate) fn find() -> Option<Self> {
        let Some(path) = std::env::var_os("INSFORGE").filter(|path| !path.is_empty()) else {
            say("not run: INSFORGE names no checkout of InsForge with its packages from npm");
            return None;
        };
        let path = PathBuf::from(path);
        assert!(
            path.join("node_modules/tsx").is_dir(),
            "{}: run `npm install` there first",
            path.display()
        );
        if programs().is_empty() {
            say("not run: it needs PostgREST");
            return None;
        }
        Some(Self(path))
    }

    /// A database after InsForge's initialization and migrations, on a server of its own. `None` if
    /// Postgres lacks an extension that InsForge needs.
    pub(crate) fn database(&self, secrets: Secrets) -> Option<Database<'static>> {
        // InsForge's compose file gives Postgres the same key.
        let key = match secrets.encryption_key {
            "" => secrets.jwt_secret,
            key => key,
        };
        let configuration = format!(
            "shared_preload_libraries = 'pg_cron'
             cron.database_name = 'db_0'
             app.encryption_key = '{key}'"
        );
        // The keeper ends the server with this program.
        let cluster = Box::leak(Box::new(Cluster::start_with(&configuration).unwrap()));
        let database = cluster.database(Fixture::Empty).unwrap();
        let missing: Option<String> = database
            .connect()
            .unwrap()
            .query_one(
                "SELECT string_agg(name, ', ') FROM unnest('{http,pg_cron,pgcrypto,vector}'::text[]) name
                 WHERE name NOT IN (SELECT name FROM pg_available_extensions)",
                &[],
            )
            .unwrap()
            .get(0);
        if let Some(missing) = missing {
            say(&format!("not run: Postgres lacks {missing}"));
            return None;
        }
        let script = self.0.join("deploy/docker-init/db/db-init.sql");
        let mut psql = cluster.client_command("psql");
        psql.args(["-X", "-v", "ON_ERROR_STOP=1", "-d", database.name(), "-f"]);
        finish(psql.arg(script));
        let mut migrate = Command::new("npm");
        migrate
            .args(["run", "migrate:up"])
            .current_dir(self.0.join("backend"))
            .env("DATABASE_URL", address(&database));
        finish(&mut migrate);
        Some(database)
    }

    /// PostgREST with the environment of InsForge's compose file, and `more`.
    pub(crate) fn postgrest(
        &self,
        database: &Database,
        secrets: Secrets,
        more: &[(&str, &str)],
    ) -> Server {
        let mut environment = vec![
            ("PGRST_DB_ANON_ROLE", "anon"),
            ("PGRST_DB_CHANNEL_ENABLED", "true"),
            ("PGRST_DB_CHANNEL", "pgrst"),
            ("PGRST_JWT_SECRET", secrets.jwt_secret),
        ];
        environment.extend_from_slice(more);
        Server::start_with(&programs()[0], database, &environment)
    }

    /// InsForge's backend in front of `postgrest`.
    pub(crate) fn backend(
        &self,
        database: &Database,
        postgrest: &Server,
        secrets: Secrets,
    ) -> Backend {
        let home = tempfile::tempdir().unwrap();
        let port = {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port().to_string()
        };
        let directory = |name: &str| home.path().join(name);
        let mut keeper = Command::new("bash")
            .args(["-c", KEEPER, "keeper"])
            .arg(directory("log"))
            .current_dir(self.0.join("backend"))
            .env("PORT", &port)
            .env("JWT_SECRET", secrets.jwt_secret)
            .env("ENCRYPTION_KEY", secrets.encryption_key)
            .env("ROOT_ADMIN_USERNAME", "admin")
            .env("ROOT_ADMIN_PASSWORD", "a password for tests")
            .env("ACCESS_API_KEY", API_KEY)
            .env("ACCESS_ANON_KEY", ANON_KEY)
            .env("POSTGRES_HOST", database.cluster().socket_directory())
            .env("POSTGRES_DB", database.name())
            .env("POSTGRES_USER", "postgres")
            .env("DATABASE_URL", address(database))
            .env("POSTGREST_BASE_URL", postgrest.url())
            .env("INSFORGE_TELEMETRY_DISABLED", "1")
            .env("LOGS_DIR", directory("logs"))
            .env("STORAGE_DIR", directory("storage"))
            .env("DATABASE_DIR", directory("data"))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let backend = Backend {
            url: format!("http://127.0.0.1:{port}"),
            agent: agent(),
            input: keeper.stdin.take(),
            keeper,
            home,
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        let health = Call::get("/api/health");
        while health.send(&backend.agent, &backend.url).is_err() {
            assert!(Instant::now() < deadline, "no answer: {}", backend.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        backend
    }
}

/// The URL of a database.
fn address(database: &Database) -> String {
    let host = database.cluster().socket_directory().display();
    format!(
        "postgresql:///{}?host={host}&user=postgres",
        database.name()
    )
}

fn finish(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Writes a line that is shown whether the tests pass or not.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "real InsForge: {line}");
}

/// Kills the backend when its own standard input ends, so none is left behind.
const KEEPER: &str = r#"node --import tsx src/server.ts >"$1" 2>&1 </dev/null & server=$!; read -r _; kill -KILL "$server"; wait 2>/dev/null"#;

/// A running backend of InsForge, which ends with its owner.
pub(crate) struct Backend {
    url: String,
    agent: Agent,
    keeper: Child,
    input: Option<ChildStdin>,
    home: tempfile::TempDir,
}

impl Backend {
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }

    pub(crate) fn answer(&self, call: &Call) -> Answer {
        let answer = call.send(&self.agent, &self.url);
        answer.unwrap_or_else(|error| panic!("{error}: {}", self.log()))
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.keeper.wait();
    }
}
