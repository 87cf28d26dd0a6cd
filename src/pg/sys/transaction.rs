//! The present transaction.

use std::ffi::CStr;

use pgrx::pg_sys;

/// Makes the commit of this transaction wait for the disk, even if `synchronous_commit` is off.
pub(crate) fn force_sync_commit() {
    // SAFETY: sets a variable of the transaction.
    unsafe { pg_sys::ForceSyncCommit() };
}

/// Whether each statement sees all rows that were committed before it (READ COMMITTED).
pub(crate) fn sees_what_others_commit() -> bool {
    // SAFETY: reads a variable of the transaction.
    unsafe { pg_sys::XactIsoLevel < pg_sys::XACT_REPEATABLE_READ as i32 }
}

/// Raises 25006 on a standby and in a read-only transaction. pgrx's SPI asks for a transaction's
/// number before it runs a statement, which on a standby raises XX000.
pub(crate) fn refuse_if_read_only(function: &'static CStr) {
    // SAFETY: raises an error or does nothing.
    unsafe { pg_sys::PreventCommandIfReadOnly(function.as_ptr()) };
}
