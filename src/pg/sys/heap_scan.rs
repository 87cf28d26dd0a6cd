//! Reading small tables row by row, without SPI.
//!
//! A heap scan checks no privilege and runs no code of a user: it involves no planner, view, rule,
//! row level security or index.

use std::ffi::CStr;

use pgrx::{PgMemoryContexts, pg_sys};
use serde::de::DeserializeOwned;

use super::encoding::utf8;
use crate::error::Error;
use crate::pg::error::Result;

/// The relation with this name, or an invalid OID.
///
/// # Safety
/// Called in a transaction.
pub(crate) unsafe fn relation_in_schema(schema: &CStr, name: &CStr) -> pg_sys::Oid {
    // SAFETY: these lookups raise no error, and find nothing in a schema that does not exist.
    unsafe {
        let schema = pg_sys::get_namespace_oid(schema.as_ptr(), true);
        pg_sys::get_relname_relid(name.as_ptr(), schema)
    }
}

/// The first OID of objects that users made.
pub(crate) const FIRST_USER_OID: u32 = 16_384;
/// The OID of the access method `heap`.
pub(crate) const HEAP: u32 = 2;

/// Whether a relation is an ordinary table with only built-in column types. A scan of it then runs
/// no code of its owner.
///
/// # Safety
/// The relation is open.
pub(crate) unsafe fn is_ordinary(opened: pg_sys::Relation) -> bool {
    // SAFETY: an open relation has both.
    unsafe {
        let class = (*opened).rd_rel;
        let columns = (*opened).rd_att;
        (*class).relkind as u8 == pg_sys::RELKIND_RELATION
            && (*class).relam == pg_sys::Oid::from(HEAP)
            && (1..=(*columns).natts)
                .all(|number| pg_sys::SPI_gettypeid(columns, number).to_u32() < FIRST_USER_OID)
    }
}

/// The name of a relation.
///
/// # Safety
/// The relation is open.
pub(crate) unsafe fn name_of(opened: pg_sys::Relation) -> String {
    // SAFETY: a name ends with NUL.
    let name = unsafe { CStr::from_ptr((*(*opened).rd_rel).relname.data.as_ptr()) };
    name.to_string_lossy().into_owned()
}

/// Rows of a table, each as a JSON object.
pub(crate) struct Rows(Vec<String>);

impl Rows {
    /// Reads the table's present rows, even if the transaction's snapshot is older.
    ///
    /// # Safety
    /// `table` is an open table with only built-in column types.
    pub(crate) unsafe fn scan(table: pg_sys::Relation) -> Result<Self> {
        let mut rows = Vec::new();
        let mut push = |row: &CStr| {
            rows.push(utf8(row)?.to_owned());
            Ok(())
        };
        // SAFETY: as the caller promises.
        unsafe { Self::each(table, &mut push)? };
        Ok(Self(rows))
    }

    /// Reads a table as [`Rows::scan`] does, and calls `visit` with the JSON of each row.
    /// What `visit` allocates in the current memory context is freed after each row.
    ///
    /// # Safety
    /// The same as for [`Rows::scan`].
    pub(crate) unsafe fn each(
        table: pg_sys::Relation,
        mut visit: impl FnMut(&CStr) -> Result<()>,
    ) -> Result<()> {
        // SAFETY: as the caller promises. Without a given snapshot, the scan takes the newest one.
        // Postgres permits this in parallel mode, too, unlike GetLatestSnapshot.
        unsafe {
            let scan = pg_sys::systable_beginscan(
                table,
                pg_sys::Oid::INVALID,
                false,
                std::ptr::null_mut(),
                0,
                std::ptr::null_mut(),
            );
            let mut of_row = PgMemoryContexts::new("insforge_integrations row");
            loop {
                let tuple = pg_sys::systable_getnext(scan);
                if tuple.is_null() {
                    break;
                }
                of_row.switch_to(|_| {
                    let record = pg_sys::heap_copy_tuple_as_datum(tuple, (*table).rd_att);
                    let json = pg_sys::OidFunctionCall1Coll(
                        pg_sys::Oid::from(pg_sys::F_ROW_TO_JSON_RECORD),
                        pg_sys::Oid::INVALID,
                        record,
                    );
                    let text = pg_sys::text_to_cstring(json.cast_mut_ptr());
                    visit(CStr::from_ptr(text))
                })?;
                of_row.reset();
            }
            pg_sys::systable_endscan(scan);
            Ok(())
        }
    }

    /// The rows as JSON text.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The rows as `T`. The members of `T` are named like the columns.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        let parse = |row: &String| serde_json::from_str(row).map_err(Error::bug);
        self.0.iter().map(parse).collect()
    }
}
