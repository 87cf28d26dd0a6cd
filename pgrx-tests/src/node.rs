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
    let output = Command::new("node")
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
