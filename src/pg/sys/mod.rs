//! Everything that needs `unsafe`: C functions, settings, caches, statements, other roles' rights.
//!
//! Only this room calls Postgres without pgrx's guard. Such a call can leave by `longjmp`, so no
//! frame on the way owns anything.

#![allow(ffi_unwind_calls)]

pub mod bound_identity;
pub mod clock;
pub mod compat;
pub mod drop_statement;
pub mod encoding;
pub mod entry;
pub mod fmgr;
pub mod foreign_rows;
pub mod guc;
pub mod heap_scan;
pub mod identity;
pub mod jsonb;
pub mod ordinary_table;
pub mod security_context;
pub mod statement;
pub mod status_error;
pub mod table_cache;
#[cfg(feature = "jwks-fetch")]
pub mod threads;
pub mod transaction;
