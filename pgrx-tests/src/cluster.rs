//! A throwaway server, which ends with its owner.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use postgres::{Client, NoTls};

use crate::installation::Installation;
use crate::server_user::ServerUser;
use origin::Origin;

mod database;
mod faults;
mod origin;

pub use database::{Database, Fixture};

/// Name of the superuser that owns the cluster.
pub(crate) const SUPERUSER: &str = "postgres";

/// Runs the server until its standard input ends, then removes everything.
///
/// Standard input is a pipe that the owner holds: it ends when the owner is dropped, exits or is
/// killed. `setsid` in front keeps an interrupt at the terminal from ending the keeper first.
const KEEPER: &str = r#"
home=$1; postgres=$2
start() { "$postgres" -D "$home/data" >>"$home/log" 2>&1 & server=$!; }
start
while read -r command; do
    case $command in
        restart) wait "$server"; start ;;
    esac
done
kill -INT "$server" 2>/dev/null
wait "$server"
find "$home" -mindepth 1 -delete
rmdir "$home" 2>/dev/null
"#;

/// Settings of a server for tests: no network and no sync.
const CONFIGURATION: &str = "
listen_addresses = ''
fsync = off
shared_buffers = '256MB'
max_connections = 250
wal_level = logical
max_wal_size = '4GB'
log_min_messages = warning
log_line_prefix = '%m [%p] %u@%d '
timezone = 'UTC'
lc_messages = 'C'
";

/// A running Postgres server on a Unix socket in a temporary directory.
pub struct Cluster {
    home: PathBuf,
    installation: Installation,
    keeper: Child,
    control: Option<ChildStdin>,
    databases: AtomicU32,
}

impl Cluster {
    /// Starts a server with settings for tests.
    ///
    /// # Errors
    /// When the server cannot be made or does not answer within a minute.
    pub fn start() -> Result<Self> {
        Self::start_with("")
    }

    /// Starts a server with more lines in its postgresql.conf.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_with(configuration: &str) -> Result<Self> {
        Self::create(configuration, &Origin::New)
    }

    /// Starts a hot standby of this server.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_standby(&self) -> Result<Self> {
        Self::create("", &Origin::StandbyOf(self))
    }

    /// Starts a server of an older major version. `None` if that, or its package of the extension, is not there.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_older(major: u8) -> Result<Option<Self>> {
        let home = new_home()?;
        Installation::of_major(&home.path().join("pg"), major)?
            .map(|installation| Self::create_in(home, installation, "", &Origin::New))
            .transpose()
    }

    /// Ends this server, and starts one of the present major version with its data, after pg_upgrade.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn upgrade(self) -> Result<Self> {
        self.stop()?;
        let mut new = Self::create("", &Origin::UpgradeOf(&self))?;
        // The names of its databases are taken.
        *new.databases.get_mut() = self.databases.load(Ordering::Relaxed);
        Ok(new)
    }

    fn create(configuration: &str, origin: &Origin) -> Result<Self> {
        let home = new_home()?;
        let installation = Installation::create(&home.path().join("pg"))?;
        Self::create_in(home, installation, configuration, origin)
    }

    fn create_in(
        home: tempfile::TempDir,
        installation: Installation,
        configuration: &str,
        origin: &Origin,
    ) -> Result<Self> {
        let user = ServerUser::find()?;
        user.own(home.path())?;
        let data = home.path().join("data");
        origin.make_data(user, &installation, &data)?;
        let socket = format!("unix_socket_directories = '{}'\n", home.path().display());
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))?;
        file.write_all(format!("{CONFIGURATION}{socket}{configuration}\n").as_bytes())?;

        let mut keeper = user
            .command("/usr/bin/setsid")
            .args(["bash", "-c", KEEPER, "keeper"])
            .arg(home.path())
            .arg(installation.server_program("postgres"))
            // A sanitizer's runtime: pgrx-tests/sanitize.sh.
            .envs(std::env::var_os("SERVER_PRELOAD").map(|library| ("LD_PRELOAD", library)))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start bash under setsid")?;
        let control = keeper.stdin.take();
        let cluster = Self {
            home: home.keep(),
            installation,
            keeper,
            control,
            databases: AtomicU32::new(0),
        };
        cluster.wait_until_ready()?;
        Ok(cluster)
    }

    /// A new database with the content of `fixture`.
    ///
    /// # Errors
    /// Whatever Postgres reports.
    pub fn database(&self, fixture: Fixture) -> Result<Database<'_>> {
        let name = format!("db_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        Database::create(self, name, fixture)
    }

    /// Waits until this standby has replayed everything that its primary has written.
    ///
    /// # Errors
    /// When it takes more than a minute.
    pub fn wait_for_replay(&self, primary: &mut Client) -> Result<()> {
        let written: String = primary
            .query_one("SELECT pg_current_wal_lsn()::text", &[])?
            .get(0);
        let mut standby = self.maintenance()?;
        for _ in 0..2400 {
            let question = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
            if standby.query_one(&question, &[])?.get::<_, Option<bool>>(0) == Some(true) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        bail!("the standby has not replayed {written}:\n{}", self.log()?)
    }

    /// The directory of the server's Unix socket.
    #[must_use]
    pub fn socket_directory(&self) -> &Path {
        &self.home
    }

    /// The Postgres that runs.
    #[must_use]
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// The server's log up to now.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.home.join("log"))?)
    }

    /// A client program of this Postgres, with the server's address in its environment.
    #[must_use]
    pub fn client_command(&self, program: &str) -> std::process::Command {
        let mut command = std::process::Command::new(self.installation.client_program(program));
        command
            .env("PGHOST", &self.home)
            .env("PGUSER", SUPERUSER)
            .env("PGOPTIONS", "")
            .env_remove("PGPORT")
            .env_remove("PGDATABASE");
        command
    }

    pub(crate) fn connection(&self, database: &str) -> postgres::Config {
        let mut config = postgres::Config::new();
        config
            .host_path(&self.home)
            .user(SUPERUSER)
            .dbname(database);
        config
    }

    fn wait_until_ready(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match self.connection("postgres").connect(NoTls) {
                Ok(_) => return Ok(()),
                Err(_) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20))
                }
                Err(error) => bail!(
                    "the server does not answer: {error}\n{}",
                    self.log().unwrap_or_default()
                ),
            }
        }
    }

    pub(crate) fn maintenance(&self) -> Result<Client> {
        Ok(self.connection("postgres").connect(NoTls)?)
    }
}

fn new_home() -> Result<tempfile::TempDir> {
    let home = tempfile::Builder::new().prefix("insforge-").tempdir()?;
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755))?;
    Ok(home)
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.control.take());
        let _ = self.keeper.wait();
    }
}

/// One cluster for all tests of a test program, each in a database of its own.
///
/// # Panics
/// When it cannot be started.
pub fn shared_cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        Cluster::start().unwrap_or_else(|error| panic!("no test server: {error:#}"))
    })
}
