//! A seller's requirements (`PaymentRequirements`).

use std::borrow::Cow;

use serde_json::json;
use serde_json::value::RawValue;

use super::refusal::{InvalidReason, PaymentRefusal};
use super::registry::{Asset, Network, Registry};
use super::{EXACT, MAX_TEXT, Version};
use crate::evm::address::Address;
use crate::evm::integer::{U256, decimal, digits};
use crate::json::{Json, Members};
use crate::report::Bug;
use crate::x402::Error;

/// The member for the way to move the token, and the only known way.
const TRANSFER_METHOD: &str = "assetTransferMethod";
const EIP_3009: &str = "eip3009";

/// The terms that a payment must fit.
#[derive(Debug, PartialEq, Eq)]
pub struct PaymentTerms<'r> {
    /// The version, from the name of the amount.
    pub version: Version,
    /// The chain.
    pub network: &'r Network,
    /// The token.
    pub asset: &'r Asset,
    /// The recipient.
    pub pay_to: Address,
    /// The amount, in the token's smallest unit.
    pub amount: U256,
    /// Seconds that the seller waits, unchanged.
    max_timeout_seconds: Option<String>,
}

/// One offer.
#[derive(Debug)]
pub struct Offer<'a, 'r> {
    /// The JSON text, unchanged.
    pub json: Json<'a>,
    /// The version, from the name of the amount; `None` if there is no such name, as in unknown
    /// schemes.
    pub version: Option<Version>,
    /// The terms.
    pub terms: Result<PaymentTerms<'r>, Unknown>,
}

/// An offer that is not known here. Buyers see it, and a payment for it is refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The refusal of a payment for it.
    pub refusal: PaymentRefusal,
    /// The chain, in the words of the offer.
    pub network: Option<String>,
    /// The token, in the words of the offer.
    pub asset: Option<String>,
}

/// Why there are no terms.
enum NoTerms {
    Invalid(Error),
    Unknown(PaymentRefusal),
}

impl From<Error> for NoTerms {
    fn from(error: Error) -> Self {
        Self::Invalid(error)
    }
}

fn unknown(reason: InvalidReason, message: impl Into<String>) -> NoTerms {
    NoTerms::Unknown(PaymentRefusal::new(reason, message))
}

/// Reads one requirement, a list of them, or a whole `{accepts: […]}`.
///
/// # Errors
/// [`Error::InvalidRequirements`] with the place.
pub fn offers<'a, 'r>(text: &'a str, registry: Registry<'r>) -> Result<Vec<Offer<'a, 'r>>, Error> {
    listed(text)?
        .into_iter()
        .map(|json| Offer::read(json, registry))
        .collect()
}

/// The offers, unread.
pub(super) fn listed(text: &str) -> Result<Vec<Json<'_>>, Error> {
    if text.len() > MAX_TEXT {
        return Err(invalid("They have more than 64 KiB."));
    }
    let json = Json::unchecked(text);
    let list = json
        .items()
        .or_else(|| json.members()?.get("accepts")?.items());
    let list = list.unwrap_or_else(|| vec![json]);
    if list.is_empty() {
        return Err(invalid("The list is empty."));
    }
    Ok(list)
}

impl<'a, 'r> Offer<'a, 'r> {
    pub(super) fn read(json: Json<'a>, registry: Registry<'r>) -> Result<Self, Error> {
        let members = json
            .members()
            .ok_or_else(|| invalid("A requirement must be a JSON object with no name twice."))?;
        let version = match (members.get("maxAmountRequired"), members.get("amount")) {
            (Some(_), None) => Some(Version::V1),
            (None, Some(_)) => Some(Version::V2),
            _ => None,
        };
        let said = |name| members.get(name)?.string().map(Cow::into_owned);
        let terms = match PaymentTerms::read(&members, version, registry) {
            Ok(terms) => Ok(terms),
            Err(NoTerms::Invalid(error)) => return Err(error),
            Err(NoTerms::Unknown(refusal)) => Err(Unknown {
                refusal,
                network: said("network"),
                asset: said("asset"),
            }),
        };
        Ok(Self {
            json,
            version,
            terms,
        })
    }

    /// See [`with_network`].
    pub(super) fn with_network(&self) -> Result<Box<RawValue>, Error> {
        with_network(self.json, self.terms.as_ref().ok())
    }

