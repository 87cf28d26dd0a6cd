//! The kept sums of the ledger's past days; see sql/sums.sql.

use pgrx::prelude::*;

use crate::pg::error::Result;
use crate::pg::sys::statement::{Statement, first_newest_row, first_row};
use crate::pg::sys::{clock, transaction};

/// Seconds. A row of this age or less is of no day that has sums: they end a day before the present
/// one begins. `refresh_x402_sums()` counts on it.
const LATE: i64 = 3_600;

thread_local! {
    static IS_SUMMED: Statement = const { Statement::new(
        || {
            Ok("SELECT FROM insforge_integrations.x402_summed d WHERE d.before OPERATOR(pg_catalog.>) $1".to_owned())
        },
    ) };
    static REOPEN: Statement = const { Statement::new(
        || Ok("SELECT insforge_integrations_internal.reopen_x402_days($1)".to_owned()),
    ) };
}

/// Takes note of a new row of the ledger. If its day has sums, they and all later ones are removed.
pub(crate) fn note(created_at: TimestampWithTimeZone) -> Result<()> {
    if clock::age_in_seconds(created_at) <= LATE {
        return Ok(());
    }
    // Until this transaction ends, no sum is made without the row. A lock that came first has made
    // its sums: a snapshot from before may not have them.
    transaction::lock_in_row_share(c"insforge_integrations", c"x402_summed");
    let values = &[created_at.into()];
    Spi::connect(|connection| {
        if first_newest_row(&IS_SUMMED, connection, values)?.is_some() {
            first_row(&REOPEN, connection, values)?;
        }
        Ok(())
    })
}
