//! What happens before the extension is dropped: a ledger with rows is kept, and its cron job ends.

use std::ffi::CStr;

use pgrx::pg_sys::{self, Datum, FunctionCallInfo};
use pgrx::prelude::*;

use super::error::Result;
use super::settings;
use super::sys::fmgr::function_info;
use crate::error::Error;

/// Event trigger function (`ddl_command_start`); see sql/ledger_guard.sql.
///
/// # Safety
/// Called by Postgres' function manager.
#[unsafe(no_mangle)]
#[pg_guard]
pub unsafe extern "C-unwind" fn keep_x402_ledger(call: FunctionCallInfo) -> Datum {
    // SAFETY: the event trigger manager's call has EventTriggerData for its context.
    let verdict = unsafe {
        let context = (*call).context;
        if context.is_null() || (*context).type_ != pg_sys::NodeTag::T_EventTriggerData {
            Err(Error::NotATrigger {
                function: "keep_x402_ledger",
            })
        } else {
            let data: *mut pg_sys::EventTriggerData = context.cast();
            check((*data).parsetree)
        }
    };
    if let Err(error) = verdict {
        error.raise();
    }
    Datum::from(0)
}

function_info!(pg_finfo_keep_x402_ledger);

/// # Safety
/// A statement's parse tree.
unsafe fn check(statement: *mut pg_sys::Node) -> Result<()> {
    // SAFETY: the node is what its tag says.
    let drops_extension = unsafe {
        match (*statement).type_ {
            pg_sys::NodeTag::T_DropStmt => reaches_extension(statement.cast())?,
            pg_sys::NodeTag::T_DropOwnedStmt => owns_ledger(statement.cast())?,
            _ => false,
        }
    };
    if !drops_extension {
        return Ok(());
    }
    if !settings::current()?.allow_ledger_drop {
        require_empty_ledger()?;
    }
    unschedule()
}

/// Ends the extension's cron job. Should the statement fail, the job stays.
fn unschedule() -> Result<()> {
    // A library is newer than the catalogs until ALTER EXTENSION … UPDATE.
    Spi::run(
        "DO $$ BEGIN
           IF pg_catalog.to_regprocedure('insforge_integrations.unschedule_jwks_refresh()') IS NOT NULL THEN
             PERFORM insforge_integrations.unschedule_jwks_refresh();
           END IF;
         END $$",
    )
    .map_err(Error::bug)
}

fn require_empty_ledger() -> Result<()> {
    let content = Spi::get_one::<String>(
        "SELECT pg_catalog.format('It has %s settlements and %s reservations, which would be gone.', s.n, r.n)
         FROM (SELECT pg_catalog.count(*) AS n FROM insforge_integrations.x402_settlements) s,
              (SELECT pg_catalog.count(*) AS n FROM insforge_integrations.x402_reservations) r
         WHERE s.n OPERATOR(pg_catalog.+) r.n OPERATOR(pg_catalog.>) 0",
    );
    match content {
        Ok(Some(content)) => Err(Error::LedgerNotEmpty { content }),
        Ok(None) | Err(pgrx::spi::Error::InvalidPosition) => Ok(()),
        Err(error) => Err(Error::bug(error)),
    }
}

/// Whether a DROP names the extension, one of its schemas, or the language of its functions.
unsafe fn reaches_extension(statement: *mut pg_sys::DropStmt) -> Result<bool> {
    // SAFETY: objects of these kinds are given as one String node each.
    let (kind, names) = unsafe {
        let kind = match (*statement).removeType {
            pg_sys::ObjectType::OBJECT_EXTENSION => "extension",
            pg_sys::ObjectType::OBJECT_SCHEMA => "schema",
            pg_sys::ObjectType::OBJECT_LANGUAGE => "language",
            _ => return Ok(false),
        };
        let objects = pgrx::PgList::<pg_sys::Node>::from_pg((*statement).objects);
        let strings = objects
            .iter_ptr()
            .filter(|node| (**node).type_ == pg_sys::NodeTag::T_String);
        (kind, strings.map(|node| text_of(node)).collect::<Vec<_>>())
    };
    let answer = Spi::get_one_with_args(
        "SELECT pg_catalog.bool_or(CASE $1
           WHEN 'extension' THEN name OPERATOR(pg_catalog.=) ANY ('{insforge_integrations,plpgsql}'::pg_catalog.text[])
           WHEN 'language' THEN name OPERATOR(pg_catalog.=) 'plpgsql'
           ELSE name OPERATOR(pg_catalog.=) 'insforge_integrations'
                OR name OPERATOR(pg_catalog.=) (
                     SELECT n.nspname::pg_catalog.text FROM pg_catalog.pg_extension e
                     JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
                     WHERE e.extname OPERATOR(pg_catalog.=) 'insforge_integrations')
         END)
         FROM pg_catalog.unnest($2) AS name",
        &[kind.into(), names.into()],
    );
    Ok(answer.map_err(Error::bug)? == Some(true))
}

/// The characters of a String node.
unsafe fn text_of(node: *mut pg_sys::Node) -> String {
    // SAFETY: as the caller promises.
    unsafe {
        #[cfg(feature = "pg14")]
        let text = (*node.cast::<pg_sys::Value>()).val.str_;
        #[cfg(not(feature = "pg14"))]
        let text = (*node.cast::<pg_sys::String>()).sval;
        CStr::from_ptr(text).to_string_lossy().into_owned()
    }
}

/// Whether DROP OWNED names the owner of the ledger.
unsafe fn owns_ledger(statement: *mut pg_sys::DropOwnedStmt) -> Result<bool> {
    let owner: Option<pg_sys::Oid> = Spi::get_one(
        "SELECT relowner FROM pg_catalog.pg_class
         WHERE oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('insforge_integrations.x402_settlements')",
    )
    .map_err(Error::bug)?;
    // SAFETY: the statement's list has a RoleSpec for each role.
    let owners = unsafe {
        let roles = pgrx::PgList::<pg_sys::RoleSpec>::from_pg((*statement).roles);
        let owners = roles
            .iter_ptr()
            .map(|role| pg_sys::get_rolespec_oid(role, true));
        owners.collect::<Vec<_>>()
    };
    Ok(owner.is_some_and(|owner| owners.contains(&owner)))
}
