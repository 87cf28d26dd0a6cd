//! The current role, and code that runs with the rights of another role.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;

use super::compat;
use super::encoding::utf8;
use crate::error::Error;
use crate::pg::error::Result;

/// The name of the current role.
pub(crate) fn current_role() -> Result<String> {
    // SAFETY: the name of the current role, a new text.
    unsafe {
        let name = pg_sys::GetUserNameFromId(pg_sys::GetUserId(), false);
        Ok(utf8(CStr::from_ptr(name))?.to_owned())
    }
}

/// Whether a role has this name.
pub(crate) fn role_exists(name: &str) -> Result<bool> {
    let name = CString::new(name).map_err(Error::bug)?;
    // SAFETY: the name ends with NUL, and a missing role is no error.
    let role = unsafe { pg_sys::get_role_oid(name.as_ptr(), true) };
    Ok(role != pg_sys::Oid::INVALID)
}

/// Runs `work` as VACUUM runs the functions of an index: with the rights of a role, under
/// SECURITY_RESTRICTED_OPERATION, for which SQL has no word, and with names looked up only in
/// pg_catalog. After an error, the end of the (sub)transaction restores all of it.
pub(crate) fn restricted_to<T>(role: pg_sys::Oid, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let (mut user, mut context) = (pg_sys::Oid::INVALID, 0);
    // SAFETY: after an error, the end of the (sub)transaction restores both. Postgres copies the
    // path.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&raw mut user, &raw mut context);
        let flags = pg_sys::SECURITY_RESTRICTED_OPERATION | pg_sys::SECURITY_LOCAL_USERID_CHANGE;
        pg_sys::SetUserIdAndSecContext(role, context | flags as i32);
        let worked = compat::in_pg_catalog(work);
        pg_sys::SetUserIdAndSecContext(user, context);
        worked
    }
}
