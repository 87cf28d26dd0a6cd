//! The state machine of a reservation. `pg::payments::reservations` locks the reservation, asks this
//! module for the next state, and stores it.

use super::Scheme;
use super::answer::{Answer, Outcome};
use crate::evm::hexadecimal;
use crate::evm::integer::{U256, decimal, digits};
use crate::evm::keccak::keccak256;

mod found;
mod refused;

pub use found::Finding;
pub use refused::Refused;

/// The state of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The facilitator has not answered yet.
    Reserved,
    /// The ledger has it.
    Settled,
    /// Money may have moved.
    Pending,
    /// The facilitator moved nothing, or an operator found that nothing moved.
    Failed,
    /// The answer is about another payment.
    Conflict,
}

impl State {
    const ALL: [Self; 5] = [
        Self::Reserved,
        Self::Settled,
        Self::Pending,
        Self::Failed,
        Self::Conflict,
    ];

    /// The name in table `x402_reservations`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Settled => "settled",
            Self::Pending => "pending",
            Self::Failed => "failed",
            Self::Conflict => "conflict",
        }
    }

    /// The state with this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A row of table `x402_reservations`, without columns that do not matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)]
pub struct Reservation {
    /// Its id.
    pub id: String,
    /// Its state.
    pub state: State,
    /// CAIP-2 identifier of the chain.
    pub network: String,
    /// The contract that keeps the nonce.
    pub nonce_contract: String,
    /// The authorization's nonce.
    pub nonce: String,
    /// The scheme.
    pub scheme: Scheme,
    /// The signed amount.
    pub amount: U256,
    /// The amount that the facilitator was asked to settle, if another one.
    pub asked_amount: Option<U256>,
    /// The amount that moved.
    pub settled_amount: Option<U256>,
    /// The paid endpoint.
    pub endpoint: String,
    /// The buyer's key for the request.
    pub idempotency_key: Option<String>,
    /// Whether another authorization under the key is refused.
    pub holds_key: bool,
    /// The transaction that settled it, or that an answer named, in the ledger's spelling.
    pub tx_hash: Option<String>,
    /// Why it is not settled.
    pub reason: Option<String>,
    /// A sentence about the reason.
    pub message: Option<String>,
    /// Settled without money.
    pub is_mock: bool,
    /// Its transaction has a row in the ledger for another payment.
    pub is_batched: bool,
    /// Whether an operator entered what is on chain.
    pub is_resolved: bool,
    /// Whether it was delivered.
    pub is_delivered: bool,
}

/// An event of a reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The server is about to ask the facilitator to settle this amount, in decimal digits.
    Asked(String),
    /// The facilitator answered.
    Answered(Answer),
    /// An operator looked at the chain.
    Found(Finding),
    /// The server is about to deliver.
    Delivered,
    /// A developer settles it without money.
    Mocked,
    /// A buyer offers a payment with the same authorization, or with the same payer, endpoint and
    /// idempotency key.
    Offered(Offered),
}

/// An offered payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// CAIP-2 identifier of its chain.
    pub network: String,
    /// The contract that keeps its nonce.
    pub nonce_contract: String,
    /// Its authorization's nonce.
    pub nonce: String,
    /// The endpoint.
    pub endpoint: String,
    /// The buyer's key for the request.
    pub idempotency_key: Option<String>,
    /// Whether a block may still carry the authorization of the reservation.
    pub can_land: bool,
    /// When the reservation was delivered, as a text.
    pub delivered_at: Option<String>,
}

/// The result of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// The reservation to store.
    pub reservation: Reservation,
    /// The entry that the ledger needs first.
    pub entry: Option<Entry>,
    /// Whether this event is the first that marks it as delivered.
    pub is_new: bool,
    /// A warning to raise.
    pub warning: Option<Warning>,
}

/// An entry that a reservation needs in the ledger. Its transaction is `tx_hash` of the
/// reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// A row for this payment. If the ledger already has the transaction, [`Reservation::after`] is
    /// called once more.
    Settlement,
    /// A correction of another payment's row, because its transaction carried this payment, too.
    Correction,
}

/// A warning beside an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The primary message.
    pub message: String,
    /// What was found.
    pub detail: String,
    /// What to do.
    pub hint: &'static str,
}

