//! The present transaction.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::heap_scan::relation_in_schema;

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

/// Whether nothing can be written, as on a standby.
pub(crate) fn is_read_only() -> bool {
    // SAFETY: reads a variable of the transaction.
    unsafe { pg_sys::XactReadOnly }
}

/// Raises 25006 on a standby and in a read-only transaction. pgrx's SPI asks for a transaction's
/// number before it runs a statement, which on a standby raises XX000.
pub(crate) fn refuse_if_read_only(function: &'static CStr) {
    // SAFETY: raises an error or does nothing.
    unsafe { pg_sys::PreventCommandIfReadOnly(function.as_ptr()) };
}

/// Takes a table's ROW SHARE lock until the transaction ends.
pub(crate) fn lock_in_row_share(schema: &CStr, table: &CStr) {
    // SAFETY: called in a transaction. Waits, and raises an error if it may not.
    unsafe {
        let table = relation_in_schema(schema, table);
        pg_sys::LockRelationOid(table, pg_sys::RowShareLock as pg_sys::LOCKMODE);
    }
}
