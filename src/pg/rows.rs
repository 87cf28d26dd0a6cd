//! Reading small tables row by row, without SPI.
//!
//! A heap scan checks no privilege and runs nothing that a user could have put in the way: no
//! planner, no view, no rule, no row level security, no index.

use std::ffi::CStr;

use pgrx::pg_sys;
use serde::de::DeserializeOwned;

use super::encoding::from_server;
use super::error::{Result, internal};

/// The relation of this name, or an invalid OID.
///
/// # Safety
/// Called in a transaction.
pub unsafe fn relation_in_schema(schema: &CStr, name: &CStr) -> pg_sys::Oid {
    // SAFETY: look-ups that raise nothing; in a schema that is not there nothing is found.
    unsafe {
        let schema = pg_sys::get_namespace_oid(schema.as_ptr(), true);
        pg_sys::get_relname_relid(name.as_ptr(), schema)
    }
}

/// All rows of a table, each as a JSON object.
pub struct Rows(Vec<String>);

impl Rows {
    /// Reads a table as it is now, whatever the transaction's snapshot.
    ///
    /// # Safety
    /// `table` is open, a table whose columns are of built-in types.
    pub unsafe fn scan(table: pg_sys::Relation) -> Result<Self> {
        // SAFETY: as the caller promises. Without a snapshot of ours the scan takes the newest
        // there is, which Postgres permits in parallel mode too, unlike GetLatestSnapshot.
        unsafe {
            let scan = pg_sys::systable_beginscan(
                table,
                pg_sys::Oid::INVALID,
                false,
                std::ptr::null_mut(),
                0,
                std::ptr::null_mut(),
            );
            let mut rows = Vec::new();
            loop {
                let tuple = pg_sys::systable_getnext(scan);
                if tuple.is_null() {
                    break;
                }
                let record = pg_sys::heap_copy_tuple_as_datum(tuple, (*table).rd_att);
                let json = pg_sys::OidFunctionCall1Coll(
                    pg_sys::Oid::from(pg_sys::F_ROW_TO_JSON_RECORD),
                    pg_sys::Oid::INVALID,
                    record,
                );
                let text = pg_sys::text_to_cstring(json.cast_mut_ptr());
                rows.push(from_server(CStr::from_ptr(text))?.into_owned());
            }
            pg_sys::systable_endscan(scan);
            Ok(Self(rows))
        }
    }

    /// The rows as JSON text.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The rows as `T`, whose members are named as the columns.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        let parse = |row: &String| serde_json::from_str(row).map_err(internal);
        self.0.iter().map(parse).collect()
    }
}
