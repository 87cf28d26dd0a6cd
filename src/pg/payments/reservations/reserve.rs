//! A payment becomes a reservation.

use pgrx::prelude::*;
use pgrx::spi::SpiClient;

use super::super::x402::{CurrentRegistry, payer, timestamp};
use super::settle::can_land_until;
use super::stored::{BUYER, Buyer, COLUMNS, Columns, Stored};
use crate::evm::integer::digits;
use crate::pg::error::Result;
use crate::pg::sys::composite::Composite;
use crate::pg::sys::identity::user_id;
use crate::pg::sys::jsonb::Jsonb;
use crate::pg::sys::statement::{Statement, first_row};
use crate::pg::sys::{clock, transaction};
use crate::x402;
use crate::x402::challenge::in_full;
use crate::x402::facilitator::{Facilitator, Request};
use crate::x402::header::Resource;
use crate::x402::reservable::Reservable;
use crate::x402::reservation::{Event, Offered, Refused, Reservation};

/// The arguments of SQL function `reserve_x402_payment`.
pub(super) struct Arguments<'a> {
    pub payment: &'a str,
    pub requirements: &'a str,
    pub endpoint: &'a str,
    pub idempotency_key: Option<&'a str>,
    pub facilitator: &'a str,
    pub payer_is_contract: Option<bool>,
}

const ATTEMPTS: usize = 5;

/// Reserves a payment, or finds its reservation.
pub(super) fn reserve(arguments: &Arguments) -> Result<Composite> {
    let endpoint = arguments.endpoint;
    let has_length = |text: &str, longest: usize| (1..=longest).contains(&text.len());
    let key_fits = arguments
        .idempotency_key
        .is_none_or(|key| has_length(key, 255));
    if !has_length(endpoint, 2000) || !key_fits {
        return Err(x402::Error::from(Refused::InvalidLength).into());
    }
    let loaded = CurrentRegistry::load()?;
    let requirements = in_full(
        arguments.requirements,
        endpoint,
        &Resource::default(),
        loaded.registry(),
    )?;
    let payment = Reservable::read(
        arguments.payment,
        &requirements,
        loaded.registry(),
        u64::try_from(clock::now()).unwrap_or_default(),
        payer(arguments.payer_is_contract),
    )?;
    let request = payment.request(Facilitator::of_name(arguments.facilitator)?)?;
    let key = arguments.idempotency_key.or(payment.identifier.as_deref());
    let offer = Offer {
        own: payment.reservation(endpoint, key),
        asset: payment.terms.asset.address.to_string(),
        payer_address: payment.authorization.from.to_string(),
        payment: &payment,
    };
    transaction::force_sync_commit();
    let (stored, is_new, is_to_send) = Spi::connect(|connection| offer.enter(connection))?;
    stored.answer(is_new, request.as_ref().filter(|_: &&Request| is_to_send))
}

/// A payment, and its parts in the spelling of the table.
struct Offer<'a> {
    payment: &'a Reservable<'a>,
    /// Its reservation, without an id.
    own: Reservation,
    asset: String,
    payer_address: String,
}

thread_local! {
    /// The reservation of an authorization. One with an unverified signature does not stand in the
    /// way of one with a verified signature.
    static WITH_NONCE: Statement = const { Statement::new(
        || {
            Ok(format!(
                "SELECT {COLUMNS}, {BUYER} FROM insforge_integrations.x402_reservations r
                 WHERE r.network = $1 AND r.nonce_contract = $2 AND r.payer_address = $3 AND r.nonce = $4
                   AND (r.is_signature_verified OR NOT $5)
                 ORDER BY r.is_signature_verified = $5 DESC LIMIT 1"
            ))
        },
    ) };
    /// The reservation that holds an idempotency key.
    static WITH_KEY: Statement = const { Statement::new(
        || {
            Ok(format!(
                "SELECT {COLUMNS}, {BUYER} FROM insforge_integrations.x402_reservations r
                 WHERE r.holds_key AND r.payer_address = $1 AND r.endpoint = $2 AND r.idempotency_key = $3
                   AND (r.is_signature_verified OR NOT $4)
                 ORDER BY r.is_signature_verified DESC LIMIT 1
                 FOR UPDATE"
            ))
        },
    ) };
    static INSERT: Statement = const { Statement::new(
        || {
            Ok(format!(
                "INSERT INTO insforge_integrations.x402_reservations AS r (
                   endpoint, idempotency_key, scheme, network, asset, payer_address, pay_to, amount, nonce_contract, nonce,
                   valid_after, valid_before, is_signature_verified, payment, requirements, user_id)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8::numeric, $9, $10, $11, $12, $13, $14, $15, $16)
                 ON CONFLICT DO NOTHING
                 RETURNING r.id, r.created_at, {BUYER}"
            ))
        },
    ) };
    /// Without an answer after this time, the call that had the request has probably died.
    static GIVE_REQUEST_AGAIN: Statement = const { Statement::new(
        || {
            // Citus takes no volatile function in an UPDATE.
            Ok("UPDATE insforge_integrations.x402_reservations r SET request_given_at = $2
                WHERE r.id = $1 AND r.state = 'reserved' AND r.resolved_at IS NULL
                  AND r.request_given_at < $2 - interval '2 minutes'
                RETURNING true".to_owned())
        },
    ) };
    static GIVE_UP_KEY: Statement = const { Statement::new(
        || {
            Ok("UPDATE insforge_integrations.x402_reservations r SET holds_key = false WHERE r.id = $1".to_owned())
        },
    ) };
    static AS_TEXT: Statement = const { Statement::new(
        || Ok("SELECT $1::text".to_owned()),
    ) };
}

