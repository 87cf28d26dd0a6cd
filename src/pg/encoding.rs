//! Text between the server's encoding and UTF-8, which the pure modules work in.

use std::borrow::Cow;
use std::ffi::CStr;

use pgrx::pg_sys;

use super::error::{Result, internal};

/// The text of a C string of the server as UTF-8; as it stands when the server's encoding is UTF-8.
///
/// Raises Postgres' own error for bytes that have no place in the server's encoding.
pub fn from_server(text: &CStr) -> Result<Cow<'_, str>> {
    let length = text.to_bytes().len() as i32;
    // SAFETY: the pointer and length are those of `text`; the result is `text` itself or a
    // NUL-terminated copy in the current memory context, which outlives this call.
    let utf8 = unsafe {
        CStr::from_ptr(pg_sys::pg_server_to_any(
            text.as_ptr(),
            length,
            pg_sys::pg_enc::PG_UTF8 as i32,
        ))
    };
    let utf8 = utf8.to_str().map_err(internal)?;
    Ok(if std::ptr::eq(utf8.as_ptr(), text.as_ptr().cast()) {
        Cow::Borrowed(utf8)
    } else {
        Cow::Owned(utf8.to_owned())
    })
}

/// The bytes of a text in the server's encoding.
///
/// Raises Postgres' own error for characters that the server's encoding does not have.
pub fn to_server(text: &str) -> Cow<'_, [u8]> {
    // SAFETY: pointer and length belong together; a converted copy is NUL-terminated.
    unsafe {
        let source = text.as_ptr().cast();
        let converted =
            pg_sys::pg_any_to_server(source, text.len() as i32, pg_sys::pg_enc::PG_UTF8 as i32);
        if std::ptr::eq(converted, source) {
            Cow::Borrowed(text.as_bytes())
        } else {
            Cow::Owned(CStr::from_ptr(converted).to_bytes().to_vec())
        }
    }
}

/// A new value of type `text` in the server's encoding, in the current memory context.
pub fn text_datum(text: &str) -> pg_sys::Datum {
    let bytes = to_server(text);
    // SAFETY: pointer and length belong together.
    unsafe {
        pg_sys::Datum::from(pg_sys::cstring_to_text_with_len(
            bytes.as_ptr().cast(),
            bytes.len() as i32,
        ))
    }
}
