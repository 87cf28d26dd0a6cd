//! The bodies of requests to facilitators, who settle payments on chain.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::payment::Payment;
use super::registry::Registry;
use super::requirements::{Offer, offers};
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    x402_version: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain_index: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sync_settle: Option<bool>,
    payment_payload: &'a RawValue,
    payment_requirements: PaymentRequirements,
}

#[derive(Serialize)]
#[serde(untagged)]
enum PaymentRequirements {
    Whole(Box<RawValue>),
    Members(BTreeMap<String, Box<RawValue>>),
}

/// Where a request to settle a payment of this version goes; `None` for any other facilitator than
/// OKX.
#[must_use]
pub fn url(facilitator: &str, version: Version) -> Option<&'static str> {
    (facilitator == "okx").then_some(match version {
        Version::V1 => "https://web3.okx.com/api/v6/x402/settle",
        Version::V2 => "https://web3.okx.com/api/v6/pay/x402/settle",
    })
}

/// The body of a request to settle: the unchanged payment, and its requirement. `facilitator`:
/// `okx`, or `x402` for any other. The payment's version decides on OKX's interface. `amount`: what
/// is to be settled of a payment of scheme `upto`; `None`: the offered amount.
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
) -> Result<String, Error> {
    let is_okx = match facilitator {
        "okx" => true,
        "x402" => false,
        _ => {
            return Err(Error::UnknownFacilitator {
                name: facilitator.to_owned(),
            });
        }
    };
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
    let is_okx_v1 = is_okx && read.version == Version::V1;
    // A facilitator that settles an unknown kind of payment needs no terms from this extension.
    let chain_index = match (&offer.terms, is_okx_v1) {
        (Ok(terms), true) => Some(terms.network.chain_id()),
        (Err(unknown), true) => {
            return Err(Error::InvalidRequirements {
                problem: unknown.refusal.message.clone(),
            });
        }
        (_, false) => None,
    };
    let request = Request {
        x402_version: read.version as u8,
        chain_index,
        sync_settle: is_okx.then_some(true),
        payment_payload: serde_json::from_str(&read.document).map_err(Bug::new)?,
        payment_requirements: match (amount, is_okx_v1) {
            (Some(amount), _) => PaymentRequirements::Members(with_amount(offer, amount)?),
            (None, true) => PaymentRequirements::Members(
                offer
                    .members()
                    .into_iter()
                    .filter(|(name, _)| OKX_V1_MEMBERS.contains(&name.as_str()))
                    .collect(),
            ),
            (None, false) => PaymentRequirements::Whole(offer.with_network()?),
        },
    };
    Ok(serde_json::to_string(&request).map_err(Bug::new)?)
}

/// The members of an offer of scheme `upto`, with the amount to settle in place of the largest one.
/// That is how a facilitator is told (specs/schemes/upto/scheme_upto.md).
fn with_amount(offer: &Offer, amount: &str) -> Result<BTreeMap<String, Box<RawValue>>, Error> {
    let invalid = |problem: &str| Error::InvalidRequirements {
        problem: problem.to_owned(),
    };
    let upto = offer.terms.as_ref().ok();
    let upto = upto.filter(|terms| terms.scheme == Scheme::Upto);
    let upto = upto.ok_or_else(|| {
        invalid("amount: Give none. Only a payment of scheme upto is settled for another amount than the offered one.")
    })?;
    let amount = decimal(amount).filter(|amount| *amount <= upto.amount);
    let amount = amount.ok_or_else(|| {
        invalid("amount: It must be a text of decimal digits, in the token's smallest unit, and at most the offered amount.")
    })?;
    let mut members = offer.members();
    let amount = RawValue::from_string(format!("\"{}\"", digits(&amount))).map_err(Bug::new)?;
    members.insert("amount".to_owned(), amount);
    Ok(members)
}