impl Offer<'_> {
    /// Returns the payment's reservation, whether it is new, and whether this call must send the
    /// request to the facilitator.
    fn enter(&self, connection: &SpiClient) -> Result<(Stored, bool, bool)> {
        for attempt in 1..=ATTEMPTS {
            // The unique keys find what blocks a payment with a verified signature. So the first
            // attempt inserts it at once, unless nothing can be inserted, as on a standby.
            let looks_first =
                attempt > 1 || !self.payment.is_signature_verified || transaction::is_read_only();
            if looks_first && let Some(known) = self.known(connection)? {
                let offered = Event::Offered(self.offered(connection, &known)?);
                let next = known.reservation.after(&offered, None);
                let next = next.map_err(x402::Error::from)?;
                if next.reservation.holds_key == known.reservation.holds_key {
                    let values = [known.id.into(), pgrx::datum::clock_timestamp().into()];
                    let given = first_row(&GIVE_REQUEST_AGAIN, connection, &values)?;
                    return Ok((known, false, given.is_some()));
                }
                first_row(&GIVE_UP_KEY, connection, &[known.id.into()])?;
            }
            if let Some(stored) = self.insert(connection)? {
                return Ok((stored, true, true));
            }
        }
        Err(x402::Error::from(Refused::NotReserved).into())
    }

    /// What has the payment's nonce or key.
    fn known(&self, connection: &SpiClient) -> Result<Option<Stored>> {
        let is_verified = self.payment.is_signature_verified;
        let values = [
            self.own.network.as_str().into(),
            self.own.nonce_contract.as_str().into(),
            self.payer_address.as_str().into(),
            self.own.nonce.as_str().into(),
            is_verified.into(),
        ];
        let with_nonce = first_row(&WITH_NONCE, connection, &values)?;
        let row = match (with_nonce, self.own.idempotency_key.as_deref()) {
            (Some(row), _) => Some(row),
            (None, None) => None,
            (None, Some(key)) => {
                let values = [
                    self.payer_address.as_str().into(),
                    self.own.endpoint.as_str().into(),
                    key.into(),
                    is_verified.into(),
                ];
                first_row(&WITH_KEY, connection, &values)?
            }
        };
        row.map(|row| Stored::read(&mut Columns::new(&row)))
            .transpose()
    }

    fn offered(&self, connection: &SpiClient, known: &Stored) -> Result<Offered> {
        let delivered_at = match known.delivered_at {
            Some(time) => {
                let row = first_row(&AS_TEXT, connection, &[time.into()])?;
                row.map_or(Ok(None), |row| row.get(1))?
            }
            None => None,
        };
        Ok(Offered {
            network: self.own.network.clone(),
            nonce_contract: self.own.nonce_contract.clone(),
            nonce: self.own.nonce.clone(),
            endpoint: self.own.endpoint.clone(),
            idempotency_key: self.own.idempotency_key.clone(),
            can_land: can_land_until(connection, known.valid_before)?.is_some(),
            delivered_at,
        })
    }

    /// Returns the new row, or `None` if another one is in its way.
    fn insert(&self, connection: &SpiClient) -> Result<Option<Stored>> {
        let authorization = &self.payment.authorization;
        let valid_before = timestamp(&authorization.valid_before);
        let user_id = user_id()?;
        let values = [
            self.own.endpoint.as_str().into(),
            self.own.idempotency_key.as_deref().into(),
            self.own.scheme.name().into(),
            self.own.network.as_str().into(),
            self.asset.as_str().into(),
            self.payer_address.as_str().into(),
            authorization.to.to_string().into(),
            digits(&self.own.amount).into(),
            self.own.nonce_contract.as_str().into(),
            self.own.nonce.as_str().into(),
            timestamp(&authorization.valid_after).into(),
            valid_before.into(),
            self.payment.is_signature_verified.into(),
            self.payment.payment.as_str().into(),
            Jsonb(self.payment.requirement.get().to_owned()).into(),
            user_id.as_deref().into(),
        ];
        let row = first_row(&INSERT, connection, &values)?;
        let Some(row) = row else {
            return Ok(None);
        };
        let mut columns = Columns::new(&row);
        let id: pgrx::Uuid = columns.required()?;
        Ok(Some(Stored {
            id,
            created_at: columns.required()?,
            headers_for: Buyer::read(&mut columns)?,
            reservation: Reservation {
                id: id.to_string(),
                ..self.own.clone()
            },
            payer_address: self.payer_address.clone(),
            asset: self.asset.clone(),
            user_id,
            valid_before,
            settled_at: None,
            delivered_at: None,
        }))
    }
}
