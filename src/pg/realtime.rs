//! Publishing what was recorded by `realtime.publish`, which is not ours.

use pgrx::prelude::*;

use super::as_owner::with_rights_of;
use super::error::{Result, internal};
use super::jsonb::Jsonb;
use super::settings;

/// Publishes a recorded settlement, when the setting is on; see sql/ledger.sql.
pub fn publish(tx_hash: &str) -> Result<()> {
    if !settings::current()?.realtime {
        return Ok(());
    }
    Spi::run_with_args(
        "SELECT insforge_integrations.publish_x402_settlement($1)",
        &[tx_hash.into()],
    )
    .map_err(internal)
}

/// Calls a function (text, text, jsonb) with the rights of its owner alone, in a state in which it can
/// leave nothing behind in the session. What it raises, this raises.
#[pg_extern(schema = "insforge_integrations", volatile, parallel_unsafe)]
fn call_as_its_owner(
    function: pg_sys::Oid,
    channel: &str,
    event: &str,
    payload: Jsonb,
) -> Result<()> {
    let owner = Spi::get_one_with_args::<pg_sys::Oid>(
        "SELECT proowner FROM pg_catalog.pg_proc WHERE oid OPERATOR(pg_catalog.=) $1",
        &[function.into()],
    )
    .map_err(internal)?;
    let name = Spi::get_one_with_args::<String>(
        "SELECT pg_catalog.format('%I.%I', n.nspname, p.proname)
         FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
         WHERE p.oid OPERATOR(pg_catalog.=) $1",
        &[function.into()],
    )
    .map_err(internal)?;
    let (Some(owner), Some(name)) = (owner, name) else {
        return Err(internal("the function to call is gone"));
    };
    with_rights_of(owner, pg_sys::SECURITY_RESTRICTED_OPERATION, || {
        Spi::run_with_args(
            &format!("SELECT {name}($1, $2, $3)"),
            &[
                channel.into(),
                event.into(),
                // SAFETY: a new value of the type that is named.
                unsafe { pgrx::datum::DatumWithOid::new(payload, pg_sys::JSONBOID) },
            ],
        )
        .map_err(internal)
    })
}
