//! Publishes records with `realtime.publish`, which is InsForge's function.

use pgrx::prelude::*;

use crate::error::Error;
use crate::pg::error::{Result, reported};
use crate::pg::settings;
use crate::pg::sys::jsonb::Jsonb;
use crate::pg::sys::security_context::restricted_to;
use crate::x402;

/// Publishes a recorded settlement if the setting is on; see sql/ledger.sql. `batched`: the
/// reservation of another payment in its transaction, which is published instead.
pub(crate) fn publish(tx_hash: &str, batched: Option<pgrx::Uuid>) -> Result<()> {
    if !settings::current()?.realtime {
        return Ok(());
    }
    Spi::run_with_args(
        "SELECT insforge_integrations_internal.publish_x402_settlement($1, $2)",
        &[tx_hash.into(), batched.into()],
    )
    .map_err(Error::bug)
}

/// Calls a function (text, text, jsonb) with only the rights of its owner, in a state in which it
/// can leave nothing behind in the session. An error of the function is raised.
#[pg_extern(schema = "insforge_integrations_internal", volatile, parallel_unsafe)]
fn call_as_its_owner(
    function: pg_sys::Oid,
    channel: &str,
    event: &str,
    payload: Jsonb,
) -> reported::Result<()> {
    let found = Spi::get_two_with_args::<pg_sys::Oid, String>(
        "SELECT pg_catalog.min(p.proowner), pg_catalog.min(pg_catalog.format('%I.%I', n.nspname, p.proname))
         FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
         WHERE p.oid OPERATOR(pg_catalog.=) $1",
        &[function.into()],
    );
    let (Some(owner), Some(name)) = found.map_err(Error::bug)? else {
        return Err(x402::Error::FunctionMissing.into());
    };
    let call = || {
        Spi::run_with_args(
            &format!("SELECT {name}($1, $2, $3)"),
            &[channel.into(), event.into(), payload.into()],
        )
        .map_err(Error::bug)
    };
    Ok(restricted_to(owner, call)?)
}
