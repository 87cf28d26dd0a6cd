//! psql in a throwaway database that looks like InsForge's and has the extension.
//!
//! Arguments go to psql. `make psql` gives none.

use anyhow::Result;
use insforge_integrations_tests::{Cluster, Fixture};

fn main() -> Result<()> {
    let cluster = Cluster::start()?;
    let database = cluster.database(Fixture::Extension)?;
    let status = cluster
        .client_command("psql")
        .env("PGDATABASE", database.name())
        .args(std::env::args_os().skip(1))
        .status()?;
    drop(cluster);
    std::process::exit(status.code().unwrap_or(1))
}
