//! The examples in `docs/examples/`, each on a throwaway database.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::Database;

/// Node.js with a file of `docs/examples/`.
fn node(file: &str) -> Result<Command> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples");
    let packages = examples.join("node_modules");
    ensure!(
        packages.is_dir(),
        "run `npm ci` in docs/examples first, as `make clients` does"
    );
    let mut command = crate::node::program(&packages);
    command.arg(examples.join(file));
    Ok(command)
}

/// An example's program, which finds the database in its environment.
///
/// # Errors
/// When its packages are missing.
pub fn command(name: &str, database: &Database) -> Result<Command> {
    let mut command = node(&format!("{name}/main.mjs"))?;
    command
        .env("PGHOST", database.cluster().socket_directory())
        .env("PGDATABASE", database.name())
        .env("PGUSER", "postgres")
        .env_remove("PGPORT");
    Ok(command)
}

/// Runs another program of an example and returns what it printed.
///
/// # Errors
/// When it fails.
pub fn script(file: &str, arguments: &[&str]) -> Result<String> {
    let output = node(file)?.args(arguments).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{file}: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}

/// An example that runs until this value is dropped.
pub struct Example {
    child: Child,
    /// The address of its page.
    pub page: String,
    /// The address at which the shop sells.
    pub sells_at: String,
}

impl Example {
    /// Starts an example, and waits until it has said where its page is.
    ///
    /// # Errors
    /// When it ends before.
    pub fn start(name: &str, database: &Database) -> Result<Self> {
        let mut command = command(name, database)?;
        let free = [
            TcpListener::bind("127.0.0.1:0")?,
            TcpListener::bind("127.0.0.1:0")?,
        ];
        for (name, listener) in ["PORT", "PAGE_PORT"].iter().zip(&free) {
            command.env(name, listener.local_addr()?.port().to_string());
        }
        drop(free);
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("no standard output")?;
        let mut example = Self {
            child,
            page: String::new(),
            sells_at: String::new(),
        };
        for line in BufReader::new(output).lines() {
            let line = line?;
            if let Some(address) = line.strip_prefix("The shop sells at ") {
                example.sells_at = address.to_owned();
            }
            if let Some((_, address)) = line.split_once(": http://") {
                example.page = format!("http://{address}");
                return Ok(example);
            }
        }
        bail!("example {name} has ended")
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
