//! An issuer's discovery document (OpenID Connect Discovery 1.0): where its keys are, and which
//! algorithms it signs with. The errors are sentences for the operator.

use std::net::IpAddr;

use serde_json::Value;

use super::algorithm::Algorithm;
use super::url::{authority, host, is_http_localhost, is_https_or_localhost};
use crate::json::strict::parse_object;

/// The end of every document's address (OpenID Connect Discovery 1.0 section 4.1).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";
/// The same of RFC 8414. An issuer's path would follow it.
const WELL_KNOWN_OAUTH: &str = "/.well-known/oauth-authorization-server";

/// The content of a document, as far as a verifier needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    /// The address of the keys.
    pub jwks_uri: String,
    /// The algorithms that can be verified with a public key, by name.
    pub algorithms: Vec<Algorithm>,
}

/// The address of an issuer's document.
///
/// # Errors
/// The text cannot be an issuer.
pub fn address(issuer: &str) -> Result<String, String> {
    check_url("The issuer", issuer)?;
    if !is_https_or_localhost(issuer) {
        return Err(
            "The issuer does not begin with https://. Give it as \"iss\" stands in the tokens."
                .to_owned(),
        );
    }
    if let Some((issuer, _)) = issuer.split_once("/.well-known/") {
        return Err(format!(
            "This is the address of a document of the issuer. Give the issuer itself: {} or the same with a slash at the end.",
            quoted(issuer)
        ));
    }
    if issuer.contains(['?', '#']) {
        return Err("An issuer has no query and no fragment.".to_owned());
    }
    if issuer.contains(['{', '}']) {
        return Err("The issuer is a template. Put the id of your tenant into it.".to_owned());
    }
    let path = issuer.strip_suffix('/').unwrap_or(issuer);
    Ok(format!("{path}{WELL_KNOWN}"))
}

/// Whether this is the address of a document, not of keys.
#[must_use]
pub fn is_address(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.ends_with(WELL_KNOWN) || path.contains(WELL_KNOWN_OAUTH)
}

/// Reads the document that was found at the address of `issuer`.
///
/// # Errors
/// The document is not this issuer's, or a verifier must not use it.
pub fn read(document: &str, issuer: &str) -> Result<Discovered, String> {
    let members = parse_object(document.as_bytes()).ok_or(
        "The answer at the issuer's discovery address is not a JSON object with unique names.",
    )?;
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let own = text("issuer").ok_or("The discovery document has no \"issuer\".")?;
    if own != issuer {
        return Err(if own.contains('{') {
            "This issuer stands for all tenants. Give the issuer of your tenant. For Microsoft Entra it is https://login.microsoftonline.com/<tenant id>/v2.0, with the tenant's id in place of common or organizations.".to_owned()
        } else {
            format!(
                "The discovery document names another issuer: {}. Tokens carry that text as \"iss\". If it is yours, give exactly that text.",
                quoted(own)
            )
        });
    }
    let jwks_uri = text("jwks_uri").ok_or("The discovery document has no \"jwks_uri\".")?;
    check_keys_address(jwks_uri, issuer)?;
    Ok(Discovered {
        jwks_uri: jwks_uri.to_owned(),
        algorithms: algorithms(members.get("id_token_signing_alg_values_supported"))?,
    })
}

/// Access tokens and ID tokens are signed alike, and only ID tokens have a list of algorithms. An
/// issuer without a list signs with RS256, which section 3 of the specification demands of all.
fn algorithms(list: Option<&Value>) -> Result<Vec<Algorithm>, String> {
    let Some(list) = list else {
        return Ok(vec![Algorithm::RS256]);
    };
    let names = list.as_array().ok_or(
        "\"id_token_signing_alg_values_supported\" of the discovery document is not a list.",
    )?;
    let mut usable: Vec<Algorithm> = names
        .iter()
        .filter_map(|name| Algorithm::from_name(name.as_str()?))
        .filter(|algorithm| !algorithm.is_symmetric())
        .collect();
    usable.sort_unstable_by_key(|algorithm| algorithm.name());
    usable.dedup();
    if usable.is_empty() {
        return Err("The issuer signs with no algorithm that a public key can verify: the discovery document names none.".to_owned());
    }
    Ok(usable)
}

/// Checks the address of the keys. The issuer chooses it, so the issuer must not be able to send
/// this server to an address inside the server's own network.
fn check_keys_address(url: &str, issuer: &str) -> Result<(), String> {
    check_url("\"jwks_uri\" of the discovery document", url)?;
    if is_http_localhost(issuer) && is_https_or_localhost(url) {
        return Ok(());
    }
    if !url.starts_with("https://") {
        return Err(
            "\"jwks_uri\" of the discovery document is not https: anybody on the way could change the keys."
                .to_owned(),
        );
    }
    match host(url) {
        Some(own) if !is_inside(own) || Some(own) == host(issuer) => Ok(()),
        _ => Err("\"jwks_uri\" of the discovery document is an address of this machine or its network, and not on the issuer's own host.".to_owned()),
    }
}

/// Whether a host is a number, or a name that only the own network knows.
fn is_inside(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let host = host.trim_end_matches('.');
    let last = host.rsplit('.').next().unwrap_or_default();
    // Resolvers read 127.1 and 0x7f000001 as addresses, too.
    let is_number = last.starts_with(|first: char| first.is_ascii_digit());
    is_number
        || host.starts_with('[')
        || host.parse::<IpAddr>().is_ok()
        || !host.contains('.')
        || ["localhost", "local", "internal"].contains(&last)
}

fn check_url(what: &str, url: &str) -> Result<(), String> {
    let is_sound = |byte: u8| byte.is_ascii_graphic() && !b"\\\"<>".contains(&byte);
    if !url.bytes().all(is_sound) {
        return Err(format!(
            "{what} contains white space or another character that no address has."
        ));
    }
    if authority(url).is_some_and(|authority| authority.contains('@')) {
        return Err(format!("{what} contains a user's name or password."));
    }
    Ok(())
}

/// Says what a document is that somebody gave as a set of keys. `None` if it is no discovery
/// document.
#[must_use]
pub fn mistaken_for_keys(document: &str) -> Option<String> {
    let members = parse_object(document.as_bytes())?;
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    if members.contains_key("keys") {
        return None;
    }
    let jwks_uri = text("jwks_uri")?;
    Some(format!(
        "It is a discovery document, not a JWK set. The keys are at its \"jwks_uri\": {}. Call register_oidc_provider() with its issuer: {}.",
        quoted(jwks_uri),
        quoted(text("issuer").unwrap_or_default())
    ))
}

/// A URL of a public document, for a message.
fn quoted(url: &str) -> String {
    let is_plain = check_url("", url).is_ok() && !url.contains(['?', '#']);
    if is_plain && url.len() <= 200 && authority(url).is_some() {
        format!("\"{url}\"")
    } else {
        "(not shown: it is no plain address)".to_owned()
    }
}

#[cfg(test)]
#[path = "discovery_tests.rs"]
mod tests;
