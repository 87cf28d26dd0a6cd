//! Refused events of a reservation.

use thiserror::Error;

use super::State;
use crate::report::{Report, sqlstate};

/// Why an event is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// An operator's arguments are invalid.
    #[error("invalid resolution of an x402 reservation")]
    InvalidFinding {
        /// A sentence that names the argument and what is wrong.
        problem: String,
    },
    /// An operator contradicts the ledger.
    #[error("x402 reservation {id} is settled, and that is final")]
    Final {
        /// The reservation's id.
        id: String,
        /// The transaction that settled it.
        tx_hash: String,
    },
    /// The ledger has the transaction as another payment's.
    #[error("transaction {tx_hash} is recorded already")]
    Recorded {
        /// Its hash.
        tx_hash: String,
        /// A sentence that says whose it is.
        problem: String,
    },
    /// Nothing was paid yet.
    #[error("x402 reservation {id} is not settled")]
    NotSettled {
        /// The reservation's id.
        id: String,
        /// Its state.
        state: State,
    },
    /// Money moved, or may have moved.
    #[error("x402 reservation {id} cannot be settled without money")]
    NotMocked {
        /// The reservation's id.
        id: String,
        /// A sentence that says why.
        problem: String,
    },
    /// The reservation keeps another payment out.
    #[error("{message}")]
    Reserved {
        /// The primary message.
        message: &'static str,
        /// The reservation's id.
        id: String,
        /// Its state.
        state: State,
        /// When it was delivered.
        delivered_at: Option<String>,
    },
    /// The arguments are not a reservation and an event.
    #[error("invalid event of an x402 reservation")]
    Invalid {
        /// A sentence that names the argument and what is wrong.
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
