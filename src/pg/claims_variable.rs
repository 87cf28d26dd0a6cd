//! Reading the custom variable `request.jwt.claims`.
//!
//! PostgREST and InsForge's backend set it; nobody defines it, and this extension must not: a
//! defined variable would read as '' instead of NULL to everybody else.

use std::ffi::{CStr, c_char};

use super::backend::unguarded;

const NAME: &CStr = c"request.jwt.claims";

/// The variable's text, `None` while it is not set. Valid until it is set again.
///
/// # Safety
/// The frame of the caller owns nothing: Postgres may leave it by `longjmp`.
#[inline(always)]
pub unsafe fn current() -> Option<*const c_char> {
    // SAFETY: a look-up that raises nothing, as `missing_ok` and not `restrict_privileged`.
    let text = unsafe {
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        if let Some(text) = remembered::current() {
            text
        } else {
            remembered::find(unguarded::GetConfigOption(NAME.as_ptr(), true, false))
        }
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        unguarded::GetConfigOption(NAME.as_ptr(), true, false)
    };
    (!text.is_null()).then_some(text)
}

/// Up to Postgres 15 a look-up is a binary search with case folding, which is most of what a call
/// costs. Here the place where the variable stood is looked at first.
#[cfg(any(feature = "pg14", feature = "pg15"))]
mod remembered {
    use super::{NAME, c_char, unguarded};
    use crate::pg::backend::BackendLocal;
    use pgrx::pg_sys;

    /// Index of the variable among all, and how many there were when it was last searched.
    struct Place {
        index: usize,
        count: usize,
    }

    static PLACE: BackendLocal<Place> = BackendLocal::new(Place { index: 0, count: 0 });

    /// The text, if the variable stands where it stood.
    #[inline(always)]
    pub unsafe fn current() -> Option<*const c_char> {
        // SAFETY: the index is inside the array as it is now. Its element is whatever variable
        // stands there now: it is ours if the name is, and text if the type is.
        unsafe {
            let index = (*PLACE.get()).index;
            if index >= unguarded::GetNumConfigOptions() as usize {
                return None;
            }
            let variable = *unguarded::get_guc_variables().add(index);
            let is_ours = (*variable).vartype == pg_sys::config_type::PGC_STRING
                && unguarded::strcmp((*variable).name, NAME.as_ptr()) == 0;
            is_ours.then(|| {
                *(*variable.cast::<pg_sys::config_string>())
                    .variable
                    .cast_const()
                    .cast()
            })
        }
    }

    /// Takes what the full search found, and remembers where it is if it is anywhere.
    #[cold]
    pub unsafe fn find(text: *const c_char) -> *const c_char {
        // SAFETY: every index below the count is inside the array.
        unsafe {
            let count = unguarded::GetNumConfigOptions() as usize;
            if !text.is_null() && (*PLACE.get()).count != count {
                let variables = unguarded::get_guc_variables();
                let found = (0..count).find(|index| {
                    unguarded::strcmp((**variables.add(*index)).name, NAME.as_ptr()) == 0
                });
                *PLACE.get() = Place {
                    index: found.unwrap_or(count),
                    count,
                };
            }
            text
        }
    }
}
