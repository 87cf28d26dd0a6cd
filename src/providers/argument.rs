//! Domains, addresses and ids as people give them: written as browsers write them, or refused with
//! what they are.

use serde_json::Value;
use url::Url;

use super::registration::{Result, refuse};

/// An argument that names a provider or an application.
pub(super) struct Argument {
    pub(super) name: &'static str,
    /// Ends the sentence "It must be …".
    pub(super) meaning: &'static str,
}

/// What begins with these is secret.
const SECRETS: [&str; 5] = [
    "sk_live_",
    "sk_test_",
    "secret-live-",
    "secret-test-",
    "whsec_",
];

/// How texts begin that people give in place of another, and what they are.
const KINDS: [(&str, &str); 13] = [
    ("pk_live_", "a publishable key of Clerk"),
    ("pk_test_", "a publishable key of Clerk"),
    ("ins_", "the id of a Clerk instance"),
    ("app_", "the id of an application"),
    ("client_", "a client id of WorkOS"),
    ("environment_", "the id of a WorkOS environment"),
    ("org_", "the id of an organization"),
    ("environment-", "the id of a Stytch environment"),
    ("organization-", "the id of an organization"),
    ("project-", "the id of a Stytch project"),
    ("public-token-", "a public token of Stytch"),
    ("user_", "the id of a user"),
    ("eyJ", "a token"),
];

impl Argument {
    /// Refuses the argument. The message does not repeat its value, which could be a secret.
    pub(super) fn refuse<T>(&self, what: &str) -> Result<T> {
        refuse(format!(
            "{} {what}. It must be {}.",
            self.name, self.meaning
        ))
    }

    /// An id that begins with one of `prefixes`.
    pub(super) fn id(&self, text: &str, prefixes: &[&str]) -> Result<String> {
        let text = text.trim();
        let is_plain = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if is_plain && prefixes.iter().any(|prefix| text.starts_with(prefix)) {
            return Ok(text.to_owned());
        }
        self.refuse(&match kind(text) {
            Some(kind) => format!("is {kind}"),
            None if is_address_of_keys(text) => "is the address of a key set".to_owned(),
            None => "is another kind of text".to_owned(),
        })
    }

    /// The address of a host, which may be given without `https://`. The host is written as browsers
    /// write it, without a default port.
    pub(super) fn address(&self, text: &str) -> Result<Url> {
        let text = text.trim();
        if text.is_empty() {
            return self.refuse("is empty");
        }
        if let Some(kind) = kind(text) {
            return self.refuse(&format!("is {kind}"));
        }
        let has_scheme = text.contains("://");
        let address = match has_scheme {
            true => Url::parse(text),
            false => Url::parse(&format!("https://{text}")),
        };
        let Ok(address) = address else {
            return self.refuse("is not an address");
        };
        let host = address.host_str().unwrap_or_default();
        if !has_scheme && !host.contains(['.', ':']) && host != "localhost" {
            return self.refuse("is not a domain");
        }
        if !matches!(address.scheme(), "https" | "http") {
            return self.refuse("does not begin with https://");
        }
        if is_address_of_keys(text) {
            return self.refuse("is the address of a key set or of its issuer's description");
        }
        let has_more = !address.username().is_empty()
            || address.password().is_some()
            || address.query().is_some()
            || address.fragment().is_some();
        if has_more
            || text
                .chars()
                .any(|character| character.is_whitespace() || character.is_control())
        {
            return self.refuse("has more than a host and a path");
        }
        Ok(address)
    }

    /// An address without a slash at the end.
    pub(super) fn base_url(&self, text: &str) -> Result<String> {
        Ok(self
            .address(text)?
            .as_str()
            .trim_end_matches('/')
            .to_owned())
    }

    /// An address without a path.
    pub(super) fn domain(&self, text: &str) -> Result<String> {
        let address = self.address(text)?;
        match address.path() {
            "" | "/" => Ok(address.as_str().trim_end_matches('/').to_owned()),
            _ => self.refuse("has a path"),
        }
    }
}

