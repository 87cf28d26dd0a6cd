//! A buyer's payment (`PaymentPayload`), from a header or as JSON.

use std::borrow::Cow;

use super::authorization::{Authorization, Permit};
use super::refusal::{InvalidReason, PaymentRefusal};
use super::{MAX_TEXT, Scheme, Version, header};
use crate::evm::address::Address;
use crate::evm::integer::{Integer, U256, decimal, word};
use crate::evm::{bytes, fixed_bytes};
use crate::json::{Json, Members};

/// The JSON text of a payment, from a header's value or from JSON.
///
/// # Errors
/// A sentence on what is wrong.
fn document(payment: &str) -> Result<Cow<'_, str>, &'static str> {
    if !payment.trim_ascii_start().starts_with('{') {
        return header::decode(payment).map(Cow::Owned);
    }
    if payment.len() > MAX_TEXT {
        return Err("It has more than 64 KiB.");
    }
    let json = Json::parse(payment).ok_or("It is neither JSON nor base64.")?;
    // An accepted payment goes to a facilitator as jsonb.
    json.check_jsonb()?;
    Ok(Cow::Borrowed(payment))
}

/// A payment.
#[derive(Debug)]
pub struct Payment<'a> {
    /// Its JSON text.
    pub document: Cow<'a, str>,
    /// The protocol's version.
    pub version: Version,
    /// The scheme, known or not.
    pub scheme: String,
    /// The network's name or identifier.
    pub network: String,
    /// The requirement that a buyer of version 2 accepts, as JSON.
    pub accepted: Option<String>,
    /// The signed message, if the payload is one of a known scheme.
    pub signed: Result<Signed, PaymentRefusal>,
    /// The buyer's key for the paid request.
    pub identifier: Result<Option<String>, PaymentRefusal>,
}

/// The signed message and its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The payer's authorization.
    pub authorization: Authorization,
    /// The signature, with any number of bytes.
    pub signature: Vec<u8>,
}

impl<'a> Payment<'a> {
    /// Reads a header's value, or a payment's JSON text.
    ///
    /// # Errors
    /// [`PaymentRefusal`].
    pub fn read(payment: &'a str) -> Result<Self, PaymentRefusal> {
        let document = document(payment).map_err(invalid)?;
        let parts = Self::of_document(&document)?;
        Ok(Self { document, ..parts })
    }

    /// Reads a document.
    fn of_document(document: &str) -> Result<Payment<'static>, PaymentRefusal> {
        let members = Json::unchecked(document).members();
        let members = members
            .ok_or_else(|| invalid("A payment must be a JSON object with no name twice."))?;
        let version = members
            .get("x402Version")
            .and_then(|version| version.number());
        let payload = *members
            .get("payload")
            .ok_or_else(|| invalid("payload: It is missing."))?;
        let (version, scheme, network, accepted) = match version {
            Some("1") => (
                Version::V1,
                string(&members, "scheme", "")?,
                string(&members, "network", "")?,
                None,
            ),
            Some("2") => {
                let accepted = *members
                    .get("accepted")
                    .ok_or_else(|| invalid("accepted: It is missing."))?;
                let of_accepted = object(accepted, "accepted")?;
                (
                    Version::V2,
                    string(&of_accepted, "scheme", "accepted.")?,
                    string(&of_accepted, "network", "accepted.")?,
                    Some(accepted.text().to_owned()),
                )
            }
            _ => {
                return Err(PaymentRefusal::new(
                    InvalidReason::InvalidVersion,
                    "x402Version: It must be the number 1 or 2.",
                ));
            }
        };
        Ok(Payment {
            document: Cow::Borrowed(""),
            version,
            signed: signed(payload, &scheme),
            scheme: scheme.into_owned(),
            network: network.into_owned(),
            accepted,
            identifier: identifier(members.get("extensions").copied()),
        })
    }
}

