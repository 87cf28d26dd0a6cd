//! The glue between Postgres and the pure modules: the only code that imports pgrx.

// pgrx keeps the SQLSTATE of an error only when it is exactly an ErrorReport, not a box of one.
#![allow(clippy::result_large_err)]
#![deny(ffi_unwind_calls)]

mod error;
pub mod payments;
mod settings;
mod sys;
pub mod tokens;

/// What the library does when a session loads it.
pub fn init() {
    sys::bound_identity::define();
}
