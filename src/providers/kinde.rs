//! Kinde's access tokens for users.

use serde::Deserialize;

use super::argument::Argument;
use super::claims::{Claims, Membership, single};
use super::registration::{
    Preset, Registration, Result, read_arguments, refuse, texts, usual_rules,
};
use crate::jwt::policy::{AudienceRule, AuthorizedPartyRule, Rules};

pub(super) const PRESET: Preset = Preset {
    name: "kinde",
    example: (
        r#"{"domain": "x.kinde.com"}"#,
        "kp_0c3ff3d085fdea6396b29d4ffee750be",
    ),
    register: |arguments| register(read_arguments(arguments)?),
    membership: Some(membership),
};

#[derive(Deserialize)]
struct Arguments {
    domain: String,
    audience: Option<String>,
    authorized_parties: Option<Vec<String>>,
    authorized_party_rule: Option<AuthorizedPartyRule>,
}

const DOMAIN: Argument = Argument {
    name: "domain",
    meaning: "the domain, such as https://example.kinde.com or your own",
};

fn register(arguments: Arguments) -> Result<Registration> {
    let issuer = DOMAIN.domain(&arguments.domain)?;
    let parties = arguments.authorized_parties.unwrap_or_default();
    if parties.iter().any(|party| party.contains("://")) {
        return refuse(
            "An authorized party is an address. It must be the client id of one of your applications.",
        );
    }
    let audiences: Vec<_> = arguments.audience.into_iter().collect();
    Ok(Registration::with_jwks(
        format!("{issuer}/.well-known/jwks.json"),
        Rules {
            issuers: vec![issuer],
            // Kinde leaves the list empty if no API was asked for, and for custom domains.
            audience_rule: if audiences.is_empty() {
                AudienceRule::Ignored
            } else {
                AudienceRule::IfPresent
            },
            audiences,
            authorized_parties: parties,
            authorized_party_rule: arguments.authorized_party_rule.unwrap_or_default(),
            // Access tokens list their scopes. ID tokens of the same user and key do not.
            required_claims: texts(&["scp"]),
            forbidden_claims: texts(&["gty=client_credentials"]),
            token_types: texts(&["JWT", ""]),
            subject_pattern: Some("kp[_:][0-9A-Za-z_]+".to_owned()),
            ..usual_rules()
        },
    ))
}

/// Kinde's mark is `org_code`. A token has `roles` if it is customised to carry them.
fn membership(claims: &Claims) -> Option<Membership> {
    #[derive(Deserialize)]
    struct Role {
        key: String,
    }

    if !claims.has("org_code") {
        return None;
    }
    let keys = claims
        .get::<Vec<Role>>("roles")
        .map(|roles| roles.into_iter().map(|role| role.key).collect());
    Some(Membership {
        org_id: claims.text("org_code"),
        org_role: keys.or_else(|| claims.get("roles")).and_then(single),
        permissions: claims.get("permissions"),
    })
}

#[cfg(test)]
mod tests {
    use crate::providers::tests::assert_identity;

    #[test]
    fn an_organization_is_its_code() {
        assert_identity(
            r#"{"aud":[],"azp":"dee7","sub":"kp_0c3ff3d085flo6396as29d4ffee750be7","org_code":"org_1a2b","scp":["openid"],
                "permissions":["create:competitions"],"feature_flags":{"theme":{"t":"s","v":"pink"}}}"#,
            "kp_0c3ff3d085flo6396as29d4ffee750be7",
            Some("org_1a2b"),
            None,
            Some(&["create:competitions"]),
        );
    }

    #[test]
    fn the_role_is_the_only_one_in_the_token() {
        for (roles, role) in [
            (
                r#"[{"id":"1","key":"admin","name":"Admin"}]"#,
                Some("admin"),
            ),
            (r#"["admin"]"#, Some("admin")),
            (
                r#"[{"id":"1","key":"a","name":"A"},{"id":"2","key":"b","name":"B"}]"#,
                None,
            ),
        ] {
            assert_identity(
                &format!(r#"{{"sub":"kp_1","org_code":"org_1","roles":{roles}}}"#),
                "kp_1",
                Some("org_1"),
                role,
                None,
            );
        }
    }
}
