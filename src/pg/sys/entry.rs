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
use crate::evm;
use crate::pg::error::Result;
use crate::pg::payments::{ledger, ledger_guard, sums};
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

/// The new row of a trigger for each row, and its value in a column.
///
/// # Safety
/// Called by Postgres' function manager. `T` is Rust's type for the column.
unsafe fn new_row<T: FromDatum>(
    call: FunctionCallInfo,
    function: &'static str,
    column: &CStr,
) -> Result<(pg_sys::HeapTuple, Option<T>)> {
    // SAFETY: a trigger manager's call has TriggerData for its context, with an open relation and,
    // in a trigger for each row, the row.
    unsafe {
        if !pgrx::trigger_support::called_as_trigger(call) {
            return Err(crate::error::Error::NotATrigger { function });
        }
        let data: *mut pg_sys::TriggerData = (*call).context.cast();
        let (row, columns) = ((*data).tg_trigtuple, (*(*data).tg_relation).rd_att);
        let column = pg_sys::SPI_fnumber(columns, column.as_ptr());
        let mut is_null = true;
        let value = pg_sys::SPI_getbinval(row, columns, column, &raw mut is_null);
        Ok((row, T::from_datum(value, is_null)))
    }
}

/// Trigger function of the ledger, before each new row; see sql/ledger.sql.
///
/// # Safety
/// Called by Postgres' function manager.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn check_tx_hash(call: FunctionCallInfo) -> Datum {
    // Under Citus, the row is on another server than the caller's transaction, and its commit
    // there must be on disk, too.
    transaction::force_sync_commit();
    // SAFETY: the column is a text.
    let new = unsafe { new_row::<&[u8]>(call, "check_tx_hash", c"tx_hash") };
    or_raise(new.and_then(|(row, hash)| match hash {
        Some(hash) if !ledger::is_lower_hex(hash, 64) => {
            Err(evm::Error::InvalidTransactionHash.into())
        }
        _ => Ok(Datum::from(row)),
    }))
}
function_info!(pg_finfo_check_tx_hash);

/// Trigger function of the ledger, before each new row; see sql/sums.sql.
///
/// # Safety
/// Called by Postgres' function manager.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn note_late_settlement(call: FunctionCallInfo) -> Datum {
    // SAFETY: the column is a timestamptz.
    let new =
        unsafe { new_row::<TimestampWithTimeZone>(call, "note_late_settlement", c"created_at") };
    or_raise(new.and_then(|(row, created_at)| {
        created_at.map_or(Ok(()), sums::note)?;
        Ok(Datum::from(row))
    }))
}
function_info!(pg_finfo_note_late_settlement);

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
