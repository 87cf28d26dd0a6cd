//! What the functions on reservations (sql/reservations.sql) leave to the pure modules.

use pgrx::prelude::*;

use super::error::{Result, internal};
use super::jsonb::Jsonb;
use super::x402::{Loaded, NETWORKS, text_of, timestamp};
use super::{clock, settings};
use crate::error::Error;
use crate::evm::address::Address;
use crate::evm::hexadecimal;
use crate::evm::integer::{decimal, digits};
use crate::x402::answer::{Answer, Expected};
use crate::x402::reservable::Reservable;
use crate::x402::settlement::Given;

/// A payment that fits, taken apart; raises for any other.
#[pg_extern(schema = "insforge_integrations", volatile, parallel_unsafe)]
#[allow(clippy::type_complexity)]
fn read_x402_payment(
    payment: Option<&str>,
    requirements: Option<Jsonb>,
) -> Result<
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
        AnyNumeric::try_from(amount.as_str()).map_err(internal)?,
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
) -> Result<
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
        .map_err(|problem| Error::InvalidAddress { problem })?;
    let expected = Expected {
        network: networks.get(network.unwrap_or_default())?,
        payer,
        amount: amount.and_then(decimal).ok_or(Error::InvalidAmount)?,
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
) -> Result<
    TableIterator<
        'static,
        (
            name!(tx_hash, Option<String>),
            name!(payer_address, Option<String>),
            name!(amount, Option<String>),
            name!(network, Option<String>),
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
    Ok(TableIterator::once(match given.read(&networks) {
        Ok(read) => (
            Some(read.tx_hash),
            Some(read.payer),
            Some(read.amount),
            Some(read.network.network.clone()),
            None,
        ),
        Err(problem) => (None, None, None, None, Some(problem.to_string())),
    }))
}

/// Setting `allow_mock_settlements`.
#[pg_extern(schema = "insforge_integrations", stable, parallel_unsafe)]
fn mock_settlements_are_allowed() -> Result<bool> {
    Ok(settings::current()?.allow_mock_settlements)
}
