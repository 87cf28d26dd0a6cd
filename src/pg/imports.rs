//! Reading a payment table that somebody else owns.

use pgrx::prelude::*;

use super::error::Result;
use super::jsonb::Jsonb;
use super::rows::{Rows, is_ordinary, name_of};
use crate::error::Error;

/// The rows of an ordinary table as they are now. Nothing of its owner's runs, and nobody can write it
/// until the transaction ends.
#[pg_extern(schema = "insforge_integrations", volatile, parallel_unsafe)]
fn rows_of_ordinary_table(source: pg_sys::Oid) -> Result<SetOfIterator<'static, Jsonb>> {
    // SAFETY: the table is open and locked while it is read.
    let rows = unsafe {
        let table = pg_sys::relation_open(source, pg_sys::ShareLock as i32);
        if !is_ordinary(table) {
            let table = name_of(table);
            return Err(Error::NotImportable { table }.into());
        }
        let rows = Rows::scan(table)?;
        pg_sys::relation_close(table, pg_sys::NoLock as i32);
        rows
    };
    Ok(SetOfIterator::new(rows.into_texts().map(Jsonb)))
}
