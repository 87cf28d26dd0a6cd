//! The glue between Postgres and the pure modules: the only code that imports pgrx.

// pgrx keeps the SQLSTATE of an error only when it is exactly an ErrorReport, not a box of one.
#![allow(clippy::result_large_err)]
#![deny(ffi_unwind_calls)]

mod better_auth;
mod clock;
mod error;
mod evm;
mod exchange;
mod foreign_rows;
mod imports;
mod jsonb;
mod ledger;
mod ledger_guard;
mod pre_request;
mod providers;
mod realtime;
mod refresh;
mod request;
mod reservations;
mod rows;
mod secret_search;
mod sessions;
mod settings;
mod sys;
mod verdict;
mod verification;
mod verified_tokens;
mod x402;

/// What the library does when a session loads it.
pub fn init() {
    sys::bound_identity::define();
}
