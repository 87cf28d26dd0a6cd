//! Everything that needs `unsafe`: C functions, settings, caches, statements, other roles' rights.
//!
//! Only this room calls Postgres without pgrx's guard. Such a call can leave by `longjmp`, so no
//! frame on the way owns anything.

#![allow(ffi_unwind_calls)]

pub(super) mod bound_identity;
pub(super) mod clock;
pub(super) mod compat;
pub(super) mod composite;
pub(super) mod drop_statement;
pub(super) mod encoding;
pub(super) mod entry;
pub(super) mod fmgr;
pub(super) mod foreign_rows;
mod former;
pub(super) mod guc;
pub(super) mod heap_scan;
pub(super) mod identity;
pub(super) mod jsonb;
pub(super) mod ordinary_table;
mod request_body;
pub(super) mod security_context;
pub(super) mod statement;
pub(super) mod status_error;
pub(super) mod table_cache;
#[cfg(feature = "jwks-fetch")]
pub(super) mod threads;
pub(super) mod transaction;
pub(super) mod workers;