impl Reservation {
    /// The reservation after an event.
    ///
    /// `known`: if the ledger already has the transaction, the columns in which its row differs
    /// from this payment, separated by commas.
    ///
    /// # Errors
    /// [`Refused`]. Nothing changes then.
    pub fn after(&self, event: &Event, known: Option<&str>) -> Result<Next, Refused> {
        let taken = known.and_then(taken);
        match event {
            Event::Asked(amount) => self.after_question(amount),
            Event::Answered(answer) => Ok(self.after_answer(answer, taken)),
            Event::Found(finding) => self.after_finding(finding, taken),
            Event::Delivered => self.after_delivery(),
            Event::Mocked => self.after_mock(taken),
            Event::Offered(offered) => self.after_offer(offered),
        }
    }

    /// The first amount stays, because its request may settle. Only if nothing was sent, another one
    /// takes its place.
    fn after_question(&self, amount: &str) -> Result<Next, Refused> {
        let invalid = |problem: String| Refused::InvalidAmount { problem };
        let largest = digits(&self.amount);
        let amount = decimal(amount).filter(|amount| *amount <= self.amount);
        let amount = amount.ok_or_else(|| {
            invalid(format!("It must be a text of decimal digits, in the token's smallest unit, and at most {largest}."))
        })?;
        if amount == self.asked() {
            return Ok(self.unchanged());
        }
        if self.scheme == Scheme::Exact {
            return Err(invalid(format!(
                "It must be {largest}. Only a payment of scheme upto is settled for less than the signed amount."
            )));
        }
        let may_change = match self.state {
            State::Reserved => self.asked_amount.is_none(),
            State::Failed => !self.is_resolved,
            State::Settled | State::Pending | State::Conflict => false,
        };
        if !may_change {
            return Err(Refused::NotAsked {
                id: self.id.clone(),
                problem: format!(
                    "It is {}, and the facilitator may have been asked to settle {}.",
                    self.state.name(),
                    digits(&self.asked())
                ),
            });
        }
        Ok(Next {
            reservation: Self {
                asked_amount: Some(amount),
                ..self.clone()
            },
            ..self.unchanged()
        })
    }

    fn asked(&self) -> U256 {
        self.asked_amount.unwrap_or(self.amount)
    }

    fn after_answer(&self, answer: &Answer, taken: Option<&str>) -> Next {
        let named = answer.transaction.map(|hash| hexadecimal(&hash));
        if self.state == State::Settled {
            return self.after_late_answer(answer, named);
        }
        let (outcome, reason, message) = match (answer.outcome, &named, taken) {
            (Outcome::Settled, named, None) => {
                let amount = answer.amount.unwrap_or_else(|| self.asked());
                return self.settled(named.clone(), amount, false);
            }
            (Outcome::Settled, _, Some(problem)) => (
                Outcome::Conflict,
                Some("transaction_taken".to_owned()),
                Some(problem.to_owned()),
            ),
            (outcome, ..) => (outcome, answer.reason.clone(), answer.message.clone()),
        };
        let is_conflict = outcome == Outcome::Conflict;
        let warning = is_conflict.then(|| Warning {
            message: format!("the facilitator's answer does not fit x402 reservation {}", self.id),
            detail: message.clone().or_else(|| reason.clone()).unwrap_or_default(),
            hint: "Nothing was recorded as paid. The answer is kept. Look up the payment on chain, and call insforge_integrations.resolve_x402_reservation().",
        });
        Next {
            reservation: Self {
                state: match (self.state, outcome) {
                    (State::Conflict, _) | (_, Outcome::Conflict) => State::Conflict,
                    // If money may have moved, a later answer cannot undo that. Neither can it undo
                    // an operator's finding.
                    (State::Pending, _) => State::Pending,
                    (state, _) if self.is_resolved => state,
                    (_, Outcome::Failed) => State::Failed,
                    (_, Outcome::Pending | Outcome::Settled) => State::Pending,
                },
                is_resolved: self.is_resolved && !is_conflict,
                tx_hash: named.or_else(|| self.tx_hash.clone()),
                reason: reason.or_else(|| self.reason.clone()),
                message: message.or_else(|| self.message.clone()),
                ..self.clone()
            },
            warning,
            ..self.unchanged()
        }
    }

