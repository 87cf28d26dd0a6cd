//! A payment that can be reserved: it is valid, or only a facilitator can tell.

use super::authorization::Authorization;
use super::refusal::{InvalidReason, PaymentRefusal};
use super::registry::{Asset, Network, Registry};
use super::requirements::with_network;
use super::verify::{Verdict, verify};
use crate::evm::address::Address;
use crate::evm::integer::U256;
use crate::x402::Error;

/// Seconds since 1970. A block may carry the payment five minutes later, which is the end of `timestamptz`.
const LAST_VALID_BEFORE: u64 = 9_224_318_015_700;

/// The content of a new reservation.
#[derive(Debug)]
pub struct Reservable<'r> {
    /// The payment's JSON text.
    pub payment: String,
    /// The requirement that it pays, with the network's name, as JSON.
    pub requirement: String,
    /// What was signed.
    pub authorization: Authorization,
    /// The chain.
    pub network: &'r Network,
    /// The token.
    pub asset: &'r Asset,
    /// Whether the signature was verified here. A contract wallet's signature cannot be.
    pub is_signature_verified: bool,
    /// The buyer's name for the request (extension `payment-identifier`).
    pub identifier: Option<String>,
}

impl<'r> Reservable<'r> {
    /// Reads a payment (a header's value, or JSON) and checks it against one requirement or a list. `now`: seconds since
    /// 1970.
    ///
    /// # Errors
    /// [`Error::PaymentRejected`], and the errors of the requirements.
    pub fn read(
        payment: &str,
        requirements: &str,
        registry: Registry<'r>,
        now: u64,
    ) -> Result<Self, Error> {
        let judged = match verify(payment, requirements, registry, now)? {
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
        if authorization.valid_before > U256::from_u64(LAST_VALID_BEFORE) {
            return Err(Error::PaymentRejected(PaymentRefusal::new(
                InvalidReason::ValidBefore,
                "payload.authorization.validBefore: It is beyond the last time that Postgres computes with, in the year 294276.",
            )));
        }
        if authorization.from == Address::ZERO {
            return Err(Error::PaymentRejected(PaymentRefusal::new(
                InvalidReason::InvalidSignature,
                "payload.authorization.from: It is nobody's address.",
            )));
        }
        Ok(Self {
            requirement: with_network(judged.offer, Some(&judged.terms))?
                .get()
                .to_owned(),
            identifier: judged.identifier.map_err(Error::PaymentRejected)?,
            payment: judged.document.into_owned(),
            authorization,
            network: judged.terms.network,
            asset: judged.terms.asset,
            is_signature_verified,
        })
    }
}
