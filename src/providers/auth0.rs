//! Auth0's access tokens for users.

use serde::Deserialize;

use super::mapping::Mapping;
use super::registration::{Preset, Registration, base_url, read_arguments, texts, usual_rules};
use crate::jwt::policy::{AudienceRule, Rules};

pub(super) const PRESET: Preset = Preset {
    name: "auth0",
    example: (
        r#"{"domain": "t.auth0.com", "audience": "api"}"#,
        "auth0|6553da60a54af58e29493993",
    ),
    register: |arguments| Ok(register(read_arguments(arguments)?)),
    membership: None,
};

#[derive(Deserialize)]
struct Arguments {
    domain: String,
    audience: String,
    custom_domains: Option<Vec<String>>,
    #[serde(flatten)]
    mapping: Mapping,
}

fn register(arguments: Arguments) -> Registration {
    let domain = base_url(&arguments.domain);
    let custom = arguments.custom_domains.unwrap_or_default();
    let issuers = custom.iter().map(|domain| base_url(domain));
    let registration = Registration::with_jwks(
        format!("{domain}/.well-known/jwks.json"),
        Rules {
            issuers: std::iter::once(domain)
                .chain(issuers)
                .map(|issuer| issuer + "/")
                .collect(),
            audience_rule: AudienceRule::Required,
            audiences: vec![arguments.audience],
            // A token that is bound to a key (RFC 9449) proves nothing without that key.
            forbidden_claims: texts(&["gty=client-credentials", "cnf"]),
            token_types: texts(&["JWT", "at+jwt"]),
            subject_pattern: Some(r"[^|]+\|.+".to_owned()),
            ..usual_rules()
        },
    );
    Registration {
        mapping: arguments.mapping,
        ..registration
    }
}

#[cfg(test)]
mod tests {
    use crate::providers::tests::{assert_addresses, assert_identity};

    #[test]
    fn every_domain_of_the_tenant_is_an_issuer() {
        assert_addresses(
            "auth0",
            r#"{"domain": "https://t.eu.auth0.com/", "audience": "api",
            "custom_domains": ["login.example.com"]}"#,
            &["https://t.eu.auth0.com/", "https://login.example.com/"],
            Some("https://t.eu.auth0.com/.well-known/jwks.json"),
        );
    }

    #[test]
    fn an_organization_is_named_at_the_top_level() {
        assert_identity(
            r#"{"iss":"https://t.auth0.com/","sub":"auth0|6553da60a54af58e29493993","aud":["https://api","https://t.auth0.com/userinfo"],
                "org_id":"org_9ybsU1dN2dKfDkBi","org_name":"acme","scope":"openid read:x","permissions":["read:x","write:x"],
                "https://my.app/roles":["admin"]}"#,
            "auth0|6553da60a54af58e29493993",
            Some("org_9ybsU1dN2dKfDkBi"),
            None,
            Some(&["read:x", "write:x"]),
        );
    }
}
