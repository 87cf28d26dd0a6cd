//! Declarations of C functions for Postgres, and calls into Postgres that a hot path makes without
//! pgrx's guard.

use std::ffi::{c_char, c_void};

/// Declares a C function for Postgres' function manager, which looks for `pg_finfo_` and the
/// function's name.
macro_rules! function_info {
    ($info:ident) => {
        #[doc = "Declares a function to the function manager."]
        #[unsafe(no_mangle)]
        pub(crate) extern "C" fn $info() -> &'static pgrx::pg_sys::Pg_finfo_record {
            const RECORD: pgrx::pg_sys::Pg_finfo_record =
                pgrx::pg_sys::Pg_finfo_record { api_version: 1 };
            &RECORD
        }
    };
}
pub(in crate::pg) use function_info;

/// Postgres' own functions without pgrx's guard. The guard takes longer than these calls.
///
/// They may leave by `longjmp`, so a frame that calls one must own nothing that needs dropping.
pub(crate) mod unguarded {
    use super::{c_char, c_void};

    unsafe extern "C-unwind" {
        pub(crate) fn GetConfigOption(
            name: *const c_char,
            missing_ok: bool,
            restrict_privileged: bool,
        ) -> *const c_char;
        pub(crate) fn AcceptInvalidationMessages();
        pub(crate) fn GetCurrentStatementStartTimestamp() -> pgrx::pg_sys::TimestampTz;
        pub(crate) fn palloc(size: usize) -> *mut c_void;
        pub(crate) fn strcmp(left: *const c_char, right: *const c_char) -> i32;
        pub(crate) fn errstart(level: i32, domain: *const c_char) -> bool;
        pub(crate) fn errcode(code: i32) -> i32;
        pub(crate) fn errmsg(format: *const c_char, ...) -> i32;
        pub(crate) fn errdetail(format: *const c_char, ...) -> i32;
        pub(crate) fn errhint(format: *const c_char, ...) -> i32;
        pub(crate) fn errfinish(file: *const c_char, line: i32, function: *const c_char);
    }
}
