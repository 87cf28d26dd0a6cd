//! A payment that can be reserved: it fits, or only a facilitator can tell whether it does.

use serde_json::value::RawValue;

use super::Scheme;
use super::authorization::Authorization;
use super::facilitator::{Facilitator, Request, Settlement};
use super::refusal::{InvalidReason, PaymentRefusal};
use super::registry::Registry;
use super::requirements::{PaymentTerms, with_network};
use super::reservation::{Reservation, State};
use super::verify::{Payer, Verdict, verify};
use crate::evm::address::Address;
use crate::evm::hexadecimal;
use crate::evm::integer::U256;
use crate::x402::Error;

/// The last valid end of an authorization, in seconds since 1970. A block may be five minutes late,
/// and that is the last time of `timestamptz`.
const LAST_VALID_BEFORE: u64 = 9_224_318_015_700;

/// The parts of a payment that a reservation stores.
#[derive(Debug)]
pub struct Reservable<'r> {
    /// The payment's JSON text.
    pub payment: String,
    /// The requirement that it is for, with its network.
    pub requirement: Box<RawValue>,
    /// The terms of that requirement.
    pub terms: PaymentTerms<'r>,
    /// The signed message.
    pub authorization: Authorization,
    /// Whether the database verified the signature. It cannot verify a contract wallet's.
    pub is_signature_verified: bool,
    /// The buyer's key for the request (extension `payment-identifier`).
    pub identifier: Option<String>,
}

impl<'r> Reservable<'r> {
    /// Reads a payment, a header's value or JSON, and checks it against one requirement or a list.
    /// `now`: seconds since 1970.
    ///
    /// # Errors
    /// [`Error::PaymentRejected`], and the errors of the requirements.
    pub fn read(
        payment: &str,
        requirements: &str,
        registry: Registry<'r>,
        now: u64,
        payer: Payer,
    ) -> Result<Self, Error> {
        let judged = match verify(payment, requirements, registry, now, payer)? {
            Verdict::Judged(judged) => judged,
            Verdict::Refused(early) => return Err(Error::PaymentRejected(early.refusal)),
        };
        let is_signature_verified = judged.is_valid() == Some(true);
        if let Some(refusal) = judged.refusal
            && refusal.reason != InvalidReason::NeedsFacilitator
        {
            return Err(Error::PaymentRejected(refusal));
        }
        let authorization = judged.signed.authorization;
        let refused = |reason, message: &str| {
            let message = format!("{}.{message}", authorization.place());
            Err(Error::PaymentRejected(PaymentRefusal::new(reason, message)))
        };
        if authorization.valid_before > U256::from_u64(LAST_VALID_BEFORE) {
            const PROBLEM: &str = "It is after the end of Postgres' times, in the year 294276.";
            return match authorization.permit {
                None => refused(
                    InvalidReason::ValidBefore,
                    &format!("validBefore: {PROBLEM}"),
                ),
                Some(_) => refused(
                    InvalidReason::PermitDeadline,
                    &format!("deadline: {PROBLEM}"),
                ),
            };
        }
        if authorization.from == Address::ZERO {
            let reason = match authorization.permit {
                None => InvalidReason::InvalidSignature,
                Some(_) => InvalidReason::PermitSignature,
            };
            return refused(reason, "from: It is the zero address, which nobody has.");
        }
        Ok(Self {
            requirement: with_network(judged.offer, Some(&judged.terms))?,
            identifier: judged.identifier.map_err(Error::PaymentRejected)?,
            payment: judged.document.into_owned(),
            terms: judged.terms,
            authorization,
            is_signature_verified,
        })
    }

    /// Its reservation, whose id is that of the row that will store it.
    #[must_use]
    pub fn reservation(&self, endpoint: &str, key: Option<&str>) -> Reservation {
        let authorization = &self.authorization;
        let nonce_contract = authorization.nonce_contract(self.terms.asset.address);
        Reservation {
            id: String::new(),
            state: State::Reserved,
            network: self.terms.network.network.clone(),
            nonce_contract: nonce_contract.to_string(),
            nonce: hexadecimal(&authorization.nonce),
            scheme: self.terms.scheme,
            amount: authorization.value,
            asked_amount: None,
            settled_amount: None,
            endpoint: endpoint.to_owned(),
            idempotency_key: key.map(str::to_owned),
            holds_key: true,
            tx_hash: None,
            reason: None,
            message: None,
            is_mock: false,
            is_batched: false,
            is_resolved: false,
            is_delivered: false,
        }
    }

    /// The request to settle it. A payment of scheme `upto` has none before the seller says what to
    /// settle.
    ///
    /// # Errors
    /// [`crate::report::Bug`], which cannot happen.
    pub fn request(&self, facilitator: Facilitator) -> Result<Option<Request>, Error> {
        if self.terms.scheme == Scheme::Upto {
            return Ok(None);
        }
        let settlement = Settlement {
            payment: &self.payment,
            version: self.terms.version,
            requirement: &self.requirement,
            terms: Ok(&self.terms),
            amount: None,
        };
        settlement.request(facilitator).map(Some)
    }
}
