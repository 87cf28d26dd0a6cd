//! The request that PostgREST is about to serve.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::pg::error::Result;
use crate::pg::sys::guc;
use crate::providers;

/// The HTTP method; `None` when no request is served.
fn method() -> Result<Option<String>> {
    guc::get(c"request.method")
}

/// Refuses a call of `function` by a method other than POST. In plain SQL there is no method.
pub(crate) fn require_post(function: &'static str) -> Result<()> {
    match method()?.is_none_or(|method| method == "POST") {
        true => Ok(()),
        false => Err(providers::Error::MethodNotAllowed { function }.into()),
    }
}

/// A header of the request, by its name in lower case and without the blanks around it; `None` if it
/// is missing or empty.
pub(crate) fn header(name: &str) -> Result<Option<String>> {
    let Some(headers) = guc::get(c"request.headers")? else {
        return Ok(None);
    };
    let headers: HashMap<String, Box<RawValue>> =
        serde_json::from_str(&headers).map_err(|_| providers::Error::HeadersNotJson)?;
    let value = headers
        .get(name)
        .map(|value| serde_json::from_str::<String>(value.get()))
        .transpose()
        .map_err(|_| providers::Error::HeadersNotJson)?;
    let value = value.map(|text| text.trim().to_owned());
    Ok(value.filter(|text| !text.is_empty()))
}
