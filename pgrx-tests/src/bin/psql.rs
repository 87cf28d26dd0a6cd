//! psql in a throwaway database that looks like InsForge's and has the extension.
//!
//! Arguments go to psql. `make psql` gives none.

use std::io::IsTerminal;

use anyhow::Result;
use insforge_integrations_tests::{Cluster, Fixture};

/// What a person is shown first. `tests/psql.rs` pastes the statements.
const GREETING: &str = "\
A throwaway database with the extension. It ends with this session. Three things to try:

-- 1. Who is asking? Policies compare the answer with a column of the row.
SELECT set_config('request.jwt.claims', '{\"sub\": \"user_2alice\"}', false) AS claims, requesting_user_id();

-- 2. Record a payment. If you run this again, it is refused.
SELECT payer_address, amount, explorer_url FROM record_x402_settlement('0x' || repeat('ab', 32),
  '0x857b06519E91e3A54538791bDbb0E22373e36b66', 'https://api.example.com/report', '10000');

-- 3. What is wrong with this database? Column recommendation has the cure.
SELECT severity, affected_object, title FROM insforge_integrations.advise();
";

fn main() -> Result<()> {
    let cluster = Cluster::start()?;
    let database = cluster.database(Fixture::Extension)?;
    if std::io::stdin().is_terminal() {
        println!("{GREETING}");
    }
    let status = cluster
        .client_command("psql")
        .env("PGDATABASE", database.name())
        .args(std::env::args_os().skip(1))
        .status()?;
    drop(cluster);
    std::process::exit(status.code().unwrap_or(1))
}
