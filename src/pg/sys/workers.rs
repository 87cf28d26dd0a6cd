//! Citus' workers, which evaluate the policies of distributed tables for this session.

use std::ffi::{CStr, CString};

use pgrx::prelude::*;
use pgrx::spi::quote_literal;

use super::fmgr::unguarded;
use super::guc;
use crate::error::Error;
use crate::pg::error::Result;

const CLAIMS: &CStr = c"request.jwt.claims";

/// Whether Citus hands SET LOCAL on to its workers in this session.
fn is_on() -> bool {
    // SAFETY: reads a setting's value. The text ends with NUL, and it is read at once.
    unsafe {
        let value =
            unguarded::GetConfigOption(c"citus.propagate_set_commands".as_ptr(), true, false);
        !value.is_null() && CStr::from_ptr(value) == c"local"
    }
}

/// Gives the workers these claims for the rest of the transaction. This session keeps its own.
/// Without Citus it does nothing.
pub(crate) fn hand_on(claims: impl FnOnce() -> Result<String>) -> Result<()> {
    if !is_on() {
        return Ok(());
    }
    // Citus hands a statement on, and not set_config().
    let statement = format!(
        "SET LOCAL \"request.jwt.claims\" = {}",
        quote_literal(claims()?)
    );
    let statement = CString::new(statement).map_err(Error::bug)?;
    let own = guc::get(CLAIMS)?.unwrap_or_default();
    Spi::connect(|_| {
        // Not pgrx's own call: it would make this a writing transaction.
        // SAFETY: SPI is connected, and the text ends with NUL.
        let outcome = unsafe { pg_sys::SPI_execute(statement.as_ptr(), false, 0) };
        match outcome < 0 {
            true => Err(Error::bug("the claims cannot be set")),
            false => Ok(()),
        }
    })?;
    guc::set_local(CLAIMS, &own, pg_sys::GucContext::PGC_USERSET)
}
