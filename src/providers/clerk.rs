//! Clerk's session tokens, of versions 1 and 2, and the tokens of its JWT templates.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::Deserialize;

use super::argument::{Argument, origin};
use super::claims::{Claims, Membership};
use super::registration::{Preset, Registration, Result, read_arguments, texts, usual_rules};
use crate::jwt::policy::{AudienceRule, AuthorizedPartyRule, Rules};

pub(super) const PRESET: Preset = Preset {
    name: "clerk",
    example: (
        r#"{"frontend_api": "clerk.example.com"}"#,
        "user_29w83sxmDNGwOuEthce5gg56FcC",
    ),
    register: |arguments| register(read_arguments(arguments)?),
    membership: Some(membership),
};

#[derive(Deserialize)]
struct Arguments {
    frontend_api: String,
    authorized_parties: Option<Vec<String>>,
    authorized_party_rule: Option<AuthorizedPartyRule>,
    audiences: Option<Vec<String>>,
}

const FRONTEND_API: Argument = Argument {
    name: "frontend_api",
    meaning: "the Frontend API URL, such as https://clerk.example.com, or the publishable key",
};

/// The host that a publishable key names: base64 of the host and a dollar sign.
fn frontend_api(text: &str) -> Result<String> {
    let text = text.trim();
    let mut keys = ["pk_live_", "pk_test_"].into_iter();
    let Some(encoded) = keys.find_map(|start| text.strip_prefix(start)) else {
        return FRONTEND_API.base_url(text);
    };
    let decoded = STANDARD_NO_PAD.decode(encoded.trim_end_matches('='));
    let decoded = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded.as_deref().and_then(|text| text.strip_suffix('$')) {
        Some(host) if host.contains('.') => FRONTEND_API.domain(host),
        _ => FRONTEND_API.refuse("is a publishable key of which a part is missing"),
    }
}

fn register(arguments: Arguments) -> Result<Registration> {
    let issuer = frontend_api(&arguments.frontend_api)?;
    let parties = arguments.authorized_parties.unwrap_or_default();
    let parties: Result<Vec<_>> = parties.iter().map(|party| origin(party)).collect();
    let audiences = arguments.audiences.unwrap_or_default();
    // Session tokens and handshake tokens. Tokens of JWT templates only if their audience is known.
    let mut token_categories = texts(&["cl_B7d4PD111AAA", "cl_I7d4PD111III"]);
    let mut audience_rule = AudienceRule::Ignored;
    if !audiences.is_empty() {
        token_categories.push("cl_B7d4PD222AAA".to_owned());
        audience_rule = AudienceRule::Required;
    }
    Ok(Registration::with_jwks(
        format!("{issuer}/.well-known/jwks.json"),
        Rules {
            issuers: vec![issuer],
            audience_rule,
            audiences,
            authorized_parties: parties?,
            authorized_party_rule: arguments.authorized_party_rule.unwrap_or_default(),
            forbidden_claims: texts(&["sts=pending"]),
            token_types: texts(&["JWT", ""]),
            token_categories,
            // WorkOS has the same prefix, but its ULIDs are shorter than these KSUIDs.
            subject_pattern: Some("user_[A-Za-z0-9]{27,}".to_owned()),
            ..usual_rules()
        },
    ))
}

/// Reads version 2 (since 2025-04), which has `v`, and `o` while an organisation is active. Version
/// 1 names the organisation at the top level.
fn membership(claims: &Claims) -> Option<Membership> {
    let is_version_2 = claims.get::<u32>("v").is_some() || claims.has("o");
    is_version_2.then(|| {
        let Some(organization) = claims.get::<Organization>("o") else {
            return Membership::default();
        };
        let features = claims.text("fea");
        Membership {
            permissions: Some(organization.permissions(features.as_deref())),
            org_id: organization.id.filter(|id| !id.is_empty()),
            org_role: organization
                .rol
                .filter(|role| !role.is_empty())
                .map(|role| format!("org:{role}")),
        }
    })
}

/// The claim `o`.
///
/// The claim `fea` lists features with their scopes: `o:dashboard,u:beta,ou:teams`. `per` lists
/// names of permissions. `fpm` has a decimal bit mask for each feature of the organisation; the
/// lowest bit stands for the first permission. A permission is written
/// `org:<feature>:<permission>`.
#[derive(Debug, Deserialize)]
struct Organization {
    id: Option<String>,
    /// The role without its prefix `org:`, which version 1 tokens and Clerk's own checks have.
    rol: Option<String>,
    per: Option<String>,
    fpm: Option<String>,
}

/// The most digits of a mask. A longer one would name thousands of permissions and is not decoded.
const MAX_MASK_DIGITS: usize = 1_000;

impl Organization {
    /// The permissions in Clerk's own spelling, in the order of the features.
    fn permissions(&self, features: Option<&str>) -> Vec<String> {
        let (Some(features), Some(names), Some(masks)) = (features, &self.per, &self.fpm) else {
            return Vec::new();
        };
        let names: Vec<&str> = names.split(',').map(str::trim).collect();
        let masks = masks.split(',').map(str::trim);
        let mut permissions = Vec::new();
        for (feature, mask) in organization_features(features).zip(masks) {
            let granted = names.iter().zip(bits(mask)).filter(|(_, granted)| *granted);
            permissions.extend(granted.map(|(name, _)| format!("org:{feature}:{name}")));
        }
        permissions
    }
}

