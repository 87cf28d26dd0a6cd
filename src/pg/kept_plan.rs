//! Statements that each session plans once.

use std::ffi::{CStr, c_char};

use pgrx::pg_sys::{self, Datum};

use super::backend::BackendLocal;
use super::error::{Result, internal};

/// A statement, and its plan once the session has made it.
pub struct KeptPlan {
    statement: &'static CStr,
    types: &'static [pg_sys::Oid],
    plan: BackendLocal<pg_sys::SPIPlanPtr>,
}

/// Between `SPI_connect` and `SPI_finish`: an error leaves it through the end of the (sub)transaction.
pub struct Connection(());

impl Connection {
    pub fn open() -> Result<Self> {
        // SAFETY: ended by `close`, or by the end of the (sub)transaction.
        match unsafe { pg_sys::SPI_connect() } {
            code if code == pg_sys::SPI_OK_CONNECT as i32 => Ok(Self(())),
            _ => Err(internal("SPI_connect failed")),
        }
    }

    /// Ends it: what statements returned is gone.
    pub fn close(self) {
        // SAFETY: `open` has connected.
        unsafe { pg_sys::SPI_finish() };
    }
}

impl KeptPlan {
    /// `types`: those of the parameters `$1`, `$2` and so on.
    pub const fn new(statement: &'static CStr, types: &'static [pg_sys::Oid]) -> Self {
        Self {
            statement,
            types,
            plan: BackendLocal::new(std::ptr::null_mut()),
        }
    }

    fn get(&self) -> Result<pg_sys::SPIPlanPtr> {
        // SAFETY: a plan that is kept lives as long as the session.
        unsafe {
            let kept = self.plan.get();
            if (*kept).is_null() {
                let mut types = self.types.to_vec();
                let plan = pg_sys::SPI_prepare(
                    self.statement.as_ptr(),
                    types.len() as i32,
                    types.as_mut_ptr(),
                );
                if plan.is_null() || pg_sys::SPI_keepplan(plan) != 0 {
                    return Err(internal("a statement cannot be prepared"));
                }
                *kept = plan;
            }
            Ok(*kept)
        }
    }

    /// Runs it. Answers with the columns of its first row, in the connection's memory.
    ///
    /// `snapshot`: what a statement that reads sees; null: it writes and returns what it wrote, or calls what does.
    ///
    /// # Safety
    /// The values are of the statement's types.
    pub unsafe fn first_row(
        &self,
        _connection: &Connection,
        values: &[Option<Datum>],
        snapshot: pg_sys::Snapshot,
    ) -> Result<Option<Vec<Option<Datum>>>> {
        let nulls: Vec<c_char> = values
            .iter()
            .map(|value| if value.is_some() { b' ' } else { b'n' } as c_char)
            .collect();
        let mut values: Vec<Datum> = values
            .iter()
            .map(|value| value.unwrap_or(Datum::from(0)))
            .collect();
        if values.len() != self.types.len() {
            return Err(internal("a statement has other parameters"));
        }
        // SAFETY: both arrays have one element for each parameter.
        unsafe {
            let result = pg_sys::SPI_execute_snapshot(
                self.get()?,
                values.as_mut_ptr(),
                nulls.as_ptr(),
                snapshot,
                std::ptr::null_mut(),
                !snapshot.is_null(),
                true,
                0,
            );
            if result != pg_sys::SPI_OK_SELECT as i32
                && result != pg_sys::SPI_OK_INSERT_RETURNING as i32
            {
                return Err(internal("a statement was rewritten"));
            }
            if pg_sys::SPI_processed == 0 {
                return Ok(None);
            }
            let rows = &*pg_sys::SPI_tuptable;
            let columns = (*rows.tupdesc).natts as usize;
            let mut values = vec![Datum::from(0); columns];
            let mut nulls = vec![false; columns];
            pg_sys::heap_deform_tuple(
                *rows.vals,
                rows.tupdesc,
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
            );
            let columns = values.into_iter().zip(nulls);
            Ok(Some(
                columns
                    .map(|(value, is_null)| (!is_null).then_some(value))
                    .collect(),
            ))
        }
    }
}
