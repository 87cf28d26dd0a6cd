//! C functions that only the SQL of older versions names.
//!
//! A server can have this library while a database still has the SQL of an older version. Without
//! these functions, its calls would fail without saying what to do. A C function whose arguments or
//! results change therefore gets a new name, and its former name is here.

use pgrx::pg_sys::{Datum, FunctionCallInfo};
use pgrx::prelude::*;

use super::fmgr::function_info;
use super::table_cache::require_same_version;

/// Declares C functions of 0.1.0 that now have other arguments or results, or that are gone.
macro_rules! former {
    ($($name:ident $info:ident),* $(,)?) => {
        $(
            #[doc = concat!("C function `", stringify!($name), "()` of 0.1.0.")]
            ///
            /// # Safety
            /// Called by Postgres' function manager.
            #[unsafe(no_mangle)]
            #[pg_guard]
            pub(super) unsafe extern "C-unwind" fn $name(_call: FunctionCallInfo) -> Datum {
                if let Err(error) = require_same_version() {
                    error.raise();
                }
                Datum::from(0)
            }
            function_info!($info);
        )*
    };
}

former!(
    insert_x402_settlement_wrapper pg_finfo_insert_x402_settlement_wrapper,
    mock_settlements_are_allowed_wrapper pg_finfo_mock_settlements_are_allowed_wrapper,
    read_x402_answer_wrapper pg_finfo_read_x402_answer_wrapper,
    read_x402_payment_wrapper pg_finfo_read_x402_payment_wrapper,
    read_x402_settlement_wrapper pg_finfo_read_x402_settlement_wrapper,
    record_x402_settlement pg_finfo_record_x402_settlement,
    verify_x402_payment_wrapper pg_finfo_verify_x402_payment_wrapper,
    x402_facilitator_request_wrapper pg_finfo_x402_facilitator_request_wrapper,
    x402_payment_requirements_wrapper pg_finfo_x402_payment_requirements_wrapper,
    x402_payment_response_header_wrapper pg_finfo_x402_payment_response_header_wrapper,
);