    /// The value of a member, unchanged.
    pub(super) fn member(&self, name: &str) -> Option<Box<RawValue>> {
        let member = *self.json.members()?.get(name)?;
        RawValue::from_string(member.text().to_owned()).ok()
    }
}

/// The unchanged offer, with the network added if it was missing.
pub(super) fn with_network(
    offer: Json,
    terms: Option<&PaymentTerms>,
) -> Result<Box<RawValue>, Error> {
    let text = offer.text();
    let has_network = offer
        .members()
        .is_some_and(|members| members.contains_key("network"));
    let text = match (text.strip_prefix('{'), terms) {
        (Some(rest), Some(terms)) if !has_network => {
            format!("{{\"network\": \"{}\", {rest}", terms.network_name())
        }
        _ => text.to_owned(),
    };
    Ok(RawValue::from_string(text).map_err(Bug::new)?)
}

impl<'r> PaymentTerms<'r> {
    fn read(
        members: &Members,
        version: Option<Version>,
        registry: Registry<'r>,
    ) -> Result<Self, NoTerms> {
        let scheme = string(members, "scheme")?;
        let scheme = scheme.ok_or_else(|| invalid("scheme: It is missing."))?;
        if scheme != EXACT {
            return Err(unknown(
                InvalidReason::UnsupportedScheme,
                "scheme: Only \"exact\" is known here.",
            ));
        }
        let address = || {
            let asset = string(members, "asset")?.unwrap_or_default();
            Address::parse(&asset).map_err(|problem| invalid(&format!("asset: {problem}")))
        };
        let network = match string(members, "network")? {
            Some(name) => registry.networks.find(&name).ok_or_else(|| {
                unknown(
                    InvalidReason::InvalidNetwork,
                    "network: View x402_networks does not have it.",
                )
            })?,
            // The guide's object has no network.
            None => match registry.assets.only_network_of(address()?) {
                Some(network) => registry.networks.get(network)?,
                None => {
                    return Err(
                        invalid("network: It is missing, and the asset does not tell it.").into(),
                    );
                }
            },
        };
        let extra = match members.get("extra").filter(|extra| !extra.is_null()) {
            None => Members::new(),
            Some(extra) => extra
                .members()
                .ok_or_else(|| invalid("extra: It must be an object with no name twice."))?,
        };
        match extra.get(TRANSFER_METHOD).map(|method| method.string()) {
            None => {}
            Some(Some(method)) if method == EIP_3009 => {}
            Some(Some(_)) => {
                return Err(unknown(
                    InvalidReason::UnsupportedScheme,
                    format!("extra.{TRANSFER_METHOD}: Only \"{EIP_3009}\" is known here."),
                ));
            }
            Some(None) => {
                return Err(
                    invalid(&format!("extra.{TRANSFER_METHOD}: It is not a string.")).into(),
                );
            }
        }
        let address = address()?;
        let asset = registry.assets.find(network, address).ok_or_else(|| {
            unknown(
                InvalidReason::InvalidRequirements,
                format!(
                    "asset: View x402_assets does not have {address} on {}.",
                    network.network
                ),
            )
        })?;
        check_domain(&extra, asset)?;
        let pay_to = string(members, "payTo")?.unwrap_or_default();
        let (version, name) = match version {
            Some(Version::V1) => (Version::V1, "maxAmountRequired"),
            Some(Version::V2) => (Version::V2, "amount"),
            None => {
                return Err(invalid(
                    "A requirement must have maxAmountRequired (version 1) or amount (version 2).",
                )
                .into());
            }
        };
        let amount = string(members, name)?.and_then(|amount| decimal(&amount));
        let max_timeout_seconds = match members.get("maxTimeoutSeconds") {
            None => None,
            Some(seconds) => match seconds.number().filter(|number| decimal(number).is_some()) {
                Some(number) => Some(number.to_owned()),
                None => {
                    return Err(invalid(
                        "maxTimeoutSeconds: It must be a whole number of seconds.",
                    )
                    .into());
                }
            },
        };
        Ok(Self {
            version,
            network,
            asset,
            pay_to: Address::parse(&pay_to).map_err(|problem| invalid(&format!("payTo: {problem}")))?,
            amount: amount.ok_or_else(|| {
                invalid(&format!("{name}: It must be a string of decimal digits, in the token's smallest unit, below 2^256."))
            })?,
            max_timeout_seconds,
        })
    }

    /// The network's name in this version.
    pub(super) fn network_name(&self) -> &'r str {
        match self.version {
            Version::V1 => &self.network.v1_network,
            Version::V2 => &self.network.network,
        }
    }
}

