//! Other people's clients: the Node.js programs in `clients/`, whose packages `npm ci` installs.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Runs `clients/<script>` with arguments and returns what it printed.
///
/// # Errors
/// When Node.js or the packages are missing, or the script fails.
pub fn run(script: &str, arguments: &[&str]) -> Result<String> {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
    ensure!(
        clients.join("node_modules").is_dir(),
        "run `npm ci` in pgrx-tests/clients first, as `make test` does"
    );
    // Where the machine's own is too old, `make clients` has put one beside the packages.
    let beside = clients.join("node_modules/.bin/node");
    let output = Command::new(if beside.exists() {
        beside
    } else {
        "node".into()
    })
    .arg(script)
    .args(arguments)
    .current_dir(clients)
    .output()
    .context("cannot run node")?;
    ensure!(
        output.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// Tokens signed with npm jose, and the public keys that go with them.
pub struct Signed {
    /// The JWK set, as text.
    pub jwks: String,
    /// The tokens in the order asked for.
    pub tokens: Vec<String>,
}

/// Has `clients/sign_tokens.mjs` sign a list of `{alg, kid, claims, header, secret}`.
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

/// Seconds since 1970, to be told to those who sign.
#[must_use]
pub fn now() -> u64 {
    std::time::UNIX_EPOCH
        .elapsed()
        .map_or(0, |elapsed| elapsed.as_secs())
}
