//! What the functions on reservations (sql/reservations.sql) leave to the pure modules.

use pgrx::AllocatedByRust;
use pgrx::datum::UnboxDatum;
use pgrx::heap_tuple::PgHeapTuple;
use pgrx::prelude::*;
use serde::Deserialize;

use super::x402::{Loaded, NETWORKS, text_of, timestamp};
use crate::error::Error;
use crate::evm;
use crate::evm::address::Address;
use crate::evm::integer::{decimal, digits};
use crate::evm::{hexadecimal, transaction_hash};
use crate::pg::error::{Result, reported};
use crate::pg::settings;
use crate::pg::sys::clock;
use crate::pg::sys::jsonb::Jsonb;
use crate::x402;
use crate::x402::answer::{Answer, Expected};
use crate::x402::registry::Networks;
use crate::x402::reservable::Reservable;
use crate::x402::reservation::{Event, Refused, Reservation, State};
use crate::x402::settlement::Given;

/// A payment that fits, taken apart; raises for any other.
#[pg_extern(schema = "insforge_integrations", volatile, parallel_unsafe)]
#[allow(clippy::type_complexity)]
fn read_x402_payment(
    payment: Option<&str>,
    requirements: Option<Jsonb>,
) -> reported::Result<
    TableIterator<
        'static,
        (
            name!(payment, String),
            name!(requirement, Jsonb),
            name!(network, String),
            name!(chain, String),
            name!(asset, String),
            name!(payer_address, String),
            name!(pay_to, String),
            name!(amount, AnyNumeric),
            name!(nonce, String),
            name!(valid_after, TimestampWithTimeZone),
            name!(valid_before, TimestampWithTimeZone),
            name!(is_signature_verified, bool),
            name!(identifier, Option<String>),
        ),
    >,
> {
    let loaded = Loaded::current()?;
    let read = Reservable::read(
        payment.unwrap_or_default(),
        &text_of(requirements),
        loaded.registry(),
        u64::try_from(clock::now()).unwrap_or_default(),
    )?;
    let authorization = &read.authorization;
    let amount = digits(&authorization.value);
    Ok(TableIterator::once((
        read.payment,
        Jsonb(read.requirement),
        read.network.network.clone(),
        read.network.name.clone(),
        read.asset.address.to_string(),
        authorization.from.to_string(),
        authorization.to.to_string(),
        AnyNumeric::try_from(amount.as_str()).map_err(Error::bug)?,
        hexadecimal(&authorization.nonce),
        timestamp(&authorization.valid_after),
        timestamp(&authorization.valid_before),
        read.is_signature_verified,
        read.identifier,
    )))
}

/// What becomes of a reservation after an event; see `x402::reservation`.
#[pg_extern(
    schema = "insforge_integrations",
    volatile,
    parallel_unsafe,
    requires = ["reservations"]
)]
#[allow(clippy::type_complexity)]
fn x402_reservation_after(
    own: Option<pgrx::composite_type!("insforge_integrations.x402_reservations")>,
    event: Option<&str>,
    said: Option<Jsonb>,
    known: Option<&str>,
) -> reported::Result<
    TableIterator<
        'static,
        (
            name!(state, String),
            name!(holds_key, bool),
            name!(tx_hash, Option<String>),
            name!(reason, Option<String>),
            name!(message, Option<String>),
            name!(is_mock, bool),
            name!(is_batched, bool),
            name!(is_resolved, bool),
            name!(entry, Option<String>),
            name!(is_new, bool),
            name!(chain, Option<String>),
            name!(warning, Option<String>),
            name!(detail, Option<String>),
            name!(hint, Option<String>),
        ),
    >,
> {
    let row = own.ok_or(NO_RESERVATION)?;
    let networks = NETWORKS.current()?;
    let own = reservation(&row)?;
    let said = text_of(said);
    let event = match event {
        Some("answered") => Event::Answered(answer(&row, &own, &networks, &said)?),
        Some("found") => Event::Found(parsed(&said)?),
        Some("delivered") => Event::Delivered,
        Some("mocked") => Event::Mocked,
        Some("offered") => Event::Offered(parsed(&said)?),
        _ => {
            return Err(x402::Error::from(Refused::Invalid {
                problem: "event: It is answered, found, delivered, mocked or offered.",
            })
            .into());
        }
    };
    let next = own.after(&event, known).map_err(x402::Error::from)?;
    let after = next.reservation;
    let (warning, detail, hint) = match next.warning {
        Some(warning) => (
            Some(warning.message),
            Some(warning.detail),
            Some(warning.hint.to_owned()),
        ),
        None => (None, None, None),
    };
    Ok(TableIterator::once((
        after.state.name().to_owned(),
        after.holds_key,
        after.tx_hash,
        after.reason,
        after.message,
        after.is_mock,
        after.is_batched,
        after.is_resolved,
        next.entry.map(|entry| entry.name().to_owned()),
        next.is_new,
        networks
            .find(&own.network)
            .map(|network| network.name.clone()),
        warning,
        detail,
        hint,
    )))
}