    /// The ledger has it. No later answer changes that.
    fn after_late_answer(&self, answer: &Answer, named: Option<String>) -> Next {
        let names_another = named.is_some() && named != self.tx_hash;
        let is_other = names_another || answer.outcome == Outcome::Conflict;
        let detail = || {
            let named = named.unwrap_or_default();
            let message = answer.message.clone();
            message.unwrap_or_else(|| format!("It names transaction {named}."))
        };
        Next {
            warning: is_other.then(|| Warning {
                message: format!(
                    "x402 reservation {} is settled, and the facilitator now says something else",
                    self.id
                ),
                detail: detail(),
                hint: "The answer is kept with the reservation. The ledger is unchanged.",
            }),
            ..self.unchanged()
        }
    }

    fn after_delivery(&self) -> Result<Next, Refused> {
        if self.state != State::Settled {
            return Err(Refused::NotSettled {
                id: self.id.clone(),
                state: self.state,
            });
        }
        Ok(Next {
            reservation: Self {
                is_delivered: true,
                ..self.clone()
            },
            is_new: !self.is_delivered,
            ..self.unchanged()
        })
    }

    fn after_mock(&self, taken: Option<&str>) -> Result<Next, Refused> {
        let problem = match (self.state, taken) {
            (State::Settled, _) if self.is_mock => return Ok(self.unchanged()),
            (State::Reserved, None) => {
                let hash = keccak256(format!("mock {}", self.id).as_bytes());
                let amount = self.asked();
                let is_free = self.scheme == Scheme::Upto && amount == U256::ZERO;
                let hash = (!is_free).then(|| hexadecimal(&hash));
                return Ok(self.settled(hash, amount, true));
            }
            (State::Reserved, Some(problem)) => problem.to_owned(),
            (state, _) => format!("It is {}.", state.name()),
        };
        Err(Refused::NotMocked {
            id: self.id.clone(),
            problem,
        })
    }

    /// The reservation is the offered payment's own, or gives up its key, or blocks the offered
    /// payment.
    fn after_offer(&self, offered: &Offered) -> Result<Next, Refused> {
        let is_own = (&self.network, &self.nonce_contract, &self.nonce)
            == (&offered.network, &offered.nonce_contract, &offered.nonce);
        let is_same_request = self.idempotency_key.is_some()
            && self.idempotency_key == offered.idempotency_key
            && self.endpoint == offered.endpoint;
        let refused = |message| Refused::Reserved {
            message,
            id: self.id.clone(),
            state: self.state,
            delivered_at: offered.delivered_at.clone(),
        };
        match (is_own, is_same_request) {
            (true, true) => Ok(self.unchanged()),
            (true, false) => Err(refused("this authorization is reserved already")),
            (false, _) if self.state == State::Settled || self.is_resolved || offered.can_land => {
                Err(refused(
                    "another authorization is reserved under this idempotency key",
                ))
            }
            (false, _) => Ok(Next {
                reservation: Self {
                    holds_key: false,
                    ..self.clone()
                },
                ..self.unchanged()
            }),
        }
    }

    /// Without a hash, nothing was to be paid (scheme `upto`), and the ledger needs no row.
    fn settled(&self, hash: Option<String>, amount: U256, is_mock: bool) -> Next {
        Next {
            entry: hash.is_some().then_some(Entry::Settlement),
            reservation: Self {
                state: State::Settled,
                tx_hash: hash,
                settled_amount: Some(amount),
                reason: None,
                message: None,
                is_mock,
                ..self.clone()
            },
            ..self.unchanged()
        }
    }

    fn unchanged(&self) -> Next {
        Next {
            reservation: self.clone(),
            entry: None,
            is_new: false,
            warning: None,
        }
    }
}

/// Why a transaction in the ledger is not this payment's. The app's note on its answer does not
/// count.
fn taken(columns: &str) -> Option<&'static str> {
    let mut facts = columns
        .split(", ")
        .filter(|column| !["", "response_summary"].contains(column))
        .peekable();
    facts.peek()?;
    Some(match facts.any(|column| column == "reservation_id") {
        true => "The transaction settled another reservation.",
        false => "The transaction is recorded as another payment.",
    })
}
