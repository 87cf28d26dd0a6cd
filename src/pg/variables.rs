//! Postgres' run-time variables, as far as this extension reads and sets them.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;

use super::encoding::{from_server, to_server};
use super::error::{Result, internal};

/// The text of a variable; `None` while it is not set or empty.
pub fn get(name: &CStr) -> Result<Option<String>> {
    // SAFETY: a look-up that raises nothing, as `missing_ok` and not `restrict_privileged`; the
    // text is copied before anything can set the variable again.
    unsafe {
        let text = pg_sys::GetConfigOption(name.as_ptr(), true, false);
        if text.is_null() || *text == 0 {
            return Ok(None);
        }
        Ok(Some(from_server(CStr::from_ptr(text))?.into_owned()))
    }
}

/// Sets a variable for the rest of the transaction, with the rights that `context` stands for.
pub fn set_local(name: &CStr, value: &str, context: pg_sys::GucContext::Type) -> Result<()> {
    let value = CString::new(to_server(value)).map_err(internal)?;
    // SAFETY: both texts end with NUL and are copied by the call.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            context,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_LOCAL,
            true,
            0,
            false,
        );
    }
    Ok(())
}
