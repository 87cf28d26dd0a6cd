//! Calls from the functions on reservations (sql/reservations.sql) to the pure modules.

use pgrx::AllocatedByRust;
use pgrx::datum::UnboxDatum;
use pgrx::heap_tuple::PgHeapTuple;
use pgrx::prelude::*;
use serde::Deserialize;
use serde_json::json;

use super::x402::{CurrentRegistry, NETWORKS, payer, text_of, timestamp};
use crate::error::Error;
use crate::evm;
use crate::evm::address::Address;
use crate::evm::hexadecimal;
use crate::evm::integer::{U256, decimal, digits};
use crate::pg::error::{Result, reported};
use crate::pg::sys::clock;
use crate::pg::sys::jsonb::Jsonb;
use crate::x402;
use crate::x402::Scheme;
use crate::x402::answer::{Answer, Expected};
use crate::x402::challenge::in_full;
use crate::x402::facilitator::{self, Facilitator, Request};
use crate::x402::header::{self, Resource};
use crate::x402::registry::Networks;
use crate::x402::reservable::Reservable;
use crate::x402::reservation::{Event, Refused, Reservation, State};

/// Reads the parts of a payment that fits. Raises an error for any other.
#[pg_extern(
    name = "read_x402_payment",
    schema = "insforge_integrations_internal",
    volatile,
    parallel_unsafe
)]
#[allow(clippy::type_complexity)]
fn read_payment(
    payment: Option<&str>,
    requirements: Option<Jsonb>,
    endpoint: Option<&str>,
    facilitator: Option<&str>,
    payer_is_contract: Option<bool>,
) -> reported::Result<
    TableIterator<
        'static,
        (
            name!(payment, String),
            name!(requirement, Jsonb),
            name!(scheme, String),
            name!(network, String),
            name!(chain, String),
            name!(asset, String),
            name!(payer_address, String),
            name!(pay_to, String),
            name!(amount, AnyNumeric),
            name!(nonce_contract, String),
            name!(nonce, String),
            name!(valid_after, TimestampWithTimeZone),
            name!(valid_before, TimestampWithTimeZone),
            name!(is_signature_verified, bool),
            name!(identifier, Option<String>),
            name!(facilitator_request, Option<Jsonb>),
        ),
    >,
> {
    let loaded = CurrentRegistry::load()?;
    let requirements = text_of(requirements);
    let requirements = in_full(
        &requirements,
        endpoint.unwrap_or_default(),
        &Resource::default(),
        loaded.registry(),
    )?;
    let read = Reservable::read(
        payment.unwrap_or_default(),
        &requirements,
        loaded.registry(),
        u64::try_from(clock::now()).unwrap_or_default(),
        payer(payer_is_contract),
    )?;
    let facilitator = Facilitator::of_name(facilitator.unwrap_or_default())?;
    let request = read.request(facilitator)?;
    let (terms, authorization) = (&read.terms, &read.authorization);
    Ok(TableIterator::once((
        read.payment,
        Jsonb(read.requirement.get().to_owned()),
        terms.scheme.name().to_owned(),
        terms.network.network.clone(),
        terms.network.name.clone(),
        terms.asset.address.to_string(),
        authorization.from.to_string(),
        authorization.to.to_string(),
        numeric(&authorization.value)?,
        authorization
            .nonce_contract(terms.asset.address)
            .to_string(),
        hexadecimal(&authorization.nonce),
        timestamp(&authorization.valid_after),
        timestamp(&authorization.valid_before),
        read.is_signature_verified,
        read.identifier,
        request.map(|request| as_jsonb(&request)),
    )))
}

/// `{url, body}` of a request. The body is a text, because a server that parsed its numbers could
/// round them.
fn as_jsonb(request: &Request) -> Jsonb {
    Jsonb(json!({"url": request.url, "body": request.body}).to_string())
}

/// The request to a facilitator to settle an amount.
#[pg_extern(schema = "insforge_integrations_internal", stable, parallel_safe)]
fn x402_settle_request(
    payment: Option<&str>,
    requirement: Option<Jsonb>,
    facilitator: Option<&str>,
    amount: Option<&str>,
) -> reported::Result<Jsonb> {
    let request = facilitator::request(
        payment.unwrap_or_default(),
        &text_of(requirement),
        facilitator.unwrap_or_default(),
        amount,
        CurrentRegistry::load()?.registry(),
    )?;
    Ok(as_jsonb(&request))
}

