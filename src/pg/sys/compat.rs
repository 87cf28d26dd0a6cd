//! All differences between the versions of Postgres.

use pgrx::pg_sys;

/// Runs `work` while Postgres looks up names only in pg_catalog. After an error of Postgres, the
/// end of the (sub)transaction restores the path.
#[cfg(any(feature = "pg15", feature = "pg16"))]
pub(crate) fn in_pg_catalog<T>(work: impl FnOnce() -> T) -> T {
    let mut path = pg_sys::OverrideSearchPath {
        addCatalog: true,
        ..Default::default()
    };
    // SAFETY: Postgres copies the path.
    unsafe { pg_sys::PushOverrideSearchPath(&raw mut path) };
    let worked = work();
    // SAFETY: pushed above.
    unsafe { pg_sys::PopOverrideSearchPath() };
    worked
}

/// Runs `work` while Postgres looks up names only in pg_catalog. After an error of Postgres, the
/// end of the (sub)transaction restores the path.
#[cfg(not(any(feature = "pg15", feature = "pg16")))]
pub(crate) fn in_pg_catalog<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: called in a transaction.
    let level = unsafe {
        let level = pg_sys::NewGUCNestLevel();
        pg_sys::RestrictSearchPath();
        level
    };
    let worked = work();
    // SAFETY: begun above.
    unsafe { pg_sys::AtEOXact_GUC(false, level) };
    worked
}
