//! A pgbouncer in transaction mode before a database.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use postgres::NoTls;

use crate::Database;
use crate::server_user::ServerUser;

/// Runs pgbouncer until its standard input ends, as the cluster's keeper runs the server.
const KEEPER: &str = r#"
home=$1; pgbouncer=$2
"$pgbouncer" -q "$home/pgbouncer.ini" >>"$home/log" 2>&1 & pooler=$!
read -r _
kill -TERM "$pooler" 2>/dev/null
wait "$pooler"
find "$home" -mindepth 1 -delete
rmdir "$home" 2>/dev/null
"#;

/// A running pgbouncer.
pub struct Pooler {
    home: PathBuf,
    database: String,
    keeper: Child,
    control: Option<ChildStdin>,
}

impl Pooler {
    /// Starts a pgbouncer that shares this number of connections to a database among its clients.
    ///
    /// # Errors
    /// When pgbouncer is missing or does not answer within a minute.
    pub fn start(database: &Database, connections: u32) -> Result<Self> {
        let user = ServerUser::find()?;
        let home = tempfile::Builder::new().prefix("insforge-").tempdir()?;
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755))?;
        let name = database.name();
        let configuration = format!(
            "[databases]\n{name} = host={} dbname={name} user=postgres\n[pgbouncer]\n\
             unix_socket_dir = {}\nlisten_addr =\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = {connections}\nmax_client_conn = 400\n",
            database.cluster().socket_directory().display(),
            home.path().display(),
        );
        fs::write(home.path().join("pgbouncer.ini"), configuration)?;
        user.own(home.path())?;
        // Debian puts it where ordinary users' PATH does not lead.
        let debian = Path::new("/usr/sbin/pgbouncer");
        let program = if debian.exists() {
            debian
        } else {
            Path::new("pgbouncer")
        };
        let mut keeper = user
            .command("/usr/bin/setsid")
            .args(["bash", "-c", KEEPER, "keeper"])
            .arg(home.path())
            .arg(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start bash under setsid")?;
        let pooler = Self {
            database: name.to_owned(),
            control: keeper.stdin.take(),
            home: home.keep(),
            keeper,
        };
        pooler.wait_until_ready()?;
        Ok(pooler)
    }

    /// The configuration of a connection through the pooler.
    #[must_use]
    pub fn config(&self) -> postgres::Config {
        let mut config = postgres::Config::new();
        config
            .host_path(&self.home)
            .port(6432)
            .user("postgres")
            .dbname(&self.database);
        config
    }

    fn wait_until_ready(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match self.config().connect(NoTls) {
                Ok(_) => return Ok(()),
                Err(_) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20))
                }
                Err(error) => bail!(
                    "pgbouncer does not answer, which pgrx-tests/setup.sh installs: {error}\n{}",
                    fs::read_to_string(self.home.join("log")).unwrap_or_default()
                ),
            }
        }
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.control.take());
        let _ = self.keeper.wait();
    }
}
