//! What becomes of a reservation.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::spi::SpiClient;
use pgrx::{PgLogLevel, datum};

use super::super::ledger;
use super::super::realtime::publish;
use super::super::x402::NETWORKS;
use super::stored::{Stored, lock};
use crate::error::Error;
use crate::evm;
use crate::evm::address::Address;
use crate::evm::integer::digits;
use crate::evm::{hexadecimal, transaction_hash};
use crate::pg::error::Result;
use crate::pg::sys::jsonb::Jsonb;
use crate::pg::sys::statement::{Statement, first_row, in_subtransaction};
use crate::pg::sys::transaction;
use crate::x402::answer::{Answer, Expected};
use crate::x402::registry::Networks;
use crate::x402::reservation::{Entry, Event, Finding, Refused, Reservation, State, Warning};
use crate::x402::{self, Scheme};

/// What somebody says about a reservation.
pub(super) enum Said<'a> {
    /// The server: settle this amount.
    Asked(&'a str),
    /// The facilitator, in JSON.
    Answered(&'a str),
    /// An operator.
    Found(Finding),
    /// The server: it delivers.
    Delivered,
    /// A developer: settle it without money.
    Mocked,
}

thread_local! {
    static STORE: Statement = const { Statement::new(
        || {
            Ok("UPDATE insforge_integrations.x402_reservations r
                SET state = $2, holds_key = $3, asked_amount = $4::numeric, settled_amount = $5::numeric, tx_hash = $6,
                    reason = $7, message = $8, is_mock = $9, is_batched = $10, answers = r.answers || $11,
                    response_summary = coalesce($12, r.response_summary), settled_at = $13,
                    resolved_at = CASE WHEN $14 IS NOT NULL THEN coalesce(r.resolved_at, $14) END,
                    note = coalesce($15, r.note), delivered_at = $16
                WHERE r.id = $1
                RETURNING true".to_owned())
        },
    ) };
    static IS_TAKEN: Statement = const { Statement::new(
        || {
            Ok("SELECT true FROM insforge_integrations.x402_reservations r
                WHERE r.tx_hash = $2 AND r.state = 'settled' AND NOT r.is_batched AND r.id <> $1".to_owned())
        },
    ) };
    static CLAIM: Statement = const { Statement::new(
        || {
            Ok("UPDATE insforge_integrations.x402_reservations r
                SET state = 'settled', tx_hash = $2, settled_amount = $3::numeric WHERE r.id = $1".to_owned())
        },
    ) };
    static CORRECT: Statement = const { Statement::new(
        || {
            Ok("SELECT FROM insforge_integrations_internal.insert_x402_correction($2, 'batched', $3::numeric, NULL, $4, $1)".to_owned())
        },
    ) };
    static NETWORK_OF: Statement = const { Statement::new(
        || {
            Ok("SELECT s.network FROM insforge_integrations.x402_settlements s
                WHERE s.tx_hash = $1 AND NOT s.is_mock".to_owned())
        },
    ) };
    static CAN_LAND_UNTIL: Statement = const { Statement::new(
        || {
            Ok("SELECT until::text FROM insforge_integrations.x402_can_land_until($1) until
                WHERE until > clock_timestamp()".to_owned())
        },
    ) };
}

/// Until when a block may still carry an authorization, as a text; `None` if that time is past.
pub(super) fn can_land_until(
    connection: &SpiClient,
    valid_before: TimestampWithTimeZone,
) -> Result<Option<String>> {
    let row = first_row(&CAN_LAND_UNTIL, connection, &[valid_before.into()])?;
    row.map_or(Ok(None), |row| row.get(1))
}

/// Enters what was said about a reservation. Returns the reservation, and whether this is its
/// first delivery.
pub(super) fn advance(
    connection: &SpiClient,
    id: Option<pgrx::Uuid>,
    said: Said,
    response_summary: Option<&str>,
) -> Result<(Stored, bool)> {
    transaction::force_sync_commit();
    let answer = match said {
        Said::Answered(answer) => Some(answer),
        _ => None,
    };
    let (own, is_another) = lock(connection, id, answer)?;
    let news = answer.filter(|_| is_another);
    let event = own.event(connection, said)?;
    let after = |known: Option<&str>| {
        let next = own.reservation.after(&event, known);
        next.map_err(x402::Error::from)
    };
    let mut next = after(None)?;
    let note = match &event {
        Event::Found(finding) => finding.note.as_deref(),
        _ => None,
    };
    match next.entry {
        Some(Entry::Settlement) => {
            let known = record(connection, &own, &next.reservation, response_summary)?;
            if let Some(known) = known {
                next = after(Some(&known))?;
            }
        }
        Some(Entry::Correction) => correct(connection, &own, &next.reservation, note)?,
        None => {}
    }
    let was_settled = own.reservation.state == State::Settled;
    let is_found = matches!(event, Event::Found(_));
    let is_changed = !was_settled || is_found || news.is_some() || next.is_new;
    let (began, present) = (datum::transaction_timestamp(), datum::clock_timestamp());
    let stored = own.followed_by(next.reservation, began, present);
    if is_changed {
        let remarks = Remarks {
            // Citus takes no function like jsonb_build_object() in an UPDATE.
            news: news.map(|answer| {
                let at = present.to_iso_string();
                Jsonb(format!(r#"[{{"at": "{at}", "answer": {answer}}}]"#))
            }),
            response_summary: response_summary.filter(|_| !was_settled),
            note,
        };
        stored.store(connection, began, remarks)?;
    }
    if next.entry == Some(Entry::Correction)
        && let Some(tx_hash) = &stored.reservation.tx_hash
    {
        publish(tx_hash, Some(stored.id))?;
    }
    if let Some(warning) = next.warning {
        raise(warning);
    }
    Ok((stored, next.is_new))
}

impl Stored {
    /// The row with its next state. `began`: the time of the transaction.
    fn followed_by(
        self,
        next: Reservation,
        began: TimestampWithTimeZone,
        present: TimestampWithTimeZone,
    ) -> Self {
        let own = &self.reservation;
        let settles = own.state != State::Settled && next.state == State::Settled;
        let delivers = !own.is_delivered && next.is_delivered;
        Self {
            settled_at: settles.then_some(began).or(self.settled_at),
            delivered_at: delivers.then_some(present).or(self.delivered_at),
            reservation: next,
            ..self
        }
    }

    fn event(&self, connection: &SpiClient, said: Said) -> Result<Event> {
        Ok(match said {
            Said::Asked(amount) => Event::Asked(amount.to_owned()),
            Said::Answered(answer) => {
                let networks = NETWORKS.current()?;
                Event::Answered(Answer::read(answer, &self.expected(&networks)?))
            }
            Said::Found(finding) => Event::Found(Finding {
                recorded_on: network_of(connection, &finding)?,
                can_land_until: can_land_until(connection, self.valid_before)?,
                ..finding
            }),
            Said::Delivered => Event::Delivered,
            Said::Mocked => Event::Mocked,
        })
    }

    fn expected<'n>(&self, networks: &'n Networks) -> Result<Expected<'n>> {
        let own = &self.reservation;
        Ok(Expected {
            network: networks.get(&own.network)?,
            payer: Address::parse(&self.payer_address)
                .map_err(|problem| evm::Error::InvalidAddress { problem })?,
            amount: own.amount,
            is_upto: own.scheme == Scheme::Upto,
            asked: own.asked_amount,
        })
    }
}

/// The network of a transaction that the ledger has, if no mock settlement made it.
fn network_of(connection: &SpiClient, finding: &Finding) -> Result<Option<String>> {
    let hash = finding.tx_hash.as_deref().and_then(transaction_hash);
    let Some(hash) = hash else {
        return Ok(None);
    };
    let values = [hexadecimal(&hash).into()];
    let row = first_row(&NETWORK_OF, connection, &values)?;
    row.map_or(Ok(None), |row| row.get(1))
}

/// Puts the settlement of a reservation into the ledger. If the ledger already has the transaction,
/// returns the columns in which its row differs.
fn record(
    connection: &SpiClient,
    own: &Stored,
    settled: &Reservation,
    response_summary: Option<&str>,
) -> Result<Option<String>> {
    let (tx_hash, amount) = transfer(settled)?;
    let known = ledger::insert(
        connection,
        &ledger::Entry {
            id: None,
            created_at: None,
            reservation_id: Some(own.id),
            tx_hash,
            payer_address: &own.payer_address,
            endpoint: &settled.endpoint,
            amount: &amount,
            network: &settled.network,
            asset: Some(&own.asset),
            user_id: own.user_id.as_deref(),
            response_summary,
            is_mock: settled.is_mock,
        },
    )?;
    let Some(known) = known else {
        publish(tx_hash, None)?;
        return Ok(None);
    };
    let values = [own.id.into(), tx_hash.into()];
    let taken = first_row(&IS_TAKEN, connection, &values)?;
    // If several reservations find the row at the same time, only one can have it.
    let values = [own.id.into(), tx_hash.into(), amount.as_str().into()];
    let claim = || first_row(&CLAIM, connection, &values);
    let is_own = taken.is_none()
        && in_subtransaction(PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION, claim)?.is_ok();
    Ok(Some(if is_own {
        known
    } else {
        "reservation_id".to_owned()
    }))
}

/// Corrects the row that the ledger has for another payment of the transaction.
fn correct(
    connection: &SpiClient,
    own: &Stored,
    settled: &Reservation,
    note: Option<&str>,
) -> Result<()> {
    let (tx_hash, amount) = transfer(settled)?;
    let values = [own.id.into(), tx_hash.into(), amount.into(), note.into()];
    first_row(&CORRECT, connection, &values)?;
    Ok(())
}

/// The transaction of an entry, and the amount that it moved.
fn transfer(settled: &Reservation) -> Result<(&str, String)> {
    let transfer = settled.tx_hash.as_deref().zip(settled.settled_amount);
    let (tx_hash, amount) =
        transfer.ok_or_else(|| Error::bug("an entry without a transaction or an amount"))?;
    Ok((tx_hash, digits(&amount)))
}

/// What is added to a row, besides what [`Stored`] has.
struct Remarks<'a> {
    news: Option<Jsonb>,
    response_summary: Option<&'a str>,
    note: Option<&'a str>,
}

impl Stored {
    fn store(
        &self,
        connection: &SpiClient,
        began: TimestampWithTimeZone,
        remarks: Remarks,
    ) -> Result<()> {
        let own = &self.reservation;
        let values = [
            self.id.into(),
            own.state.name().into(),
            own.holds_key.into(),
            own.asked_amount.as_ref().map(digits).into(),
            own.settled_amount.as_ref().map(digits).into(),
            own.tx_hash.as_deref().into(),
            own.reason.as_deref().into(),
            own.message.as_deref().into(),
            own.is_mock.into(),
            own.is_batched.into(),
            remarks
                .news
                .unwrap_or_else(|| Jsonb("[]".to_owned()))
                .into(),
            remarks.response_summary.into(),
            self.settled_at.into(),
            own.is_resolved.then_some(began).into(),
            remarks.note.into(),
            self.delivered_at.into(),
        ];
        match first_row(&STORE, connection, &values)? {
            Some(_) => Ok(()),
            None => Err(x402::Error::from(Refused::NotStored { id: own.id.clone() }).into()),
        }
    }
}

fn raise(warning: Warning) {
    ErrorReport::new(
        PgSqlErrorCode::ERRCODE_WARNING,
        warning.message,
        "insforge_integrations",
    )
    .set_detail(warning.detail)
    .set_hint(warning.hint)
    .report(PgLogLevel::WARNING);
}
