//! Reading small tables row by row, without SPI.
//!
//! A heap scan checks no privilege and runs nothing that a user could have put in the way: no
//! planner, no view, no rule, no row level security, no index.

use crate::error::Error;
use std::ffi::{CStr, CString};

use pgrx::{PgMemoryContexts, pg_sys};
use serde::de::DeserializeOwned;

use super::error::Result;
use super::sys::encoding::utf8;

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

/// OIDs from here on are of objects that users made.
const FIRST_USER_OID: u32 = 16_384;
/// OIDs of the access methods `heap` and `btree`.
const HEAP: u32 = 2;
const BTREE: u32 = 403;

/// Whether a relation is an ordinary table with columns of built-in types alone: then a scan of it runs
/// nothing of its owner's.
///
/// # Safety
/// The relation is open.
pub unsafe fn is_ordinary(opened: pg_sys::Relation) -> bool {
    // SAFETY: a relation that is open has both.
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
pub unsafe fn name_of(opened: pg_sys::Relation) -> String {
    // SAFETY: a name ends with NUL.
    let name = unsafe { CStr::from_ptr((*(*opened).rd_rel).relname.data.as_ptr()) };
    name.to_string_lossy().into_owned()
}

/// Reads a table that somebody else may own, if it is an ordinary one with columns of built-in types
/// alone: then nothing that its owner could put in its place runs.
pub fn in_ordinary_table<T>(
    schema: &CStr,
    table: &CStr,
    read: impl FnOnce(pg_sys::Relation) -> Result<T>,
) -> Result<Option<T>> {
    // SAFETY: the relation stays open and locked while it is looked at and read.
    unsafe {
        let relation = relation_in_schema(schema, table);
        if relation == pg_sys::Oid::INVALID {
            return Ok(None);
        }
        let opened = pg_sys::try_relation_open(relation, pg_sys::AccessShareLock as i32);
        if opened.is_null() {
            return Ok(None);
        }
        let answer = if is_ordinary(opened) {
            Some(read(opened)?)
        } else {
            None
        };
        pg_sys::relation_close(opened, pg_sys::AccessShareLock as i32);
        Ok(answer)
    }
}

/// An index that finds the rows with a value in a column, or an invalid OID: a complete B-tree of
/// that column alone, ordered by a built-in operator class.
///
/// # Safety
/// `table` is open.
unsafe fn index_of(table: pg_sys::Relation, column: i32, collation: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: each index is open while it is looked at; all of its arrays have a first element.
    unsafe {
        let indexes = pg_sys::RelationGetIndexList(table);
        let indexes = pgrx::PgList::<pg_sys::Oid>::from_pg(indexes);
        for oid in indexes.iter_oid() {
            let index = pg_sys::index_open(oid, pg_sys::AccessShareLock as i32);
            let form = (*index).rd_index;
            let is_usable = (*form).indisvalid
                && !(*form).indcheckxmin
                && (*form).indnatts == 1
                && i32::from(*(*form).indkey.values.as_ptr()) == column
                && (*(*index).rd_rel).relam == pg_sys::Oid::from(BTREE)
                && (*(*index).rd_opfamily).to_u32() < FIRST_USER_OID
                && *(*index).rd_indcollation == collation
                && pg_sys::RelationGetIndexPredicate(index).is_null();
            pg_sys::index_close(index, pg_sys::AccessShareLock as i32);
            if is_usable {
                return oid;
            }
        }
        pg_sys::Oid::INVALID
    }
}

/// Rows of a table, each as a JSON object.
pub struct Rows(Vec<String>);

impl Rows {
    /// The rows with `value` in a column, by an index if there is one; `None` when there is no such
    /// column. Like [`Rows::scan`] otherwise.
    ///
    /// # Safety
    /// As of [`Rows::scan`].
    pub unsafe fn find(
        table: pg_sys::Relation,
        column: &CStr,
        value: &str,
    ) -> Result<Option<Self>> {
        let value = CString::new(value).map_err(Error::bug)?;
        // SAFETY: the column is one of the table's, of a built-in type that has an input function.
        unsafe {
            let number = pg_sys::SPI_fnumber((*table).rd_att, column.as_ptr());
            if number <= 0 {
                return Ok(None);
            }
            let (mut of_type, mut collation) = (pg_sys::Oid::INVALID, pg_sys::Oid::INVALID);
            let mut modifier = -1;
            pg_sys::get_atttypetypmodcoll(
                (*table).rd_id,
                number as pg_sys::AttrNumber,
                &raw mut of_type,
                &raw mut modifier,
                &raw mut collation,
            );
            let cached = pg_sys::lookup_type_cache(of_type, pg_sys::TYPECACHE_EQ_OPR_FINFO as i32);
            let equal = (*cached).eq_opr_finfo.fn_oid;
            if equal == pg_sys::Oid::INVALID {
                return Ok(None);
            }
            let (mut input, mut parameter) = (pg_sys::Oid::INVALID, pg_sys::Oid::INVALID);
            pg_sys::getTypeInputInfo(of_type, &raw mut input, &raw mut parameter);
            let datum =
                pg_sys::OidInputFunctionCall(input, value.as_ptr().cast_mut(), parameter, -1);
            let mut key = pg_sys::ScanKeyData::default();
            pg_sys::ScanKeyEntryInitialize(
                &raw mut key,
                0,
                number as pg_sys::AttrNumber,
                pg_sys::BTEqualStrategyNumber as u16,
                pg_sys::Oid::INVALID,
                collation,
                equal,
                datum,
            );
            let index = index_of(table, number, collation);
            Self::read(table, index, &mut [key]).map(Some)
        }
    }

    /// Reads a table as it is now, whatever the transaction's snapshot.
    ///
    /// # Safety
    /// `table` is open, a table whose columns are of built-in types.
    pub unsafe fn scan(table: pg_sys::Relation) -> Result<Self> {
        // SAFETY: as the caller promises.
        unsafe { Self::read(table, pg_sys::Oid::INVALID, &mut []) }
    }

    /// Reads a table as [`Rows::scan`] does, and gives each row's JSON away.
    /// What `give` allocates in the current memory context is freed after each row.
    ///
    /// # Safety
    /// As of [`Rows::scan`].
    pub unsafe fn each(
        table: pg_sys::Relation,
        give: impl FnMut(&CStr) -> Result<()>,
    ) -> Result<()> {
        // SAFETY: as the caller promises.
        unsafe { read(table, pg_sys::Oid::INVALID, &mut [], give) }
    }

    unsafe fn read(
        table: pg_sys::Relation,
        index: pg_sys::Oid,
        keys: &mut [pg_sys::ScanKeyData],
    ) -> Result<Self> {
        let mut rows = Vec::new();
        let mut keep = |row: &CStr| {
            rows.push(utf8(row)?.to_owned());
            Ok(())
        };
        // SAFETY: as the callers promise.
        unsafe { read(table, index, keys, &mut keep)? };
        Ok(Self(rows))
    }

    /// The rows as JSON text.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The rows as `T`, whose members are named as the columns.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        let parse = |row: &String| serde_json::from_str(row).map_err(Error::bug);
        self.0.iter().map(parse).collect()
    }
}

unsafe fn read(
    table: pg_sys::Relation,
    index: pg_sys::Oid,
    keys: &mut [pg_sys::ScanKeyData],
    mut give: impl FnMut(&CStr) -> Result<()>,
) -> Result<()> {
    // SAFETY: as the callers promise. Without a snapshot of ours the scan takes the newest there is,
    // which Postgres permits in parallel mode too, unlike GetLatestSnapshot.
    unsafe {
        let scan = pg_sys::systable_beginscan(
            table,
            index,
            index != pg_sys::Oid::INVALID,
            std::ptr::null_mut(),
            keys.len() as i32,
            keys.as_mut_ptr(),
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
                give(CStr::from_ptr(text))
            })?;
            of_row.reset();
        }
        pg_sys::systable_endscan(scan);
        Ok(())
    }
}
