//! Reads Better Auth's tables. Their owner may be a role that is not a superuser.
//!
//! This module first checks what kind of table it is. Then it reads only the needed columns, by a
//! heap scan or a built-in B-tree. Therefore no code of the owner ever runs. It decodes the values
//! itself, so no setting of the session changes them. The value that it looks for never goes
//! through an input function, whose error would quote it.

use std::ffi::{CStr, CString};

use pgrx::{IntoDatum, PgMemoryContexts, Uuid, pg_sys};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::clock;
use super::encoding::utf8;
use super::heap_scan::{FIRST_USER_OID, HEAP, relation_in_schema};
use crate::error::Error;
use crate::pg::error::Result;
use crate::providers;
use crate::providers::better_auth::tables::{Kind, Place, Table};

/// The OID of the access method `btree`.
const BTREE: u32 = 403;

/// The result, or a sentence that says why the table cannot be read.
type Found<T> = std::result::Result<T, String>;

/// The rows of a provider's table, or those with a given value in a column. Rows with NULL in a
/// required column are left out.
pub(crate) fn read<T: DeserializeOwned>(
    provider: &str,
    place: &Place,
    table: &Table,
    wanted: Option<(&str, &str)>,
) -> Result<Vec<T>> {
    let key = wanted.map(|(column, _)| column);
    let rows = in_table(place, table, key, |plan, opened| {
        // SAFETY: the table is open, and the plan is its own.
        unsafe { plan.read(opened, wanted.map(|(_, value)| value)) }
    });
    let rows = rows.map_err(|problem| providers::Error::ProviderNotReady {
        name: provider.to_owned(),
        problem,
    })??;
    let rows = rows.into_iter().map(Value::Object);
    rows.map(|row| serde_json::from_value(row).map_err(Error::bug))
        .collect()
}

/// Why a table cannot be read.
pub(crate) fn problem_with(place: &Place, table: &Table) -> Option<String> {
    in_table(place, table, None, |_, _| ()).err()
}

/// Opens the first table that has Better Auth's shape, and closes it afterwards.
fn in_table<T>(
    place: &Place,
    table: &Table,
    key: Option<&str>,
    mut act: impl FnMut(&Plan, pg_sys::Relation) -> T,
) -> Found<T> {
    let names = place.relations(table.name);
    let mut problem = None;
    for name in &names {
        let (Ok(schema), Ok(relation)) = (
            CString::new(place.schema.as_str()),
            CString::new(name.as_str()),
        ) else {
            continue;
        };
        // SAFETY: the relation stays open and locked while it is looked at and read.
        let done = unsafe {
            let relation = relation_in_schema(&schema, &relation);
            if relation == pg_sys::Oid::INVALID {
                continue;
            }
            let opened = pg_sys::try_relation_open(relation, pg_sys::AccessShareLock as i32);
            if opened.is_null() {
                continue;
            }
            let done = Plan::new(opened, place, table, key).map(|plan| act(&plan, opened));
            pg_sys::relation_close(opened, pg_sys::AccessShareLock as i32);
            done
        };
        match done {
            Ok(done) => return Ok(done),
            Err(text) => {
                problem.get_or_insert(format!("Table \"{}\".\"{name}\" {text}.", place.schema));
            }
        }
    }
    Err(problem.unwrap_or_else(|| {
        let names = names.join("\", \"");
        format!("Schema \"{}\" has no table \"{names}\".", place.schema)
    }))
}

/// How a value of a column is decoded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Decoded {
    Text,
    Label,
    Uuid,
    Int2,
    Int4,
    Int8,
    Bool,
    /// Microseconds since 2000. The time has a time zone, or is in UTC.
    Time,
}

impl Decoded {
    /// How to decode a type as the required kind; `None` for a type that does not fit.
    ///
    /// # Safety
    /// Called in a transaction.
    unsafe fn of(of_type: pg_sys::Oid, kind: Kind) -> Option<Self> {
        // SAFETY: look-ups in the catalog, of a column's type.
        unsafe {
            // Reading a domain's value runs none of the domain's checks.
            let base = pg_sys::getBaseType(of_type);
            let decoded = match base {
                pg_sys::BOOLOID => Self::Bool,
                pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => Self::Time,
                pg_sys::UUIDOID => Self::Uuid,
                pg_sys::INT2OID => Self::Int2,
                pg_sys::INT4OID => Self::Int4,
                pg_sys::INT8OID => Self::Int8,
                pg_sys::TEXTOID | pg_sys::VARCHAROID => Self::Text,
                _ if kind == Kind::Text && pg_sys::type_is_enum(base) => Self::Label,
                _ if kind == Kind::Text && is_written_as_text(base) => Self::Text,
                _ => return None,
            };
            let fits = match kind {
                Kind::Id => !matches!(decoded, Self::Bool | Self::Time | Self::Label),
                Kind::Text => matches!(decoded, Self::Text | Self::Label),
                Kind::Bool => decoded == Self::Bool,
                Kind::Time => decoded == Self::Time,
            };
            fits.then_some(decoded)
        }
    }