/// Checks that the buyer gets the contract's own domain. A payment with a signature under another
/// domain cannot be settled.
fn check_domain(extra: &Members, asset: &Asset) -> Result<(), Error> {
    for (name, own) in [
        ("name", Some(&asset.name)),
        ("version", Some(&asset.version)),
        ("salt", asset.salt.as_ref()),
    ] {
        let Some(value) = extra.get(name).map(|value| value.string()) else {
            continue;
        };
        if value.as_deref() != own.map(String::as_str) {
            let own = own.map_or_else(|| "none".to_owned(), |own| format!("\"{own}\""));
            return Err(invalid(&format!(
                "extra.{name}: The asset {} on {} has {own}. Payments that buyers sign with anything else cannot be settled.",
                asset.symbol, asset.network
            )));
        }
    }
    Ok(())
}

fn string(members: &Members, name: &str) -> Result<Option<String>, Error> {
    let Some(value) = members.get(name) else {
        return Ok(None);
    };
    match value.string() {
        Some(text) => Ok(Some(text.into_owned())),
        None => Err(invalid(&format!("{name}: It is not a string."))),
    }
}

pub(super) fn invalid(problem: &str) -> Error {
    Error::InvalidRequirements {
        problem: problem.to_owned(),
    }
}

/// The arguments of `x402_payment_requirements()`.
#[derive(Debug)]
pub struct RequirementsArguments<'a> {
    /// The recipient.
    pub pay_to: &'a str,
    /// The amount, in the token's smallest unit.
    pub amount: &'a str,
    /// The address of the resource.
    pub resource: Option<&'a str>,
    /// The description.
    pub description: &'a str,
    /// The token's symbol or contract.
    pub asset: &'a str,
    /// The network's identifier or name.
    pub network: &'a str,
    /// Seconds that the seller waits.
    pub max_timeout_seconds: i32,
    /// The media type of the resource.
    pub mime_type: &'a str,
    /// 1 or 2.
    pub version: i32,
}

impl RequirementsArguments<'_> {
    /// The requirement, as JSON.
    ///
    /// # Errors
    /// [`Error::InvalidRequirements`], [`Error::UnknownNetwork`], [`Error::UnknownAsset`].
    pub fn requirements(&self, registry: Registry) -> Result<String, Error> {
        let network = registry.networks.get(self.network)?;
        let asset = registry.assets.get(network, self.asset)?;
        let pay_to = Address::parse(self.pay_to)
            .map_err(|problem| invalid(&format!("pay_to: {problem}")))?;
        if pay_to == Address::ZERO {
            return Err(invalid(
                "pay_to: It is the zero address, and money that is sent there is lost.",
            ));
        }
        let amount = decimal(self.amount).filter(|amount| *amount != U256::ZERO);
        let amount = amount.ok_or_else(|| {
            invalid("amount: It must be a whole number of the token's smallest unit, above zero and below 2^256.")
        })?;
        if self.max_timeout_seconds < 1 {
            return Err(invalid(
                "max_timeout_seconds: It must be at least one second.",
            ));
        }
        let (pay_to, amount, address) = (
            pay_to.to_string(),
            digits(&amount),
            asset.address.to_string(),
        );
        let mut extra = json!({"name": asset.name, "version": asset.version});
        if let (Some(salt), Some(extra)) = (&asset.salt, extra.as_object_mut()) {
            extra.insert("salt".to_owned(), json!(salt));
        }
        let requirements = match (self.version, self.resource) {
            (1, Some(resource)) => json!({
                "scheme": EXACT,
                "network": network.v1_network,
                "maxAmountRequired": amount,
                "resource": resource,
                "description": self.description,
                "mimeType": self.mime_type,
                "payTo": pay_to,
                "maxTimeoutSeconds": self.max_timeout_seconds,
                "asset": address,
                "extra": extra,
            }),
            (1, None) => {
                return Err(invalid(
                    "resource: Version 1 needs the address of the resource that is sold.",
                ));
            }
            (2, _) => json!({
                "scheme": EXACT,
                "network": network.network,
                "amount": amount,
                "asset": address,
                "payTo": pay_to,
                "maxTimeoutSeconds": self.max_timeout_seconds,
                "extra": extra,
            }),
            _ => return Err(invalid("version: It must be 1 or 2.")),
        };
        Ok(requirements.to_string())
    }
}
