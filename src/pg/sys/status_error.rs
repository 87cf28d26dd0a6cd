//! Errors that PostgREST turns into an HTTP status.

use std::ffi::{CStr, CString, c_char};

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::pg_sys::{self, Datum, FunctionCallInfo};
use pgrx::prelude::*;

use super::fmgr::unguarded;
use super::guc;
use crate::error::Error;
use crate::pg::error::{Result, packed};
use crate::providers;

/// An error in the form of Postgres' C functions, because pgrx has no name for its SQLSTATE.
#[derive(Clone, Copy)]
struct StatusError {
    code: i32,
    message: *const c_char,
    detail: *const c_char,
    hint: *const c_char,
}

/// The SQLSTATE that PostgREST turns into an HTTP status for the client.
const fn status(error: &Error) -> Option<&'static [u8; 5]> {
    match error {
        Error::Token(providers::Error::TokenRejected(_)) => Some(b"PT401"),
        Error::Token(providers::Error::MethodNotAllowed { .. }) => Some(b"PT405"),
        _ => None,
    }
}

/// Runs the body of a function and raises its error: with an HTTP status while PostgREST serves a
/// request, otherwise with the usual SQLSTATE.
///
/// # Safety
/// `call` is a valid call by Postgres' function manager. The frames of the caller and of this
/// function own nothing: an error leaves them by `longjmp`.
pub(crate) unsafe fn answer(
    call: FunctionCallInfo,
    body: fn(FunctionCallInfo) -> Result<Option<Datum>>,
) -> Datum {
    let mut error: *const StatusError = std::ptr::null();
    // SAFETY: as the caller promises; `error` then points into the caller's memory context.
    unsafe {
        let datum = guarded(call, body, &raw mut error);
        if !error.is_null() {
            raise(*error);
        }
        datum
    }
}

/// The part of [`answer`] that may own things. It has the C calling convention only for
/// `#[pg_guard]`.
#[pg_guard]
#[allow(improper_ctypes_definitions)]
unsafe extern "C-unwind" fn guarded(
    call: FunctionCallInfo,
    body: fn(FunctionCallInfo) -> Result<Option<Datum>>,
    status_error: *mut *const StatusError,
) -> Datum {
    let raised = |error: Error| -> Datum {
        error.raise();
        Datum::from(0)
    };
    let error = match body(call) {
        // SAFETY: the call is valid.
        Ok(answer) => unsafe {
            (*call).isnull = answer.is_none();
            return answer.unwrap_or(Datum::from(0));
        },
        Err(error) => error,
    };
    let code = match (status(&error), guc::get(c"request.method")) {
        (Some(code), Ok(Some(_))) => code,
        (_, Err(error)) => return raised(error),
        _ => return raised(error),
    };
    match StatusError::new(code, error.into()) {
        // SAFETY: the caller's variable.
        Ok(error) => unsafe {
            *status_error =
                pgrx::PgMemoryContexts::CurrentMemoryContext.leak_and_drop_on_delete(error)
        },
        Err(error) => return raised(error),
    }
    Datum::from(0)
}

impl StatusError {
    fn new(code: &[u8; 5], report: ErrorReport) -> Result<Self> {
        let text = |text: &str| -> Result<*const c_char> {
            let text = CString::new(text).map_err(Error::bug)?;
            // SAFETY: copies a text that ends with NUL.
            Ok(unsafe { pg_sys::pstrdup(text.as_ptr()) })
        };
        Ok(Self {
            code: packed(code),
            message: text(report.message())?,
            detail: text(report.detail().unwrap_or_default())?,
            hint: text(report.hint().unwrap_or_default())?,
        })
    }
}

/// # Safety
/// No Rust frame up to the next C frame owns anything.
unsafe fn raise(error: StatusError) {
    const TEXT: &CStr = c"%s";
    // SAFETY: the texts end with NUL and are arguments of a format that wants one text.
    unsafe {
        unguarded::errstart(PgLogLevel::ERROR as i32, std::ptr::null());
        unguarded::errcode(error.code);
        unguarded::errmsg(TEXT.as_ptr(), error.message);
        unguarded::errdetail(TEXT.as_ptr(), error.detail);
        unguarded::errhint(TEXT.as_ptr(), error.hint);
        unguarded::errfinish(c"".as_ptr(), 0, c"insforge_integrations".as_ptr());
    }
}
