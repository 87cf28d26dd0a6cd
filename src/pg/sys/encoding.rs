//! Postgres' texts are UTF-8, because CREATE EXTENSION refuses databases with another encoding.

use std::ffi::CStr;

use crate::error::Error;
use crate::pg::error::Result;

/// A text from Postgres as a Rust string.
pub(crate) fn utf8(text: &CStr) -> Result<&str> {
    text.to_str().map_err(|error| Error::NotUtf8 {
        problem: error.to_string(),
    })
}
