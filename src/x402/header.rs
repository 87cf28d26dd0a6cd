//! The protocol's headers: JSON in base64.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::registry::Registry;
use super::requirements::{Offer, offers};
use super::{MAX_TEXT, Version};
use crate::evm::address::Address;
use crate::evm::integer::{U256, decimal, digits};
use crate::evm::{hexadecimal, transaction_hash};
use crate::json::Json;
use crate::report::Bug;
use crate::x402::Error;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The JSON text of a header.
///
/// # Errors
/// A sentence on what is wrong.
pub fn decode(header: &str) -> Result<String, &'static str> {
    if header.len() > MAX_TEXT {
        return Err("It has more than 64 KiB.");
    }
    // Postgres' encode() and base64(1) write line breaks.
    let header: String = header.split_ascii_whitespace().collect();
    let bytes = BASE64.decode(header).map_err(|_| "It is not base64.")?;
    let text = String::from_utf8(bytes).map_err(|_| "It is not UTF-8 in base64.")?;
    let json = Json::parse(&text).ok_or("It is not JSON in base64.")?;
    json.check_jsonb()?;
    Ok(text)
}

fn encode(json: &impl Serialize) -> Result<String, Error> {
    let text = serde_json::to_string(json).map_err(Bug::new)?;
    Ok(BASE64.encode(text))
}

/// The resource that is sold, in version 2.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource<'a> {
    /// Its address.
    pub url: Option<&'a str>,
    /// The description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    /// Its media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<&'a str>,
}

/// The content of `PAYMENT-REQUIRED`. Missing members are left out, because parsers differ on null.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PaymentRequired<'a> {
    pub x402_version: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<&'a Resource<'a>>,
    pub accepts: Vec<Box<RawValue>>,
}

impl PaymentRequired<'_> {
    pub(super) fn text(&self) -> Result<String, Error> {
        Ok(serde_json::to_string(self).map_err(Bug::new)?)
    }

    pub(super) fn header(&self) -> Result<String, Error> {
        encode(self)
    }
}

/// Header `PAYMENT-REQUIRED` for one requirement or a list of them.
///
/// # Errors
/// [`Error::InvalidRequirements`] and the errors of reading each.
pub fn payment_required(
    requirements: &str,
    resource: &Resource,
    error: Option<&str>,
    registry: Registry,
) -> Result<String, Error> {
    let invalid = |problem: &str| Error::InvalidRequirements {
        problem: problem.to_owned(),
    };
    let offers = offers(requirements, registry)?;
    let mut versions = offers.iter().filter_map(|offer| offer.version);
    let version = versions.next().unwrap_or(Version::V1);
    if versions.any(|other| other != version) {
        return Err(invalid(
            "They are of versions 1 and 2, and a header can have only one version.",
        ));
    }
    let accepts = offers
        .iter()
        .map(Offer::with_network)
        .collect::<Result<Vec<Box<RawValue>>, Error>>()?;
    let resource = match (version, resource.url) {
        (Version::V1, None) => None,
        (Version::V1, Some(_)) => {
            return Err(invalid(
                "In version 1 the resource is a member of each requirement, not of the header.",
            ));
        }
        (Version::V2, None) => {
            return Err(invalid(
                "Version 2 names the resource in the header. Give its address as resource.",
            ));
        }
        (Version::V2, Some(_)) => Some(resource),
    };
    PaymentRequired {
        x402_version: version as u8,
        error,
        resource,
        accepts,
    }
    .header()
}

/// Header `PAYMENT-RESPONSE` of a settlement that succeeded. `amount`: the settled amount of scheme
/// `upto`, in decimal digits. An amount of zero has no transaction.
///
/// # Errors
/// [`Error::UnknownNetwork`], [`crate::evm::Error::InvalidAddress`],
/// [`crate::evm::Error::InvalidTransactionHash`], and [`Error::InvalidAmount`].
pub fn payment_response(
    transaction: &str,
    network: &str,
    payer: &str,
    amount: Option<&str>,
    registry: Registry,
) -> Result<String, Error> {
    let found = registry.networks.get(network)?;
    let amount = match amount {
        None => None,
        Some(amount) => Some(decimal(amount).ok_or(Error::InvalidAmount)?),
    };
    let hash = match (amount == Some(U256::ZERO), transaction) {
        (true, "") => String::new(),
        _ => hexadecimal(
            &transaction_hash(transaction).ok_or(crate::evm::Error::InvalidTransactionHash)?,
        ),
    };
    let payer =
        Address::parse(payer).map_err(|problem| crate::evm::Error::InvalidAddress { problem })?;
    // A version 1 client expects version 1's name for the network.
    let network = if network == found.v1_network {
        network
    } else {
        &found.network
    };
    let mut response = json!({
        "success": true,
        "transaction": hash,
        "network": network,
        "payer": payer.to_string(),
    });
    if let (Some(amount), Some(members)) = (amount, response.as_object_mut()) {
        members.insert("amount".to_owned(), json!(digits(&amount)));
    }
    encode(&response)
}

/// The same for a payment that a facilitator refused.
///
/// # Errors
/// [`Bug`], which cannot happen.
pub fn payment_refused(reason: &str, network: &str, payer: &str) -> Result<String, Error> {
    encode(&json!({
        "success": false,
        "errorReason": reason,
        "transaction": "",
        "network": network,
        "payer": payer,
    }))
}
