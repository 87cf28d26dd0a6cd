//! Runs before the extension is dropped: refuses to drop a ledger with rows or keeps the rows, and ends
//! the cron job.

use pgrx::prelude::*;

use crate::error::Error;
use crate::pg::error::Result;
use crate::pg::settings;
use crate::pg::sys::drop_statement::Dropped;
use crate::settings::LedgerDrop;
use crate::x402;

/// The body of event trigger function `keep_x402_ledger`, before a DROP.
pub(crate) fn check(dropped: Dropped) -> Result<()> {
    let drops_extension = match dropped {
        Dropped::Named { kind, names } => reaches_extension(kind, names)?,
        Dropped::OwnedBy(roles) => own_ledger(&roles)?,
        Dropped::Other => false,
    };
    if !drops_extension {
        return Ok(());
    }
    if let Some(content) = content()? {
        match settings::current()?.allow_ledger_drop {
            LedgerDrop::Refuse => return Err(x402::Error::LedgerNotEmpty { content }.into()),
            LedgerDrop::Keep => {
                Spi::run("SELECT insforge_integrations_internal.keep_x402_ledger_rows()")
                    .map_err(Error::bug)?;
            }
            LedgerDrop::Lose => {}
        }
    }
    unschedule()
}

/// Ends the extension's cron job. If the statement fails, the job stays.
fn unschedule() -> Result<()> {
    // Until ALTER EXTENSION … UPDATE, the library may be newer than the SQL objects.
    Spi::run(
        "DO $$ BEGIN
           IF pg_catalog.to_regprocedure('insforge_integrations.unschedule_jwks_refresh()') IS NOT NULL THEN
             PERFORM insforge_integrations.unschedule_jwks_refresh();
           END IF;
         END $$",
    )
    .map_err(Error::bug)
}

/// The rows that would be gone, in a sentence.
fn content() -> Result<Option<String>> {
    let content = Spi::get_one::<String>(
        "SELECT pg_catalog.format('It has %s settlements and %s reservations, which would be gone.', s.n, r.n)
         FROM (SELECT pg_catalog.count(*) AS n FROM insforge_integrations.x402_settlements) s,
              (SELECT pg_catalog.count(*) AS n FROM insforge_integrations.x402_reservations) r
         WHERE s.n OPERATOR(pg_catalog.+) r.n OPERATOR(pg_catalog.>) 0",
    );
    match content {
        Ok(content) => Ok(content),
        Err(pgrx::spi::Error::InvalidPosition) => Ok(None),
        Err(error) => Err(Error::bug(error)),
    }
}

/// Whether a DROP names the extension, one of its schemas, or the language of its functions.
fn reaches_extension(kind: &str, names: Vec<String>) -> Result<bool> {
    let answer = Spi::get_one_with_args(
        "SELECT pg_catalog.bool_or(CASE $1
           WHEN 'extension' THEN name OPERATOR(pg_catalog.=) ANY ('{insforge_integrations,plpgsql}'::pg_catalog.text[])
           WHEN 'language' THEN name OPERATOR(pg_catalog.=) 'plpgsql'
           ELSE name OPERATOR(pg_catalog.=) ANY ('{insforge_integrations,insforge_integrations_internal}'::pg_catalog.text[])
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

/// Whether one of the roles owns the ledger.
fn own_ledger(roles: &[pg_sys::Oid]) -> Result<bool> {
    let owner: Option<pg_sys::Oid> = Spi::get_one(
        "SELECT relowner FROM pg_catalog.pg_class
         WHERE oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('insforge_integrations.x402_settlements')",
    )
    .map_err(Error::bug)?;
    Ok(owner.is_some_and(|owner| roles.contains(&owner)))
}
