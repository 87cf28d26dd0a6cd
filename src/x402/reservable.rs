//! A payment that can be reserved: it fits, or only a facilitator can say whether it does.

use super::authorization::Authorization;
use super::payment::{Payment, document};
use super::reason::{Reason, Refusal};
use super::registry::{Asset, Network, Registry};
use super::requirements::offers;
use super::verify::verify;
use crate::evm::address::Address;
use crate::evm::integer::U256;
use crate::report::Bug;
use crate::x402::Error;

/// Seconds since 1970: five minutes later, when a block may still carry the payment, is the last time that
/// `timestamptz` has.
const LAST_VALID_BEFORE: u64 = 9_224_318_015_700;

/// What a reservation holds.
#[derive(Debug)]
pub struct Reservable<'r> {
    /// The payment's JSON text.
    pub payment: String,
    /// The one requirement that it is for, its network named, as JSON.
    pub requirement: String,
    /// What was signed.
    pub authorization: Authorization,
    /// Where it is paid.
    pub network: &'r Network,
    /// In what.
    pub asset: &'r Asset,
    /// Whether the signature was verified here; a contract wallet's cannot be.
    pub is_signature_verified: bool,
    /// The buyer's name for the request (extension `payment-identifier`).
    pub identifier: Option<String>,
}

impl<'r> Reservable<'r> {
    /// Reads a payment, a header's value or JSON, and holds it against one requirement or a list of
    /// them. `now`: seconds since 1970.
    ///
    /// # Errors
    /// [`Error::PaymentRejected`], and what is wrong with the requirements.
    pub fn read(
        payment: &str,
        requirements: &str,
        registry: Registry<'r>,
        now: u64,
    ) -> Result<Self, Error> {
        let verdict = verify(payment, requirements, registry, now)?;
        let is_signature_verified = verdict.is_valid() == Some(true);
        if let Some(refusal) = verdict.refusal
            && refusal.reason != Reason::NeedsFacilitator
        {
            return Err(Error::PaymentRejected(refusal));
        }
        let offers = offers(requirements, registry)?;
        let offer = verdict.offer.and_then(|offer| offers.get(offer));
        let (Some(authorization), Some(offer), Some(Ok(terms))) = (
            verdict.authorization,
            offer,
            offer.map(|offer| &offer.terms),
        ) else {
            return Err(Bug::new("a payment fits no offer and was not refused").into());
        };
        if authorization.valid_before > U256::from_u64(LAST_VALID_BEFORE) {
            return Err(Error::PaymentRejected(Refusal::new(
                Reason::ValidBefore,
                "payload.authorization.validBefore: It is beyond the last time that Postgres computes with, in the year 294276.",
            )));
        }
        if authorization.from == Address::ZERO {
            return Err(Error::PaymentRejected(Refusal::new(
                Reason::InvalidSignature,
                "payload.authorization.from: It is nobody's address.",
            )));
        }
        let text = document(payment).map_err(Bug::new)?;
        let identifier = Payment::read(&text)
            .and_then(|payment| payment.identifier())
            .map_err(Error::PaymentRejected)?;
        Ok(Self {
            requirement: offer.with_network()?.get().to_owned(),
            payment: text.into_owned(),
            authorization,
            network: terms.network,
            asset: terms.asset,
            is_signature_verified,
            identifier,
        })
    }
}
