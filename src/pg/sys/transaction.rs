//! What holds for the transaction.

use pgrx::pg_sys;

/// Makes the commit of this transaction wait for the disk, whatever `synchronous_commit` says.
pub fn force_sync_commit() {
    // SAFETY: sets a variable of the transaction.
    unsafe { pg_sys::ForceSyncCommit() };
}

/// Whether each statement sees what others committed before it (READ COMMITTED).
pub fn sees_what_others_commit() -> bool {
    // SAFETY: reads a variable of the transaction.
    unsafe { pg_sys::XactIsoLevel < pg_sys::XACT_REPEATABLE_READ as i32 }
}
