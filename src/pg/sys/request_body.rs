//! The body of the request that PostgREST serves.

use std::ffi::CStr;

use pgrx::pg_sys::{self, FunctionCallInfo};

use super::guc;
use crate::json::Json;
use crate::pg::error::Result;

/// The number of elements, if the body is a JSON array and the request calls this function.
///
/// PostgREST binds the body to the only parameter of its statement. Of an array it calls the
/// function with the first element, and drops the others.
///
/// # Safety
/// A call by the function manager, of a function that is declared to return a set.
pub(super) unsafe fn elements(call: FunctionCallInfo) -> Result<Option<usize>> {
    // SAFETY: the executor gives a set's function a ReturnSetInfo with its context.
    let parameters = unsafe {
        let info: *mut pg_sys::ReturnSetInfo = (*call).resultinfo.cast();
        if info.is_null()
            || (*info).type_ != pg_sys::NodeTag::T_ReturnSetInfo
            || (*info).econtext.is_null()
        {
            return Ok(None);
        }
        (*(*info).econtext).ecxt_param_list_info
    };
    // SAFETY: a portal is active while its statement runs. Statements inside of functions have
    // other parameters.
    let is_of_request = unsafe {
        let portal = pg_sys::ActivePortal;
        !parameters.is_null() && !portal.is_null() && (*portal).portalParams == parameters
    };
    if !is_of_request || guc::get(c"request.method")?.is_none() {
        return Ok(None);
    }
    // SAFETY: the list is not NULL, and it has numParams elements.
    let body = unsafe {
        if (*parameters).numParams != 1 {
            return Ok(None);
        }
        let parameter = &*(*parameters).params.as_ptr();
        let is_text =
            [pg_sys::JSONOID, pg_sys::JSONBOID, pg_sys::TEXTOID].contains(&parameter.ptype);
        if parameter.isnull || !is_text {
            return Ok(None);
        }
        let (mut output, mut is_variable_length) = (pg_sys::Oid::INVALID, false);
        pg_sys::getTypeOutputInfo(
            parameter.ptype,
            &raw mut output,
            &raw mut is_variable_length,
        );
        CStr::from_ptr(pg_sys::OidOutputFunctionCall(output, parameter.value))
    };
    let items = body
        .to_str()
        .ok()
        .and_then(|body| Json::parse(body)?.items());
    Ok(items.map(|items| items.len()))
}
