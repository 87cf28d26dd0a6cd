//! All differences between the versions of Postgres.

use pgrx::pg_sys;

pub(crate) use setting::{Place, text as setting};

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

/// Postgres 16 and later versions find a setting by a hash of its name.
#[cfg(not(feature = "pg15"))]
mod setting {
    use std::ffi::{CStr, c_char};

    use crate::pg::sys::fmgr::unguarded;

    /// Nothing to remember.
    pub(crate) struct Place;

    impl Place {
        pub(crate) const NOWHERE: Self = Self;
    }

    /// The text of a setting, or null while it is not set.
    ///
    /// # Safety
    /// Called in a backend. With `missing_ok` and without `restrict_privileged`, Postgres raises no
    /// error.
    #[inline(always)]
    pub(crate) unsafe fn text(name: &'static CStr, _: &Place) -> *const c_char {
        // SAFETY: the name ends with NUL.
        unsafe { unguarded::GetConfigOption(name.as_ptr(), true, false) }
    }
}

/// In Postgres 15 a lookup is a binary search with case folding, which takes most of a call's time.
/// This code first looks at the place where it found the setting the last time.
#[cfg(feature = "pg15")]
mod setting {
    use std::cell::Cell;
    use std::ffi::{CStr, c_char};

    use pgrx::pg_sys;

    use crate::pg::sys::fmgr::unguarded;

    // Without pgrx's guard, as the functions in `unguarded`. They raise nothing.
    unsafe extern "C-unwind" {
        fn GetNumConfigOptions() -> i32;
        fn get_guc_variables() -> *mut *mut pg_sys::config_generic;
    }

    /// Index of the setting in Postgres' array, and the array's length at the last search.
    pub(crate) struct Place {
        index: Cell<usize>,
        count: Cell<usize>,
    }

    impl Place {
        #[allow(clippy::declare_interior_mutable_const)]
        pub(crate) const NOWHERE: Self = Self {
            index: Cell::new(usize::MAX),
            count: Cell::new(0),
        };
    }

    /// The text of a setting, or null while it is not set.
    ///
    /// # Safety
    /// `place` belongs to this name. With `missing_ok` and without `restrict_privileged`, Postgres
    /// raises no error.
    #[inline(always)]
    pub(crate) unsafe fn text(name: &'static CStr, place: &Place) -> *const c_char {
        // SAFETY: the index is inside the array as it is now. Its element is whatever setting
        // stands there now: it is ours if the name is, and text if the type is.
        unsafe {
            let index = place.index.get();
            if index < GetNumConfigOptions() as usize {
                let found = *get_guc_variables().add(index);
                if (*found).vartype == pg_sys::config_type::PGC_STRING
                    && unguarded::strcmp((*found).name, name.as_ptr()) == 0
                {
                    return *(*found.cast::<pg_sys::config_string>())
                        .variable
                        .cast_const()
                        .cast();
                }
            }
            find(name, place)
        }
    }

    /// Searches all settings, and remembers the place if the setting exists.
    #[cold]
    unsafe fn find(name: &'static CStr, place: &Place) -> *const c_char {
        // SAFETY: every index below the count is inside the array.
        unsafe {
            let text = unguarded::GetConfigOption(name.as_ptr(), true, false);
            let count = GetNumConfigOptions() as usize;
            if !text.is_null() && place.count.get() != count {
                let settings = get_guc_variables();
                let is_it = |index: &usize| {
                    unguarded::strcmp((**settings.add(*index)).name, name.as_ptr()) == 0
                };
                place
                    .index
                    .set((0..count).find(is_it).unwrap_or(usize::MAX));
                place.count.set(count);
            }
            text
        }
    }
}