/// Refuses a secret key in any argument.
pub(super) fn refuse_secrets(arguments: &str) -> Result<()> {
    fn holds_secret(value: &Value) -> bool {
        match value {
            // A domain may begin so, too.
            Value::String(text) if !text.contains('.') => {
                SECRETS.iter().any(|start| text.trim().starts_with(start))
            }
            Value::Array(list) => list.iter().any(holds_secret),
            Value::Object(members) => members.values().any(holds_secret),
            _ => false,
        }
    }
    let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
    let mut members = arguments.as_object().into_iter().flatten();
    match members.find(|(_, value)| holds_secret(value)) {
        Some((name, _)) => refuse(format!(
            "{name} is a secret key, and the extension needs none. Postgres may have logged the statement: replace the key at the provider."
        )),
        None => Ok(()),
    }
}

fn kind(text: &str) -> Option<&'static str> {
    let is_client_id = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    // A domain may begin as an id does, but not as a token.
    let may_begin = |start: &str| start == "eyJ" || !text.contains('.');
    let mut kinds = KINDS.iter();
    let known = kinds.find(|(start, _)| text.starts_with(start) && may_begin(start));
    known
        .map(|(_, kind)| *kind)
        .or_else(|| is_client_id.then_some("a client id or a secret, not a domain"))
}

/// Whether an address is that of a JWK set or of OpenID's description of an issuer, in a place
/// where a provider has them.
pub(super) fn is_address_of_keys(text: &str) -> bool {
    let address = text.split_once("://").map_or(text, |(_, rest)| rest);
    let path = address.split(['?', '#']).next().unwrap_or_default();
    let segments: Vec<&str> = path.trim_end_matches('/').split('/').skip(1).collect();
    let is_folder = |segment: &&str| matches!(*segment, ".well-known" | "jwks" | "jwks.json");
    segments.iter().any(is_folder)
        || matches!(
            segments.last(),
            Some(&("certs" | "keys" | "openid-configuration"))
        )
}

/// An origin as browsers write it (RFC 6454 section 6.2), such as `https://app.example.com`.
pub(super) fn origin(party: &str) -> Result<String> {
    let refuse = |what: &str| {
        refuse(format!(
            "An authorized party {what}. It must be the origin of your pages, such as https://app.example.com or http://localhost:3000."
        ))
    };
    let party = party.trim();
    if party.contains('*') {
        return refuse("contains a *, but origins are compared as a whole");
    }
    let Some((scheme, rest)) = party.split_once("://") else {
        return refuse("does not begin with https:// or http://");
    };
    if rest.trim_end_matches('/').contains(['/', '?', '#', '@']) {
        return refuse("has more than a scheme, a host and a port");
    }
    match Url::parse(party) {
        Ok(address) if address.origin().is_tuple() => Ok(address.origin().ascii_serialization()),
        // Native shells and browser extensions have schemes of their own.
        Ok(_) if !scheme.is_empty() => Ok(party.trim_end_matches('/').to_owned()),
        _ => refuse("is not an address"),
    }
}

