//! SQL functions on reservations, which sql/reservations.sql and sql/settle.sql declare.
//! `x402::reservation` decides; this module locks, stores and answers.

use pgrx::prelude::*;
use pgrx::spi::SpiClient;

use super::x402::{CurrentRegistry, text_of};
use crate::error::Error;
use crate::evm::integer::digits;
use crate::pg::error::{Result, reported};
use crate::pg::settings;
use crate::pg::sys::composite::Composite;
use crate::pg::sys::jsonb::Jsonb;
use crate::pg::sys::statement::{Statement, first_row};
use crate::pg::sys::transaction;
use crate::x402;
use crate::x402::facilitator::{self, Request};
use crate::x402::reservation::{Finding, Refused, State};
use reserve::{Arguments, reserve};
use settle::{Said, advance};
use stored::{Stored, lock};

mod reserve;
mod settle;
mod stored;

/// SQL function `reserve_x402_payment`.
#[pg_extern(sql = false)]
fn reserve_payment(
    payment: Option<&str>,
    requirements: Option<Jsonb>,
    endpoint: Option<&str>,
    idempotency_key: Option<&str>,
    facilitator: Option<&str>,
    payer_is_contract: Option<bool>,
) -> reported::Result<Composite> {
    Ok(reserve(&Arguments {
        payment: payment.unwrap_or_default(),
        requirements: &text_of(requirements),
        endpoint: endpoint.unwrap_or_default(),
        idempotency_key,
        facilitator: facilitator.unwrap_or_default(),
        payer_is_contract,
    })?)
}

thread_local! {
    static PARSED: Statement = const { Statement::new(
        || Ok("SELECT insforge_integrations_internal.parsed_x402_answer($1)::text".to_owned()),
    ) };
    static SENT: Statement = const { Statement::new(
        || {
            Ok("SELECT r.payment, r.requirements::text FROM insforge_integrations.x402_reservations r WHERE r.id = $1".to_owned())
        },
    ) };
}

/// SQL function `settle_x402_reservation`.
#[pg_extern(sql = false)]
fn settle_reservation(
    reservation_id: Option<pgrx::Uuid>,
    facilitator_response: Option<Jsonb>,
    response_summary: Option<&str>,
) -> reported::Result<Composite> {
    let mut said = text_of(facilitator_response);
    Ok(Spi::connect(|connection| {
        // The body as a text. Through a client's JSON parser, large numbers would change.
        if said.starts_with('"') {
            let text: String = serde_json::from_str(&said).map_err(Error::bug)?;
            let row = first_row(&PARSED, connection, &[text.into()])?;
            if let Some(parsed) = row.map_or(Ok(None), |row| row.get(1))? {
                said = parsed;
            }
        }
        advance(
            connection,
            reservation_id,
            Said::Answered(&said),
            response_summary,
        )
    })
    .and_then(answer)?)
}

/// SQL function `resolve_x402_reservation`.
#[pg_extern(sql = false)]
fn resolve_reservation(
    reservation_id: Option<pgrx::Uuid>,
    outcome: Option<String>,
    tx_hash: Option<String>,
    note: Option<String>,
    amount: Option<String>,
) -> reported::Result<Composite> {
    let finding = Finding {
        outcome,
        tx_hash,
        note,
        amount,
        ..Finding::default()
    };
    Ok(enter(reservation_id, Said::Found(finding))?)
}

/// SQL function `mark_x402_delivered`.
#[pg_extern(sql = false)]
fn mark_delivered(reservation_id: Option<pgrx::Uuid>) -> reported::Result<Composite> {
    Ok(enter(reservation_id, Said::Delivered)?)
}

/// SQL function `mock_x402_settlement`.
#[pg_extern(sql = false)]
fn mock_settlement(reservation_id: Option<pgrx::Uuid>) -> reported::Result<Composite> {
    if !settings::current()?.allow_mock_settlements {
        return Err(x402::Error::from(Refused::MocksNotAllowed).into());
    }
    Ok(enter(reservation_id, Said::Mocked)?)
}

/// SQL function `x402_settlement_request`.
#[pg_extern(sql = false)]
fn settlement_request(
    reservation_id: Option<pgrx::Uuid>,
    amount: Option<&str>,
    facilitator: Option<&str>,
) -> reported::Result<Composite> {
    let said = Said::Asked(amount.unwrap_or_default());
    let ((stored, is_new), request) = Spi::connect(|connection| {
        let advanced = advance(connection, reservation_id, said, None)?;
        let request = advanced.0.request(connection, facilitator)?;
        Ok::<_, Error>((advanced, request))
    })?;
    Ok(stored.answer(is_new, Some(&request))?)
}

/// SQL function `x402_facilitator_request`.
#[pg_extern(sql = false)]
fn reservation_request(
    reservation_id: Option<pgrx::Uuid>,
    facilitator: Option<&str>,
) -> reported::Result<Jsonb> {
    let request = Spi::connect(|connection| {
        locked(connection, reservation_id)?.request(connection, facilitator)
    })?;
    Ok(Jsonb(request.body))
}

/// SQL function `x402_payment_response_header`.
#[pg_extern(sql = false)]
fn reservation_response_header(reservation_id: Option<pgrx::Uuid>) -> reported::Result<String> {
    let stored = Spi::connect(|connection| locked(connection, reservation_id))?;
    let own = &stored.reservation;
    if own.state != State::Settled {
        let refused = Refused::NotSettled {
            id: own.id.clone(),
            state: own.state,
        };
        return Err(x402::Error::from(refused).into());
    }
    let amount = own.settled_amount.as_ref().map(digits);
    Ok(stored.response_header(&CurrentRegistry::load()?, amount.as_deref())?)
}

fn enter(id: Option<pgrx::Uuid>, said: Said) -> Result<Composite> {
    Spi::connect(|connection| advance(connection, id, said, None)).and_then(answer)
}

fn answer((stored, is_new): (Stored, bool)) -> Result<Composite> {
    stored.answer(is_new, None)
}

fn locked(connection: &SpiClient, id: Option<pgrx::Uuid>) -> Result<Stored> {
    transaction::force_sync_commit();
    Ok(lock(connection, id, None)?.0)
}

impl Stored {
    /// The request to a facilitator to settle it.
    fn request(&self, connection: &SpiClient, facilitator: Option<&str>) -> Result<Request> {
        let row = first_row(&SENT, connection, &[self.id.into()])?;
        let row = row.ok_or_else(|| Error::bug("a locked reservation is gone"))?;
        let [payment, requirements] = [1, 2].map(|column| row.get::<String>(column));
        let amount = self.reservation.asked_amount.as_ref().map(digits);
        Ok(facilitator::request(
            &payment?.unwrap_or_default(),
            &requirements?.unwrap_or_default(),
            facilitator.unwrap_or_default(),
            amount.as_deref(),
            CurrentRegistry::load()?.registry(),
        )?)
    }
}
