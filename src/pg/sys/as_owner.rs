//! Running with the rights of somebody else.

use crate::error::Error;
use pgrx::pg_sys;

use crate::pg::error::Result;

/// The owner of a function.
pub fn owner_of(function: pg_sys::Oid) -> Result<pg_sys::Oid> {
    let function = pgrx::pg_catalog::pg_proc::PgProc::new(function);
    let function = function.ok_or_else(|| Error::bug("the function is gone"))?;
    Ok(function.proowner())
}

/// Runs `work` with the rights of a role, while names are looked up in pg_catalog only. `flags`: more of Postgres'
/// SECURITY_ flags than the change of user. An error of Postgres' ends both with the (sub)transaction.
///
/// SECURITY DEFINER with a SET clause does the same, and up to Postgres 16 costs a short transaction more than the
/// insertion of a row: the setting is written twice.
pub fn with_rights_of<T>(
    role: pg_sys::Oid,
    flags: u32,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let (mut user, mut context) = (pg_sys::Oid::INVALID, 0);
    // SAFETY: the end of the (sub)transaction puts back what an error of Postgres' leaves. Postgres copies the path.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&raw mut user, &raw mut context);
        let flags = flags | pg_sys::SECURITY_LOCAL_USERID_CHANGE;
        pg_sys::SetUserIdAndSecContext(role, context | flags as i32);
        #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
        {
            let mut path = pg_sys::OverrideSearchPath {
                addCatalog: true,
                ..Default::default()
            };
            pg_sys::PushOverrideSearchPath(&raw mut path);
        }
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        let settings = {
            let settings = pg_sys::NewGUCNestLevel();
            pg_sys::RestrictSearchPath();
            settings
        };
        let worked = work();
        #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
        pg_sys::PopOverrideSearchPath();
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        pg_sys::AtEOXact_GUC(false, settings);
        pg_sys::SetUserIdAndSecContext(user, context);
        worked
    }
}
