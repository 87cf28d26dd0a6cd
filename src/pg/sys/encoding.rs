//! Postgres' texts are UTF-8: CREATE EXTENSION refuses databases of another encoding.

use std::ffi::CStr;

use crate::error::Error;
use crate::pg::error::Result;

/// A text of Postgres' as Rust reads it.
pub fn utf8(text: &CStr) -> Result<&str> {
    text.to_str().map_err(|error| Error::NotUtf8 {
        problem: error.to_string(),
    })
}
