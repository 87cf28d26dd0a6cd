//! Where the data of a new server comes from.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Cluster, SUPERUSER};
use crate::installation::Installation;
use crate::server_user::ServerUser;

pub(super) enum Origin<'a> {
    /// A new server.
    New,
    /// The primary of a standby.
    StandbyOf(&'a Cluster),
    /// A stopped server of an older major version.
    UpgradeOf(&'a Cluster),
}

impl Origin<'_> {
    pub(super) fn make_data(
        &self,
        user: ServerUser,
        installation: &Installation,
        data: &Path,
    ) -> Result<()> {
        match self {
            Self::New => initdb(user, installation, data, &[]),
            Self::StandbyOf(primary) => run(user
                .command(installation.client_program("pg_basebackup"))
                .args(["--username", SUPERUSER, "--checkpoint=fast", "--no-sync"])
                .args(["--write-recovery-conf", "--host"])
                .arg(&primary.home)
                .arg("-D")
                .arg(data)),
            Self::UpgradeOf(old) => {
                // Postgres 18 has checksums by default, and both servers must agree.
                initdb(user, installation, data, &["--no-data-checksums"])
                    .or_else(|_| initdb(user, installation, data, &[]))?;
                // The sockets of both servers are in the current directory.
                let upgraded = run(user
                    .command(installation.server_program("pg_upgrade"))
                    .current_dir(&old.home)
                    .args(["--username", SUPERUSER, "--no-sync", "--old-bindir"])
                    .arg(old.installation.programs())
                    .arg("--new-bindir")
                    .arg(installation.programs())
                    .arg("--old-datadir")
                    .arg(old.home.join("data"))
                    .arg("--new-datadir")
                    .arg(data));
                upgraded.with_context(|| logs(&data.join("pg_upgrade_output.d")))
            }
        }
    }
}

fn initdb(user: ServerUser, installation: &Installation, data: &Path, more: &[&str]) -> Result<()> {
    run(user
        .command(installation.server_program("initdb"))
        .args(["--username", SUPERUSER, "--auth", "trust"])
        .args(["--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"])
        .args(more)
        .arg("-D")
        .arg(data))
}

/// The logs of pg_upgrade, which end with the new server's directory.
fn logs(directory: &Path) -> String {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let texts = entries.map(|entry| match entry.path() {
        path if path.is_dir() => logs(&path),
        path if path.extension().is_some_and(|extension| extension == "log") => {
            std::fs::read_to_string(path).unwrap_or_default()
        }
        _ => String::new(),
    });
    texts.collect()
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    ensure!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
