//! Statements that each session plans once. They can see rows that the transaction's own snapshot
//! does not have.

use std::cell::OnceCell;
use std::ffi::CString;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::thread::LocalKey;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::pg_sys::{self, Datum};
use pgrx::prelude::*;
use pgrx::spi::SpiClient;

use crate::error::Error;
use crate::pg::error::Result;

/// A statement, with its plan after the session has made it. It belongs into a `thread_local!`.
pub(crate) struct Statement {
    text: fn() -> Result<String>,
    plan: OnceCell<Plan>,
}

struct Plan {
    plan: pg_sys::SPIPlanPtr,
    types: Vec<pg_sys::Oid>,
}

/// Runs a statement and returns its first row, which lives as long as the connection. The
/// parameters `$1`, `$2` and so on have the types of `values`, always the same.
pub(crate) fn first_row<'conn>(
    statement: &'static LocalKey<Statement>,
    connection: &'conn SpiClient<'_>,
    values: &[DatumWithOid],
) -> Result<Option<Row<'conn>>> {
    // SAFETY: without a snapshot, SPI takes a new one.
    statement.with(|statement| unsafe { statement.run(connection, values, std::ptr::null_mut()) })
}

/// The same, of all committed rows at every isolation level. The statement may only read.
pub(crate) fn first_newest_row<'conn>(
    statement: &'static LocalKey<Statement>,
    connection: &'conn SpiClient<'_>,
    values: &[DatumWithOid],
) -> Result<Option<Row<'conn>>> {
    // SAFETY: called in a transaction, and the snapshot is a new one.
    statement
        .with(|statement| unsafe { statement.run(connection, values, pg_sys::GetLatestSnapshot()) })
}

impl Statement {
    pub(crate) const fn new(text: fn() -> Result<String>) -> Self {
        Self {
            text,
            plan: OnceCell::new(),
        }
    }

    /// The plan for parameters of these types.
    fn plan(&self, values: &[DatumWithOid]) -> Result<pg_sys::SPIPlanPtr> {
        let types = values.iter().map(DatumWithOid::oid);
        if let Some(known) = self.plan.get() {
            return if types.eq(known.types.iter().copied()) {
                Ok(known.plan)
            } else {
                Err(Error::bug("a statement has other parameters"))
            };
        }
        let text = CString::new((self.text)()?).map_err(Error::bug)?;
        let mut types: Vec<_> = types.collect();
        // SAFETY: SPI is connected. A plan that is kept lives as long as the session.
        let plan = unsafe {
            let plan = pg_sys::SPI_prepare(text.as_ptr(), types.len() as i32, types.as_mut_ptr());
            if plan.is_null() || pg_sys::SPI_keepplan(plan) != 0 {
                return Err(Error::bug("a statement cannot be prepared"));
            }
            plan
        };
        Ok(self.plan.get_or_init(|| Plan { plan, types }).plan)
    }

    /// # Safety
    /// The snapshot is NULL, or a valid one for a statement that only reads.
    unsafe fn run<'conn>(
        &self,
        _connection: &'conn SpiClient<'_>,
        values: &[DatumWithOid],
        snapshot: pg_sys::Snapshot,
    ) -> Result<Option<Row<'conn>>> {
        let plan = self.plan(values)?;
        let mut datums: Vec<Datum> = values
            .iter()
            .map(|value| {
                value
                    .datum()
                    .map_or(Datum::from(0), |datum| datum.sans_lifetime())
            })
            .collect();
        let nulls: Vec<std::ffi::c_char> = values
            .iter()
            .map(|value| if value.datum().is_some() { b' ' } else { b'n' } as std::ffi::c_char)
            .collect();
        // SAFETY: SPI is connected; there are as many values as parameters, each of its parameter's
        // type.
        unsafe {
            let outcome = pg_sys::SPI_execute_snapshot(
                plan,
                datums.as_mut_ptr(),
                nulls.as_ptr(),
                snapshot,
                std::ptr::null_mut(),
                !snapshot.is_null(),
                true,
                0,
            );
            if outcome < 0 {
                return Err(Error::bug("a statement cannot be run"));
            }
            let rows = pg_sys::SPI_tuptable;
            if pg_sys::SPI_processed == 0 || rows.is_null() {
                return Ok(None);
            }
            Ok(Some(Row {
                columns: (*rows).tupdesc,
                row: *(*rows).vals,
                connection: PhantomData,
            }))
        }
    }
}

/// A row that a statement returned.
pub(crate) struct Row<'conn> {
    columns: pg_sys::TupleDesc,
    row: pg_sys::HeapTuple,
    connection: PhantomData<&'conn ()>,
}

impl Row<'_> {
    /// The value in a column, counted from 1.
    pub(crate) fn get<T: FromDatum + IntoDatum>(&self, column: i32) -> Result<Option<T>> {
        let (value, of_type) = self.value(column);
        if of_type != T::type_oid() {
            return Err(Error::bug("a column is of another type"));
        }
        // SAFETY: the value's type has just been checked.
        Ok(value.and_then(|value| unsafe { T::from_datum(value, false) }))
    }

    /// A copy of the value in a column, in the memory of SPI's caller, if the value has the type
    /// `wanted`.
    pub(crate) fn copy(&self, column: i32, wanted: pg_sys::Oid) -> Result<Option<Datum>> {
        let (value, of_type) = self.value(column);
        if of_type != wanted {
            return Err(Error::bug("a column is of another type"));
        }
        // SAFETY: the length and the passing mode are those of the type.
        Ok(value.map(|value| unsafe {
            let (mut length, mut by_value) = (0, false);
            pg_sys::get_typlenbyval(of_type, &raw mut length, &raw mut by_value);
            pg_sys::SPI_datumTransfer(value, by_value, i32::from(length))
        }))
    }

    fn value(&self, column: i32) -> (Option<Datum>, pg_sys::Oid) {
        let mut is_null = true;
        // SAFETY: the row lives as long as the connection. A column that does not exist is NULL,
        // without a type.
        unsafe {
            let value = pg_sys::SPI_getbinval(self.row, self.columns, column, &raw mut is_null);
            let of_type = pg_sys::SPI_gettypeid(self.columns, column);
            ((!is_null).then_some(value), of_type)
        }
    }
}

/// Runs `work` in a subtransaction. An error with SQLSTATE `code` undoes the work and is returned.
/// Any other is raised.
pub(crate) fn in_subtransaction<T>(
    code: PgSqlErrorCode,
    work: impl FnOnce() -> Result<T>,
) -> Result<std::result::Result<T, CaughtError>> {
    // SAFETY: PL/pgSQL does the same. Each way out either ends the subtransaction or raises an
    // error, which ends it, too.
    unsafe {
        let (memory, owner) = (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner);
        let put_back = move || {
            pg_sys::MemoryContextSwitchTo(memory);
            pg_sys::CurrentResourceOwner = owner;
        };
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(memory);
        PgTryBuilder::new(AssertUnwindSafe(|| {
            let worked = work();
            match worked {
                Ok(_) => pg_sys::ReleaseCurrentSubTransaction(),
                Err(_) => pg_sys::RollbackAndReleaseCurrentSubTransaction(),
            }
            put_back();
            worked.map(Ok)
        }))
        .catch_when(code, move |error| {
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
            put_back();
            Ok(Err(error))
        })
        .execute()
    }
}
