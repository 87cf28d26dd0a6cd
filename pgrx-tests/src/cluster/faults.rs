//! Faults of a server.

use std::fs;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::Cluster;
use crate::server_user::ServerUser;

impl Cluster {
    /// Kills every process of the server with SIGKILL at once, then starts it again.
    ///
    /// # Errors
    /// When the server does not come back.
    pub fn crash(&mut self) -> Result<()> {
        let postmaster = self.postmaster()?;
        let send = |pid: i32, signal| {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
        };
        // A stopped server starts no new children while the others are killed.
        send(postmaster, Signal::SIGSTOP);
        let children = children_of(postmaster)?;
        for pid in children.iter().chain([&postmaster]) {
            send(*pid, Signal::SIGKILL);
        }
        // A process that is left keeps the server's memory, and no other server could start.
        while children.iter().any(|pid| is_running(*pid)) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.start_again()
    }

    /// Ends the server, and keeps its data.
    pub(super) fn stop(&self) -> Result<()> {
        let postmaster = self.postmaster()?;
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(postmaster), Signal::SIGINT)?;
        while is_running(postmaster) {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Starts the server again once it has ended.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn start_again(&mut self) -> Result<()> {
        let control = self.control.as_mut().context("the cluster is stopping")?;
        control.write_all(b"restart\n")?;
        self.wait_until_ready()
    }

    /// Lets the server's processes write no file beyond this number of bytes (`None`: no limit). To
    /// them this looks like a full disk, and it needs no privilege and no disk.
    ///
    /// # Errors
    /// When there is no server, or no program `prlimit`.
    pub fn limit_files(&self, bytes: Option<u64>) -> Result<()> {
        let postmaster = self.postmaster()?;
        let limit = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        // New processes inherit the postmaster's limit.
        let mut processes = vec![postmaster];
        processes.extend(children_of(postmaster)?);
        for pid in processes {
            // Only the soft limit changes. A process that has ended meanwhile needs none.
            ServerUser::find()?
                .command("prlimit")
                .args([format!("--pid={pid}"), format!("--fsize={limit}:")])
                .output()
                .context("cannot run prlimit")?;
        }
        Ok(())
    }

    fn postmaster(&self) -> Result<i32> {
        let pid_file = fs::read_to_string(self.home.join("data/postmaster.pid"))?;
        let pid = pid_file.lines().next().context("empty postmaster.pid")?;
        Ok(pid.parse()?)
    }
}

/// Whether a process exists and has not ended yet.
fn is_running(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().next());
    state.is_some_and(|state| state != "Z")
}

fn children_of(parent: i32) -> Result<Vec<i32>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            continue;
        };
        // After the command's name in parentheses: state, then the parent.
        let parent_field = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1));
        if parent_field.and_then(|field| field.parse::<i32>().ok()) == Some(parent) {
            children.push(pid);
        }
    }
    Ok(children)
}
