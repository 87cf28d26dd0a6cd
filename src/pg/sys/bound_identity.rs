//! The identity that `authenticate()` or `pre_request()` bound to the request.
//!
//! It lives in a setting of this extension, set for the transaction, so that savepoints undo it,
//! the end of the transaction ends it, and parallel workers have it. Ordinary roles can neither set
//! nor reset it: a value given before the library is loaded is dropped with a warning when it is.
//!
//! A transaction is not a request. PostgREST can give a connection back to its pool with the transaction
//! still open; the next request's BEGIN then changes nothing. An identity therefore holds only while the
//! request's own settings are those under which it was bound.

use crate::error::Error;
use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use aws_lc_rs::digest;
use pgrx::prelude::*;
use serde::{Deserialize, Serialize};

use super::encoding::utf8;
use super::fmgr::unguarded;
use super::guc::{self, Setting};
use crate::identity::Identity;
use crate::pg::error::Result;

const PREFIX: &CStr = c"insforge_integrations";
const NAME: &CStr = c"insforge_integrations.verified_claims";

/// Postgres writes the address of the text here.
static VALUE: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());

/// What PostgREST sets for each request, as far as it says who is asking.
pub struct RequestSettings {
    pub claims: Setting,
    pub headers: Setting,
    pub cookies: Setting,
}

impl RequestSettings {
    pub const fn new() -> Self {
        Self {
            claims: Setting::new(c"request.jwt.claims"),
            headers: Setting::new(c"request.headers"),
            cookies: Setting::new(c"request.cookies"),
        }
    }

    /// A digest of all three, which parallel workers compute alike.
    fn digest(&self) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        for setting in [&self.claims, &self.headers, &self.cookies] {
            context.update(setting.copy().as_bytes_with_nul());
        }
        hex::encode(context.finish())
    }
}

/// Who was bound, and until when.
#[derive(Serialize, Deserialize)]
pub struct BoundIdentity {
    pub provider: String,
    #[serde(flatten)]
    pub identity: Identity,
    /// Microseconds since 2000, as Postgres counts; the identity ends then.
    pub expires: pg_sys::TimestampTz,
}

/// What the setting holds.
#[derive(Serialize, Deserialize)]
struct Stored<T> {
    /// [`RequestSettings::digest`] when the identity was bound.
    request: String,
    #[serde(flatten)]
    bound: T,
}

/// Defines the setting; called once when the library is loaded.
pub fn define() {
    // SAFETY: name, description and value live as long as the process.
    unsafe {
        pg_sys::DefineCustomStringVariable(
            NAME.as_ptr(),
            c"Identity that insforge_integrations.authenticate() bound to the request.".as_ptr(),
            ptr::null(),
            VALUE.as_ptr(),
            ptr::null(),
            pg_sys::GucContext::PGC_SUSET,
            (pg_sys::GUC_NO_SHOW_ALL
                | pg_sys::GUC_NO_RESET_ALL
                | pg_sys::GUC_NOT_IN_SAMPLE
                | pg_sys::GUC_DISALLOW_IN_FILE) as i32,
            None,
            None,
            None,
        );
        // No other setting may look like one of this extension.
        pg_sys::MarkGUCPrefixReserved(PREFIX.as_ptr());
    }
}

/// Whether the setting's text is `other`; "" while nothing is bound.
#[inline(always)]
pub fn is(other: &CStr) -> bool {
    let text = VALUE.load(Ordering::Relaxed);
    if text.is_null() {
        return other.is_empty();
    }
    // SAFETY: Postgres keeps a text that ends with NUL.
    unsafe { unguarded::strcmp(text, other.as_ptr()) == 0 }
}

/// A copy of the setting's text.
pub fn copy() -> CString {
    let text = VALUE.load(Ordering::Relaxed);
    if text.is_null() {
        return CString::default();
    }
    // SAFETY: as in `is`; the text stays until the setting is set again.
    unsafe { CStr::from_ptr(text) }.to_owned()
}

/// The identity that is bound to the present request. One that was bound to another is none.
pub fn current(request: &RequestSettings) -> Result<Option<BoundIdentity>> {
    let text = copy();
    let text = utf8(&text)?;
    if text.is_empty() {
        return Ok(None);
    }
    let stored: Stored<BoundIdentity> = serde_json::from_str(text).map_err(Error::bug)?;
    Ok((stored.request == request.digest()).then_some(stored.bound))
}

/// Binds an identity to the request as its settings are now.
pub fn bind(bound: &BoundIdentity) -> Result<()> {
    let request = RequestSettings::new().digest();
    set(&serde_json::to_string(&Stored { request, bound }).map_err(Error::bug)?)
}

/// Unbinds the identity, if one is bound, whichever request it was bound to.
pub fn unbind() -> Result<()> {
    match is(c"") {
        true => Ok(()),
        false => set(""),
    }
}

/// A call of this extension sets its own setting, with the rights that takes.
fn set(text: &str) -> Result<()> {
    guc::set_local(NAME, text, pg_sys::GucContext::PGC_SUSET)
}
