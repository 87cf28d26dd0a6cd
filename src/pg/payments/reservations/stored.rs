//! Rows of table `x402_reservations`.

use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use pgrx::spi::SpiClient;
use serde_json::json;

use super::super::x402::CurrentRegistry;
use crate::error::Error;
use crate::evm::integer::{U256, decimal, digits};
use crate::pg::error::Result;
use crate::pg::sys::composite::Composite;
use crate::pg::sys::jsonb::Jsonb;
use crate::pg::sys::statement::{Row, Statement, first_row};
use crate::x402::facilitator::Request;
use crate::x402::header;
use crate::x402::reservation::{Refused, Reservation, State};
use crate::x402::{self, Scheme};

/// The parts of a row that the functions need.
pub(super) struct Stored {
    pub id: pgrx::Uuid,
    pub reservation: Reservation,
    pub payer_address: String,
    pub asset: String,
    pub user_id: Option<String>,
    pub valid_before: TimestampWithTimeZone,
    pub created_at: TimestampWithTimeZone,
    pub settled_at: Option<TimestampWithTimeZone>,
    pub delivered_at: Option<TimestampWithTimeZone>,
    pub headers_for: Buyer,
}

/// What decides on the headers for the buyer.
pub(super) struct Buyer {
    /// The network's name in the requirement.
    network: String,
    is_version_1: bool,
}

/// The columns that [`Buyer::read`] reads.
pub(super) const BUYER: &str =
    "coalesce(r.requirements ->> 'network', r.network), r.requirements ? 'maxAmountRequired'";

/// The columns that [`Stored::read`] reads, of a table with alias `r`.
pub(super) const COLUMNS: &str =
    "r.id, r.delivered_at, r.state::text, r.network, r.nonce_contract::text, r.nonce::text, r.scheme, r.amount::text,
     r.asked_amount::text, r.settled_amount::text, r.endpoint, r.idempotency_key, r.holds_key, r.tx_hash::text,
     r.reason, r.message, r.is_mock, r.is_batched, r.resolved_at IS NOT NULL,
     r.payer_address::text, r.asset::text, r.user_id, r.valid_before, r.created_at, r.settled_at";

/// The columns of a row, in their order.
pub(super) struct Columns<'r> {
    row: &'r Row<'r>,
    number: i32,
}

impl<'r> Columns<'r> {
    pub(super) const fn new(row: &'r Row<'r>) -> Self {
        Self { row, number: 0 }
    }

    fn next<T: FromDatum + IntoDatum>(&mut self) -> Result<Option<T>> {
        self.number += 1;
        self.row.get(self.number)
    }

    pub(super) fn required<T: FromDatum + IntoDatum>(&mut self) -> Result<T> {
        let value = self.next()?;
        value.ok_or_else(|| Error::bug("a column of x402_reservations is NULL"))
    }

    fn amount(&mut self) -> Result<Option<U256>> {
        let amount: Option<String> = self.next()?;
        let amount = amount.map(|amount| decimal(&amount).ok_or(x402::Error::InvalidAmount));
        Ok(amount.transpose()?)
    }
}

impl Buyer {
    /// Reads [`BUYER`].
    pub(super) fn read(columns: &mut Columns) -> Result<Self> {
        Ok(Self {
            network: columns.required()?,
            is_version_1: columns.required()?,
        })
    }
}

impl Stored {
    /// Reads [`COLUMNS`] and [`BUYER`].
    pub(super) fn read(columns: &mut Columns) -> Result<Self> {
        let unknown = |what: &str| Error::bug(format!("x402_reservations has another {what}"));
        let id: pgrx::Uuid = columns.required()?;
        let delivered_at: Option<TimestampWithTimeZone> = columns.next()?;
        let state: String = columns.required()?;
        let [network, nonce_contract, nonce, scheme] = [
            columns.required()?,
            columns.required()?,
            columns.required()?,
            columns.required::<String>()?,
        ];
        Ok(Self {
            id,
            reservation: Reservation {
                id: id.to_string(),
                state: State::of_name(&state).ok_or_else(|| unknown("state"))?,
                network,
                nonce_contract,
                nonce,
                scheme: Scheme::of_name(&scheme).ok_or_else(|| unknown("scheme"))?,
                amount: columns.amount()?.ok_or_else(|| unknown("amount"))?,
                asked_amount: columns.amount()?,
                settled_amount: columns.amount()?,
                endpoint: columns.required()?,
                idempotency_key: columns.next()?,
                holds_key: columns.required()?,
                tx_hash: columns.next()?,
                reason: columns.next()?,
                message: columns.next()?,
                is_mock: columns.required()?,
                is_batched: columns.required()?,
                is_resolved: columns.required()?,
                is_delivered: delivered_at.is_some(),
            },
            payer_address: columns.required()?,
            asset: columns.required()?,
            user_id: columns.next()?,
            valid_before: columns.required()?,
            created_at: columns.required()?,
            settled_at: columns.next()?,
            delivered_at,
            headers_for: Buyer::read(columns)?,
        })
    }

