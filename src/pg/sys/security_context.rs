//! Whose rights hold, and running with the rights of somebody else.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::compat;
use super::encoding::utf8;
use crate::pg::error::Result;

/// The name of the role whose rights hold now.
pub fn current_role() -> Result<String> {
    // SAFETY: the name of the current role, a new text.
    unsafe {
        let name = pg_sys::GetUserNameFromId(pg_sys::GetUserId(), false);
        Ok(utf8(CStr::from_ptr(name))?.to_owned())
    }
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
        let worked = compat::in_pg_catalog(work);
        pg_sys::SetUserIdAndSecContext(user, context);
        worked
    }
}
