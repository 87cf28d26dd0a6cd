//! Random events of payments, in any order.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::evm::integer::U256;
use crate::evm::{hexadecimal, transaction_hash};
use crate::x402::Scheme;
use crate::x402::answer::{Answer, Outcome};
use crate::x402::reservation::{Entry, Event, Finding, Next, Offered, Refused, Reservation, State};

const NETWORK: &str = "eip155:196";
/// The signed amount of every payment.
const SIGNED: u64 = 10_000;

/// An event of one of a few payments, under one of a few keys.
#[derive(Debug, Clone)]
enum Step {
    /// The payment is offered.
    Offer { payment: usize, key: Option<usize> },
    /// An event of the reservation with this index.
    Happens(usize, Event),
    /// No block can carry its authorization any more.
    TimePasses(usize),
    /// The server records a transaction without a reservation, of this payment or of another.
    Recorded { hash: u8, is_fitting: bool },
}

fn hash(number: u8) -> String {
    hexadecimal(&[number; 32])
}

fn any_hash() -> impl Strategy<Value = u8> {
    1u8..4
}

fn any_event() -> impl Strategy<Value = Event> {
    let outcomes = vec![
        Outcome::Settled,
        Outcome::Pending,
        Outcome::Failed,
        Outcome::Conflict,
    ];
    // As from `Answer::read`: a settled answer has a transaction, every other one a reason.
    let answer = (
        prop::sample::select(outcomes),
        any_hash(),
        any::<bool>(),
        prop_oneof![1 => Just(0), 3 => 0..=SIGNED],
    );
    let answer = answer.prop_map(|(outcome, number, has_hash, amount)| {
        let is_settled = outcome == Outcome::Settled;
        Event::Answered(Answer {
            outcome,
            transaction: (is_settled || has_hash).then_some([number; 32]),
            amount: is_settled.then_some(U256::from_u64(amount)),
            reason: (!is_settled).then(|| format!("{outcome:?}")),
            message: None,
        })
    });
    let found = vec!["settled", "failed", "conflict", "reserved", ""];
    let finding = (
        prop::sample::select(found),
        prop::option::of(any_hash()),
        prop::option::weighted(0.8, "[a-z]?"),
        prop::option::weighted(0.3, prop_oneof!["[0-9]{0,5}", Just("10000".to_owned())]),
    );
    let finding = finding.prop_map(|(outcome, number, note, amount)| {
        Event::Found(Finding {
            outcome: Some(outcome.to_owned()),
            tx_hash: number.map(hash),
            note,
            amount,
            ..Finding::default()
        })
    });
    prop_oneof![
        4 => answer,
        3 => finding,
        1 => "[0-9]{0,5}".prop_map(Event::Asked),
        1 => Just(Event::Delivered),
        1 => Just(Event::Mocked),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0usize..4, prop::option::weighted(0.8, 0usize..2))
            .prop_map(|(payment, key)| Step::Offer { payment, key }),
        6 => (0usize..4, any_event()).prop_map(|(place, event)| Step::Happens(place, event)),
        1 => (0usize..4).prop_map(Step::TimePasses),
        1 => (any_hash(), any::<bool>())
            .prop_map(|(hash, is_fitting)| Step::Recorded { hash, is_fitting }),
    ]
}

/// A reservation, and its events as seen from outside.
#[derive(Debug, Clone)]
struct Seen {
    stored: Reservation,
    can_land: bool,
    answers: Vec<Answer>,
    was_found_failed: bool,
    deliveries: usize,
}

/// A transaction's row in the ledger.
#[derive(Debug, Clone)]
struct Row {
    reservation: Option<usize>,
    is_fitting: bool,
}

/// SQL's tables, and its handling of decisions.
#[derive(Debug, Default)]
struct Database {
    reservations: Vec<Seen>,
    ledger: BTreeMap<String, Row>,
    corrections: Vec<(String, usize)>,
}

