//! C functions that only the SQL of older versions names.
//!
//! A server can have this library while a database still has the SQL of an older version. Without
//! these functions, its calls would fail without saying what to do.

use pgrx::pg_sys::{Datum, FunctionCallInfo};
use pgrx::prelude::*;

use super::fmgr::function_info;
use super::table_cache::require_same_version;

/// SQL function `read_x402_answer()` of 0.1.0.
///
/// # Safety
/// Called by Postgres' function manager.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn read_x402_answer_wrapper(_call: FunctionCallInfo) -> Datum {
    if let Err(error) = require_same_version() {
        error.raise();
    }
    Datum::from(0)
}
function_info!(pg_finfo_read_x402_answer_wrapper);