/// `info.id` of extension `payment-identifier`, 16 to 128 letters, digits, hyphens and underscores.
/// Another form is refused, because the buyer relies on the key.
fn identifier(extensions: Option<Json>) -> Result<Option<String>, PaymentRefusal> {
    const PLACE: &str = "extensions.payment-identifier.info.id";
    let extensions = extensions.and_then(Json::members);
    let info = extensions
        .and_then(|extensions| extensions.get("payment-identifier")?.members())
        .and_then(|extension| extension.get("info")?.members());
    let Some(id) = info.as_ref().and_then(|info| info.get("id")) else {
        let is_required = info.is_some_and(|info| {
            info.get("required").and_then(|required| required.boolean()) == Some(true)
        });
        return match is_required {
            true => Err(invalid(&format!("{PLACE}: It is missing."))),
            false => Ok(None),
        };
    };
    let is_name = |id: &str| {
        (16..=128).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    match id.string().filter(|id| is_name(id)) {
        Some(id) => Ok(Some(id.into_owned())),
        None => Err(invalid(&format!(
            "{PLACE}: It must be a string of 16 to 128 letters, digits, hyphens and underscores."
        ))),
    }
}

/// Reads a payload: an authorization of EIP-3009, or a permit.
fn signed(payload: Json, scheme: &str) -> Result<Signed, PaymentRefusal> {
    let payload = object(payload, "payload")?;
    // The reference implementation looks for a permit first.
    let authorization = match payload.get("permit2Authorization") {
        Some(permit) => permitted(*permit, scheme == Scheme::Upto.name())?,
        None => {
            let Some(authorization) = payload.get("authorization") else {
                return Err(invalid(
                    "payload.authorization: It is missing, and so is payload.permit2Authorization.",
                ));
            };
            authorized(*authorization)?
        }
    };
    let signature = string(&payload, "signature", "payload.")?;
    let signature = bytes(&signature);
    Ok(Signed {
        authorization,
        signature: signature.ok_or_else(|| {
            invalid("payload.signature: It must be 0x and two hexadecimal digits for each byte.")
        })?,
    })
}

/// Reads an authorization of EIP-3009.
fn authorized(authorization: Json) -> Result<Authorization, PaymentRefusal> {
    let members = object(authorization, "payload.authorization")?;
    let path = "payload.authorization.";
    let nonce = string(&members, "nonce", path)?;
    let nonce = fixed_bytes(&nonce);
    Ok(Authorization {
        from: address(&members, "from", path)?,
        to: address(&members, "to", path)?,
        value: integer(&members, "value", path)?,
        valid_after: integer(&members, "validAfter", path)?,
        valid_before: integer(&members, "validBefore", path)?,
        nonce: nonce.ok_or_else(|| {
            invalid("payload.authorization.nonce: It must be 0x and 64 hexadecimal digits.")
        })?,
        permit: None,
    })
}

/// Reads a permit. With scheme `upto`, the witness names a facilitator.
fn permitted(permit: Json, is_upto: bool) -> Result<Authorization, PaymentRefusal> {
    let path = "payload.permit2Authorization.";
    let members = object(permit, "payload.permit2Authorization")?;
    let part = |name: &str| {
        let place = format!("{path}{name}");
        let part = members.get(name).copied();
        part.map_or_else(
            || Err(invalid(&format!("{place}: It is missing."))),
            |part| object(part, &place),
        )
    };
    let (permitted, of_permitted) = (part("permitted")?, format!("{path}permitted."));
    let (witness, of_witness) = (part("witness")?, format!("{path}witness."));
    // The specification's examples write it in decimal digits (exact) and with 0x (upto).
    let nonce = string(&members, "nonce", path)?;
    let nonce = Integer::parse(&nonce).ok();
    let nonce = nonce.and_then(|nonce| nonce.unsigned(256));
    let facilitator = match is_upto {
        true => Some(address(&witness, "facilitator", &of_witness)?),
        false => None,
    };
    Ok(Authorization {
        from: address(&members, "from", path)?,
        to: address(&witness, "to", &of_witness)?,
        value: integer(&permitted, "amount", &of_permitted)?,
        valid_after: integer(&witness, "validAfter", &of_witness)?,
        valid_before: integer(&members, "deadline", path)?,
        nonce: word(&nonce.ok_or_else(|| {
            invalid("payload.permit2Authorization.nonce: It must be a string of decimal digits below 2^256.")
        })?),
        permit: Some(Permit {
            token: address(&permitted, "token", &of_permitted)?,
            spender: address(&members, "spender", path)?,
            facilitator,
        }),
    })
}

fn address(members: &Members, name: &str, path: &str) -> Result<Address, PaymentRefusal> {
    let text = string(members, name, path)?;
    Address::parse(&text).map_err(|problem| invalid(&format!("{path}{name}: {problem}")))
}

fn invalid(message: &str) -> PaymentRefusal {
    PaymentRefusal::new(InvalidReason::InvalidPayload, message)
}

fn object<'a>(json: Json<'a>, name: &str) -> Result<Members<'a>, PaymentRefusal> {
    json.members()
        .ok_or_else(|| invalid(&format!("{name}: It must be an object with no name twice.")))
}

fn string<'a>(
    members: &Members<'a>,
    name: &str,
    path: &str,
) -> Result<Cow<'a, str>, PaymentRefusal> {
    let text = members.get(name).and_then(|value| value.string());
    text.ok_or_else(|| invalid(&format!("{path}{name}: It is missing, or not a string.")))
}

/// Decimal digits, as a string as in the specification, or as a number, which some clients send for
/// times.
fn integer(members: &Members, name: &str, path: &str) -> Result<U256, PaymentRefusal> {
    let value = members.get(name);
    let text = value.and_then(|value| value.string());
    let digits = text.as_deref().or_else(|| value?.number());
    digits.and_then(decimal).ok_or_else(|| {
        invalid(&format!(
            "{path}{name}: It must be a string of decimal digits below 2^256."
        ))
    })
}