/// The headers of the answer to a buyer whose payment is settled or failed.
#[pg_extern(schema = "insforge_integrations_internal", stable, parallel_safe)]
fn x402_response_headers(
    tx_hash: Option<&str>,
    reason: Option<&str>,
    network: Option<&str>,
    payer: Option<&str>,
    amount: Option<&str>,
    is_version_1: Option<bool>,
) -> reported::Result<Jsonb> {
    let [network, payer] = [network, payer].map(Option::unwrap_or_default);
    let header = match tx_hash {
        Some(tx_hash) => {
            let loaded = CurrentRegistry::load()?;
            header::payment_response(tx_hash, network, payer, amount, loaded.registry())?
        }
        None => header::payment_refused(reason.unwrap_or_default(), network, payer)?,
    };
    // The buyers of InsForge's guide speak version 1 and read version 2's header.
    let headers = match is_version_1 {
        Some(true) => json!({"payment-response": header, "x-payment-response": header}),
        _ => json!({"payment-response": header}),
    };
    Ok(Jsonb(headers.to_string()))
}

/// The new state of a reservation after an event; see `x402::reservation`.
#[pg_extern(
    schema = "insforge_integrations_internal",
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
            name!(asked_amount, Option<AnyNumeric>),
            name!(settled_amount, Option<AnyNumeric>),
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
        Some("asked") => Event::Asked(parsed::<Question>(&said)?.amount),
        Some("answered") => Event::Answered(answer(&row, &own, &networks, &said)?),
        Some("found") => Event::Found(parsed(&said)?),
        Some("delivered") => Event::Delivered,
        Some("mocked") => Event::Mocked,
        Some("offered") => Event::Offered(parsed(&said)?),
        _ => {
            return Err(x402::Error::from(Refused::Invalid {
                problem: "event: It must be asked, answered, found, delivered, mocked or offered.",
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
        after.asked_amount.as_ref().map(numeric).transpose()?,
        after.settled_amount.as_ref().map(numeric).transpose()?,
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

/// The argument of event `asked`.
#[derive(Deserialize)]
struct Question {
    amount: String,
}

fn numeric(amount: &U256) -> Result<AnyNumeric> {
    AnyNumeric::try_from(digits(amount).as_str()).map_err(Error::bug)
}

const NO_RESERVATION: x402::Error = x402::Error::Reservation(Refused::Invalid {
    problem: "own: It must be a row of table x402_reservations.",
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
    let amount = |name| {
        let amount = column::<AnyNumeric>(row, name)?;
        amount
            .map(|amount| decimal(&amount.to_string()).ok_or(x402::Error::InvalidAmount))
            .transpose()
            .map_err(Error::from)
    };
    let required = |name| Ok::<_, Error>(text(name)?.ok_or(NO_RESERVATION)?);
    Ok(Reservation {
        id: column::<pgrx::Uuid>(row, "id")?
            .ok_or(NO_RESERVATION)?
            .to_string(),
        state: State::of_name(&required("state")?).ok_or(NO_RESERVATION)?,
        network: required("network")?,
        nonce_contract: required("nonce_contract")?,
        nonce: required("nonce")?,
        scheme: Scheme::of_name(&required("scheme")?).ok_or(NO_RESERVATION)?,
        amount: amount("amount")?.ok_or(NO_RESERVATION)?,
        asked_amount: amount("asked_amount")?,
        settled_amount: amount("settled_amount")?,
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
    let expected = Expected {
        network: networks.get(&own.network)?,
        payer: Address::parse(&payer.ok_or(NO_RESERVATION)?)
            .map_err(|problem| evm::Error::InvalidAddress { problem })?,
        amount: own.amount,
        is_upto: own.scheme == Scheme::Upto,
        asked: own.asked_amount,
    };
    Ok(Answer::read(said, &expected))
}

fn parsed<'a, T: Deserialize<'a>>(said: &'a str) -> Result<T> {
    serde_json::from_str(said).map_err(|_| {
        x402::Error::from(Refused::Invalid {
            problem: "said: It does not fit the event.",
        })
        .into()
    })
}

#[cfg(feature = "pg_test")]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    const HASH: &str = "0xabababababababababababababababababababababababababababababababab";

    /// A column of what becomes of a reservation in a state.
    fn after(state: &str, event: &str, said: &str, known: &str, column: &str) -> Option<String> {
        Spi::get_one(&format!(
            "SELECT a.{column}::text FROM insforge_integrations_internal.x402_reservation_after(
               jsonb_populate_record(NULL::insforge_integrations.x402_reservations, jsonb_build_object(
                 'id', '00000000-0000-0000-0000-000000000001', 'state', {state}, 'network', 'eip155:196', 'endpoint', '/r',
                 'asset', '0x' || repeat('ab', 20), 'nonce_contract', '0x' || repeat('ab', 20), 'scheme', 'exact', 'payer_address', '0x' || repeat('cd', 20), 'amount', 10000,
                 'nonce', '{HASH}', 'holds_key', true)),
               {event}, {said}, {known}) a"
        ))
        .unwrap()
    }

    #[pg_test]
    fn an_answer_makes_of_a_reservation_what_is_decided() {
        let said = format!(
            "jsonb_build_object('success', true, 'transaction', '{HASH}', 'amount', 10000)"
        );
        let after = |known: &str, column| after("'reserved'", "'answered'", &said, known, column);
        for (known, column, expected) in [
            ("NULL", "state", Some("settled")),
            ("NULL", "tx_hash", Some(HASH)),
            ("NULL", "entry", Some("settlement")),
            ("NULL", "chain", Some("xlayer")),
            ("NULL", "holds_key", Some("true")),
            ("NULL", "warning", None),
            ("''", "state", Some("settled")),
            ("'response_summary'", "state", Some("settled")),
            ("'amount'", "state", Some("conflict")),
            ("'amount'", "entry", None),
            ("'amount'", "reason", Some("transaction_taken")),
            (
                "'amount'",
                "detail",
                Some("The transaction is recorded as another payment."),
            ),
            (
                "'endpoint, reservation_id'",
                "detail",
                Some("The transaction settled another reservation."),
            ),
        ] {
            assert_eq!(
                after(known, column).as_deref(),
                expected,
                "{known} {column}"
            );
        }
    }

    #[pg_test]
    fn a_buyer_gets_the_headers_of_the_payments_version() {
        let headers = |tx_hash: &str, is_version_1: bool, of: &str| {
            Spi::get_one::<String>(&format!(
                "SELECT ({of})::text FROM insforge_integrations_internal.x402_response_headers(
                   {tx_hash}, 'insufficient_funds', 'eip155:196', '0x' || repeat('cd', 20), NULL, {is_version_1}) h"
            ))
            .unwrap()
        };
        let decoded = "insforge_integrations.x402_decode_header(h ->> 'payment-response')";
        let settled = format!("'{HASH}'");
        let transaction = headers(&settled, false, &format!("{decoded} ->> 'transaction'"));
        assert_eq!(transaction.as_deref(), Some(HASH));
        assert_eq!(headers(&settled, false, "h -> 'x-payment-response'"), None);
        let same = headers(
            &settled,
            true,
            "h -> 'x-payment-response' = h -> 'payment-response'",
        );
        assert_eq!(same.as_deref(), Some("true"));
        let failed = headers("NULL", false, &format!("{decoded} ->> 'errorReason'"));
        assert_eq!(failed.as_deref(), Some("insufficient_funds"));
        let failed = headers("NULL", false, &format!("{decoded} ->> 'success'"));
        assert_eq!(failed.as_deref(), Some("false"));
    }

    #[pg_test]
    fn the_signed_amount_may_be_asked_for() {
        let asked = |column| {
            after(
                "'reserved'",
                "'asked'",
                "'{\"amount\": \"10000\"}'",
                "NULL",
                column,
            )
        };
        assert_eq!(asked("state").as_deref(), Some("reserved"));
        assert_eq!(
            (asked("asked_amount"), asked("settled_amount")),
            (None, None)
        );
    }

    #[pg_test(error = "invalid amount of an x402 settlement")]
    fn no_other_amount_of_scheme_exact_may_be_asked_for() {
        after(
            "'reserved'",
            "'asked'",
            "'{\"amount\": \"1\"}'",
            "NULL",
            "state",
        );
    }

    #[pg_test(error = "invalid event of an x402 reservation")]
    fn a_row_without_a_state_is_no_reservation() {
        after("NULL", "'mocked'", "NULL", "NULL", "state");
    }

    #[pg_test(error = "invalid event of an x402 reservation")]
    fn an_event_has_a_name() {
        after("'reserved'", "NULL", "NULL", "NULL", "state");
    }

    #[pg_test(error = "invalid event of an x402 reservation")]
    fn an_offer_says_what_it_is() {
        after("'reserved'", "'offered'", "'{}'", "NULL", "state");
    }

    #[pg_test(error = "x402 reservation 00000000-0000-0000-0000-000000000001 is not settled")]
    fn what_is_not_paid_is_not_delivered() {
        after("'pending'", "'delivered'", "NULL", "NULL", "state");
    }
}
