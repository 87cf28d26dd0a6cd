//! Why an event does not change a reservation.

use thiserror::Error;

use super::State;
use crate::report::{Report, sqlstate};

/// A refused event, with SQLSTATE, DETAIL and HINT.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// An operator's finding that makes no sense.
    #[error("invalid resolution of an x402 reservation")]
    InvalidFinding {
        /// What is wrong, with its place, a sentence.
        problem: String,
    },
    /// An operator's finding that contradicts the ledger.
    #[error("x402 reservation {id} is settled, and that is final")]
    Final {
        /// Id of the reservation.
        id: String,
        /// The transaction that settled it; `None`: it was settled for nothing.
        tx_hash: Option<String>,
    },
    /// The ledger has the transaction for another payment.
    #[error("transaction {tx_hash} is recorded already")]
    Recorded {
        /// Its hash.
        tx_hash: String,
        /// The transaction's payment, a sentence.
        problem: String,
    },
    /// An amount that cannot be settled.
    #[error("invalid amount of an x402 settlement")]
    InvalidAmount {
        /// What is wrong, a sentence.
        problem: String,
    },
    /// Another amount may be settled already.
    #[error("x402 reservation {id} cannot be settled for this amount")]
    NotAsked {
        /// Id of the reservation.
        id: String,
        /// Why, a sentence.
        problem: String,
    },
    /// The payment is not settled yet.
    #[error("x402 reservation {id} is not settled")]
    NotSettled {
        /// Id of the reservation.
        id: String,
        /// Its state.
        state: State,
    },
    /// A mock settlement of a payment that has moved money, or may have.
    #[error("x402 reservation {id} cannot be settled without money")]
    NotMocked {
        /// Id of the reservation.
        id: String,
        /// Why, a sentence.
        problem: String,
    },
    /// The reservation blocks another payment.
    #[error("{message}")]
    Reserved {
        /// The primary message.
        message: &'static str,
        /// Id of the reservation.
        id: String,
        /// Its state.
        state: State,
        /// Time of its delivery.
        delivered_at: Option<String>,
    },
    /// An endpoint or a key that is empty or too long.
    #[error("invalid x402 reservation")]
    InvalidLength,
    /// No reservation has the id.
    #[error("unknown x402 reservation {id}")]
    Unknown {
        /// The id as given, or `NULL`.
        id: String,
    },
    /// Neither the payment nor what blocks it could be found.
    #[error("could not reserve the payment")]
    NotReserved,
    /// The table did not take the new state.
    #[error("could not store x402 reservation {id}")]
    NotStored {
        /// Id of the reservation.
        id: String,
    },
    /// A mock settlement outside of development.
    #[error("mock settlements are not allowed")]
    MocksNotAllowed,
}

impl Refused {
    /// SQLSTATE, DETAIL and HINT.
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
                match tx_hash {
                    Some(tx_hash) => {
                        format!("Transaction {tx_hash} is in the ledger, which is append-only.")
                    }
                    None => "It was settled for the amount 0, without a transaction. If money moved all the same, call record_x402_settlement().".to_owned(),
                },
                "Call correct_x402_settlement() for a refund or a reorganisation of the chain.",
            ),
            Self::Recorded { problem, .. } => Report::new(
                sqlstate::UNIQUE_VIOLATION,
                problem.as_str(),
                "If the transaction carried both payments, resolve this one with outcome conflict and the same hash. It is then shown and counted beside the other.",
            ),
            Self::InvalidAmount { problem } => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                problem.as_str(),
                "Give the amount to settle, at most the one that the buyer signed. Nothing was changed.",
            ),
            Self::NotAsked { problem, .. } => Report::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                problem.as_str(),
                "A payment settles only once. Ask for the same amount again, or look up the payment on chain.",
            ),
            Self::NotSettled { state, .. } => Report::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("It is {}.", state.name()),
                "Deliver, and send the header, only after the payment has settled.",
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
                        State::Settled => "It is paid. Do not ask the buyer to pay again.",
                        _ => {
                            "It may still be settled. Do not ask the buyer to pay again. The same payment with the same endpoint and idempotency key returns its reservation."
                        }
                    },
                )
            }
            Self::InvalidLength => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                "An endpoint must have 1 to 2000 bytes, an idempotency key 1 to 255.",
                "Give the address that the buyer requested. Nothing was reserved.",
            ),
            Self::Unknown { .. } => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                "There is no reservation with this id.",
                "Give the reservation_id that reserve_x402_payment() returned, after its transaction has committed.",
            ),
            Self::NotReserved => Report::new(
                sqlstate::SERIALIZATION_FAILURE,
                "Another transaction is reserving it, or a trigger or rule on the table drops rows.",
                "Try again in a new transaction.",
            ),
            Self::NotStored { .. } => Report::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "A trigger or rule on table x402_reservations drops the row.",
                "Remove it, and call the function again. Nothing was changed.",
            ),
            Self::MocksNotAllowed => Report::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "Setting allow_mock_settlements is off, so only paid requests are delivered.",
                "In a database for development, as a superuser: SELECT insforge_integrations.configure('allow_mock_settlements', 'on').",
            ),
        }
    }
}
