//! The ledger of settlements. No other code adds a row to it.

use pgrx::datum::DatumWithOid;
use pgrx::pg_catalog::pg_proc::PgProc;
use pgrx::pg_sys::{self, Datum};
use pgrx::prelude::*;
use pgrx::spi::SpiClient;

use super::realtime::publish;
use super::sums;
use super::x402::NETWORKS;
use crate::error::Error;
use crate::evm;
use crate::evm::integer::decimal;
use crate::evm::{address, hexadecimal, transaction_hash};
use crate::pg::error::{Result, reported};
use crate::pg::sys::identity::user_id;
use crate::pg::sys::statement::{Row, Statement, first_newest_row, first_row, in_subtransaction};
use crate::pg::sys::transaction;
use crate::x402;
use crate::x402::registry::Network;
use crate::x402::settlement::{UnreadSettlement, row_id};

/// A settlement to record, each part in the ledger's own spelling.
pub(super) struct Entry<'a> {
    pub id: Option<pgrx::Uuid>,
    pub created_at: Option<TimestampWithTimeZone>,
    pub reservation_id: Option<pgrx::Uuid>,
    pub tx_hash: &'a str,
    pub payer_address: &'a str,
    pub endpoint: &'a str,
    pub amount: &'a str,
    pub network: &'a str,
    pub asset: Option<&'a str>,
    pub user_id: Option<&'a str>,
    pub response_summary: Option<&'a str>,
    pub is_mock: bool,
}

impl Entry<'_> {
    /// The parameters of the statements: the columns of the ledger, then the view's columns of the
    /// network.
    fn values(&self, network: Option<&Network>) -> Result<[DatumWithOid<'_>; 14]> {
        let id = pgrx::Uuid::from_bytes(row_id(self.tx_hash));
        let amount = AnyNumeric::try_from(self.amount).map_err(Error::bug)?;
        Ok([
            self.id.unwrap_or(id).into(),
            self.created_at.unwrap_or_else(pgrx::datum::now).into(),
            self.reservation_id.into(),
            self.tx_hash.into(),
            self.payer_address.into(),
            self.endpoint.into(),
            amount.into(),
            self.network.into(),
            self.asset.into(),
            self.user_id.into(),
            self.response_summary.into(),
            self.is_mock.into(),
            network.map(|network| network.name.as_str()).into(),
            network
                .and_then(|network| network.explorer_url(self.tx_hash))
                .into(),
        ])
    }
}

thread_local! {
    /// Returns the new row of view x402_payments, or no row if the ledger has the transaction.
    static INSERT: Statement = const { Statement::new(
        || {
            Ok(format!(
                "INSERT INTO insforge_integrations.x402_settlements (
                   id, created_at, reservation_id, tx_hash, payer_address, endpoint, amount, network, asset, user_id,
                   response_summary, is_mock)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
                 ON CONFLICT (tx_hash) DO NOTHING
                 RETURNING {}",
                public_row()?
            ))
        },
    ) };
    /// Returns for a recorded transaction: the columns in which its row is another payment's, the
    /// time of the record, and the row of view x402_payments. No other code decides whether two
    /// payments are the same.
    static KNOWN: Statement = const { Statement::new(
        || {
            Ok(format!(
                "SELECT concat_ws(', ',
                          CASE WHEN payer_address <> $5 THEN 'payer_address' END,
                          CASE WHEN endpoint <> $6 THEN 'endpoint' END,
                          CASE WHEN amount <> $7 THEN 'amount' END,
                          CASE WHEN network <> $8 THEN 'chain' END,
                          CASE WHEN asset <> $9 THEN 'asset' END,
                          CASE WHEN response_summary IS DISTINCT FROM $11 THEN 'response_summary' END,
                          CASE WHEN is_mock <> $12 THEN 'is_mock' END,
                          CASE WHEN reservation_id <> $3 THEN 'reservation_id' END),
                        created_at::text, {}
                 FROM insforge_integrations.x402_settlements WHERE tx_hash = $4",
                public_row()?
            ))
        },
    ) };
}

