//! The system user that runs a server. Postgres refuses to run as root.

use std::os::unix::fs::lchown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use nix::unistd::{Gid, Uid, User};

/// An unprivileged user.
#[derive(Clone, Copy)]
pub(crate) struct ServerUser {
    uid: Uid,
    gid: Gid,
}

impl ServerUser {
    /// The user that runs the tests. For root, the user `postgres` of Debian's packages.
    pub(crate) fn find() -> Result<Self> {
        if !Uid::effective().is_root() {
            return Ok(Self {
                uid: Uid::effective(),
                gid: Gid::effective(),
            });
        }
        let user = User::from_name("postgres")?
            .context("running as root, and there is no user postgres to run the server as")?;
        Ok(Self {
            uid: user.uid,
            gid: user.gid,
        })
    }

    /// A command that runs as this user, without the caller's environment for Postgres and for Rust's backtraces.
    pub(crate) fn command(self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .current_dir("/")
            .env_remove("RUST_BACKTRACE")
            .env_remove("PGPORT")
            .env("LC_ALL", "C.UTF-8");
        if Uid::effective().is_root() {
            command.uid(self.uid.as_raw()).gid(self.gid.as_raw());
        }
        command
    }

    /// Gives a directory and everything below it to this user. Links are changed, not their
    /// targets.
    pub(crate) fn own(self, path: &Path) -> Result<()> {
        lchown(path, Some(self.uid.as_raw()), Some(self.gid.as_raw()))
            .with_context(|| format!("chown {}", path.display()))?;
        if path.symlink_metadata()?.is_dir() {
            for entry in std::fs::read_dir(path)? {
                self.own(&entry?.path())?;
            }
        }
        Ok(())
    }
}
