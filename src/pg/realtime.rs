//! Calls of `realtime.publish`, which is not ours.

use pgrx::prelude::*;

use super::error::{Result, internal};
use super::jsonb::Jsonb;

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
    let (mut user, mut context) = (pg_sys::Oid::INVALID, 0);
    // SAFETY: an error leaves this through the end of the (sub)transaction, which puts both back.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&raw mut user, &raw mut context);
        pg_sys::SetUserIdAndSecContext(
            owner,
            context
                | pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32
                | pg_sys::SECURITY_RESTRICTED_OPERATION as i32,
        );
    }
    let called = Spi::run_with_args(
        &format!("SELECT {name}($1, $2, $3)"),
        &[
            channel.into(),
            event.into(),
            // SAFETY: a new value of the type that is named.
            unsafe { pgrx::datum::DatumWithOid::new(payload, pg_sys::JSONBOID) },
        ],
    );
    // SAFETY: as above.
    unsafe { pg_sys::SetUserIdAndSecContext(user, context) };
    called.map_err(internal)
}
