//! What the functions on reservations (sql/reservations.sql) leave to the pure modules.

use pgrx::prelude::*;

use super::x402::{Loaded, NETWORKS, text_of, timestamp};
use crate::error::Error;
use crate::evm;
use crate::evm::address::Address;
use crate::evm::integer::{decimal, digits};
use crate::evm::{hexadecimal, transaction_hash};
use crate::pg::error::reported;
use crate::pg::settings;
use crate::pg::sys::clock;
use crate::pg::sys::jsonb::Jsonb;
use crate::x402;
use crate::x402::answer::{Answer, Expected};
use crate::x402::reservable::Reservable;
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

/// What a facilitator's answer says of a payment; raises for none.
#[pg_extern(schema = "insforge_integrations", volatile, parallel_unsafe)]
#[allow(clippy::type_complexity)]
fn read_x402_answer(
    answer: Option<Jsonb>,
    network: Option<&str>,
    payer_address: Option<&str>,
    amount: Option<&str>,
) -> reported::Result<
    TableIterator<
        'static,
        (
            name!(outcome, String),
            name!(tx_hash, Option<String>),
            name!(reason, Option<String>),
            name!(message, Option<String>),
        ),
    >,
> {
    let networks = NETWORKS.current()?;
    let payer = Address::parse(payer_address.unwrap_or_default())
        .map_err(|problem| evm::Error::InvalidAddress { problem })?;
    let expected = Expected {
        network: networks.get(network.unwrap_or_default())?,
        payer,
        amount: amount.and_then(decimal).ok_or(x402::Error::InvalidAmount)?,
    };
    let answer = Answer::read(&text_of(answer), &expected);
    Ok(TableIterator::once((
        answer.outcome.name().to_owned(),
        answer.transaction.map(|hash| hexadecimal(&hash)),
        answer.reason,
        answer.message,
    )))
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
