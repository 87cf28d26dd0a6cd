//! What becomes of the claims of a provider's tokens: the arguments that every registration has.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::claims::Membership;
use crate::json::Json;
use crate::report::shown;

/// Claims that only the issuer of a token sets: the user, the audience, the role and the times.
/// `type` marks InsForge's refresh tokens, and `provider` names the provider that verified the
/// user.
pub const ISSUER_CLAIMS: [&str; 9] = [
    "iss", "sub", "aud", "exp", "nbf", "iat", "role", "type", "provider",
];

/// Claims that a grant writes, in its own reading.
const GRANT_CLAIMS: [&str; 5] = ["email", "act", "org_id", "org_role", "permissions"];

/// Columns of table `auth_providers`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Claims that the exchange and `pre_request()` copy into their own claims.
    #[serde(default)]
    pub passed_claims: Vec<String>,
    /// The claim with the organisation's id. `None`: the presets read it.
    #[serde(default, deserialize_with = "name")]
    pub org_id_claim: Option<String>,
    /// The claim with the role in the organisation.
    #[serde(default, deserialize_with = "name")]
    pub org_role_claim: Option<String>,
    /// The claim with the permissions.
    #[serde(default, deserialize_with = "name")]
    pub permissions_claim: Option<String>,
}

impl Mapping {
    /// Checks names.
    ///
    /// # Errors
    /// A sentence for the operator says what is wrong.
    pub fn check(&self) -> Result<(), String> {
        if self.passed_claims.iter().any(String::is_empty) {
            return Err(
                "An empty string is not the name of a claim that can be passed.".to_owned(),
            );
        }
        let is_written = |name: &&String| {
            let mut written = ISSUER_CLAIMS.iter().chain(&GRANT_CLAIMS);
            written.any(|claim| claim == name)
        };
        match self.passed_claims.iter().find(is_written) {
            Some(name) => Err(format!(
                "Claim {} cannot be passed, because the extension writes it itself.",
                shown(name)
            )),
            None => Ok(()),
        }
    }

    /// A membership, with what is mapped in the place of what the presets read.
    #[must_use]
    pub fn applied_to(&self, read: Membership, claims: &Map<String, Value>) -> Membership {
        let mapped = |claim: &Option<String>| claim.as_ref().map(|path| find(claims, path));
        Membership {
            org_id: mapped(&self.org_id_claim)
                .map_or(read.org_id, |found| found.and_then(one_text)),
            org_role: mapped(&self.org_role_claim)
                .map_or(read.org_role, |found| found.and_then(one_text)),
            permissions: mapped(&self.permissions_claim)
                .map_or(read.permissions, |found| found.and_then(names)),
        }
    }

    /// The claims that are passed on, as the provider wrote them.
    pub(crate) fn passed(&self, token: &str) -> BTreeMap<String, Box<RawValue>> {
        if self.passed_claims.is_empty() {
            return BTreeMap::new();
        }
        let members = Json::unchecked(token).members().unwrap_or_default();
        let passed = self.passed_claims.iter().filter_map(|name| {
            let written: &RawValue = members.get(name.as_str())?.to()?;
            Some((name.clone(), written.to_owned()))
        });
        passed.collect()
    }
}

/// The claim of exactly this name; if there is none, the member of an object whose name is a part
/// of the path before a dot. The longest part comes first.
fn find<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| {
        let dots = path.rmatch_indices('.');
        let mut parts = dots.filter_map(|(dot, _)| Some((path.get(..dot)?, path.get(dot + 1..)?)));
        parts.find_map(|(name, rest)| find(claims.get(name)?.as_object()?, rest))
    })
}

