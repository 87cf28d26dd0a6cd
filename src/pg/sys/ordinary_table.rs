//! Reads a payment table that another role owns.

use std::ffi::CStr;

use pgrx::pg_sys::{self, Datum, FunctionCallInfo};
use pgrx::prelude::*;

use super::fmgr::function_info;
use super::heap_scan::{Rows, is_ordinary, name_of};
use crate::error::Error;
use crate::pg::error::Result;
use crate::x402;

/// SQL function `rows_of_ordinary_table`; see sql/import.sql.
///
/// # Safety
/// Called by Postgres' function manager, for a strict function of an OID.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn rows_of_ordinary_table(call: FunctionCallInfo) -> Datum {
    // SAFETY: as the caller promises.
    if let Err(error) = unsafe { keep_rows(call) } {
        error.raise();
    }
    Datum::from(0)
}

function_info!(pg_finfo_rows_of_ordinary_table);

/// Puts the present rows of an ordinary table into a tuplestore. Rows beyond `work_mem` are on
/// disk. No code of the table's owner runs, and nobody can write the table until the transaction
/// ends.
unsafe fn keep_rows(call: FunctionCallInfo) -> Result<()> {
    // SAFETY: the executor provides the place for the set, which lives as long as the query. The
    // table is open and locked while it is read.
    unsafe {
        let source = pgrx::fcinfo::pg_getarg(call, 0).unwrap_or(pg_sys::Oid::INVALID);
        let caller = (*call).resultinfo.cast::<pg_sys::ReturnSetInfo>();
        let mode = pg_sys::SetFunctionReturnMode::SFRM_Materialize;
        if caller.is_null()
            || (*caller).type_ != pg_sys::NodeTag::T_ReturnSetInfo
            || (*caller).allowedModes & mode as i32 == 0
        {
            return Err(Error::bug("the rows are asked for where no set fits"));
        }
        let table = pg_sys::try_relation_open(source, pg_sys::ShareLock as i32);
        if table.is_null() {
            return Err(x402::Error::SourceMissing.into());
        }
        if !is_ordinary(table) {
            let table = name_of(table);
            return Err(x402::Error::NotImportable { table }.into());
        }

        let before = pg_sys::MemoryContextSwitchTo((*(*caller).econtext).ecxt_per_query_memory);
        let columns = pg_sys::CreateTemplateTupleDesc(1);
        pg_sys::TupleDescInitEntry(columns, 1, c"row".as_ptr(), pg_sys::JSONBOID, -1, 0);
        let kept = pg_sys::tuplestore_begin_heap(false, false, pg_sys::work_mem);
        pg_sys::MemoryContextSwitchTo(before);
        let push = |row: &CStr| {
            let mut row = pg_sys::OidInputFunctionCall(
                pg_sys::Oid::from(pg_sys::F_JSONB_IN),
                row.as_ptr().cast_mut(),
                pg_sys::Oid::INVALID,
                -1,
            );
            let mut is_null = false;
            pg_sys::tuplestore_putvalues(kept, columns, &raw mut row, &raw mut is_null);
            Ok(())
        };
        Rows::each(table, push)?;
        pg_sys::relation_close(table, pg_sys::NoLock as i32);

        (*caller).returnMode = mode;
        (*caller).setResult = kept;
        (*caller).setDesc = columns;
        Ok(())
    }
}
