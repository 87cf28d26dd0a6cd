//! Keeps a ledger with rows from going with the extension.

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
    let reaches_ledger = unsafe {
        match (*statement).type_ {
            pg_sys::NodeTag::T_DropStmt => reach_ledger(dropped_names(statement.cast()))?,
            pg_sys::NodeTag::T_DropOwnedStmt => owns_ledger(statement.cast())?,
            _ => false,
        }
    };
    if !reaches_ledger || settings::current()?.allow_ledger_drop {
        return Ok(());
    }
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

/// What a DROP names that the ledger could be part of: extensions, schemas and languages.
unsafe fn dropped_names(statement: *mut pg_sys::DropStmt) -> Vec<String> {
    // SAFETY: objects of these kinds are given as one String node each.
    unsafe {
        let kind = (*statement).removeType;
        let is_container = [
            pg_sys::ObjectType::OBJECT_EXTENSION,
            pg_sys::ObjectType::OBJECT_SCHEMA,
            pg_sys::ObjectType::OBJECT_LANGUAGE,
        ]
        .contains(&kind);
        if !is_container {
            return Vec::new();
        }
        let objects = pgrx::PgList::<pg_sys::Node>::from_pg((*statement).objects);
        let strings = objects
            .iter_ptr()
            .filter(|node| (**node).type_ == pg_sys::NodeTag::T_String);
        strings.map(|node| text_of(node)).collect()
    }
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

/// Whether dropping an extension, schema or language of one of these names reaches the extension: the
/// extension itself, its schemas, and the language of its functions.
fn reach_ledger(names: Vec<String>) -> Result<bool> {
    if names.is_empty() {
        return Ok(false);
    }
    let answer = Spi::get_one_with_args(
        "SELECT pg_catalog.bool_or(name OPERATOR(pg_catalog.=) ANY (ARRAY['insforge_integrations', 'plpgsql',
                (SELECT n.nspname::text FROM pg_catalog.pg_extension e
                 JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
                 WHERE e.extname OPERATOR(pg_catalog.=) 'insforge_integrations')]))
         FROM pg_catalog.unnest($1) AS name",
        &[names.into()],
    );
    Ok(answer.map_err(Error::bug)? == Some(true))
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
