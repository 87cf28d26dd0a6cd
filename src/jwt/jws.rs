//! The compact serialization of a JSON Web Signature (RFC 7515 section 7.1).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::key::KeySet;
use super::rejection::{Rejection, RejectionReason};
use crate::json::strict::parse_object;

/// The largest token in bytes. No provider's tokens come near this size.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Header parameters with which a token would choose its own key or its own rules: RFC 8725
/// sections 2.9 and 3.10; for `crit` RFC 7515 section 4.1.11, for `b64` RFC 7797.
const REFUSED_PARAMETERS: [&str; 7] = ["crit", "b64", "jwk", "jku", "x5c", "x5u", "zip"];

/// The parts of a token whose signature is not verified yet.
#[derive(Debug)]
pub struct Jws<'a> {
    /// `alg` as it is written.
    pub(super) algorithm: String,
    /// `kid`.
    pub key_id: Option<String>,
    /// `typ`.
    pub(super) typ: Option<String>,
    /// Clerk's `cat`.
    pub(super) category: Option<String>,
    payload: Vec<u8>,
    claims: Option<Map<String, Value>>,
    message: &'a str,
    /// In base64url.
    signature: &'a str,
}

/// A value in at most some hundred characters and ten elements.
fn cut_off(value: &Value) -> Value {
    const CHARACTERS: usize = 200;
    const ELEMENTS: usize = 10;
    match value {
        Value::String(text) if text.chars().count() > CHARACTERS => {
            let start: String = text.chars().take(CHARACTERS).collect();
            format!("{start}…").into()
        }
        Value::Array(list) => list.iter().take(ELEMENTS).map(cut_off).collect(),
        Value::Object(_) => "(an object)".into(),
        plain => plain.clone(),
    }
}

fn malformed(detail: &str) -> Rejection {
    Rejection::new(RejectionReason::Malformed, detail)
}

/// What clients send around or instead of a token.
///
/// # Errors
/// [`RejectionReason::Malformed`] says what it is.
pub fn refuse_wrapping(text: &str) -> Result<(), Rejection> {
    let first = text.split_whitespace().next().unwrap_or_default();
    Err(malformed(match text {
        "" => "There is no token: the text is empty.",
        "undefined" | "null" | "[object Promise]" | "[object Object]" => {
            "The text is what JavaScript writes for a missing value, a promise or an object. Give the token itself, after await."
        }
        _ if first.eq_ignore_ascii_case("bearer") => {
            "The text begins with \"Bearer\". Give only the token after that word."
        }
        _ if text.trim() != text => "There are blanks or line breaks around the token.",
        _ if text.starts_with(['"', '\'']) => "There are quotation marks around the token.",
        _ => return Ok(()),
    }))
}

/// What a text is that has not the three parts of a signed token.
fn other_parts(dots: usize) -> Rejection {
    malformed(match dots {
        0 => {
            "A text without dots is an opaque token, which only its issuer can read. Ask the provider for an access token of your API: with Auth0, name its audience."
        }
        4 => {
            "A token of five parts is encrypted (RFC 7516), and only its recipient can read it. Ask the provider for an access token of your API: with Auth0, name its audience."
        }
        _ => "A signed token has three parts separated by dots.",
    })
}

impl<'a> Jws<'a> {
    /// Reads the parts of a token.
    ///
    /// # Errors
    /// [`RejectionReason::TooLarge`] and [`RejectionReason::Malformed`].
    pub fn parse(token: &'a str) -> Result<Self, Rejection> {
        if token.len() > MAX_TOKEN_BYTES {
            let detail = format!("The token is longer than {MAX_TOKEN_BYTES} bytes.");
            return Err(Rejection::new(RejectionReason::TooLarge, detail));
        }
        refuse_wrapping(token)?;
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(other_parts(token.matches('.').count()));
        };
        let decode = |part: &str| {
            URL_SAFE_NO_PAD
                .decode(part)
                .map_err(|_| malformed("A part of the token is not base64url without padding."))
        };
        let header_bytes = decode(header)?;
        let members = parse_object(&header_bytes)
            .ok_or_else(|| malformed("The header is not a JSON object with unique names."))?;
        if let Some(name) = REFUSED_PARAMETERS
            .iter()
            .find(|name| members.contains_key(**name))
        {
            return Err(malformed(&format!(
                "The header has \"{name}\", which is never accepted."
            )));
        }
        if members
            .get("cty")
            .and_then(Value::as_str)
            .is_some_and(|cty| cty.eq_ignore_ascii_case("jwt"))
        {
            return Err(malformed("The token contains another token."));
        }
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(malformed(&format!(
                "\"{name}\" in the header is not a string."
            ))),
        };
        let payload_bytes = decode(payload)?;
        decode(signature)?;
        Ok(Self {
            algorithm: text("alg")?.ok_or_else(|| malformed("The header has no \"alg\"."))?,
            key_id: text("kid")?,
            typ: text("typ")?,
            category: text("cat")?,
            claims: parse_object(&payload_bytes),
            payload: payload_bytes,
            message: token
                .get(..header.len() + 1 + payload.len())
                .unwrap_or_default(),
            signature,
        })
    }

    /// The payload, which need not be a claims set.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The payload if it is a claims set. It is not verified yet.
    #[must_use]
    pub const fn unverified_claims(&self) -> Option<&Map<String, Value>> {
        self.claims.as_ref()
    }

    /// What the token says of itself, for an operator to compare with what was expected: `iss`,
    /// `aud`, `azp`, `alg` and `kid`, each cut off after some length. It is not verified.
    #[must_use]
    pub fn findings(&self) -> Map<String, Value> {
        let claim = |name: &str| self.claims.as_ref().and_then(|claims| claims.get(name));
        let mut findings = Map::new();
        for name in ["iss", "aud", "azp"] {
            findings.insert(name.to_owned(), claim(name).map_or(Value::Null, cut_off));
        }
        findings.insert("alg".to_owned(), cut_off(&self.algorithm.as_str().into()));
        let key_id = self.key_id.as_deref().map(Value::from);
        findings.insert(
            "kid".to_owned(),
            key_id.as_ref().map_or(Value::Null, cut_off),
        );
        findings
    }

    /// Verifies the signature with one of the allowed algorithms and one of the keys.
    ///
    /// The header only chooses which of the keys are tried: the keys with its `kid`, or all keys if
    /// it has none.
    ///
    /// # Errors
    /// [`RejectionReason::AlgorithmNotAllowed`], [`RejectionReason::UnknownKey`] and
    /// [`RejectionReason::BadSignature`].
    pub fn verify(&self, allowed: &[Algorithm], keys: &KeySet) -> Result<(), Rejection> {
        let algorithm = Algorithm::from_name(&self.algorithm)
            .filter(|algorithm| allowed.contains(algorithm))
            .ok_or_else(|| {
                let names: Vec<_> = allowed.iter().map(|algorithm| algorithm.name()).collect();
                Rejection::new(
                    RejectionReason::AlgorithmNotAllowed,
                    format!(
                        "The provider's tokens are signed with {}.",
                        names.join(" or ")
                    ),
                )
            })?;
        let mut tried = false;
        for key in keys.candidates(self.key_id.as_deref(), algorithm) {
            tried = true;
            if key.verifies(algorithm, self.message.as_bytes(), self.signature) {
                return Ok(());
            }
        }
        Err(if tried {
            Rejection::new(
                RejectionReason::BadSignature,
                "The signature is not the provider's.",
            )
        } else {
            Rejection::new(
                RejectionReason::UnknownKey,
                "The provider has no key with the token's \"kid\" that fits its \"alg\".",
            )
        })
    }
}
