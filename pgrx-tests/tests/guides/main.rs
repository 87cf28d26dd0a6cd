//! The code of the guides, `docs/clients/*.ts`, with the real packages that it imports.

mod better_auth;
mod browser;
mod next;
mod pages;
mod shared;
mod types;

use insforge_integrations_tests::{Database, Fixture, node, shared_cluster};
use postgres::Client;
use serde_json::Value;

const SECRET: &str = "insforge's JWT_SECRET, 32 bytes or more";

/// A database with the table of the guides and InsForge's secret.
fn prepared() -> (Database<'static>, Client) {
    let database = shared_cluster().database(Fixture::Extension).unwrap();
    let mut superuser = database.connect().unwrap();
    superuser
        .execute(
            "SELECT insforge_integrations.set_jwt_secret($1)",
            &[&SECRET],
        )
        .unwrap();
    superuser
        .batch_execute(
            "CREATE TABLE public.notes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
               user_id text NOT NULL DEFAULT requesting_user_id(), body text NOT NULL);
             ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
             CREATE POLICY own_rows ON public.notes TO authenticated
               USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()))",
        )
        .unwrap();
    (database, superuser)
}

fn socket() -> &'static str {
    shared_cluster().socket_directory().to_str().unwrap()
}

/// What a script in `clients/guides/` printed.
fn run(script: &str, arguments: &[&str]) -> Value {
    let printed = node::run(&format!("guides/{script}"), arguments).unwrap();
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}
