//! What holds for all providers, and the assertions that their own tests make.

use proptest::prelude::*;
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

/// A new provider has three places besides its file: its function, its guide, and its test vectors,
/// which the suite `provider_tokens` asks for.
#[test]
fn every_preset_has_a_function_and_a_guide() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap();
    let script = read(root.join("sql/register.sql"));
    let pages: Vec<String> = std::fs::read_dir(root.join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(read)
        .collect();
    for preset in PRESETS {
        let function = match preset.name {
            "custom" => "register_auth_provider(".to_owned(),
            "oidc" => "register_oidc_provider(".to_owned(),
            name => format!("register_{name}("),
        };
        let call = format!("'{}', jsonb_build_object(", preset.name);
        let made = format!("CREATE FUNCTION insforge_integrations.{function}");
        assert!(script.contains(&made) && script.contains(&call), "{made}");
        assert!(
            pages.iter().any(|page| page.contains(&function)),
            "no guide calls {function}"
        );
    }
}

/// Claims with the names and values that decide what a provider's file reads, and others.
pub(crate) fn any_claims() -> impl Strategy<Value = String> {
    let names = "v o fea https://stytch.com/session https://stytch.com/organization org_code roles sid \
                 org_id org_role role user_role permissions org_permissions x";
    let names: Vec<_> = names.split(' ').collect();
    let values = vec![
        "null",
        "true",
        "2",
        "-0",
        "2.0",
        "18446744073709551616",
        r#""""#,
        r#""session_1""#,
        r#""authenticated""#,
        r#""o:notes,u:beta""#,
        "[]",
        r#"["admin"]"#,
        r#"["stytch_member", "admin"]"#,
        r#"["read", 1]"#,
        r#"[{"key": "admin"}]"#,
        r#"{"id": "org_1", "rol": "admin", "per": "read,write", "fpm": "3"}"#,
        r#"{"id": null}"#,
        r#"{"organization_id": "org_2"}"#,
        r#"{"roles": ["admin"]}"#,
        r#"{"roles": null}"#,
    ];
    let (name, value) = (prop::sample::select(names), prop::sample::select(values));
    let members = prop::collection::btree_map(name, value, 0..9);
    members.prop_map(|members| {
        let written = members
            .iter()
            .map(|(name, value)| format!("\"{name}\": {value}"));
        format!("{{{}}}", written.collect::<Vec<_>>().join(", "))
    })
}

proptest! {
    #[test]
    fn claims_of_a_request_and_of_a_token_are_read_alike(claims in any_claims()) {
        let token = parse_object(claims.as_bytes()).unwrap();
        let membership = membership(&Claims::OfToken(&token));
        let identity = Identity::from_claims(&claims).unwrap();
        prop_assert_eq!(identity, Identity::new(None, membership));
    }
}