impl Database {
    /// The columns in which the ledger's row of a transaction is another payment's; `None`: there
    /// was no row.
    fn enter(&mut self, place: usize, hash: &str) -> Option<&'static str> {
        let is_taken = self.reservations.iter().enumerate().any(|(other, seen)| {
            let stored = &seen.stored;
            other != place
                && stored.state == State::Settled
                && !stored.is_batched
                && stored.tx_hash.as_deref() == Some(hash)
        });
        match self.ledger.get(hash) {
            _ if is_taken => Some("reservation_id"),
            None => {
                let row = Row {
                    reservation: Some(place),
                    is_fitting: true,
                };
                self.ledger.insert(hash.to_owned(), row);
                None
            }
            Some(row) if row.reservation.is_some_and(|other| other != place) => {
                Some("reservation_id, endpoint")
            }
            Some(row) if row.is_fitting => Some("response_summary"),
            Some(_) => Some("amount"),
        }
    }

    fn happens(&mut self, place: usize, mut event: Event) -> Result<(), Refused> {
        let Some(seen) = self.reservations.get(place).cloned() else {
            return Ok(());
        };
        // `Answer::read` gives the signed amount in scheme `exact`, and no transaction for nothing.
        if let Event::Answered(answer) = &mut event
            && let Some(amount) = &mut answer.amount
        {
            if seen.stored.scheme == Scheme::Exact {
                *amount = U256::from_u64(SIGNED);
            } else if *amount == U256::ZERO {
                answer.transaction = None;
            }
        }
        if let Event::Found(finding) = &mut event {
            let hash = finding.tx_hash.clone().unwrap_or_default();
            finding.recorded_on = self.ledger.get(&hash).map(|_| NETWORK.to_owned());
            finding.can_land_until = seen.can_land.then(|| "tomorrow".to_owned());
        }
        let before = self.ledger.clone();
        let mut next = seen.stored.after(&event, None)?;
        if next.entry == Some(Entry::Settlement) {
            let hash = next.reservation.tx_hash.clone().unwrap();
            if let Some(known) = self.enter(place, &hash) {
                next = seen.stored.after(&event, Some(known))?;
                assert_eq!(self.ledger.len(), before.len());
            }
        }
        if next.entry == Some(Entry::Correction) {
            let hash = next.reservation.tx_hash.clone().unwrap();
            self.corrections.push((hash, place));
        }
        check_step(&seen, &event, &next);
        let seen = &mut self.reservations[place];
        seen.stored = next.reservation;
        seen.deliveries += usize::from(next.is_new);
        match event {
            Event::Answered(answer) => seen.answers.push(answer),
            Event::Found(finding) => {
                seen.was_found_failed |= finding.outcome.as_deref() == Some("failed");
            }
            _ => {}
        }
        Ok(())
    }

    /// Does the same as reserve_x402_payment(). All payments have one payer and one endpoint.
    fn offer(&mut self, payment: usize, key: Option<usize>) -> Result<(), Refused> {
        let key = key.map(|key| format!("key {key}"));
        let nonce = hash(payment as u8);
        let own = self
            .reservations
            .iter()
            .position(|seen| seen.stored.nonce == nonce);
        let holder = self.reservations.iter().position(|seen| {
            key.is_some() && seen.stored.holds_key && seen.stored.idempotency_key == key
        });
        if let Some(place) = own.or(holder) {
            let seen = &self.reservations[place];
            let offered = Offered {
                network: NETWORK.to_owned(),
                nonce_contract: "0xasset".to_owned(),
                nonce: nonce.clone(),
                endpoint: "/r".to_owned(),
                idempotency_key: key.clone(),
                can_land: seen.can_land,
                delivered_at: None,
            };
            let next = seen.stored.after(&Event::Offered(offered), None)?;
            assert_eq!((next.entry, next.is_new, next.warning), (None, false, None));
            if own.is_some() {
                assert_eq!(next.reservation, seen.stored);
                assert_eq!(seen.stored.idempotency_key, key);
                return Ok(());
            }
            // It gives up its key. A payment that is settled or may still settle does not.
            assert!(!seen.can_land && seen.stored.state != State::Settled);
            assert!(seen.stored.holds_key && !next.reservation.holds_key);
            let freed = Reservation {
                holds_key: false,
                ..seen.stored.clone()
            };
            assert_eq!(next.reservation, freed);
            self.reservations[place].stored = freed;
        }
        self.reservations.push(Seen {
            stored: Reservation {
                id: format!("reservation {payment}"),
                state: State::Reserved,
                network: NETWORK.to_owned(),
                nonce_contract: "0xasset".to_owned(),
                nonce,
                scheme: if payment < 2 {
                    Scheme::Exact
                } else {
                    Scheme::Upto
                },
                amount: U256::from_u64(SIGNED),
                asked_amount: None,
                settled_amount: None,
                endpoint: "/r".to_owned(),
                idempotency_key: key,
                holds_key: true,
                tx_hash: None,
                reason: None,
                message: None,
                is_mock: false,
                is_batched: false,
                is_resolved: false,
                is_delivered: false,
            },
            can_land: true,
            answers: Vec::new(),
            was_found_failed: false,
            deliveries: 0,
        });
        Ok(())
    }

    /// Rules that hold after every event.
    fn check(&self) {
        for (place, seen) in self.reservations.iter().enumerate() {
            let Seen {
                stored,
                answers,
                was_found_failed,
                deliveries,
                ..
            } = seen;
            let hash = stored.tx_hash.clone().unwrap_or_default();
            let is_settled = stored.state == State::Settled;
            // No payment is in the ledger twice, and none settles without it.
            let with_hash = self.reservations.iter().filter(|other| {
                let other = &other.stored;
                other.state == State::Settled
                    && !other.is_batched
                    && other.tx_hash == stored.tx_hash
            });
            let entered = self
                .ledger
                .values()
                .filter(|row| row.reservation == Some(place));
            assert!(entered.count() <= 1, "{self:?}");
            // What settles moves at most the signed amount, and in scheme exact only that.
            assert_eq!(is_settled, stored.settled_amount.is_some());
            let signed = U256::from_u64(SIGNED);
            for amount in [stored.settled_amount, stored.asked_amount]
                .into_iter()
                .flatten()
            {
                assert!(amount <= signed, "{seen:?}");
                assert!(
                    stored.scheme == Scheme::Upto || amount == signed,
                    "{seen:?}"
                );
            }
            let is_free = is_settled && stored.tx_hash.is_none();
            assert_eq!(
                is_free,
                stored.settled_amount == Some(U256::ZERO),
                "{seen:?}"
            );
            if is_settled && !stored.is_batched && !is_free {
                assert_eq!(with_hash.count(), 1, "{self:?}");
                let row = &self.ledger[&hash];
                assert!(
                    row.reservation.is_none_or(|owner| owner == place),
                    "{self:?}"
                );
                assert!(row.is_fitting, "{self:?}");
            }
            let corrected = self.corrections.iter().filter(|(_, other)| *other == place);
            assert_eq!(
                corrected.count(),
                usize::from(stored.is_batched),
                "{self:?}"
            );
            assert!(!stored.is_batched || self.ledger.contains_key(&hash));
            // A payment that may have moved money is not lost: it is settled, or an operator must
            // look at it, or has.
            let may_have_moved = answers
                .iter()
                .any(|answer| answer.outcome != Outcome::Failed);
            if may_have_moved && !was_found_failed && !is_settled {
                assert!(
                    matches!(stored.state, State::Pending | State::Conflict),
                    "{seen:?}"
                );
                assert!(!stored.is_resolved && stored.reason.is_some(), "{seen:?}");
            }
            assert_eq!(
                stored.state == State::Reserved,
                answers.is_empty() && !was_found_failed && !is_settled,
                "{seen:?}"
            );
            if let Some(last) = answers.last()
                && last.outcome == Outcome::Conflict
                && !is_settled
                && !was_found_failed
            {
                assert_eq!(stored.state, State::Conflict, "{seen:?}");
            }
            // Nothing is delivered twice, or before it is paid.
            assert_eq!(*deliveries, usize::from(stored.is_delivered), "{seen:?}");
            assert!(is_settled || !stored.is_delivered, "{seen:?}");
        }
        for key in ["key 0", "key 1"] {
            let of_key: Vec<_> = self
                .reservations
                .iter()
                .filter(|seen| seen.stored.idempotency_key.as_deref() == Some(key))
                .collect();
            // A buyer does not pay twice for a request: of all authorizations under a key, at most
            // one can settle that no operator has found failed.
            let landing = of_key
                .iter()
                .filter(|seen| seen.can_land && !seen.was_found_failed);
            assert!(landing.count() <= 1, "{of_key:?}");
            let holders = of_key.iter().filter(|seen| seen.stored.holds_key);
            assert!(holders.count() <= 1, "{of_key:?}");
        }
    }
}

