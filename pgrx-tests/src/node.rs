//! Other people's clients: the Node.js programs in `clients/`, whose packages `npm ci` installs.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Node.js. If the machine's is too old, `make clients` has installed one beside the packages.
pub(crate) fn program(packages: &Path) -> Command {
    let beside = packages.join(".bin/node");
    Command::new(if beside.exists() {
        beside
    } else {
        "node".into()
    })
}

fn command(script: &str, arguments: &[&str]) -> Result<Command> {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
    ensure!(
        clients.join("node_modules").is_dir(),
        "run `npm ci` in pgrx-tests/clients first, as `make test` does"
    );
    let mut command = program(&clients.join("node_modules"));
    command.arg(script).args(arguments).current_dir(clients);
    Ok(command)
}

/// Runs `clients/<script>` with arguments and returns what it printed.
///
/// # Errors
/// When Node.js or the packages are missing, or the script fails.
pub fn run(script: &str, arguments: &[&str]) -> Result<String> {
    let output = command(script, arguments)?
        .output()
        .context("cannot run node")?;
    ensure!(
        output.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// A script that runs until this value is dropped. It answers each line of JSON with a line of
/// JSON.
pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// The first line that it printed.
    pub greeting: Value,
}

impl Process {
    /// Starts `clients/<script>` and reads its first line.
    ///
    /// # Errors
    /// As [`run`].
    pub fn start(script: &str, arguments: &[&str]) -> Result<Self> {
        let mut child = command(script, arguments)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run node")?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("no standard output")?);
        let mut process = Self {
            child,
            input,
            output,
            greeting: Value::Null,
        };
        process.greeting = process.read()?;
        Ok(process)
    }

    /// Sends a line and reads the answer.
    ///
    /// # Errors
    /// When the script has ended, or its answer is not JSON.
    pub fn ask(&mut self, question: &Value) -> Result<Value> {
        let input = self.input.as_mut().context("the script has ended")?;
        writeln!(input, "{question}")?;
        self.read()
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("not JSON: {line:?}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tokens signed with npm jose, and their public keys.
pub struct Signed {
    /// The JWK set, as text.
    pub jwks: String,
    /// The tokens, in the order of the request.
    pub tokens: Vec<String>,
}

/// Lets `clients/sign_tokens.mjs` sign a list of `{alg, kid, claims, header, secret}`.
///
/// # Errors
/// As [`run`].
pub fn sign(wanted: &serde_json::Value) -> Result<Signed> {
    let output: serde_json::Value =
        serde_json::from_str(&run("sign_tokens.mjs", &[&wanted.to_string()])?)?;
    let tokens = output["tokens"].as_array().context("no tokens")?;
    Ok(Signed {
        jwks: output["jwks"].to_string(),
        tokens: tokens
            .iter()
            .filter_map(|token| token.as_str().map(str::to_owned))
            .collect(),
    })
}

/// Seconds since 1970, for signers.
#[must_use]
pub fn now() -> u64 {
    std::time::UNIX_EPOCH
        .elapsed()
        .map_or(0, |elapsed| elapsed.as_secs())
}
