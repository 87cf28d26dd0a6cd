//! Importing the payments of the guide's table; see sql/import.sql.

use pgrx::prelude::*;

use super::x402::NETWORKS;
use crate::pg::error::reported;
use crate::x402::settlement::UnreadSettlement;

/// Reads a settlement in the ledger's spelling, or says what is wrong with it.
#[pg_extern(
    name = "read_x402_settlement",
    schema = "insforge_integrations_internal",
    stable,
    parallel_unsafe
)]
#[allow(clippy::type_complexity)]
fn read_settlement(
    tx_hash: Option<&str>,
    payer_address: Option<&str>,
    amount: Option<&str>,
    chain: Option<&str>,
    status: Option<&str>,
    created_at: Option<&str>,
) -> reported::Result<
    TableIterator<
        'static,
        (
            name!(tx_hash, Option<String>),
            name!(payer_address, Option<String>),
            name!(amount, Option<String>),
            name!(network, Option<String>),
            name!(created_at, Option<TimestampWithTimeZone>),
            name!(problem, Option<String>),
        ),
    >,
> {
    let networks = NETWORKS.current()?;
    let unread = UnreadSettlement {
        tx_hash: tx_hash.unwrap_or_default(),
        payer: payer_address.unwrap_or_default(),
        amount: amount.unwrap_or_default(),
        chain: chain.unwrap_or_default(),
        status: status.unwrap_or_default(),
    };
    let created_at = created_at.map(str::parse::<TimestampWithTimeZone>);
    let refused = |problem| (None, None, None, None, None, Some(problem));
    Ok(TableIterator::once(
        match (unread.read(&networks), created_at.transpose()) {
            (Ok(read), Ok(created_at)) => (
                Some(read.tx_hash),
                Some(read.payer),
                Some(read.amount),
                Some(read.network.network.clone()),
                created_at,
                None,
            ),
            (Err(problem), _) => refused(problem.to_string()),
            (Ok(_), Err(_)) => refused("created_at is no time".to_owned()),
        },
    ))
}

#[cfg(feature = "pg_test")]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    fn text(expression: &str) -> Option<String> {
        Spi::get_one(&format!("SELECT ({expression})::text")).unwrap()
    }

    #[pg_test]
    fn a_settlement_is_read_or_its_problem_is_told() {
        let problem = |hash: &str, created_at: &str| {
            text(&format!(
                "SELECT problem FROM insforge_integrations_internal.read_x402_settlement({hash}, '0x' || repeat('ab', 20), '1', 'xlayer', 'settled', {created_at})"
            ))
        };
        let hash = "repeat('ab', 32)";
        assert_eq!(problem(hash, "'2025-05-05 05:05+00'"), None);
        assert_eq!(problem(hash, "'infinity'"), None);
        assert_eq!(problem(hash, "NULL"), None);
        for time in ["'yesterday or so'", "'294277-01-01'", "''"] {
            assert_eq!(
                problem(hash, time).as_deref(),
                Some("created_at is no time")
            );
        }
        assert_eq!(
            problem("'0x'", "NULL").as_deref(),
            Some("invalid transaction hash")
        );
    }
}