const NO_RESERVATION: x402::Error = x402::Error::Reservation(Refused::Invalid {
    problem: "own: It is a row of table x402_reservations.",
});

type Row<'a> = PgHeapTuple<'a, AllocatedByRust>;

fn column<T>(row: &Row, name: &str) -> Result<Option<T>>
where
    T: FromDatum + IntoDatum + for<'a> UnboxDatum<As<'a> = T> + 'static,
{
    row.get_by_name(name).map_err(Error::bug)
}

fn reservation(row: &Row) -> Result<Reservation> {
    let text = |name| column::<String>(row, name);
    let is = |name| Ok::<_, Error>(column::<bool>(row, name)?.unwrap_or_default());
    let has = |name| Ok::<_, Error>(column::<TimestampWithTimeZone>(row, name)?.is_some());
    let required = |name| Ok::<_, Error>(text(name)?.ok_or(NO_RESERVATION)?);
    Ok(Reservation {
        id: column::<pgrx::Uuid>(row, "id")?
            .ok_or(NO_RESERVATION)?
            .to_string(),
        state: State::of_name(&required("state")?).ok_or(NO_RESERVATION)?,
        network: required("network")?,
        asset: required("asset")?,
        nonce: required("nonce")?,
        endpoint: required("endpoint")?,
        idempotency_key: text("idempotency_key")?,
        holds_key: is("holds_key")?,
        tx_hash: text("tx_hash")?,
        reason: text("reason")?,
        message: text("message")?,
        is_mock: is("is_mock")?,
        is_batched: is("is_batched")?,
        is_resolved: has("resolved_at")?,
        is_delivered: has("delivered_at")?,
    })
}

fn answer(row: &Row, own: &Reservation, networks: &Networks, said: &str) -> Result<Answer> {
    let payer: Option<String> = column(row, "payer_address")?;
    let amount: Option<AnyNumeric> = column(row, "amount")?;
    let amount = amount.ok_or(NO_RESERVATION)?.to_string();
    let expected = Expected {
        network: networks.get(&own.network)?,
        payer: Address::parse(&payer.ok_or(NO_RESERVATION)?)
            .map_err(|problem| evm::Error::InvalidAddress { problem })?,
        amount: decimal(&amount).ok_or(x402::Error::InvalidAmount)?,
    };
    Ok(Answer::read(said, &expected))
}

fn parsed<'a, T: Deserialize<'a>>(said: &'a str) -> Result<T> {
    serde_json::from_str(said).map_err(|_| {
        x402::Error::from(Refused::Invalid {
            problem: "said: It is not what the event has.",
        })
        .into()
    })
}

/// A settlement in the ledger's spelling, or what is wrong with it.
#[pg_extern(schema = "insforge_integrations", stable, parallel_unsafe)]
#[allow(clippy::type_complexity)]
fn read_x402_settlement(
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
    let given = Given {
        tx_hash: tx_hash.unwrap_or_default(),
        payer: payer_address.unwrap_or_default(),
        amount: amount.unwrap_or_default(),
        chain: chain.unwrap_or_default(),
        status: status.unwrap_or_default(),
    };
    let created_at = created_at.map(str::parse::<TimestampWithTimeZone>);
    let unread = |problem| (None, None, None, None, None, Some(problem));
    Ok(TableIterator::once(
        match (given.read(&networks), created_at.transpose()) {
            (Ok(read), Ok(created_at)) => (
                Some(read.tx_hash),
                Some(read.payer),
                Some(read.amount),
                Some(read.network.network.clone()),
                created_at,
                None,
            ),
            (Err(problem), _) => unread(problem.to_string()),
            (Ok(_), Err(_)) => unread("created_at is no time".to_owned()),
        },
    ))
}

/// A transaction's hash in the ledger's spelling.
#[pg_extern(schema = "insforge_integrations", immutable, parallel_safe)]
fn x402_transaction_hash(hash: &str) -> Option<String> {
    transaction_hash(hash).map(|hash| hexadecimal(&hash))
}

/// Setting `allow_mock_settlements`.
#[pg_extern(schema = "insforge_integrations", stable, parallel_unsafe)]
fn mock_settlements_are_allowed() -> reported::Result<bool> {
    Ok(settings::current()?.allow_mock_settlements)
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
            let hash = format!("insforge_integrations.x402_transaction_hash({given})");
            assert_eq!(text(&hash), expected, "{given}");
        }
    }

    #[pg_test]
    fn a_settlement_is_read_or_its_problem_is_told() {
        let problem = |hash: &str, created_at: &str| {
            text(&format!(
                "SELECT problem FROM insforge_integrations.read_x402_settlement({hash}, '0x' || repeat('ab', 20), '1', 'xlayer', 'settled', {created_at})"
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
