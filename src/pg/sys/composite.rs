//! Values of the extension's composite types, for functions that return a row.

use std::ffi::CStr;

use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::datum::{Datum, DatumWithOid};
use pgrx::heap_tuple::PgHeapTuple;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::prelude::*;
use pgrx::tupdesc::PgTupleDesc;

use super::heap_scan::relation_in_schema;
use crate::error::Error;
use crate::pg::error::Result;

/// A row of a composite type. Postgres takes it for a set of one row, if the function is declared
/// to return a set.
pub(crate) struct Composite(pg_sys::Datum);

impl Composite {
    /// A row of type `insforge_integrations.name`, from the values of all its columns.
    pub(crate) fn new(name: &CStr, values: &[DatumWithOid]) -> Result<Self> {
        // SAFETY: called in a transaction. A type that is not there raises an error.
        let columns = unsafe {
            let of_type =
                pg_sys::get_rel_type_id(relation_in_schema(c"insforge_integrations", name));
            PgTupleDesc::from_pg(pg_sys::lookup_rowtype_tupdesc(of_type, -1))
        };
        if !columns
            .iter()
            .map(|column| column.atttypid)
            .eq(values.iter().map(DatumWithOid::oid))
        {
            return Err(Error::bug("a composite type has other columns"));
        }
        let values = values
            .iter()
            .map(|value| value.datum().map(|datum| datum.sans_lifetime()));
        // SAFETY: there are as many values as columns, each of its column's type.
        let row = unsafe { PgHeapTuple::from_datums(columns, values) };
        let row = row.map_err(Error::bug)?.into_composite_datum();
        row.map(Self)
            .ok_or_else(|| Error::bug("a row of a composite type is NULL"))
    }
}

// SAFETY: the functions that return it are declared by hand.
unsafe impl SqlTranslatable for Composite {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(Composite);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: std::result::Result<SqlMappingRef, ArgumentError> =
        Ok(SqlMappingRef::literal("record"));
    const RETURN_SQL: std::result::Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("record")));
}

// SAFETY: the datum is a new one in the current memory context.
unsafe impl BoxRet for Composite {
    unsafe fn box_into<'fcx>(self, call: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        // SAFETY: as above.
        unsafe { call.return_raw_datum(self.0) }
    }
}