/// A text, or the only text of a list.
fn one_text(claim: &Value) -> Option<String> {
    let text = match claim.as_array() {
        Some(list) => <&[Value; 1]>::try_from(list.as_slice()).ok()?.first()?,
        None => claim,
    };
    text.as_str()
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// A list of texts, or the names in a text that separates them by blanks (OAuth's `scope`).
fn names(claim: &Value) -> Option<Vec<String>> {
    match claim.as_str() {
        Some(text) => Some(text.split_ascii_whitespace().map(str::to_owned).collect()),
        None => Vec::deserialize(claim).ok(),
    }
}

/// Reads the name of a claim; an empty one is none.
fn name<'de, D: Deserializer<'de>>(text: D) -> Result<Option<String>, D::Error> {
    Ok(Option::deserialize(text)?.filter(|name: &String| !name.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::strict::parse_object;

    fn mapping(columns: &str) -> Mapping {
        serde_json::from_str(columns).unwrap()
    }

    fn read(mapped: &str, claims: &str) -> Membership {
        let claims = parse_object(claims.as_bytes()).unwrap();
        let read = Membership {
            org_id: Some("read".to_owned()),
            org_role: Some("read".to_owned()),
            permissions: Some(vec!["read".to_owned()]),
        };
        mapping(mapped).applied_to(read, &claims)
    }

    fn role(path: &str, claims: &str) -> Option<String> {
        read(&format!(r#"{{"org_role_claim": "{path}"}}"#), claims).org_role
    }

    /// The names are those of Auth0's custom claims, and of Keycloak's realm and client roles.
    #[test]
    fn a_claim_is_a_name_or_else_a_path() {
        for (path, claims) in [
            (
                "https://app.example/roles",
                r#"{"https://app.example/roles": ["admin"]}"#,
            ),
            (
                "realm_access.roles",
                r#"{"realm_access": {"roles": ["admin"]}}"#,
            ),
            (
                "resource_access.my.app.roles",
                r#"{"resource_access": {"my.app": {"roles": ["admin"]}}}"#,
            ),
            (
                "https://app.example/user.role",
                r#"{"https://app.example/user": {"role": "admin"}}"#,
            ),
            ("a.b", r#"{"a.b": "admin", "a": {"b": "other"}}"#),
            (
                "a.b.c",
                r#"{"a.b": {"c": "admin"}, "a": {"b": {"c": "other"}}}"#,
            ),
            (
                "a.b.c",
                r#"{"a.b": {"x": "other"}, "a": {"b": {"c": "admin"}}}"#,
            ),
        ] {
            assert_eq!(
                role(path, claims).as_deref(),
                Some("admin"),
                "{path} {claims}"
            );
        }
    }

    #[test]
    fn what_cannot_be_read_grants_nothing() {
        for role_claim in [
            "null",
            "1",
            "true",
            "\"\"",
            "{}",
            "[]",
            "[\"\"]",
            "[1]",
            "[[\"admin\"]]",
            "[\"admin\", \"editor\"]",
            "{\"admin\": {}}",
        ] {
            let claims = format!(r#"{{"r": {role_claim}, "org_role": "admin"}}"#);
            assert_eq!(role("r", &claims), None, "{claims}");
        }
        for (path, claims) in [
            ("r", "{}"),
            ("a.b", r#"{"a.b": null, "a": {"b": "admin"}}"#),
            ("a.b", r#"{"a": "b"}"#),
            ("a.b", r#"{"a": [{"b": "admin"}]}"#),
            (".", r#"{"": "admin"}"#),
        ] {
            assert_eq!(role(path, claims), None, "{path} {claims}");
        }
        for permissions in ["null", "1", "{}", "[1]", "[\"a\", null]"] {
            let claims = format!(r#"{{"p": {permissions}, "permissions": ["all"]}}"#);
            assert_eq!(
                read(r#"{"permissions_claim": "p"}"#, &claims).permissions,
                None,
                "{claims}"
            );
        }
    }

    /// RFC 8693 section 4.2: "scope" is a list of names separated by blanks.
    #[test]
    fn permissions_are_a_list_or_a_scope() {
        for (claim, expected) in [
            (r#"["read:x", "write:x"]"#, vec!["read:x", "write:x"]),
            (
                r#""openid read:x  write:x ""#,
                vec!["openid", "read:x", "write:x"],
            ),
            ("[]", vec![]),
            (r#""""#, vec![]),
        ] {
            let claims = format!(r#"{{"scope": {claim}}}"#);
            let found = read(r#"{"permissions_claim": "scope"}"#, &claims);
            let expected = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(found.permissions, Some(expected), "{claim}");
        }
    }

    #[test]
    fn what_is_not_mapped_is_read_as_before() {
        let found = read(
            r#"{"org_id_claim": "team", "org_role_claim": ""}"#,
            r#"{"team": ["t1"]}"#,
        );
        assert_eq!(found.org_id.as_deref(), Some("t1"));
        assert_eq!(found.org_role.as_deref(), Some("read"));
        assert_eq!(found.permissions, Some(vec!["read".to_owned()]));
    }

    #[test]
    fn a_passed_claim_is_as_the_provider_wrote_it() {
        let passes =
            mapping(r#"{"passed_claims": ["n", "https://a.example/x", "absent", "nothing"]}"#);
        let token = r#"{"n": 1.00e2, "https:\/\/a.example/x" : {"b": 12345678901234567890123, "a": "\u00e9"}, "nothing": null, "other": 1}"#;
        let passed: Vec<_> = passes.passed(token).into_iter().collect();
        let written: Vec<_> = passed
            .iter()
            .map(|(name, value)| (&**name, value.get()))
            .collect();
        assert_eq!(
            written,
            [
                (
                    "https://a.example/x",
                    r#"{"b": 12345678901234567890123, "a": "\u00e9"}"#
                ),
                ("n", "1.00e2"),
                ("nothing", "null"),
            ]
        );
    }
}
