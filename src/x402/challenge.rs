//! A seller's answer to a request without a payment, and the short form of offers.

use std::borrow::Cow;

use super::header::{PaymentRequired, Resource};
use super::registry::Registry;
use super::requirements::{Offer, RequirementsArguments, invalid, listed, offers};
use super::{Scheme, Version};
use crate::json::{Json, Members};
use crate::x402::Error;

/// The answer's header `PAYMENT-REQUIRED` and its body.
#[derive(Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The offers in base64: those of version 2, or of version 1 if there is no other.
    pub header: String,
    /// The offers as JSON: those of version 1, or of version 2 if there is no other. A buyer of
    /// version 1 reads only the body.
    pub body: String,
}

/// The answer for one offer or a list, short or in full.
///
/// # Errors
/// [`Error::InvalidRequirements`] and the errors of reading each.
pub fn challenge(
    text: &str,
    resource: &Resource,
    error: Option<&str>,
    registry: Registry,
) -> Result<Challenge, Error> {
    let url = resource.url.filter(|url| !url.is_empty());
    let url = url.ok_or_else(|| invalid("resource: Give the address of what is sold."))?;
    let text = in_full(text, url, resource, registry)?;
    let offers = offers(&text, registry)?;
    let of = |version| {
        let is_of = |offer: &&Offer| offer.version.is_none_or(|own| own == version);
        let accepts = offers.iter().filter(is_of).map(Offer::with_network);
        Ok::<_, Error>(PaymentRequired {
            x402_version: version as u8,
            error,
            resource: (version == Version::V2).then_some(resource),
            accepts: accepts.collect::<Result<_, Error>>()?,
        })
    };
    let has = |version| offers.iter().any(|offer| offer.version == Some(version));
    let is_only_v2 = has(Version::V2) && !has(Version::V1);
    let in_header = if has(Version::V2) {
        Version::V2
    } else {
        Version::V1
    };
    let in_body = if is_only_v2 { Version::V2 } else { Version::V1 };
    Ok(Challenge {
        header: of(in_header)?.header()?,
        body: of(in_body)?.text()?,
    })
}

/// Writes short offers out in full. A short offer has the arguments of
/// `x402_payment_requirements()` as its members. Without `version`, it is offered in version 2, and
/// in version 1 if that has a name for the network. Other offers stay unchanged.
///
/// `url`: the resource of offers in version 1 that name none. `described` describes it.
///
/// # Errors
/// [`Error::InvalidRequirements`] with the place, and the errors of the arguments.
pub fn in_full<'a>(
    text: &'a str,
    url: &str,
    described: &Resource,
    registry: Registry,
) -> Result<Cow<'a, str>, Error> {
    let list = listed(text)?;
    let short = |json: Json<'a>| {
        json.members()
            .filter(|members| members.contains_key("pay_to"))
    };
    if list.iter().all(|json| short(*json).is_none()) {
        return Ok(Cow::Borrowed(text));
    }
    let mut full = Vec::new();
    for json in list {
        match short(json) {
            Some(members) => full.extend(requirements(&members, url, described, registry)?),
            None => full.push(json.text().to_owned()),
        }
    }
    Ok(Cow::Owned(format!("[{}]", full.join(","))))
}

const MEMBERS: [&str; 12] = [
    "pay_to",
    "amount",
    "resource",
    "description",
    "asset",
    "network",
    "max_timeout_seconds",
    "mime_type",
    "version",
    "scheme",
    "transfer_method",
    "facilitator_address",
];

fn requirements(
    members: &Members,
    url: &str,
    described: &Resource,
    registry: Registry,
) -> Result<Vec<String>, Error> {
    if let Some(name) = members.keys().find(|name| !MEMBERS.contains(&&***name)) {
        return Err(invalid(&format!(
            "{}: A short offer has no such member. It may have {}.",
            crate::report::shown(name),
            MEMBERS.join(", ")
        )));
    }
    let text = |name: &str, default| match members.get(name).filter(|value| !value.is_null()) {
        None => Ok(Cow::Borrowed(default)),
        Some(value) => {
            let text = value.string().or_else(|| value.number().map(Cow::Borrowed));
            text.ok_or_else(|| invalid(&format!("{name}: It must be a string.")))
        }
    };
    let number = |name: &str, default| {
        let text = text(name, default)?;
        text.parse::<i32>()
            .map_err(|_| invalid(&format!("{name}: It must be a whole number.")))
    };
    let pay_to = text("pay_to", "")?;
    let amount = text("amount", "")?;
    let resource = text("resource", url)?;
    let description = text("description", described.description.unwrap_or_default())?;
    let asset = text("asset", "USDG")?;
    let network = text("network", "xlayer")?;
    let mime_type = text(
        "mime_type",
        described.mime_type.unwrap_or("application/json"),
    )?;
    let max_timeout_seconds = number("max_timeout_seconds", "300")?;
    let scheme = text("scheme", Scheme::Exact.name())?;
    let given = |name| match text(name, "")? {
        empty if empty.is_empty() => Ok::<_, Error>(None),
        text => Ok(Some(text)),
    };
    let transfer_method = given("transfer_method")?;
    let facilitator_address = given("facilitator_address")?;
    let found = registry.networks.get(&network)?;
    let is_only_v2 = scheme != Scheme::Exact.name() || transfer_method.is_some();
    let versions = match members.get("version").filter(|value| !value.is_null()) {
        // npm's x402 refuses a whole list if it does not know the network of one offer.
        None if is_only_v2 || found.v1_network == found.network => vec![2],
        None => vec![1, 2],
        Some(_) => vec![number("version", "")?],
    };
    versions
        .into_iter()
        .map(|version| {
            let arguments = RequirementsArguments {
                pay_to: &pay_to,
                amount: &amount,
                resource: Some(&resource),
                description: &description,
                asset: &asset,
                network: &network,
                max_timeout_seconds,
                mime_type: &mime_type,
                version,
                scheme: &scheme,
                transfer_method: transfer_method.as_deref(),
                facilitator_address: facilitator_address.as_deref(),
            };
            arguments.requirements(registry)
        })
        .collect()
}
