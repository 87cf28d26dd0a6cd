//! A PostgREST process in front of a test database, and requests to it.

use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use insforge_integrations_tests::Database;
use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;

/// The secret with which the extension signs and PostgREST verifies.
pub(crate) const SECRET: &str = "insforge's JWT_SECRET, 32 bytes or more";

/// A PostgREST that this machine has.
pub(crate) struct Program {
    path: PathBuf,
    /// As `postgrest --version` says it, `PostgREST 12.2.12` for example.
    pub version: String,
}

/// The programs that POSTGREST names, separated by colons, or else the one on PATH. Without any, a
/// line on stderr says so, which the test runner does not hide.
pub(crate) fn programs() -> &'static [Program] {
    static PROGRAMS: OnceLock<Vec<Program>> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let named = std::env::var_os("POSTGREST").filter(|value| !value.is_empty());
        let paths: Vec<PathBuf> = match &named {
            Some(named) => std::env::split_paths(named).collect(),
            None => std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
                .map(|directory| directory.join("postgrest"))
                .find(|path| path.is_file())
                .into_iter()
                .collect(),
        };
        if paths.is_empty() {
            say("not run: there is no `postgrest` on PATH, and POSTGREST names none");
        }
        paths
            .into_iter()
            .map(|path| {
                let output = Command::new(&path).arg("--version").output();
                let output = output.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
                assert!(
                    version.starts_with("PostgREST "),
                    "{}: {output:?}",
                    path.display()
                );
                say(&format!("runs {version} at {}", path.display()));
                Program { path, version }
            })
            .collect()
    })
}

/// Writes a line that is shown whether the tests pass or not.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "real PostgREST: {line}");
}

/// Kills the program when its own standard input ends, so none is left behind. On SIGTERM,
/// PostgREST 17 would wait for clients' connections.
const KEEPER: &str =
    r#""$1" 2>>"$2" >&2 & server=$!; read -r _; kill -KILL "$server"; wait 2>/dev/null"#;

/// A client that uses no proxy and takes an answer with any status.
pub(crate) fn agent() -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(30)));
    config.build().into()
}

/// A running PostgREST, which ends with its owner.
pub(crate) struct Server {
    url: String,
    agent: Agent,
    keeper: Child,
    input: Option<ChildStdin>,
    log: tempfile::NamedTempFile,
}

/// Additional settings of the server.
#[derive(Clone, Copy)]
pub(crate) struct Setup<'a> {
    pub pre_request: Option<&'a str>,
    pub pool: u32,
}

impl Server {
    pub(crate) fn start(program: &Program, database: &Database, setup: Setup) -> Self {
        let pool = setup.pool.to_string();
        let environment = [
            ("PGRST_DB_ANON_ROLE", "anon"),
            (
                "PGRST_DB_PRE_REQUEST",
                setup.pre_request.unwrap_or_default(),
            ),
            ("PGRST_DB_POOL", &pool),
            ("PGRST_DB_CONFIG", "false"),
            ("PGRST_JWT_SECRET", SECRET),
        ];
        Self::start_with(program, database, &environment)
    }

    /// Starts it with these variables in its environment, besides its addresses.
    pub(crate) fn start_with(
        program: &Program,
        database: &Database,
        environment: &[(&str, &str)],
    ) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let port = {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        };
        let uri = format!(
            "host='{}' user=postgres dbname={}",
            database.cluster().socket_directory().display(),
            database.name()
        );
        let mut keeper = Command::new("bash")
            .args(["-c", KEEPER, "keeper"])
            .arg(&program.path)
            .arg(log.path())
            .env("PGRST_DB_URI", uri)
            .env("PGRST_DB_SCHEMAS", "public")
            .envs(environment.iter().copied())
            .env("PGRST_SERVER_HOST", "127.0.0.1")
            .env("PGRST_SERVER_PORT", port.to_string())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let server = Self {
            url: format!("http://127.0.0.1:{port}"),
            agent: agent(),
            input: keeper.stdin.take(),
            keeper,
            log,
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !server.is_ready() {
            assert!(Instant::now() < deadline, "no answer: {}", server.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// Whether it has read the database's schema.
    fn is_ready(&self) -> bool {
        let answer = Call::get("/rpc/who").send(&self.agent, &self.url);
        answer.is_ok_and(|answer| answer.status != 503)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).unwrap_or_default()
    }

    pub(crate) fn answer(&self, call: &Call) -> Answer {
        let answer = call.send(&self.agent, &self.url);
        answer.unwrap_or_else(|error| panic!("{error}: {}", self.log()))
    }

    /// Calls until the answer is the expected one. PostgREST reads its configuration and the schema
    /// anew a moment after a NOTIFY.
    pub(crate) fn answer_when(&self, call: &Call, is_expected: impl Fn(&Answer) -> bool) -> Answer {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = self.answer(call);
            if is_expected(&answer) {
                return answer;
            }
            assert!(Instant::now() < deadline, "{answer:?}: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.keeper.wait();
    }
}

/// The response.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub status: u16,
    /// The header WWW-Authenticate.
    pub challenge: Option<String>,
    pub body: Value,
}

impl Answer {
    /// The status, and the SQLSTATE in PostgREST's error.
    pub(crate) fn error(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }
}

/// One HTTP request.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Call {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self {
            method: "GET",
            path: path.into(),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    pub(crate) fn post(path: impl Into<String>, body: &Value) -> Self {
        Self {
            method: "POST",
            body: body.to_string(),
            ..Self::get(path)
        }
        .header("content-type", "application/json")
    }

    /// A form, as a browser without JavaScript sends it.
    pub(crate) fn form(path: impl Into<String>, body: &str) -> Self {
        Self {
            method: "POST",
            body: body.to_owned(),
            ..Self::get(path)
        }
        .header("content-type", "application/x-www-form-urlencoded")
    }

    pub(crate) fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With an InsForge token.
    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub(crate) fn send(&self, agent: &Agent, url: &str) -> Result<Answer, ureq::Error> {
        let mut answer = agent.run(self.build(url))?;
        let challenge = answer.headers().get("www-authenticate");
        let challenge = challenge
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let text = answer.body_mut().read_to_string()?;
        Ok(Answer {
            status: answer.status().as_u16(),
            challenge,
            body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
        })
    }

    pub(crate) fn build(&self, url: &str) -> Request<String> {
        let mut request = Request::builder()
            .method(self.method)
            .uri(format!("{url}{}", self.path));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(self.body.clone()).unwrap()
    }
}
