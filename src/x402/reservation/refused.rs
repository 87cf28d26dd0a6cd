//! Why a reservation stays as it is.

use thiserror::Error;

use super::State;
use crate::report::{Report, sqlstate};

/// What is refused, with its SQLSTATE, DETAIL and HINT.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// What an operator says makes no sense.
    #[error("invalid resolution of an x402 reservation")]
    InvalidFinding {
        /// What is wrong, with its place, a sentence.
        problem: String,
    },
    /// What an operator says is not what the ledger has.
    #[error("x402 reservation {id} is settled, and that is final")]
    Final {
        /// Of the reservation.
        id: String,
        /// That settled it.
        tx_hash: String,
    },
    /// The ledger has the transaction for another payment.
    #[error("transaction {tx_hash} is recorded already")]
    Recorded {
        /// Its hash.
        tx_hash: String,
        /// Whose it is, a sentence.
        problem: String,
    },
    /// Nothing was paid yet.
    #[error("x402 reservation {id} is not settled")]
    NotSettled {
        /// Of the reservation.
        id: String,
        /// Where it stands.
        state: State,
    },
    /// Money moved, or may have.
    #[error("x402 reservation {id} cannot be settled without money")]
    NotMocked {
        /// Of the reservation.
        id: String,
        /// Why, a sentence.
        problem: String,
    },
    /// The reservation stands in the way of another payment.
    #[error("{message}")]
    Reserved {
        /// In which way.
        message: &'static str,
        /// Of the reservation.
        id: String,
        /// Where it stands.
        state: State,
        /// When it was delivered.
        delivered_at: Option<String>,
    },
    /// What was given is not a reservation and an event.
    #[error("invalid event of an x402 reservation")]
    Invalid {
        /// What is wrong, with its place, a sentence.
        problem: &'static str,
    },
}

impl Refused {
    /// What Postgres reports with it.
    #[must_use]
    pub fn report(&self) -> Report {
        match self {
            Self::InvalidFinding { problem } => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                problem.as_str(),
                "View insforge_integrations.unsettled_x402_reservations says what to look up. Nothing was changed.",
            ),
            Self::Final { tx_hash, .. } => Report::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("Transaction {tx_hash} is in the ledger, which is append-only."),
                "Call insforge_integrations.correct_x402_settlement() for a refund or a reorganisation of the chain.",
            ),
            Self::Recorded { problem, .. } => Report::new(
                sqlstate::UNIQUE_VIOLATION,
                problem.as_str(),
                "If it carried both payments, resolve this one with outcome conflict and the same hash: it is then shown and counted beside the other.",
            ),
            Self::NotSettled { state, .. } => Report::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("It is {}.", state.name()),
                "Deliver what is paid, and nothing before.",
            ),
            Self::NotMocked { problem, .. } => Report::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                problem.as_str(),
                "Reserve another payment.",
            ),
            Self::Reserved {
                id,
                state,
                delivered_at,
                ..
            } => {
                let delivered = match delivered_at {
                    Some(time) => format!("delivered at {time}"),
                    None => "not delivered".to_owned(),
                };
                Report::new(
                    sqlstate::UNIQUE_VIOLATION,
                    format!("Reservation {id} is {}, {delivered}.", state.name()),
                    match state {
                        State::Settled => "It is paid: do not ask the buyer to pay again.",
                        _ => {
                            "It may still be settled: do not ask the buyer to pay again. The same payment under the same endpoint and idempotency key is given its reservation."
                        }
                    },
                )
            }
            Self::Invalid { problem } => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                *problem,
                "Call reserve_x402_payment(), settle_x402_reservation() and the functions beside them, which ask for it.",
            ),
        }
    }
}
