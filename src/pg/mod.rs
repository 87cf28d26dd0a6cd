//! The glue between Postgres and the pure modules: the only code that imports pgrx.

// pgrx keeps the SQLSTATE of an error only when it is exactly an ErrorReport, not a box of one.
#![allow(clippy::result_large_err)]

mod backend;
mod claims_variable;
mod encoding;
mod error;
mod identity;
mod settings;
mod table_cache;