/// The features of `fea` that belong to the organisation, not to the user.
fn organization_features(features: &str) -> impl Iterator<Item = &str> {
    features.split(',').filter_map(|feature| {
        let (scope, name) = feature.trim().split_once(':')?;
        scope.contains('o').then_some(name)
    })
}

/// The bits of a decimal number of any length, lowest first. Other text has no bits.
fn bits(decimal: &str) -> Vec<bool> {
    let is_number = decimal.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || decimal.len() > MAX_MASK_DIGITS {
        return Vec::new();
    }
    let mut digits: Vec<u8> = decimal.bytes().map(|byte| byte - b'0').collect();
    let mut bits = Vec::new();
    while digits.iter().any(|digit| *digit != 0) {
        let mut remainder = 0;
        for digit in &mut digits {
            let value = remainder * 10 + *digit;
            *digit = value / 2;
            remainder = value % 2;
        }
        bits.push(remainder == 1);
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::providers::tests::assert_identity;

    #[test]
    fn version_2_with_an_organization() {
        assert_identity(
            r#"{"v":2,"sub":"user_2abc","sid":"sess_1","sts":"active","fea":"o:dashboard,o:teams","pla":"o:pro",
                "o":{"id":"org_2x","slg":"acme","rol":"admin","per":"manage,read","fpm":"3,2"}}"#,
            "user_2abc",
            Some("org_2x"),
            Some("org:admin"),
            Some(&[
                "org:dashboard:manage",
                "org:dashboard:read",
                "org:teams:read",
            ]),
        );
    }

    #[test]
    fn version_2_without_an_organization() {
        assert_identity(
            r#"{"v":2,"sub":"user_2abc","fea":"u:beta","pla":"u:free"}"#,
            "user_2abc",
            None,
            None,
            None,
        );
    }

    #[test]
    fn version_2_takes_nothing_from_claims_of_other_shapes() {
        assert_identity(
            r#"{"v":2,"sub":"user_2abc","org_id":"org_other","org_role":"org:admin","permissions":["all"]}"#,
            "user_2abc",
            None,
            None,
            None,
        );
    }

    #[test]
    fn version_2_with_a_broken_organization_grants_nothing() {
        for o in ["[]", "\"org_2x\"", "{\"id\":7}"] {
            let claims = format!(r#"{{"v":2,"sub":"u","o":{o}}}"#);
            assert_identity(&claims, "u", None, None, None);
        }
        // The strict reader refuses a token with this.
        let twice = r#"{"v":2,"sub":"u","o":{"id":"a","id":"b"}}"#;
        assert_eq!(Identity::from_claims(twice).unwrap().org_id, None);
    }

    #[test]
    fn version_1() {
        assert_identity(
            r#"{"sub":"user_2abc","sid":"sess_1","org_id":"org_2x","org_role":"org:admin","org_slug":"acme",
                "org_permissions":["org:teams:read"]}"#,
            "user_2abc",
            Some("org_2x"),
            Some("org:admin"),
            Some(&["org:teams:read"]),
        );
    }

    fn permissions(fea: Option<&str>, per: &str, fpm: &str) -> Vec<String> {
        let organization = Organization {
            id: None,
            rol: None,
            per: Some(per.to_owned()),
            fpm: Some(fpm.to_owned()),
        };
        organization.permissions(fea)
    }

    /// The example of Clerk's documentation of session tokens.
    #[test]
    fn decodes_the_documented_example() {
        assert_eq!(
            permissions(Some("o:dashboard,o:teams"), "manage,read", "3,2"),
            [
                "org:dashboard:manage",
                "org:dashboard:read",
                "org:teams:read"
            ]
        );
    }

    #[test]
    fn features_of_the_user_take_no_mask() {
        assert_eq!(
            permissions(Some("u:beta,ou:teams,o:billing"), "read", "1,1"),
            ["org:teams:read", "org:billing:read"]
        );
    }

    #[test]
    fn a_mask_may_be_wider_than_any_machine_integer() {
        let names: Vec<String> = (0..200).map(|index| format!("p{index}")).collect();
        // 2^199: only the two hundredth permission.
        let mask = "803469022129495137770981046170581301261101496891396417650688";
        assert_eq!(
            permissions(Some("o:f"), &names.join(","), mask),
            ["org:f:p199"]
        );
    }

    #[test]
    fn what_is_not_a_mask_grants_nothing() {
        for mask in [
            "",
            "x",
            "-1",
            "0x3",
            "1e3",
            "٣",
            &"9".repeat(MAX_MASK_DIGITS + 1),
        ] {
            assert_eq!(
                permissions(Some("o:f"), "read", mask),
                Vec::<String>::new(),
                "{mask}"
            );
        }
    }

    #[test]
    fn without_features_there_are_no_permissions() {
        assert_eq!(permissions(None, "read", "1"), Vec::<String>::new());
    }
}
