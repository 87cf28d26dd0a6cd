//! The glue between Postgres and the pure modules. No other code imports pgrx.

// pgrx keeps the SQLSTATE only of an ErrorReport, not of a boxed one.
#![allow(clippy::result_large_err)]
#![deny(ffi_unwind_calls)]

mod error;
pub(crate) mod payments;
mod settings;
mod sys;
pub(crate) mod tokens;

/// Runs when a session loads the library.
pub(crate) fn init() {
    sys::bound_identity::define();
}