    /// # Safety
    /// `value` has a type that this variant decodes.
    unsafe fn decode(self, value: pg_sys::Datum) -> Result<Value> {
        // SAFETY: as the caller promises; the row's memory is freed with the row.
        unsafe {
            let text = |text: *mut std::ffi::c_char| -> Result<Value> {
                Ok(utf8(CStr::from_ptr(text))?.into())
            };
            Ok(match self {
                Self::Text => text(pg_sys::text_to_cstring(
                    pg_sys::pg_detoast_datum_packed(value.cast_mut_ptr()).cast(),
                ))?,
                Self::Label => text(pg_sys::OidOutputFunctionCall(
                    pg_sys::Oid::from(pg_sys::F_ENUM_OUT),
                    value,
                ))?,
                Self::Uuid => text(pg_sys::OidOutputFunctionCall(
                    pg_sys::Oid::from(pg_sys::F_UUID_OUT),
                    value,
                ))?,
                Self::Int2 => (value.value() as i16).to_string().into(),
                Self::Int4 => (value.value() as i32).to_string().into(),
                Self::Int8 => (value.value() as i64).to_string().into(),
                Self::Bool => (value.value() as u8 != 0).into(),
                Self::Time => clock::seconds(value.value() as i64).into(),
            })
        }
    }

    /// The operator's function and the value for the search of a text; `None` if no row can have
    /// this text.
    fn key(self, text: &str) -> Option<(u32, pg_sys::Datum)> {
        Some(match self {
            Self::Text => (pg_sys::F_TEXTEQ, text.into_datum()?),
            Self::Uuid => (pg_sys::F_UUID_EQ, uuid(text)?.into_datum()?),
            Self::Int2 => (pg_sys::F_INT2EQ, text.parse::<i16>().ok()?.into_datum()?),
            Self::Int4 => (pg_sys::F_INT4EQ, text.parse::<i32>().ok()?.into_datum()?),
            Self::Int8 => (pg_sys::F_INT8EQ, text.parse::<i64>().ok()?.into_datum()?),
            Self::Label | Self::Bool | Self::Time => return None,
        })
    }
}

fn uuid(text: &str) -> Option<Uuid> {
    let digits: String = text.chars().filter(|letter| *letter != '-').collect();
    let number = u128::from_str_radix(&digits, 16).ok()?;
    (digits.len() == 32).then(|| Uuid::from_bytes(number.to_be_bytes()))
}

/// Whether a type, such as `citext`, has the output function of `text`.
///
/// # Safety
/// Called in a transaction.
unsafe fn is_written_as_text(of_type: pg_sys::Oid) -> bool {
    // SAFETY: looks a function up and does not call it.
    unsafe {
        let (mut output, mut is_varlena) = (pg_sys::Oid::INVALID, false);
        pg_sys::getTypeOutputInfo(of_type, &raw mut output, &raw mut is_varlena);
        let code = |function: pg_sys::Oid| {
            let mut found = pg_sys::FmgrInfo::default();
            pg_sys::fmgr_info(function, &raw mut found);
            found.fn_addr.map(|code| code as usize)
        };
        code(output) == code(pg_sys::Oid::from(pg_sys::F_TEXTOUT))
    }
}

struct WantedColumn {
    name: &'static str,
    /// Its number in the table, from 1.
    number: i32,
    decoded: Decoded,
    is_required: bool,
}

/// Which columns of a table are read, and how.
struct Plan {
    columns: Vec<WantedColumn>,
    /// Index in `columns` of the column to search.
    key: Option<usize>,
}

impl Plan {
    /// # Safety
    /// `opened` is open.
    unsafe fn new(
        opened: pg_sys::Relation,
        place: &Place,
        table: &Table,
        key: Option<&str>,
    ) -> std::result::Result<Self, String> {
        // SAFETY: a relation that is open has both; each number is that of a column.
        unsafe {
            let class = (*opened).rd_rel;
            if (*class).relkind as u8 != pg_sys::RELKIND_RELATION
                || (*class).relam != pg_sys::Oid::from(HEAP)
            {
                return Err("is not an ordinary table".to_owned());
            }
            let described = (*opened).rd_att;
            let present: Vec<(i32, pg_sys::Oid)> = (1..=(*described).natts)
                .map(|number| (number, pg_sys::SPI_gettypeid(described, number)))
                .filter(|(_, of_type)| *of_type != pg_sys::Oid::INVALID)
                .collect();
            let name = |(number, _): &(i32, pg_sys::Oid)| {
                let name = CStr::from_ptr(pg_sys::SPI_fname(described, *number));
                name.to_string_lossy().into_owned()
            };
            let names: Vec<String> = present.iter().map(name).collect();
            let mut columns = Vec::new();
            for column in table.columns {
                let found = place.column(table.name, column.name, &names);
                let Some((&(number, of_type), name)) =
                    found.and_then(|index| present.get(index).zip(names.get(index)))
                else {
                    let given = place.names.get(&format!("{}.{}", table.name, column.name));
                    if column.is_required || given.is_some() {
                        let name = given.map_or(column.name, String::as_str);
                        return Err(format!("has no column \"{name}\""));
                    }
                    continue;
                };
                // Another operator may find keys equal that differ as text: such a row is another
                // session's.
                let is_exact = || {
                    let base = pg_sys::getBaseType(of_type);
                    column.kind != Kind::Text
                        || [pg_sys::TEXTOID, pg_sys::VARCHAROID].contains(&base)
                };
                let decoded = Decoded::of(of_type, column.kind)
                    .filter(|_| key != Some(column.name) || is_exact());
                let Some(decoded) = decoded else {
                    let of_type = CStr::from_ptr(pg_sys::format_type_be(of_type));
                    return Err(format!(
                        "has column \"{name}\" of type {}, but it must be {}",
                        of_type.to_string_lossy(),
                        match column.kind {
                            Kind::Id => "text, uuid or an integer",
                            Kind::Text => "text",
                            Kind::Bool => "boolean",
                            Kind::Time => "a timestamp",
                        }
                    ));
                };
                columns.push(WantedColumn {
                    name: column.name,
                    number,
                    decoded,
                    is_required: column.is_required,
                });
            }
            let key = key.and_then(|key| columns.iter().position(|column| column.name == key));
            Ok(Self { columns, key })
        }
    }

