//! SQL functions that pgrx cannot declare, so Postgres calls them as C functions. Each reads its
//! arguments and gives them to the module that decides.

use std::ffi::CStr;

use pgrx::pg_sys::{self, Datum, FunctionCallInfo};
use pgrx::prelude::*;

use super::drop_statement;
use super::fmgr::function_info;
use super::jsonb::Jsonb;
use super::request_body;
use super::status_error::answer;
use super::transaction;
use crate::pg::error::Result;
use crate::pg::payments::{ledger, ledger_guard};
use crate::pg::tokens::{exchange, pre_request};
use crate::x402;

/// The answer of an SQL function, or its error.
fn or_raise(answer: Result<Datum>) -> Datum {
    answer.unwrap_or_else(|error| {
        error.raise();
        Datum::from(0)
    })
}

/// SQL function `exchange_provider_token(token, provider)`; see sql/exchange.sql.
///
/// # Safety
/// Called by Postgres' function manager.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn exchange_provider_token(call: FunctionCallInfo) -> Datum {
    fn body(call: FunctionCallInfo) -> Result<Option<Datum>> {
        // SAFETY: both arguments are declared as text.
        let (token, provider): (Option<&str>, Option<&str>) = unsafe {
            (
                pgrx::fcinfo::pg_getarg(call, 0),
                pgrx::fcinfo::pg_getarg(call, 1),
            )
        };
        Ok(Jsonb(exchange::exchange(token, provider)?).into_datum())
    }
    // SAFETY: the function manager gives a valid call, and this frame owns nothing.
    unsafe { answer(call, body) }
}
function_info!(pg_finfo_exchange_provider_token);

/// SQL function `pre_request()`; see sql/exchange.sql.
///
/// # Safety
/// Called by Postgres' function manager.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C-unwind" fn pre_request(call: FunctionCallInfo) -> Datum {
    // SAFETY: the function manager gives a valid call, and this frame owns nothing.
    unsafe { answer(call, |_| pre_request::apply_provider_token().map(|()| None)) }
}
function_info!(pg_finfo_pre_request);

/// SQL function `record_x402_settlement`; see sql/payments_view.sql. It is declared to return a set
/// and returns one row. Postgres takes this for a set of one row, because the function does not use
/// the protocol of sets.
///
/// # Safety
/// Called by Postgres' function manager.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn record_settlement(call: FunctionCallInfo) -> Datum {
    // SAFETY: the function is declared to return a set.
    let elements = unsafe { request_body::elements(call) };
    // SAFETY: the declared types of the arguments; the function manager says which function it
    // calls.
    let (arguments, function) = unsafe {
        let text = |number| pgrx::fcinfo::pg_getarg::<&str>(call, number);
        let arguments = ledger::Arguments {
            tx_hash: text(0),
            payer_address: text(1),
            endpoint: text(2),
            amount: text(3),
            chain: text(4),
            status: text(5),
            response_summary: text(6),
            is_idempotent: pgrx::fcinfo::pg_getarg::<bool>(call, 7) == Some(true),
        };
        (arguments, (*(*call).flinfo).fn_oid)
    };
    or_raise(elements.and_then(|elements| match elements {
        Some(count) if count > 1 => Err(x402::Error::SeveralSettlements { count }.into()),
        _ => ledger::record(&arguments, function),
    }))
}
function_info!(pg_finfo_record_settlement);

/// SQL function `is_lower_hex(value, digits)`; see sql/ledger.sql.
///
/// # Safety
/// Called by Postgres' function manager, for a strict function of text and integer.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn is_lower_hex(call: FunctionCallInfo) -> Datum {
    // SAFETY: the declared types of the arguments.
    let (value, digits) = unsafe {
        (
            pgrx::fcinfo::pg_getarg::<&[u8]>(call, 0).unwrap_or_default(),
            pgrx::fcinfo::pg_getarg::<i32>(call, 1).unwrap_or_default(),
        )
    };
    Datum::from(ledger::is_lower_hex(value, digits))
}
function_info!(pg_finfo_is_lower_hex);

/// Trigger function of the ledger, before each new row; see sql/ledger.sql.
///
/// # Safety
/// Called by Postgres' function manager.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn admit_settlement(call: FunctionCallInfo) -> Datum {
    // SAFETY: a trigger manager's call has TriggerData for its context, with an open relation and,
    // in a trigger for each row, the row. Each value is read as its column's type.
    let admitted = unsafe {
        // Under Citus, the row is on another server than the caller's transaction, and its commit
        // there must be on disk, too.
        transaction::force_sync_commit();
        if pgrx::trigger_support::called_as_trigger(call) {
            let data: *mut pg_sys::TriggerData = (*call).context.cast();
            let (row, columns) = ((*data).tg_trigtuple, (*(*data).tg_relation).rd_att);
            let value = |column: &CStr| {
                let column = pg_sys::SPI_fnumber(columns, column.as_ptr());
                let mut is_null = true;
                let value = pg_sys::SPI_getbinval(row, columns, column, &raw mut is_null);
                (value, is_null)
            };
            let ((hash, hash_is_null), (time, time_is_null)) =
                (value(c"tx_hash"), value(c"created_at"));
            let hash = <&[u8]>::from_datum(hash, hash_is_null);
            let time = TimestampWithTimeZone::from_datum(time, time_is_null);
            ledger::admit(hash, time).map(|()| Datum::from(row))
        } else {
            Err(crate::error::Error::NotATrigger {
                function: "admit_settlement",
            })
        }
    };
    or_raise(admitted)
}
function_info!(pg_finfo_admit_settlement);

/// Event trigger function (`ddl_command_start`); see sql/ledger_guard.sql.
///
/// # Safety
/// Called by Postgres' function manager.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn keep_x402_ledger(call: FunctionCallInfo) -> Datum {
    // SAFETY: the event trigger manager's call has EventTriggerData for its context.
    let dropped = unsafe {
        let context = (*call).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_EventTriggerData {
            Err(crate::error::Error::NotATrigger {
                function: "keep_x402_ledger",
            })
        } else {
            let data: *mut pg_sys::EventTriggerData = context.cast();
            Ok(drop_statement::read((*data).parsetree))
        }
    };
    let verdict = dropped.and_then(ledger_guard::check);
    or_raise(verdict.map(|()| Datum::from(0)))
}
function_info!(pg_finfo_keep_x402_ledger);