/// The expression that makes a row of view x402_payments from a row of the ledger. Postgres
/// compares it with the view's columns whenever it plans the statement.
fn public_row() -> Result<String> {
    // Not Spi::get_one(): it would make this a writing transaction. On a standby, the INSERT must
    // raise the error.
    let view = Spi::connect(|client| {
        let found = client.select(
            "SELECT pg_catalog.format('%I.x402_payments', n.nspname)
             FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
             WHERE e.extname OPERATOR(pg_catalog.=) 'insforge_integrations'",
            None,
            &[],
        )?;
        found.first().get_one::<String>()
    });
    let view = view.map_err(Error::bug)?.unwrap_or_default();
    Ok(format!(
        "ROW(id, payer_address::text, endpoint, amount::text, tx_hash::text, $13, 'settled', response_summary,
             created_at, network, asset::text, $14, is_mock, user_id, false)::{view}"
    ))
}

/// Whether a transaction is new in the ledger.
enum Entered<'conn> {
    /// New: the row that [`INSERT`] returned.
    New(Row<'conn>),
    /// Known, committed or by this transaction: the row that [`KNOWN`] returned.
    Known(Row<'conn>),
}

/// Adds a row to the ledger, or finds the transaction's row. After the commit a new row is on disk,
/// even if `synchronous_commit` is off.
fn enter<'conn>(
    connection: &'conn SpiClient<'_>,
    entry: &Entry,
    network: Option<&Network>,
) -> Result<Entered<'conn>> {
    let values = &entry.values(network)?;
    let insert = || first_row(&INSERT, connection, values);
    transaction::force_sync_commit();
    // At other isolation levels, a row that the snapshot does not have raises a serialization
    // failure.
    let inserted = match transaction::sees_what_others_commit() {
        true => Ok(insert()?),
        false => in_subtransaction(PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE, insert)?,
    };
    if let Ok(Some(row)) = inserted {
        return Ok(Entered::New(row));
    }
    let known = first_newest_row(&KNOWN, connection, values)?;
    match (known, inserted) {
        (Some(row), _) => Ok(Entered::Known(row)),
        (None, Err(failure)) => failure.rethrow(),
        (None, Ok(_)) => Err(x402::Error::NotRecorded {
            tx_hash: entry.tx_hash.to_owned(),
        }
        .into()),
    }
}

/// The arguments of SQL function `record_x402_settlement`.
pub(crate) struct Arguments<'a> {
    pub tx_hash: Option<&'a str>,
    pub payer_address: Option<&'a str>,
    pub endpoint: Option<&'a str>,
    pub amount: Option<&'a str>,
    pub chain: Option<&'a str>,
    pub status: Option<&'a str>,
    pub response_summary: Option<&'a str>,
    pub is_idempotent: bool,
}

/// Records a settlement. Returns a row of the function's type.
pub(crate) fn record(arguments: &Arguments, function: pg_sys::Oid) -> Result<Datum> {
    let networks = NETWORKS.current()?;
    let settlement = UnreadSettlement {
        tx_hash: arguments.tx_hash.unwrap_or_default(),
        payer: arguments.payer_address.unwrap_or_default(),
        amount: arguments.amount.unwrap_or_default(),
        chain: arguments.chain.unwrap_or_default(),
        status: arguments.status.unwrap_or_default(),
    };
    let settlement = settlement.read(&networks)?;
    let endpoint = arguments
        .endpoint
        .filter(|endpoint| !endpoint.is_empty())
        .ok_or(x402::Error::EndpointMissing)?;
    let user_id = user_id()?;
    let entry = Entry {
        id: None,
        created_at: None,
        reservation_id: None,
        tx_hash: &settlement.tx_hash,
        payer_address: &settlement.payer,
        endpoint,
        amount: &settlement.amount,
        network: &settlement.network.network,
        asset: None,
        user_id: user_id.as_deref(),
        response_summary: arguments.response_summary,
        is_mock: false,
    };
    // The catalog's entry is let go before anything can fail in another state of the transaction.
    let row_type = PgProc::new(function)
        .map(|function| function.prorettype())
        .ok_or_else(|| Error::bug("the function is gone"))?;
    let answer =
        Spi::connect(
            |connection| match enter(connection, &entry, Some(settlement.network))? {
                Entered::New(row) => {
                    publish(entry.tx_hash, None)?;
                    row.copy(1, row_type)
                }
                Entered::Known(row) => {
                    let differences: String = row.get(1)?.unwrap_or_default();
                    if !arguments.is_idempotent || !differences.is_empty() {
                        return Err(x402::Error::AlreadyRecorded {
                            tx_hash: entry.tx_hash.to_owned(),
                            recorded_at: row.get(2)?.unwrap_or_default(),
                            differences,
                        }
                        .into());
                    }
                    row.copy(3, row_type)
                }
            },
        )?;
    answer.ok_or_else(|| Error::bug("a row of the ledger is NULL"))
}