/// The effects of an event, and their limits.
fn check_step(seen: &Seen, event: &Event, next: &Next) {
    let (before, after) = (&seen.stored, &next.reservation);
    if before.state == State::Settled {
        let settled = Reservation {
            is_resolved: after.is_resolved,
            is_delivered: after.is_delivered,
            ..before.clone()
        };
        assert_eq!(after, &settled, "{event:?}");
        assert_eq!(next.entry, None);
        if let Event::Found(finding) = event {
            assert_eq!(finding.tx_hash, before.tx_hash);
            let is_own = before.is_batched || finding.outcome.as_deref() == Some("settled");
            assert!(is_own, "{event:?}");
        }
    } else if after.state == State::Settled {
        let hash = after.tx_hash.as_deref().and_then(transaction_hash);
        let says_so = match event {
            Event::Answered(answer) => {
                assert_eq!(answer.amount, after.settled_amount);
                answer.outcome == Outcome::Settled && answer.transaction == hash && !after.is_mock
            }
            Event::Found(finding) => {
                finding.tx_hash.as_deref().and_then(transaction_hash) == hash && !after.is_mock
            }
            Event::Mocked => after.is_mock && before.state == State::Reserved,
            _ => false,
        };
        let is_free = after.settled_amount == Some(U256::ZERO);
        assert!(says_so && hash.is_some() != is_free, "{event:?} {after:?}");
        assert_eq!(next.entry.is_some(), !is_free);
    }
    // Only an operator gives up a key, and gets a warning if the payment can still settle.
    let is_found_failed =
        matches!(event, Event::Found(finding) if finding.outcome.as_deref() == Some("failed"));
    if !is_found_failed {
        assert_eq!(after.holds_key, before.holds_key, "{event:?}");
    } else {
        assert_eq!(next.warning.is_some(), seen.can_land);
        assert_eq!((after.state, after.holds_key), (State::Failed, false));
    }
    if let Event::Answered(answer) = event {
        let names_another = answer
            .transaction
            .is_some_and(|hash| Some(hexadecimal(&hash)) != before.tx_hash);
        let is_warned = match (before.state, answer.outcome) {
            (_, Outcome::Conflict) => true,
            (State::Settled, _) => names_another,
            // Another payment has the transaction.
            (_, Outcome::Settled) => after.state == State::Conflict,
            _ => false,
        };
        assert_eq!(next.warning.is_some(), is_warned, "{event:?}");
        // An operator's finding stands, unless a later answer contradicts it: then an operator must
        // look again.
        if before.is_resolved && matches!(answer.outcome, Outcome::Failed | Outcome::Pending) {
            assert_eq!((after.state, after.is_resolved), (before.state, true));
        }
        let is_conflict = is_warned && after.state == State::Conflict;
        assert!(!(is_conflict && after.is_resolved), "{event:?}");
        // A repeated event changes nothing.
        let again = after.after(event, None).unwrap();
        if next.entry.is_none() && answer.outcome != Outcome::Settled {
            assert_eq!(&again.reservation, after, "{event:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_that_happens_loses_doubles_or_frees_a_payment(
        steps in prop::collection::vec(any_step(), 0..40),
    ) {
        let mut database = Database::default();
        for step in steps {
            let refused = match step {
                Step::Offer { payment, key } => database.offer(payment, key),
                Step::Happens(place, event) => database.happens(place, event),
                Step::TimePasses(place) => {
                    if let Some(seen) = database.reservations.get_mut(place) {
                        seen.can_land = false;
                    }
                    Ok(())
                }
                Step::Recorded { hash: number, is_fitting } => {
                    let row = Row { reservation: None, is_fitting };
                    database.ledger.entry(hash(number)).or_insert(row);
                    Ok(())
                }
            };
            if let Err(refused) = refused {
                prop_assert!(refused.report().detail.ends_with('.'), "{:?}", refused);
            }
            database.check();
        }
    }
}
