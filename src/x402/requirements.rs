//! A seller's requirements (`PaymentRequirements`).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::refusal::{InvalidReason, PaymentRefusal};
use super::registry::{Asset, Network, Registry};
use super::{MAX_TEXT, Scheme, TransferMethod, Version};
use crate::evm::address::Address;
use crate::evm::integer::{U256, decimal};
use crate::json::{Json, Members};
use crate::report::Bug;
use crate::x402::Error;

mod arguments;

pub use arguments::RequirementsArguments;

/// The member for the way to move the token.
const TRANSFER_METHOD: &str = "assetTransferMethod";
/// The member for the facilitator that may settle a payment of scheme `upto`.
const FACILITATOR: &str = "facilitatorAddress";

/// The terms that a payment must fit.
#[derive(Debug, PartialEq, Eq)]
pub struct PaymentTerms<'r> {
    /// The version, from the name of the amount.
    pub version: Version,
    /// The scheme.
    pub scheme: Scheme,
    /// The chain.
    pub network: &'r Network,
    /// The token.
    pub asset: &'r Asset,
    /// The way to move the token.
    pub method: TransferMethod,
    /// The recipient.
    pub pay_to: Address,
    /// The amount, in the token's smallest unit. In scheme `upto` it is a maximum.
    pub amount: U256,
    /// The facilitator that may settle, in scheme `upto`.
    pub facilitator: Option<Address>,
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
        .map(|json| Ok(Offer::read(json, registry)?.with_facilitator()))
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
        let said = |name| said(&members, name);
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

    /// The same offer, not known here if it has scheme `upto` and no facilitator: nobody can pay by
    /// it.
    fn with_facilitator(self) -> Self {
        let said = |name| said(&self.json.members()?, name);
        let terms = self.terms.and_then(|terms| match (terms.scheme, terms.facilitator) {
            (Scheme::Upto, None) => Err(Unknown {
                refusal: PaymentRefusal::new(
                    InvalidReason::UnsupportedScheme,
                    format!("extra.{FACILITATOR}: It is missing. In scheme \"upto\", buyers sign the address of the facilitator that may settle."),
                ),
                network: said("network"),
                asset: said("asset"),
            }),
            _ => Ok(terms),
        });
        Self { terms, ..self }
    }

    /// See [`with_network`].
    pub(super) fn with_network(&self) -> Result<Box<RawValue>, Error> {
        with_network(self.json, self.terms.as_ref().ok())
    }
}

/// The members of a requirement, unchanged.
pub(super) fn members(requirement: &RawValue) -> BTreeMap<String, Box<RawValue>> {
    let members = Json::unchecked(requirement.get()).members();
    let unchanged = |json: &Json| RawValue::from_string(json.text().to_owned()).ok();
    members
        .unwrap_or_default()
        .iter()
        .filter_map(|(name, json)| Some((name.to_string(), unchanged(json)?)))
        .collect()
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
        let scheme = match (Scheme::of_name(&scheme), version) {
            (Some(Scheme::Upto), Some(Version::V1)) => Err("scheme: Version 1 has no \"upto\"."),
            (Some(scheme), _) => Ok(scheme),
            (None, _) => Err("scheme: Only \"exact\" and \"upto\" are known here."),
        };
        let scheme =
            scheme.map_err(|message| unknown(InvalidReason::UnsupportedScheme, message))?;
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
        let method = transfer_method(&extra, scheme, version)?;
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
        if (method, asset.method) == (TransferMethod::Eip3009, TransferMethod::Permit2) {
            return Err(invalid(&format!(
                "extra.{TRANSFER_METHOD}: It must be \"permit2\". The asset {} on {} has no EIP-3009.",
                asset.symbol, asset.network
            ))
            .into());
        }
        check_domain(&extra, asset)?;
        let facilitator = string(&extra, FACILITATOR)?.filter(|_| scheme == Scheme::Upto);
        let facilitator = facilitator
            .map(|address| {
                Address::parse(&address)
                    .map_err(|problem| invalid(&format!("extra.{FACILITATOR}: {problem}")))
            })
            .transpose()?;
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
            scheme,
            network,
            asset,
            method,
            facilitator,
            pay_to: Address::parse(&pay_to).map_err(|problem| invalid(&format!("payTo: {problem}")))?,
            amount: amount.ok_or_else(|| {
                invalid(&format!("{name}: It must be a string of decimal digits, in the token's smallest unit, below 2^256."))
            })?,
            max_timeout_seconds,
        })
    }

    /// Whether a buyer accepts these terms with those. The specification's example leaves the
    /// facilitator out, whose address the buyer signs anyway.
    pub(super) fn are_accepted(&self, accepted: &Self) -> bool {
        let facilitator = accepted.facilitator.or(self.facilitator);
        *self
            == Self {
                facilitator,
                max_timeout_seconds: accepted.max_timeout_seconds.clone(),
                ..*accepted
            }
    }

    /// The network's name in this version.
    pub(super) fn network_name(&self) -> &'r str {
        match self.version {
            Version::V1 => &self.network.v1_network,
            Version::V2 => &self.network.network,
        }
    }
}

/// The way to move the token. If the offer does not name it, the reference implementation of a
/// buyer takes Permit2 in scheme `upto`, and else EIP-3009.
fn transfer_method(
    extra: &Members,
    scheme: Scheme,
    version: Option<Version>,
) -> Result<TransferMethod, NoTerms> {
    let unknown = |problem: &str| {
        let message = format!("extra.{TRANSFER_METHOD}: {problem}");
        Err(unknown(InvalidReason::UnsupportedScheme, message))
    };
    match (string(extra, TRANSFER_METHOD), scheme) {
        (Err(_), _) => {
            Err(invalid(&format!("extra.{TRANSFER_METHOD}: It is not a string.")).into())
        }
        (Ok(None), Scheme::Exact) => Ok(TransferMethod::Eip3009),
        (Ok(None), Scheme::Upto) => Ok(TransferMethod::Permit2),
        (Ok(Some(name)), _) => match (TransferMethod::of_name(&name), scheme, version) {
            (None, ..) => unknown("Only \"eip3009\" and \"permit2\" are known here."),
            (Some(TransferMethod::Eip3009), Scheme::Upto, _) => {
                unknown("Scheme \"upto\" has only \"permit2\".")
            }
            (Some(TransferMethod::Permit2), _, Some(Version::V1)) => {
                unknown("Version 1 has no \"permit2\".")
            }
            (Some(method), ..) => Ok(method),
        },
    }
}

/// Checks that the buyer gets the contract's own domain, if it is known. A payment with a signature
/// under another domain cannot be settled.
fn check_domain(extra: &Members, asset: &Asset) -> Result<(), Error> {
    let Some(domain) = &asset.domain else {
        return Ok(());
    };
    for (name, own) in [
        ("name", Some(&domain.name)),
        ("version", Some(&domain.version)),
        ("salt", domain.salt.as_ref()),
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

/// A member in the words of the offer.
fn said(members: &Members, name: &str) -> Option<String> {
    members.get(name)?.string().map(Cow::into_owned)
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
