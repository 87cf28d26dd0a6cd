//! Postgres' texts are UTF-8: CREATE EXTENSION refuses databases of another encoding.

use std::ffi::CStr;

use pgrx::PgSqlErrorCode::ERRCODE_CHARACTER_NOT_IN_REPERTOIRE;
use pgrx::pg_sys::panic::ErrorReport;

use crate::pg::error::Result;

/// A text of Postgres' as Rust reads it.
pub fn utf8(text: &CStr) -> Result<&str> {
    text.to_str().map_err(|error| {
        ErrorReport::new(
            ERRCODE_CHARACTER_NOT_IN_REPERTOIRE,
            "a text of this database or session is not valid UTF-8",
            "insforge_integrations",
        )
        .set_detail(format!("The reader reports: {error}."))
        .set_hint("The extension works in databases whose encoding is UTF8. Set the value again from a client whose client_encoding is right.")
    })
}
