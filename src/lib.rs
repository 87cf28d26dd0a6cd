//! `insforge_integrations`: a Postgres extension that identifies users, verifies signatures and
//! records payments.
//!
//! The modules of the crate root are pure: they take text and answer with `Result`s, know no
//! clock and no Postgres, and compile without it (`cargo check --lib --no-default-features`).
//! Everything that touches Postgres is in `pg`, present under the feature of a Postgres version.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::exit,
    clippy::print_stdout,
    clippy::print_stderr
)]
#![cfg_attr(not(feature = "extension"), forbid(unsafe_code))]
#![cfg_attr(
    any(test, feature = "pg_test"),
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::print_stdout,
        clippy::print_stderr
    )
)]

pub mod eip712;
pub mod error;
pub mod evm;
pub mod grant;
pub mod identity;
pub mod json;
#[cfg(feature = "jwks-fetch")]
pub mod jwks_fetch;
pub mod jwt;
#[cfg(feature = "extension")]
mod pg;
pub mod providers;
pub mod report;
pub mod secret_search;
pub mod settings;
pub mod x402;

#[cfg(feature = "extension")]
pgrx::pg_module_magic!(name, version);

/// Called by Postgres when it loads the library.
#[cfg(feature = "extension")]
#[pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {
    pg::init();
}

/// The install script: what pgrx generates from the functions in `pg`, and these files.
#[cfg(feature = "extension")]
mod install_script {
    use pgrx::{extension_sql_file, pg_schema};

    // sql/start.sql makes them first; pgrx wants to know of them.
    #[pg_schema]
    mod insforge_integrations {}
    #[pg_schema]
    mod insforge_integrations_internal {}

    /// Each file with its name, and the files and functions that must come before it.
    macro_rules! sql_files {
        ($($name:literal = $file:literal after [$($before:tt)*];)*) => {
            $(extension_sql_file!($file, name = $name, requires = [$($before)*]);)*
        };
    }

    extension_sql_file!("../sql/start.sql", name = "start", bootstrap);
    sql_files! {
        "settings" = "../sql/settings.sql" after [];
        "identity" = "../sql/identity.sql" after ["settings"];
        "adoption" = "../sql/adoption.sql" after ["identity"];
        "providers" = "../sql/providers.sql" after ["settings"];
        "register" = "../sql/register.sql" after ["providers", providers::provider_registration, refresh::discovery_document];
        "refresh" = "../sql/refresh.sql" after ["providers"];
        "seal" = "../sql/seal.sql" after ["providers", better_auth::better_auth_table];
        "exchange" = "../sql/exchange.sql" after ["providers"];
        "x402" = "../sql/x402.sql" after ["settings", evm::eip712_domain_separator, evm::to_checksum_address];
        "challenge" = "../sql/challenge.sql" after ["x402", x402::x402_challenge_parts];
        "ledger" = "../sql/ledger.sql" after ["x402", ledger::force_sync_commit];
        "reservations" = "../sql/reservations.sql" after ["ledger"];
        "settle" = "../sql/settle.sql" after ["reservations"];
        "sums" = "../sql/sums.sql" after ["ledger"];
        "payments_view" = "../sql/payments_view.sql" after ["reservations", "identity", "sums"];
        "books" = "../sql/books.sql" after ["payments_view"];
        "status" = "../sql/status.sql" after ["refresh", "reservations", status::session_status];
        "import" = "../sql/import.sql" after ["ledger", imports::read_settlement];
        "ledger_guard" = "../sql/ledger_guard.sql" after ["reservations"];
        "installed" = "../sql/installed.sql" after ["settings"];
        "advisor_facts" = "../sql/advisor/facts.sql" after ["identity", "settings"];
        "advise" = "../sql/advisor/advise.sql" after ["advisor_facts"];
        "advisor_policies" = "../sql/advisor/policies.sql" after ["advise"];
        "advisor_exposure" = "../sql/advisor/exposure.sql" after ["advise"];
        "advisor_secrets" = "../sql/advisor/secrets.sql" after ["advise"];
        "advisor_providers" = "../sql/advisor/providers.sql" after ["advise"];
        "advisor_identity" = "../sql/advisor/identity.sql" after ["advise"];
        "advisor_better_auth" = "../sql/advisor/better_auth.sql" after ["advise"];
        "advisor_payments" = "../sql/advisor/payments.sql" after ["advise"];
        "advisor_server" = "../sql/advisor/server.sql" after ["advise"];
    }
    extension_sql_file!("../sql/finalize.sql", name = "finalize", finalize);
}

/// `cargo pgrx test` looks for this module at the crate root.
#[cfg(all(test, feature = "pg_test"))]
pub mod pg_test {
    /// Called once before the first test.
    pub fn setup(_options: Vec<&str>) {}

    /// Lines for the test server's postgresql.conf.
    pub fn postgresql_conf_options() -> Vec<&'static str> {
        vec![]
    }
}
