//! Postgres' run-time settings (GUCs), as far as this extension reads and sets them.
//!
//! PostgREST and InsForge's backend set `request.…` for each request. Nobody defines these settings, and this
//! extension must not: a defined one would read as '' instead of NULL to everybody else.

use crate::error::Error;
use std::ffi::{CStr, CString, c_char};

use pgrx::pg_sys;

use super::encoding::utf8;
use super::fmgr::unguarded;
use crate::pg::error::Result;

/// The text of a setting; `None` while it is not set or empty.
pub fn get(name: &'static CStr) -> Result<Option<String>> {
    let text = Setting::new(name).copy();
    let text = utf8(&text)?;
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// Sets a setting for the rest of the transaction, with the rights that `context` stands for.
pub fn set_local(name: &CStr, value: &str, context: pg_sys::GucContext::Type) -> Result<()> {
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

/// A setting by its name, for callers that read it often.
pub struct Setting {
    name: &'static CStr,
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    place: std::cell::Cell<remembered::Place>,
}

impl Setting {
    pub const fn new(name: &'static CStr) -> Self {
        Self {
            name,
            #[cfg(any(feature = "pg14", feature = "pg15"))]
            place: std::cell::Cell::new(remembered::NOWHERE),
        }
    }

    /// A copy of its text, "" while it is not set.
    pub fn copy(&self) -> CString {
        let text = self.pointer();
        if text.is_null() {
            return CString::default();
        }
        // SAFETY: Postgres keeps a text that ends with NUL, until the setting is set again.
        unsafe { CStr::from_ptr(text) }.to_owned()
    }

    /// Whether its text is `other`, without measuring it first.
    #[inline(always)]
    pub fn is(&self, other: &CStr) -> bool {
        let text = self.pointer();
        if text.is_null() {
            return other.is_empty();
        }
        // SAFETY: as in `copy`.
        unsafe { unguarded::strcmp(text, other.as_ptr()) == 0 }
    }

    #[inline(always)]
    fn pointer(&self) -> *const c_char {
        // SAFETY: a look-up that raises nothing, as `missing_ok` and not `restrict_privileged`.
        unsafe {
            #[cfg(any(feature = "pg14", feature = "pg15"))]
            return remembered::text(self);
            #[cfg(not(any(feature = "pg14", feature = "pg15")))]
            return unguarded::GetConfigOption(self.name.as_ptr(), true, false);
        }
    }
}

/// Up to Postgres 15 a look-up is a binary search with case folding, which is most of what a call
/// costs. Here the place where the setting stood is looked at first.
#[cfg(any(feature = "pg14", feature = "pg15"))]
mod remembered {
    use super::{Setting, c_char, unguarded};
    use pgrx::pg_sys;

    /// Index of the setting among all, and how many there were when it was last searched.
    #[derive(Clone, Copy)]
    pub struct Place {
        index: usize,
        count: usize,
    }

    pub const NOWHERE: Place = Place {
        index: usize::MAX,
        count: 0,
    };

    #[inline(always)]
    pub unsafe fn text(setting: &Setting) -> *const c_char {
        // SAFETY: the index is inside the array as it is now. Its element is whatever setting
        // stands there now: it is ours if the name is, and text if the type is.
        unsafe {
            let index = setting.place.get().index;
            if index < unguarded::GetNumConfigOptions() as usize {
                let found = *unguarded::get_guc_variables().add(index);
                if (*found).vartype == pg_sys::config_type::PGC_STRING
                    && unguarded::strcmp((*found).name, setting.name.as_ptr()) == 0
                {
                    return *(*found.cast::<pg_sys::config_string>())
                        .variable
                        .cast_const()
                        .cast();
                }
            }
            find(setting)
        }
    }

    /// Takes what the full search finds, and remembers where it is if it is anywhere.
    #[cold]
    unsafe fn find(setting: &Setting) -> *const c_char {
        // SAFETY: every index below the count is inside the array.
        unsafe {
            let text = unguarded::GetConfigOption(setting.name.as_ptr(), true, false);
            let count = unguarded::GetNumConfigOptions() as usize;
            if !text.is_null() && setting.place.get().count != count {
                let settings = unguarded::get_guc_variables();
                let found = (0..count).find(|index| {
                    unguarded::strcmp((**settings.add(*index)).name, setting.name.as_ptr()) == 0
                });
                setting.place.set(Place {
                    index: found.unwrap_or(usize::MAX),
                    count,
                });
            }
            text
        }
    }
}
