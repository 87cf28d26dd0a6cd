//! The run-time settings (GUCs) that this extension reads and sets.
//!
//! PostgREST and InsForge's backend set `request.…` for each request. Nobody defines these
//! settings. This extension must not define them either: other readers would then get '' instead of
//! NULL.

use crate::error::Error;
use std::ffi::{CStr, CString, c_char};

use pgrx::pg_sys;

use super::encoding::utf8;
use super::fmgr::unguarded;
use crate::pg::error::Result;

/// The text of a setting; `None` while it is empty or not set.
pub(crate) fn get(name: &'static CStr) -> Result<Option<String>> {
    let text = Setting::new(name).copy();
    let text = utf8(&text)?;
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// Sets a setting for the rest of the transaction, with the rights of `context`.
pub(crate) fn set_local(name: &CStr, value: &str, context: pg_sys::GucContext::Type) -> Result<()> {
    let value = CString::new(value).map_err(Error::bug)?;
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

/// A setting that is read often, without pgrx's guard.
pub(crate) struct Setting {
    name: &'static CStr,
}

impl Setting {
    pub(crate) const fn new(name: &'static CStr) -> Self {
        Self { name }
    }

    /// A copy of the text; "" while it is not set.
    pub(crate) fn copy(&self) -> CString {
        let text = self.pointer();
        if text.is_null() {
            return CString::default();
        }
        // SAFETY: the text ends with NUL, and Postgres keeps it until the setting is set again.
        unsafe { CStr::from_ptr(text) }.to_owned()
    }

    /// Whether the text is `other`. It compares without measuring the text first.
    #[inline(always)]
    pub(crate) fn is(&self, other: &CStr) -> bool {
        let text = self.pointer();
        if text.is_null() {
            return other.is_empty();
        }
        // SAFETY: as in `copy`.
        unsafe { unguarded::strcmp(text, other.as_ptr()) == 0 }
    }

    #[inline(always)]
    fn pointer(&self) -> *const c_char {
        // SAFETY: the name ends with NUL. With `missing_ok` and without `restrict_privileged`,
        // Postgres raises no error.
        unsafe { unguarded::GetConfigOption(self.name.as_ptr(), true, false) }
    }
}
