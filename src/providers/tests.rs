//! What holds for all providers, and the assertions that their own tests make.

use regex_lite::Regex;

use super::*;
use crate::identity::Identity;
use crate::json::strict::parse_object;

/// Asserts who a claims set speaks of, in `request.jwt.claims` and in a token.
pub(super) fn assert_identity(
    claims: &str,
    user_id: &str,
    org_id: Option<&str>,
    org_role: Option<&str>,
    permissions: Option<&[&str]>,
) {
    let expected = Membership {
        org_id: org_id.map(str::to_owned),
        org_role: org_role.map(str::to_owned),
        permissions: permissions.map(|list| list.iter().map(|text| (*text).to_owned()).collect()),
    };
    let token = parse_object(claims.as_bytes()).unwrap();
    assert_eq!(membership(&Claims::OfToken(&token)), expected, "{claims}");
    assert_eq!(
        Identity::from_claims(claims).unwrap(),
        Identity::new(Some(user_id.to_owned()), expected),
        "{claims}"
    );
}

/// Asserts the issuers and the address of the keys that a registration makes.
pub(super) fn assert_addresses(
    preset: &str,
    arguments: &str,
    issuers: &[&str],
    jwks_url: Option<&str>,
) {
    let registration = register(preset, arguments).unwrap();
    assert_eq!(registration.rules.issuers, issuers);
    assert_eq!(registration.jwks_url.as_deref(), jwks_url);
}

#[test]
fn no_preset_takes_the_users_of_another() {
    for preset in PRESETS {
        let registration = register(preset.name, preset.example.0).unwrap();
        let pattern = registration.rules.subject_pattern.unwrap();
        let pattern = Regex::new(&format!("^(?:{pattern})$")).unwrap();
        for owner in PRESETS {
            let user = owner.example.1;
            assert_eq!(
                pattern.is_match(user),
                owner.name == preset.name,
                "{}: {user}",
                preset.name
            );
        }
    }
}
