//! An operator's finding on chain.

use super::{Entry, Next, Refused, Reservation, State, Warning};
use crate::evm::integer::{U256, decimal};
use crate::evm::{hexadecimal, transaction_hash};
use crate::x402::Scheme;

/// An operator's finding on chain, unchecked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding {
    /// `settled`, `failed` or `conflict`.
    pub outcome: Option<String>,
    /// The transaction.
    pub tx_hash: Option<String>,
    /// The operator's note.
    pub note: Option<String>,
    /// The amount that moved, in decimal digits; `None`: the one that was asked for.
    pub amount: Option<String>,
    /// The chain of the transaction's row in the ledger, if that row is not a mock.
    pub recorded_on: Option<String>,
    /// Until when a block may still carry the authorization, as a text; `None` if that time is
    /// past.
    pub can_land_until: Option<String>,
}

impl Reservation {
    pub(super) fn after_finding(
        &self,
        finding: &Finding,
        taken: Option<&str>,
    ) -> Result<Next, Refused> {
        let invalid = |problem: &str| Refused::InvalidFinding {
            problem: problem.to_owned(),
        };
        let is_settled = self.state == State::Settled;
        let hash = finding.tx_hash.as_deref().and_then(transaction_hash);
        let hash = hash.map(|hash| hexadecimal(&hash));
        let has_note = finding.note.as_ref().is_some_and(|note| !note.is_empty());
        let outcome = match finding.outcome.as_deref().and_then(State::of_name) {
            Some(outcome @ (State::Settled | State::Failed | State::Conflict)) => outcome,
            _ => return Err(invalid("outcome: It must be settled, failed or conflict.")),
        };
        let amount = match (&finding.amount, outcome) {
            (None, State::Failed) => Some(self.asked()),
            (Some(_), State::Failed) => None,
            (amount, _) => {
                let amount = amount.as_deref().map_or(Some(self.asked()), decimal);
                amount.filter(|amount| match self.scheme {
                    Scheme::Exact => *amount == self.amount,
                    Scheme::Upto => *amount != U256::ZERO && *amount <= self.amount,
                })
            }
        };
        let amount = amount.ok_or_else(|| {
            invalid("amount: For a settled payment of scheme upto, give the amount that moved: above zero, and at most the signed one. Give none for other payments.")
        })?;
        let hash = match (outcome, hash) {
            (State::Failed, _) if finding.tx_hash.is_some() => {
                return Err(invalid("tx_hash: Give none, because no money moved."));
            }
            (State::Failed, _) => None,
            (_, None) => {
                return Err(invalid(
                    "tx_hash: It must be 0x and 64 hexadecimal digits, and not all zeros.",
                ));
            }
            (_, hash) => hash,
        };
        if outcome != State::Settled && !has_note {
            return Err(invalid("note: Say what is on chain."));
        }
        let is_recorded = finding.recorded_on.as_ref() == Some(&self.network);
        if outcome == State::Conflict && !is_settled && !is_recorded {
            return Err(invalid(&format!(
                "tx_hash: The ledger has no such transaction on {}.",
                self.network
            )));
        }
        let next = match (is_settled, hash) {
            (true, hash)
                if hash.is_none()
                    || hash != self.tx_hash
                    || finding.amount.is_some() && Some(amount) != self.settled_amount
                    || outcome == State::Conflict && !self.is_batched =>
            {
                return Err(Refused::Final {
                    id: self.id.clone(),
                    tx_hash: self.tx_hash.clone(),
                });
            }
            (true, _) => self.unchanged(),
            (false, None) => self.failed(finding),
            (false, Some(hash)) => match (outcome, taken) {
                (State::Conflict, _) => self.carried(hash, amount),
                (_, None) => self.settled(Some(hash), amount, false),
                (_, Some(problem)) => {
                    return Err(Refused::Recorded {
                        tx_hash: hash,
                        problem: problem.to_owned(),
                    });
                }
            },
        };
        Ok(Next {
            reservation: Self {
                is_resolved: true,
                ..next.reservation
            },
            ..next
        })
    }

    fn failed(&self, finding: &Finding) -> Next {
        Next {
            reservation: Self {
                state: State::Failed,
                holds_key: false,
                ..self.clone()
            },
            warning: finding.can_land_until.as_ref().map(|until| Warning {
                message: format!("the authorization of x402 reservation {} can still be used", self.id),
                detail: format!("It can still be settled until {until}."),
                hint: "The buyer may pay twice under the same idempotency key, unless the nonce is used on chain.",
            }),
            ..self.unchanged()
        }
    }

    /// Settled by a transaction that has a row in the ledger for another payment.
    fn carried(&self, hash: String, amount: U256) -> Next {
        let next = self.settled(Some(hash), amount, false);
        Next {
            reservation: Self {
                is_batched: true,
                ..next.reservation
            },
            entry: Some(Entry::Correction),
            ..next
        }
    }
}
