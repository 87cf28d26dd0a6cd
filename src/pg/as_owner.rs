//! Running with the rights of somebody else.
//!
//! SECURITY DEFINER with a SET clause does the same. Up to Postgres 16 it costs a short transaction more
//! than the insertion of a row: both ways the setting is written, and the path looked up anew.

use pgrx::pg_sys;

use super::error::{Result, internal};

/// Until `end`, the rights are the owner's, and names are looked up in pg_catalog alone. An error ends it with
/// the (sub)transaction.
pub struct AsOwner {
    user: pg_sys::Oid,
    context: i32,
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    settings: i32,
}

impl AsOwner {
    /// With the rights of a function's owner.
    pub fn of_function(function: pg_sys::Oid) -> Result<Self> {
        let function = pgrx::pg_catalog::pg_proc::PgProc::new(function);
        let owner = function.ok_or_else(|| internal("the function is gone"))?;
        Ok(Self::begin(owner.proowner(), 0))
    }

    /// With the rights of a role. `flags`: more of Postgres' SECURITY_… than the change of user.
    pub fn begin(owner: pg_sys::Oid, flags: u32) -> Self {
        let (mut user, mut context) = (pg_sys::Oid::INVALID, 0);
        // SAFETY: the end of the (sub)transaction puts both back. Postgres copies the path.
        unsafe {
            pg_sys::GetUserIdAndSecContext(&raw mut user, &raw mut context);
            let flags = flags | pg_sys::SECURITY_LOCAL_USERID_CHANGE;
            pg_sys::SetUserIdAndSecContext(owner, context | flags as i32);
            #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
            {
                let mut path = pg_sys::OverrideSearchPath {
                    addCatalog: true,
                    ..Default::default()
                };
                pg_sys::PushOverrideSearchPath(&raw mut path);
            }
            #[cfg(any(feature = "pg17", feature = "pg18"))]
            let settings = pg_sys::NewGUCNestLevel();
            #[cfg(any(feature = "pg17", feature = "pg18"))]
            pg_sys::RestrictSearchPath();
            Self {
                user,
                context,
                #[cfg(any(feature = "pg17", feature = "pg18"))]
                settings,
            }
        }
    }

    /// Puts back what was before.
    pub fn end(self) {
        // SAFETY: in the (sub)transaction that began it.
        unsafe {
            #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
            pg_sys::PopOverrideSearchPath();
            #[cfg(any(feature = "pg17", feature = "pg18"))]
            pg_sys::AtEOXact_GUC(false, self.settings);
            pg_sys::SetUserIdAndSecContext(self.user, self.context);
        }
    }
}
