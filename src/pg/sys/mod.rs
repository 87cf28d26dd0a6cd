//! Postgres from below: functions called by its function manager, settings, caches, statements, other roles' rights.
//!
//! Only this room calls Postgres without pgrx's guard. Such a call can leave by `longjmp`, so the frames
//! between it and Postgres own nothing.

#![allow(ffi_unwind_calls)]

pub mod as_owner;
pub mod bound_identity;
pub mod encoding;
pub mod fmgr;
pub mod guc;
pub mod identity;
pub mod statement;
pub mod status_error;
pub mod table_cache;
#[cfg(feature = "jwks-fetch")]
pub mod threads;