    /// The present rows, even if the transaction's snapshot is older.
    ///
    /// # Safety
    /// `table` is open, and the plan was made for it.
    unsafe fn read(
        &self,
        table: pg_sys::Relation,
        value: Option<&str>,
    ) -> Result<Vec<Map<String, Value>>> {
        let mut rows = Vec::new();
        let mut keys = Vec::new();
        let mut index = pg_sys::Oid::INVALID;
        let key = self.key.and_then(|key| self.columns.get(key)).zip(value);
        // SAFETY: columns of the table, with values of their types. Without a given snapshot, the
        // scan takes the newest one. Postgres permits this in parallel mode, too, unlike
        // GetLatestSnapshot.
        unsafe {
            if let Some((column, value)) = key {
                let Some((equal, value)) = column.decoded.key(value) else {
                    return Ok(rows);
                };
                let (mut of_type, mut collation) = (pg_sys::Oid::INVALID, pg_sys::Oid::INVALID);
                let (mut modifier, number) = (-1, column.number as pg_sys::AttrNumber);
                pg_sys::get_atttypetypmodcoll(
                    (*table).rd_id,
                    number,
                    &raw mut of_type,
                    &raw mut modifier,
                    &raw mut collation,
                );
                let mut key = pg_sys::ScanKeyData::default();
                pg_sys::ScanKeyEntryInitialize(
                    &raw mut key,
                    0,
                    number,
                    pg_sys::BTEqualStrategyNumber as u16,
                    pg_sys::Oid::INVALID,
                    collation,
                    pg_sys::Oid::from(equal),
                    value,
                );
                keys.push(key);
                index = index_of(table, column.number, collation);
            }
            let scan = pg_sys::systable_beginscan(
                table,
                index,
                index != pg_sys::Oid::INVALID,
                std::ptr::null_mut(),
                keys.len() as i32,
                keys.as_mut_ptr(),
            );
            let described = (*table).rd_att;
            let count = (*described).natts as usize;
            let mut values = vec![pg_sys::Datum::from(0); count];
            let mut nulls = vec![true; count];
            let mut of_row = PgMemoryContexts::new("insforge_integrations row");
            loop {
                let tuple = pg_sys::systable_getnext(scan);
                if tuple.is_null() {
                    break;
                }
                pg_sys::heap_deform_tuple(
                    tuple,
                    described,
                    values.as_mut_ptr(),
                    nulls.as_mut_ptr(),
                );
                let row = of_row.switch_to(|_| self.row(&values, &nulls))?;
                // A collation can find two different texts equal.
                let is_it = key.is_none_or(|(column, value)| match column.decoded {
                    Decoded::Text => {
                        row.as_ref().and_then(|row| row.get(column.name)) == Some(&value.into())
                    }
                    _ => true,
                });
                rows.extend(row.filter(|_| is_it));
                of_row.reset();
            }
            pg_sys::systable_endscan(scan);
        }
        Ok(rows)
    }

    unsafe fn row(
        &self,
        values: &[pg_sys::Datum],
        nulls: &[bool],
    ) -> Result<Option<Map<String, Value>>> {
        let mut row = Map::new();
        for column in &self.columns {
            let index = column.number as usize - 1;
            let value = match (values.get(index), nulls.get(index)) {
                // SAFETY: the plan says how the column's type is decoded.
                (Some(value), Some(false)) => unsafe { column.decoded.decode(*value)? },
                _ if column.is_required => return Ok(None),
                _ => Value::Null,
            };
            row.insert(column.name.to_owned(), value);
        }
        Ok(Some(row))
    }
}

/// An index to find rows by the value of a column, or an invalid OID. The index is a complete
/// B-tree on only that column, with a built-in operator class.
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
