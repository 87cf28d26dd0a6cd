//! The request that PostgREST is about to serve.

use std::collections::HashMap;

use serde_json::value::RawValue;

use super::error::Result;
use super::sys::guc;
use crate::error::Error;

/// The HTTP method; `None` when no request is served.
fn method() -> Result<Option<String>> {
    guc::get(c"request.method")
}

/// Whether `function` may be called: in plain SQL, and by POST.
pub fn require_post(function: &'static str) -> Result<std::result::Result<(), Error>> {
    let is_allowed = method()?.is_none_or(|method| method == "POST");
    Ok(is_allowed
        .then_some(())
        .ok_or(Error::MethodNotAllowed { function }))
}

/// A header of the request, by its name in lower case; `None` when it is not there or empty.
pub fn header(name: &str) -> Result<std::result::Result<Option<String>, Error>> {
    let Some(headers) = guc::get(c"request.headers")? else {
        return Ok(Ok(None));
    };
    let Ok(headers) = serde_json::from_str::<HashMap<String, Box<RawValue>>>(&headers) else {
        return Ok(Err(Error::HeadersNotJson));
    };
    let value = headers
        .get(name)
        .map(|value| serde_json::from_str(value.get()));
    Ok(match value.transpose() {
        Ok(value) => Ok(value.filter(|text: &String| !text.is_empty())),
        Err(_) => Err(Error::HeadersNotJson),
    })
}
