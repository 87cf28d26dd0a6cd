//! The bodies of requests to facilitators, who settle payments on chain.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::payment::Payment;
use super::registry::Registry;
use super::requirements::{PaymentTerms, Unknown, members, offers};
use super::{Scheme, Version};
use crate::evm::integer::{decimal, digits};
use crate::report::Bug;
use crate::x402::Error;

/// Members of a requirement in OKX's documentation of its first interface. The network is in
/// `chainIndex`.
const OKX_V1_MEMBERS: [&str; 10] = [
    "scheme",
    "resource",
    "description",
    "mimeType",
    "maxAmountRequired",
    "maxTimeoutSeconds",
    "payTo",
    "asset",
    "outputSchema",
    "extra",
];

/// A facilitator's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Facilitator {
    /// OKX.
    Okx,
    /// Any other, as in the protocol's specification.
    Other,
}

impl Facilitator {
    /// The interface of a name: `okx`, or `x402` for any other facilitator than OKX.
    ///
    /// # Errors
    /// [`Error::UnknownFacilitator`].
    pub fn of_name(name: &str) -> Result<Self, Error> {
        match name {
            "okx" => Ok(Self::Okx),
            "x402" => Ok(Self::Other),
            _ => Err(Error::UnknownFacilitator {
                name: name.to_owned(),
            }),
        }
    }

    /// Where a request to settle a payment of this version goes, if that is known.
    const fn url(self, version: Version) -> Option<&'static str> {
        match (self, version) {
            (Self::Okx, Version::V1) => Some("https://web3.okx.com/api/v6/x402/settle"),
            (Self::Okx, Version::V2) => Some("https://web3.okx.com/api/v6/pay/x402/settle"),
            (Self::Other, _) => None,
        }
    }
}

/// A request to settle a payment.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// Where it goes, if that is known.
    pub url: Option<&'static str>,
    /// Its body, JSON.
    pub body: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    x402_version: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain_index: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sync_settle: Option<bool>,
    payment_payload: &'a RawValue,
    payment_requirements: PaymentRequirements<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum PaymentRequirements<'a> {
    Whole(&'a RawValue),
    Members(BTreeMap<String, Box<RawValue>>),
}

/// The request to settle a payment, from texts. `amount`: what is to be settled of a payment of
/// scheme `upto`; `None`: the offered amount.
///
/// # Errors
/// [`Error::UnknownFacilitator`], [`Error::InvalidHeader`] for text that is not a payment, and the
/// errors of the requirements.
pub fn request(
    payment: &str,
    requirements: &str,
    facilitator: &str,
    amount: Option<&str>,
    registry: Registry,
) -> Result<Request, Error> {
    let facilitator = Facilitator::of_name(facilitator)?;
    let read = Payment::read(payment).map_err(|refusal| Error::InvalidHeader {
        problem: refusal.message,
    })?;
    let offers = offers(requirements, registry)?;
    let [offer] = offers.as_slice() else {
        return Err(Error::InvalidRequirements {
            problem: "Give only the requirement that the payment is for.".to_owned(),
        });
    };
    if offer.version.is_some_and(|version| version != read.version) {
        return Err(Error::InvalidRequirements {
            problem: format!(
                "The payment is of version {}, and the requirements are not.",
                read.version as u8
            ),
        });
    }
    Settlement {
        payment: &read.document,
        version: read.version,
        requirement: &offer.with_network()?,
        terms: offer.terms.as_ref(),
        amount,
    }
    .request(facilitator)
}

/// What a facilitator is asked to settle.
pub(super) struct Settlement<'a> {
    /// The payment's JSON text.
    pub payment: &'a str,
    /// Its version, which decides on OKX's interface.
    pub version: Version,
    /// The requirement that the payment is for, with its network.
    pub requirement: &'a RawValue,
    /// Its terms. A facilitator that settles an unknown kind of payment needs none.
    pub terms: Result<&'a PaymentTerms<'a>, &'a Unknown>,
    /// The amount to settle of a payment of scheme `upto`; `None`: the offered amount.
    pub amount: Option<&'a str>,
}

impl Settlement<'_> {
    /// The request: the unchanged payment, and its requirement.
    pub(super) fn request(&self, facilitator: Facilitator) -> Result<Request, Error> {
        let is_okx = facilitator == Facilitator::Okx;
        let is_okx_v1 = is_okx && self.version == Version::V1;
        let chain_index = match (self.terms, is_okx_v1) {
            (Ok(terms), true) => Some(terms.network.chain_id()),
            (Err(unknown), true) => {
                return Err(Error::InvalidRequirements {
                    problem: unknown.refusal.message.clone(),
                });
            }
            (_, false) => None,
        };
        let body = Body {
            x402_version: self.version as u8,
            chain_index,
            sync_settle: is_okx.then_some(true),
            payment_payload: serde_json::from_str(self.payment).map_err(Bug::new)?,
            payment_requirements: match (self.amount, is_okx_v1) {
                (Some(amount), _) => PaymentRequirements::Members(self.with_amount(amount)?),
                (None, true) => {
                    let mut members = members(self.requirement);
                    members.retain(|name, _| OKX_V1_MEMBERS.contains(&name.as_str()));
                    PaymentRequirements::Members(members)
                }
                (None, false) => PaymentRequirements::Whole(self.requirement),
            },
        };
        Ok(Request {
            url: facilitator.url(self.version),
            body: serde_json::to_string(&body).map_err(Bug::new)?,
        })
    }

    /// The members of an offer of scheme `upto`, with the amount to settle in place of the largest
    /// one. That is how a facilitator is told (specs/schemes/upto/scheme_upto.md).
    fn with_amount(&self, amount: &str) -> Result<BTreeMap<String, Box<RawValue>>, Error> {
        let invalid = |problem: &str| Error::InvalidRequirements {
            problem: problem.to_owned(),
        };
        let upto = self.terms.ok();
        let upto = upto.filter(|terms| terms.scheme == Scheme::Upto);
        let upto = upto.ok_or_else(|| {
            invalid("amount: Give none. Only a payment of scheme upto is settled for another amount than the offered one.")
        })?;
        let amount = decimal(amount).filter(|amount| *amount <= upto.amount);
        let amount = amount.ok_or_else(|| {
            invalid("amount: It must be a text of decimal digits, in the token's smallest unit, and at most the offered amount.")
        })?;
        let mut members = members(self.requirement);
        let amount = RawValue::from_string(format!("\"{}\"", digits(&amount))).map_err(Bug::new)?;
        members.insert("amount".to_owned(), amount);
        Ok(members)
    }
}