/// Enters a settlement without the network's columns of the view. If the ledger already has the
/// transaction, returns the columns in which its row differs.
pub(super) fn insert(connection: &SpiClient, entry: &Entry) -> Result<Option<String>> {
    Ok(match enter(connection, entry, None)? {
        Entered::New(_) => None,
        Entered::Known(row) => Some(row.get(1)?.unwrap_or_default()),
    })
}

/// Enters a settlement of the import, whose parts are in the ledger's own spelling. If the ledger
/// already has the transaction, returns the columns in which its row differs.
#[pg_extern(
    name = "insert_x402_settlement",
    schema = "insforge_integrations_internal",
    volatile,
    parallel_unsafe
)]
#[allow(clippy::too_many_arguments)]
fn insert_settlement(
    tx_hash: Option<&str>,
    payer_address: Option<&str>,
    endpoint: Option<&str>,
    amount: Option<&str>,
    network: Option<&str>,
    response_summary: Option<&str>,
    id: Option<pgrx::Uuid>,
    created_at: Option<TimestampWithTimeZone>,
) -> reported::Result<Option<String>> {
    let networks = NETWORKS.current()?;
    let entry = Entry {
        id,
        created_at,
        reservation_id: None,
        tx_hash: tx_hash
            .filter(|hash| is_lower_hex(hash.as_bytes(), 64))
            .ok_or(evm::Error::InvalidTransactionHash)?,
        payer_address: payer_address
            .filter(|address| is_lower_hex(address.as_bytes(), 40))
            .ok_or(evm::Error::InvalidAddress {
                problem: address::EXPECTED,
            })?,
        endpoint: endpoint.ok_or(x402::Error::EndpointMissing)?,
        amount: amount
            .filter(|amount| decimal(amount).is_some())
            .ok_or(x402::Error::InvalidAmount)?,
        network: &networks.get(network.unwrap_or_default())?.network,
        asset: None,
        user_id: None,
        response_summary,
        is_mock: false,
    };
    Ok(Spi::connect(|connection| insert(connection, &entry))?)
}

/// Makes the commit of this transaction wait for the disk, even if `synchronous_commit` is off.
#[pg_extern(schema = "insforge_integrations_internal", volatile, parallel_unsafe)]
fn force_sync_commit() {
    transaction::force_sync_commit();
}

/// A transaction's hash in the ledger's spelling.
#[pg_extern(schema = "insforge_integrations_internal", immutable, parallel_safe)]
fn x402_transaction_hash(hash: &str) -> Option<String> {
    transaction_hash(hash).map(|hash| hexadecimal(&hash))
}

/// Checks a new row of the ledger, and takes note of its time. A column is `None` if it is NULL:
/// then Postgres refuses the row.
pub(crate) fn admit(
    tx_hash: Option<&[u8]>,
    created_at: Option<TimestampWithTimeZone>,
) -> Result<()> {
    if tx_hash.is_some_and(|hash| !is_lower_hex(hash, 64)) {
        return Err(evm::Error::InvalidTransactionHash.into());
    }
    created_at.map_or(Ok(()), sums::note)
}

/// Whether a text is `0x` and so many lower-case hexadecimal digits.
pub(crate) fn is_lower_hex(value: &[u8], digits: i32) -> bool {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    value
        .strip_prefix(b"0x")
        .is_some_and(|hex| usize::try_from(digits) == Ok(hex.len()) && hex.iter().all(is_digit))
}

#[cfg(feature = "pg_test")]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    fn text(expression: &str) -> Option<String> {
        Spi::get_one(&format!("SELECT ({expression})::text")).unwrap()
    }

    #[pg_test]
    fn a_transactions_hash_has_one_spelling() {
        let ledger = format!("0x{}", "ab".repeat(32));
        for (given, expected) in [
            ("'0x' || repeat('AB', 32)", Some(ledger.clone())),
            ("repeat('aB', 32)", Some(ledger)),
            ("'0x' || repeat('00', 32)", None),
            ("repeat('ab', 31)", None),
            ("NULL", None),
        ] {
            let hash = format!("insforge_integrations_internal.x402_transaction_hash({given})");
            assert_eq!(text(&hash), expected, "{given}");
        }
    }
}