    /// A row of type `x402_reservation`. `request`: what this call must send to the facilitator.
    pub(super) fn answer(&self, is_new: bool, request: Option<&Request>) -> Result<Composite> {
        let registry = CurrentRegistry::load()?;
        let network = registry.registry().networks.find(&self.reservation.network);
        let is_settled = self.reservation.state == State::Settled;
        let settled_amount = self.reservation.settled_amount.as_ref().map(digits);
        let headers = self.response_headers(&registry, settled_amount.as_deref())?;
        let own = &self.reservation;
        let text = |text: &Option<String>| DatumWithOid::from(text.as_deref());
        Composite::new(
            c"x402_reservation",
            &[
                self.id.into(),
                is_new.into(),
                own.state.name().into(),
                self.payer_address.as_str().into(),
                own.endpoint.as_str().into(),
                digits(&own.amount).into(),
                own.network.as_str().into(),
                network.map(|network| network.name.as_str()).into(),
                self.asset.as_str().into(),
                own.nonce.as_str().into(),
                self.valid_before.into(),
                text(&own.idempotency_key),
                text(&own.tx_hash),
                text(&own.reason),
                text(&own.message),
                own.is_mock.into(),
                self.settled_at.into(),
                self.delivered_at.into(),
                self.created_at.into(),
                text(&self.user_id),
                own.scheme.name().into(),
                settled_amount.into(),
                request.map(as_jsonb).into(),
                (is_settled && !own.is_delivered).into(),
                headers.into(),
            ],
        )
    }

    /// The headers for a buyer whose payment is settled or failed.
    fn response_headers(
        &self,
        registry: &CurrentRegistry,
        settled_amount: Option<&str>,
    ) -> Result<Option<Jsonb>> {
        let header = match self.reservation.state {
            State::Settled => self.response_header(registry, settled_amount)?,
            State::Failed => header::payment_refused(
                self.reservation.reason.as_deref().unwrap_or_default(),
                &self.headers_for.network,
                &self.payer_address,
            )?,
            State::Reserved | State::Pending | State::Conflict => return Ok(None),
        };
        // The buyers of InsForge's guide speak version 1 and read version 2's header.
        let headers = if self.headers_for.is_version_1 {
            json!({"payment-response": header, "x-payment-response": header})
        } else {
            json!({"payment-response": header})
        };
        Ok(Some(Jsonb(headers.to_string())))
    }

    /// Header PAYMENT-RESPONSE of a settled payment.
    pub(super) fn response_header(
        &self,
        registry: &CurrentRegistry,
        settled_amount: Option<&str>,
    ) -> Result<String> {
        let is_upto = self.reservation.scheme == Scheme::Upto;
        Ok(header::payment_response(
            self.reservation.tx_hash.as_deref().unwrap_or_default(),
            &self.headers_for.network,
            &self.payer_address,
            settled_amount.filter(|_| is_upto),
            registry.registry(),
        )?)
    }
}

/// `{url, body}` of a request. The body is a text, because a server that parsed its numbers could
/// round them.
fn as_jsonb(request: &Request) -> Jsonb {
    Jsonb(json!({"url": request.url, "body": request.body}).to_string())
}

thread_local! {
    static LOCK: Statement = const { Statement::new(
        || {
            Ok(format!(
                "SELECT {COLUMNS}, {BUYER}, (r.answers -> -1 -> 'answer')::text IS DISTINCT FROM $2
                 FROM insforge_integrations.x402_reservations r WHERE r.id = $1 FOR UPDATE"
            ))
        },
    ) };
}

/// Locks a reservation until the transaction ends. Returns also whether its last answer was another
/// one than `answer`.
pub(super) fn lock(
    connection: &SpiClient,
    id: Option<pgrx::Uuid>,
    answer: Option<&str>,
) -> Result<(Stored, bool)> {
    let values = [id.into(), answer.into()];
    let row = first_row(&LOCK, connection, &values)?;
    let row = row.ok_or_else(|| {
        x402::Error::from(Refused::Unknown {
            id: id.map_or_else(|| "NULL".to_owned(), |id| id.to_string()),
        })
    })?;
    let mut columns = Columns::new(&row);
    Ok((Stored::read(&mut columns)?, columns.required()?))
}
