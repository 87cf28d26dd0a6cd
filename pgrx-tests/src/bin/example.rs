//! An example of docs/examples/ on a throwaway server, which ends with it.
//!
//! `make example-shop` and `make example-notes` run it.

use anyhow::{Context, Result};
use insforge_integrations_tests::{Cluster, Fixture, example};

fn main() -> Result<()> {
    let name = std::env::args().nth(1).context("which example?")?;
    let cluster = Cluster::start()?;
    let database = cluster.database(Fixture::Extension)?;
    println!(
        "The database: psql -h {} -U postgres {}",
        cluster.socket_directory().display(),
        database.name()
    );
    let status = example::command(&name, &database)?.status()?;
    drop(cluster);
    std::process::exit(status.code().unwrap_or(1))
}
