//! A preset, the registration that it makes, and the checks that hold for every registration.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::claims::{Claims, Membership};
use super::error::Error;
use super::mapping::Mapping;
use crate::jwt::discovery;
use crate::jwt::policy::{AudienceRule, Policy, Rules, usual_leeway};
use crate::jwt::url::{is_http_localhost, is_https_or_localhost};

/// A kind of provider that can be registered.
pub struct Preset {
    /// Its name, as in `register_<name>()`.
    pub name: &'static str,
    /// Arguments for an example, and a user id from the provider's documentation.
    pub example: (&'static str, &'static str),
    /// Makes a registration from its arguments, a JSON object.
    pub(super) register: fn(&str) -> Result<Registration>,
    /// Reads claims that have this provider's mark: a claim that only this provider makes. `None`:
    /// its claims have no mark, and [`Membership::at_the_top_level`] reads them.
    pub(super) membership: Option<fn(&Claims) -> Option<Membership>>,
}

/// The row that a registration stores, without its name and its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Registration {
    /// The preset that made it.
    pub preset: String,
    /// Where its keys come from. Two providers may not share both this and an issuer.
    pub key_source: String,
    /// The address of its JWK set, when it has one.
    pub jwks_url: Option<String>,
    /// The address of the discovery document that names the address of its keys.
    pub discovery_url: Option<String>,
    /// Whether bare session tokens are accepted; only for Better Auth.
    pub allow_bare_sessions: bool,
    /// The names of Better Auth's tables and columns.
    pub better_auth_names: Option<BTreeMap<String, String>>,
    /// The rules for its tokens.
    #[serde(flatten)]
    pub rules: Rules,
    /// What becomes of the claims of its tokens.
    #[serde(flatten)]
    pub mapping: Mapping,
}

/// The arguments that all functions `register_…` have.
#[derive(Deserialize)]
pub(super) struct SharedArguments {
    pub leeway_seconds: Option<u32>,
    pub passed_claims: Option<Vec<String>>,
}

pub(super) type Result<T> = std::result::Result<T, Error>;

pub(super) fn refuse<T>(problem: impl Into<String>) -> Result<T> {
    Err(Error::InvalidRegistration {
        problem: problem.into(),
    })
}

impl Registration {
    /// A registration whose keys are at `jwks_url`.
    pub(super) fn with_jwks(jwks_url: String, rules: Rules) -> Self {
        Self {
            preset: String::new(),
            key_source: jwks_url.clone(),
            jwks_url: Some(jwks_url),
            discovery_url: None,
            allow_bare_sessions: false,
            better_auth_names: None,
            rules,
            mapping: Mapping::default(),
        }
    }

    /// Checks what must hold for every registration.
    pub(super) fn check(&self) -> Result<()> {
        if let Err(problem) = self.mapping.check() {
            return refuse(problem);
        }
        let rules = &self.rules;
        let policy = match Policy::new(rules.clone()) {
            Ok(policy) => policy,
            Err(problem) => return refuse(problem),
        };
        if rules.issuers.is_empty() {
            return refuse("No issuer is named.");
        }
        if policy
            .algorithms()
            .iter()
            .any(|algorithm| algorithm.is_symmetric())
        {
            return refuse(
                "Algorithms with a shared secret cannot be used with public keys: anybody who knows the keys could sign.",
            );
        }
        let issuers = rules.issuers.iter().map(|url| ("An issuer", url));
        let jwks_url = self.jwks_url.iter();
        for (what, url) in issuers.chain(jwks_url.map(|url| ("jwks_url", url))) {
            if url.starts_with("http://") && !is_http_localhost(url) {
                return refuse(format!(
                    "{what} is not https: anybody on the way could change what it says."
                ));
            }
            if url
                .chars()
                .any(|character| character.is_whitespace() || character.is_control())
            {
                return refuse(format!("{what} contains white space."));
            }
        }
        match &self.jwks_url {
            Some(url) if discovery::is_address(url) => refuse(
                "jwks_url is the address of a discovery document, not of a JWK set. Call register_oidc_provider() with the issuer: it reads the address of the keys from that document.",
            ),
            Some(url) if !is_https_or_localhost(url) => {
                refuse("jwks_url is not the address of a JWK set: that begins with https://.")
            }
            _ => Ok(()),
        }
    }
}

/// Reads the arguments of a registration.
pub(super) fn read_arguments<T: DeserializeOwned>(arguments: &str) -> Result<T> {
    serde_json::from_str(arguments).or_else(|error| refuse(unreadable(&error)))
}

/// Says why a JSON object does not make a struct, in the parser's words. Values are left out: they
/// could be secrets.
#[must_use]
pub fn unreadable(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(&*text, |(text, _)| text);
    match (
        text.strip_prefix("missing field"),
        text.rsplit_once(", expected "),
    ) {
        (Some(name), _) => format!("An argument is missing:{name}."),
        (None, Some((_, expected))) => {
            format!("An argument is missing or of the wrong type: expected {expected}.")
        }
        (None, None) => "An argument is of the wrong type.".to_owned(),
    }
}

/// Rules with the usual values, for a preset to change.
pub(super) fn usual_rules() -> Rules {
    Rules {
        issuers: Vec::new(),
        algorithms: texts(&["RS256"]),
        audience_rule: AudienceRule::Ignored,
        audiences: Vec::new(),
        authorized_parties: Vec::new(),
        required_claims: Vec::new(),
        forbidden_claims: Vec::new(),
        token_types: texts(&["JWT"]),
        token_categories: Vec::new(),
        max_age_seconds: None,
        leeway_seconds: usual_leeway(),
        subject_pattern: None,
        subject_prefix: None,
        allow_uuid_subjects: false,
    }
}

pub(super) fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

/// Makes a URL from a host or a URL, without a slash at the end.
pub(super) fn base_url(text: &str) -> String {
    let text = text.trim().trim_end_matches('/');
    if text.contains("://") || text.is_empty() {
        text.to_owned()
    } else {
        format!("https://{text}")
    }
}
