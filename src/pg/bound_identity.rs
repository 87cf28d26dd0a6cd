//! The identity that `authenticate()` bound to the transaction.
//!
//! It lives in a variable of this extension, set for the transaction, so that savepoints undo it,
//! the end of the transaction ends it, and parallel workers have it. Ordinary roles can neither set
//! nor reset it: a value given before the library is loaded is dropped with a warning when it is.

use std::ffi::{CStr, c_char};

use pgrx::prelude::*;
use serde::{Deserialize, Serialize};

use super::backend::BackendLocal;
use super::encoding::from_server;
use super::error::{Result, internal};
use super::variables;
use crate::jwt::identity::Identity;

const PREFIX: &CStr = c"insforge_integrations";
const NAME: &CStr = c"insforge_integrations.verified_claims";

static VALUE: BackendLocal<*mut c_char> = BackendLocal::new(std::ptr::null_mut());

/// What the variable holds.
#[derive(Serialize, Deserialize)]
pub struct BoundIdentity {
    pub provider: String,
    pub user_id: Option<String>,
    pub org_id: Option<String>,
    pub org_role: Option<String>,
    pub permissions: Option<Vec<String>>,
    /// Microseconds since 2000, as Postgres counts; the identity ends then.
    pub expires: pg_sys::TimestampTz,
}

impl BoundIdentity {
    pub fn into_identity(self) -> Identity {
        Identity {
            user_id: self.user_id,
            org_id: self.org_id,
            org_role: self.org_role,
            permissions: self.permissions,
        }
    }
}

/// Defines the variable; called once when the library is loaded.
pub fn define() {
    // SAFETY: name, description and value live as long as the process.
    unsafe {
        pg_sys::DefineCustomStringVariable(
            NAME.as_ptr(),
            c"Identity that insforge_integrations.authenticate() bound to the transaction."
                .as_ptr(),
            std::ptr::null(),
            VALUE.get(),
            std::ptr::null(),
            pg_sys::GucContext::PGC_SUSET,
            (pg_sys::GUC_NO_SHOW_ALL
                | pg_sys::GUC_NO_RESET_ALL
                | pg_sys::GUC_NOT_IN_SAMPLE
                | pg_sys::GUC_DISALLOW_IN_FILE) as i32,
            None,
            None,
            None,
        );
        // No other variable may look like one of this extension.
        #[cfg(feature = "pg14")]
        pg_sys::EmitWarningsOnPlaceholders(PREFIX.as_ptr());
        #[cfg(not(feature = "pg14"))]
        pg_sys::MarkGUCPrefixReserved(PREFIX.as_ptr());
    }
}

/// The text of the bound identity, `None` while there is none.
///
/// # Safety
/// Valid until the variable is set again.
#[inline(always)]
pub unsafe fn current() -> Option<*const c_char> {
    // SAFETY: Postgres keeps a NUL-terminated text in the variable, or nothing.
    unsafe {
        let text = *VALUE.get();
        (!text.is_null() && *text != 0).then_some(text.cast_const())
    }
}

/// Reads what [`bind`] wrote.
pub fn parse(text: &CStr) -> Result<BoundIdentity> {
    serde_json::from_str(&from_server(text)?).map_err(internal)
}

/// Binds an identity to the transaction, or none.
pub fn bind(identity: Option<&BoundIdentity>) -> Result<()> {
    let text = identity
        .map(serde_json::to_string)
        .transpose()
        .map_err(internal)?
        .unwrap_or_default();
    // A call of this extension sets its own variable, with the rights that takes.
    variables::set_local(NAME, &text, pg_sys::GucContext::PGC_SUSET)
}
