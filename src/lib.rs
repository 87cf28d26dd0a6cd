//! `insforge_integrations`: a Postgres extension that says who is asking, and what was signed and paid.
//!
//! The modules of the crate root are pure: they take text and answer with `Result`s, know no
//! clock and no Postgres, and compile without it (`cargo check --lib --no-default-features`).
//! Everything that touches Postgres is in `pg`, present under the feature of a Postgres version.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![cfg_attr(not(feature = "extension"), forbid(unsafe_code))]
#![cfg_attr(
    any(test, feature = "pg_test"),
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod better_auth;
pub mod eip712;
pub mod error;
pub mod evm;
pub mod json;
#[cfg(feature = "jwks-fetch")]
pub mod jwks_fetch;
pub mod jwt;
#[cfg(feature = "extension")]
mod pg;
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

#[cfg(feature = "extension")]
mod install_script {
    use pgrx::{extension_sql_file, pg_schema};

    extension_sql_file!("../sql/conflicts.sql", name = "conflicts", bootstrap);

    #[pg_schema]
    mod insforge_integrations {}

    extension_sql_file!(
        "../sql/settings.sql",
        name = "settings",
        requires = [insforge_integrations]
    );
    extension_sql_file!("../sql/identity.sql", name = "identity");
    extension_sql_file!(
        "../sql/adoption.sql",
        name = "adoption",
        requires = ["identity", "settings"]
    );
    extension_sql_file!(
        "../sql/providers.sql",
        name = "providers",
        requires = ["settings"]
    );
    extension_sql_file!(
        "../sql/register.sql",
        name = "register",
        requires = ["providers", pg::providers::provider_registration]
    );
    extension_sql_file!(
        "../sql/refresh.sql",
        name = "refresh",
        requires = ["providers"]
    );
    extension_sql_file!(
        "../sql/seal.sql",
        name = "seal",
        requires = ["providers", pg::better_auth::better_auth_table]
    );
    extension_sql_file!(
        "../sql/exchange.sql",
        name = "exchange",
        requires = ["providers"]
    );
    extension_sql_file!(
        "../sql/x402.sql",
        name = "x402",
        requires = [
            "settings",
            pg::evm::eip712_domain_separator,
            pg::evm::to_checksum_address
        ]
    );
    extension_sql_file!(
        "../sql/ledger.sql",
        name = "ledger",
        requires = ["x402", pg::ledger::force_sync_commit]
    );
    extension_sql_file!(
        "../sql/reservations.sql",
        name = "reservations",
        requires = ["ledger", "identity", pg::reservations::read_x402_payment]
    );
    extension_sql_file!(
        "../sql/settle.sql",
        name = "settle",
        requires = [
            "reservations",
            pg::ledger::insert_x402_settlement,
            pg::reservations::mock_settlements_are_allowed,
            pg::x402::x402_facilitator_request,
            pg::x402::x402_payment_response_header
        ]
    );
    extension_sql_file!(
        "../sql/payments_view.sql",
        name = "payments_view",
        requires = ["reservations", "identity"]
    );
    extension_sql_file!(
        "../sql/import.sql",
        name = "import",
        requires = ["ledger", pg::reservations::read_x402_settlement]
    );
    extension_sql_file!(
        "../sql/ledger_guard.sql",
        name = "ledger_guard",
        requires = ["reservations"]
    );
    extension_sql_file!(
        "../sql/installed.sql",
        name = "installed",
        requires = [insforge_integrations]
    );
    extension_sql_file!(
        "../sql/comments.sql",
        name = "comments",
        requires = [
            pg::better_auth::better_auth_problems,
            pg::ledger::force_sync_commit,
            pg::ledger::insert_x402_settlement,
            pg::realtime::call_as_its_owner,
            pg::reservations::mock_settlements_are_allowed,
            pg::reservations::x402_reservation_after,
            pg::reservations::read_x402_payment,
            pg::reservations::read_x402_settlement,
            pg::reservations::x402_transaction_hash,
            pg::secret_search::holds_secret,
            pg::settings::configure,
            pg::evm::keccak256,
            pg::evm::to_checksum_address,
            pg::evm::recover_signer,
            pg::evm::eip712_encode_type,
            pg::evm::eip712_domain_separator,
            pg::evm::eip712_hash_struct,
            pg::evm::eip712_digest,
            pg::evm::eip712_recover,
            pg::evm::eip712_verify,
            pg::providers::provider_registration,
            pg::providers::set_provider_jwks,
            pg::refresh::refresh_provider_jwks,
            pg::exchange::issue_insforge_token,
            pg::verification::verify_provider_jwt,
            pg::verification::inspect_provider_jwt,
            pg::verification::authenticate,
            pg::verification::deauthenticate,
            pg::x402::x402_payment_requirements,
            pg::x402::x402_payment_required_header,
            pg::x402::x402_payment_response_header,
            pg::x402::x402_decode_header,
            pg::x402::x402_facilitator_request,
            pg::x402::verify_x402_payment
        ]
    );
    extension_sql_file!(
        "../sql/advisor/facts.sql",
        name = "advisor_facts",
        requires = ["identity", "settings"]
    );
    extension_sql_file!(
        "../sql/advisor/advise.sql",
        name = "advise",
        requires = ["advisor_facts"]
    );
    extension_sql_file!(
        "../sql/advisor/policies.sql",
        name = "advisor_policies",
        requires = ["advise"]
    );
    extension_sql_file!(
        "../sql/advisor/exposure.sql",
        name = "advisor_exposure",
        requires = ["advise"]
    );
    extension_sql_file!(
        "../sql/advisor/secrets.sql",
        name = "advisor_secrets",
        requires = ["advise"]
    );
    extension_sql_file!(
        "../sql/advisor/providers.sql",
        name = "advisor_providers",
        requires = ["advise"]
    );
    extension_sql_file!(
        "../sql/advisor/identity.sql",
        name = "advisor_identity",
        requires = ["advise"]
    );
    extension_sql_file!(
        "../sql/advisor/better_auth.sql",
        name = "advisor_better_auth",
        requires = ["advise"]
    );
    extension_sql_file!(
        "../sql/advisor/payments.sql",
        name = "advisor_payments",
        requires = ["advise"]
    );
    extension_sql_file!(
        "../sql/advisor/server.sql",
        name = "advisor_server",
        requires = ["advise"]
    );
    extension_sql_file!("../sql/privileges.sql", name = "privileges", finalize);
}

/// What `cargo pgrx test` looks for at the crate root.
#[cfg(all(test, feature = "pg_test"))]
pub mod pg_test {
    /// Called once before the first test.
    pub fn setup(_options: Vec<&str>) {}

    /// Lines for the test server's postgresql.conf.
    pub fn postgresql_conf_options() -> Vec<&'static str> {
        vec![]
    }
}