/// An address to fetch from, written in the one way that browsers write it: two spellings of an
/// address are one source of keys. Other text stays as it is.
pub(super) fn written_alike(address: String) -> String {
    if address
        .chars()
        .any(|character| character.is_whitespace() || character.is_control())
    {
        return address;
    }
    Url::parse(&address).map_or(address, String::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::Error;

    const DOMAIN: Argument = Argument {
        name: "domain",
        meaning: "the domain",
    };

    fn problem<T: std::fmt::Debug>(outcome: Result<T>) -> String {
        match outcome {
            Err(Error::InvalidRegistration { problem }) => problem,
            other => panic!("{other:?}"),
        }
    }

    /// As `new URL(text).origin` of Node.js 22 writes them.
    #[test]
    fn hosts_are_written_as_browsers_write_them() {
        for (given, written) in [
            ("CLERK.Example.COM", "https://clerk.example.com"),
            (
                " https://clerk.example.com:443/ ",
                "https://clerk.example.com",
            ),
            (
                "HTTPS://clerk.example.com:8443",
                "https://clerk.example.com:8443",
            ),
            ("http://localhost:80", "http://localhost"),
            (
                "https://anmeldung.B\u{fc}cher.example",
                "https://anmeldung.xn--bcher-kva.example",
            ),
            ("http://[0:0:0:0:0:0:0:1]:3000", "http://[::1]:3000"),
        ] {
            assert_eq!(DOMAIN.domain(given).unwrap(), written, "{given}");
            assert_eq!(DOMAIN.base_url(given).unwrap(), written, "{given}");
        }
        for domain in [
            "project-x.kinde.com",
            "organization-a.auth0.com",
            "secret-test-1.auth0.com",
        ] {
            assert_eq!(DOMAIN.domain(domain).unwrap(), format!("https://{domain}"));
            assert_eq!(
                refuse_secrets(&format!(r#"{{"domain": "{domain}"}}"#)),
                Ok(())
            );
        }
        assert_eq!(
            DOMAIN.base_url("https://Example.com/__clerk/").unwrap(),
            "https://example.com/__clerk"
        );
    }

    #[test]
    fn what_is_no_domain_is_named() {
        for (given, named) in [
            ("", "is empty"),
            ("ins_2abc", "is the id of a Clerk instance"),
            ("environment_01ABC", "is the id of a WorkOS environment"),
            ("org_01ABC", "is the id of an organization"),
            ("organization-test-1", "is the id of an organization"),
            ("environment-test-1", "is the id of a Stytch environment"),
            (
                "dee7f3c57b3c47e8b96edde2c7ecab7d",
                "is a client id or a secret",
            ),
            (
                "https://clerk.example.com/.well-known/jwks.json",
                "is the address of a key set",
            ),
            (
                "t.auth0.com/.well-known/openid-configuration",
                "is the address of a key set",
            ),
            (
                "https://api.clerk.com/v1/jwks",
                "is the address of a key set",
            ),
            (
                "https://api.workos.com/sso/jwks/client_1",
                "is the address of a key set",
            ),
            (
                "https://i.example/realms/a/protocol/openid-connect/certs",
                "is the address of a key set",
            ),
            ("example", "is not a domain"),
            ("eyJhbGciOiJub25lIn0.e30.x", "is a token"),
            ("ftp://clerk.example.com", "does not begin with https://"),
            (
                "https://a:b@clerk.example.com",
                "has more than a host and a path",
            ),
            (
                "https://clerk.example.com?x",
                "has more than a host and a path",
            ),
            ("https://clerk.exa mple.com", "is not an address"),
            (
                "https://clerk.example.com/a b",
                "has more than a host and a path",
            ),
            ("https://t.auth0.com/api/v2", "has a path"),
        ] {
            let problem = problem(DOMAIN.domain(given));
            assert!(
                problem.starts_with(&format!("domain {named}")),
                "{given}: {problem}"
            );
            assert!(problem.ends_with("It must be the domain."), "{problem}");
        }
    }

    #[test]
    fn a_secret_key_is_refused_in_any_argument_and_not_repeated() {
        for secret in ["sk_live_abc", "sk_test_abc", " secret-live-abc"] {
            for arguments in [
                format!(r#"{{"a": null, "it": "{secret}"}}"#),
                format!(r#"{{"it": ["x", "{secret}"]}}"#),
                format!(r#"{{"it": {{"user": "{secret}"}}}}"#),
            ] {
                let problem = problem(refuse_secrets(&arguments));
                assert!(problem.starts_with("it is a secret key"), "{problem}");
                assert!(!problem.contains("abc"), "{problem}");
            }
        }
        assert_eq!(refuse_secrets(r#"{"it": "desk_test_1"}"#), Ok(()));
    }

    #[test]
    fn a_party_is_an_origin_as_browsers_write_it() {
        for (given, written) in [
            ("https://APP.example.com", "https://app.example.com"),
            ("https://app.example.com/", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("http://localhost:3000", "http://localhost:3000"),
            (
                "https://b\u{fc}cher.example",
                "https://xn--bcher-kva.example",
            ),
            ("capacitor://localhost", "capacitor://localhost"),
            (
                "chrome-extension://abcdefghijklmnop/",
                "chrome-extension://abcdefghijklmnop",
            ),
        ] {
            assert_eq!(origin(given).unwrap(), written);
        }
        for given in [
            "",
            "app.example.com",
            "localhost:3000",
            "null",
            "https://*.example.com",
            "https://app.example.com/page",
            "https://app.example.com?x",
            "https://a@app.example.com",
            "https://",
            "://x",
        ] {
            let problem = problem(origin(given));
            assert!(
                problem.starts_with("An authorized party "),
                "{given}: {problem}"
            );
        }
    }

    #[test]
    fn two_spellings_of_an_address_are_one() {
        for (given, written) in [
            ("https://I.example:443/a/../jwks", "https://i.example/jwks"),
            ("https://i.example/a b", "https://i.example/a b"),
            ("", ""),
        ] {
            assert_eq!(written_alike(given.to_owned()), written);
        }
    }
}
