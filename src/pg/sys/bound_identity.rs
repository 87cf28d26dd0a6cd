//! The identity that `authenticate()` or `pre_request()` bound to the request.
//!
//! The identity is the value of a setting (GUC) of this extension, set for the transaction.
//! Therefore savepoints undo it, the end of the transaction ends it, and parallel workers have it.
//! Ordinary roles can neither set nor reset it. If a value was given before the library is loaded,
//! Postgres drops it with a warning.
//!
//! A transaction is not a request. PostgREST can return a connection to its pool with the
//! transaction still open. The next request's BEGIN then changes nothing. Therefore an identity
//! holds only while the request's own settings keep the values that they had when it was bound.

use crate::error::Error;
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use aws_lc_rs::digest;
use pgrx::prelude::*;
use serde::{Deserialize, Serialize};

use super::encoding::utf8;
use super::guc::{self, Setting};
use crate::identity::Identity;
use crate::pg::error::Result;

const PREFIX: &CStr = c"insforge_integrations";
const NAME: &CStr = c"insforge_integrations.verified_claims";

/// Postgres writes the address of the text here.
static VALUE: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());

/// How often the text changed, whether by a statement, a rollback or the end of a transaction.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// Postgres calls it at every change. It must not raise an error.
unsafe extern "C-unwind" fn count_change(_: *const c_char, _: *mut c_void) {
    CHANGES.fetch_add(1, Ordering::Relaxed);
}

/// The settings that PostgREST writes for each request and that can identify the user.
pub(crate) struct RequestSettings {
    pub claims: Setting,
    pub headers: Setting,
    pub cookies: Setting,
}

impl RequestSettings {
    pub(crate) const fn new() -> Self {
        Self {
            claims: Setting::new(c"request.jwt.claims"),
            headers: Setting::new(c"request.headers"),
            cookies: Setting::new(c"request.cookies"),
        }
    }

    /// A digest of all three. Parallel workers compute the same one.
    fn digest(&self) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        for setting in [&self.claims, &self.headers, &self.cookies] {
            context.update(setting.copy().as_bytes_with_nul());
        }
        hex::encode(context.finish())
    }
}

/// A bound identity and its end.
#[derive(Serialize, Deserialize)]
pub(crate) struct BoundIdentity {
    pub provider: String,
    #[serde(flatten)]
    pub identity: Identity,
    /// The claims set, as the provider wrote it.
    pub claims: String,
    /// End of the identity, in microseconds since 2000, as Postgres counts.
    pub expires: pg_sys::TimestampTz,
}

/// The content of the setting.
#[derive(Serialize, Deserialize)]
struct Stored<T> {
    /// [`RequestSettings::digest`] when the identity was bound.
    request: String,
    #[serde(flatten)]
    bound: T,
}

/// Defines the setting. Called once, when the library is loaded.
pub(crate) fn define() {
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
            Some(count_change),
            None,
        );
        // No other setting may have this extension's prefix.
        pg_sys::MarkGUCPrefixReserved(PREFIX.as_ptr());
    }
}

/// A number that is another one after every change of the setting. Comparing it costs the same
/// however many claims the text has.
#[inline(always)]
pub(crate) fn changes() -> u64 {
    CHANGES.load(Ordering::Relaxed)
}

/// Whether an identity is bound, to whichever request.
pub(crate) fn is_bound() -> bool {
    !copy().is_empty()
}

/// A copy of the setting's text, which is "" while no identity is bound.
fn copy() -> CString {
    let text = VALUE.load(Ordering::Relaxed);
    if text.is_null() {
        return CString::default();
    }
    // SAFETY: the text ends with NUL, and Postgres keeps it until the setting is set again.
    unsafe { CStr::from_ptr(text) }.to_owned()
}

/// The identity that is bound to the present request. An identity of another request does not
/// count.
pub(crate) fn current(request: &RequestSettings) -> Result<Option<BoundIdentity>> {
    let text = copy();
    let text = utf8(&text)?;
    if text.is_empty() {
        return Ok(None);
    }
    let stored: Stored<BoundIdentity> = serde_json::from_str(text).map_err(Error::bug)?;
    Ok((stored.request == request.digest()).then_some(stored.bound))
}

/// Binds an identity to the request with its present settings.
pub(crate) fn bind(bound: &BoundIdentity) -> Result<()> {
    let request = RequestSettings::new().digest();
    set(&serde_json::to_string(&Stored { request, bound }).map_err(Error::bug)?)
}

/// Removes the bound identity, if there is one, whichever request it belongs to.
pub(crate) fn unbind() -> Result<()> {
    match is_bound() {
        true => set(""),
        false => Ok(()),
    }
}

/// Sets this extension's own setting, with the rights that this needs.
fn set(text: &str) -> Result<()> {
    guc::set_local(NAME, text, pg_sys::GucContext::PGC_SUSET)
}
