//! The glue between Postgres and the pure modules: the only code that imports pgrx.

// pgrx keeps the SQLSTATE of an error only when it is exactly an ErrorReport, not a box of one.
#![allow(clippy::result_large_err)]

mod as_owner;
mod backend;
mod better_auth;
mod bound_identity;
mod claims_variable;
mod clock;
#[cfg(any(feature = "pg14", feature = "pg15"))]
mod direct_insert;
mod encoding;
mod error;
mod evm;
mod exchange;
mod foreign_rows;
mod identity;
mod imports;
mod jsonb;
mod kept_plan;
mod ledger;
mod ledger_guard;
mod pre_request;
mod providers;
mod realtime;
mod refresh;
mod request;
mod reservations;
mod rows;
mod sessions;
mod settings;
mod table_cache;
mod variables;
mod verification;
mod verified_tokens;
mod x402;

/// What the library does when a session loads it.
pub fn init() {
    bound_identity::define();
}
