//! Type `jsonb` as text, because `serde_json` would round numbers that `jsonb` keeps.

use std::ffi::{CStr, CString};

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::Datum;
use pgrx::nullable::Nullable;
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::prelude::*;

use super::encoding::utf8;

/// A `jsonb` value, written as JSON.
pub(crate) struct Jsonb(pub String);

impl IntoDatum for Jsonb {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        let text = CString::new(self.0).ok()?;
        // SAFETY: jsonb's input function gets a text that ends with NUL, and raises an error for
        // invalid JSON.
        Some(unsafe {
            pg_sys::OidInputFunctionCall(
                pg_sys::Oid::from(pg_sys::F_JSONB_IN),
                text.as_ptr().cast_mut(),
                pg_sys::Oid::INVALID,
                -1,
            )
        })
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::JSONBOID
    }
}

impl FromDatum for Jsonb {
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        _: pg_sys::Oid,
    ) -> Option<Self> {
        if is_null {
            return None;
        }
        // SAFETY: jsonb's output function, given a jsonb.
        let text = unsafe {
            CStr::from_ptr(pg_sys::OidOutputFunctionCall(
                pg_sys::Oid::from(pg_sys::F_JSONB_OUT),
                datum,
            ))
        };
        match utf8(text) {
            Ok(text) => Some(Self(text.to_owned())),
            Err(error) => {
                error.raise();
                None
            }
        }
    }
}

// SAFETY: the name is that of the type whose functions are used above.
unsafe impl SqlTranslatable for Jsonb {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(Jsonb);
    const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
    const ARGUMENT_SQL: Result<SqlMappingRef, ArgumentError> = Ok(SqlMappingRef::literal("jsonb"));
    const RETURN_SQL: Result<ReturnsRef, ReturnsError> =
        Ok(ReturnsRef::One(SqlMappingRef::literal("jsonb")));
}

// SAFETY: a copy is made of the argument, which is valid for the call.
unsafe impl<'fcx> ArgAbi<'fcx> for Jsonb {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: as above. A strict function is not called with NULL.
        unsafe { arg.unbox_arg_using_from_datum() }.unwrap_or_else(|| Self("null".to_owned()))
    }

    unsafe fn unbox_nullable_arg(arg: Arg<'_, 'fcx>) -> Nullable<Self> {
        // SAFETY: as above.
        unsafe { arg.unbox_arg_using_from_datum().into() }
    }
}

// SAFETY: the datum is a new one in the current memory context.
unsafe impl BoxRet for Jsonb {
    unsafe fn box_into<'fcx>(self, call: &mut FcInfo<'fcx>) -> Datum<'fcx> {
        match self.into_datum() {
            // SAFETY: as above.
            Some(datum) => unsafe { call.return_raw_datum(datum) },
            None => call.return_null(),
        }
    }
}
