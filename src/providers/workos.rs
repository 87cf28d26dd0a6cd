//! WorkOS AuthKit's session tokens.

use serde::Deserialize;

use super::argument::Argument;
use super::claims::{Claims, Membership};
use super::registration::{Preset, Registration, Result, read_arguments, texts, usual_rules};
use crate::jwt::policy::Rules;

pub(super) const PRESET: Preset = Preset {
    name: "workos",
    example: (
        r#"{"client_id": "client_1"}"#,
        "user_01HBEQKA6K4QJAS93VPE39W1JT",
    ),
    register: |arguments| register(read_arguments(arguments)?),
    membership: Some(membership),
};

#[derive(Deserialize)]
struct Arguments {
    client_id: String,
    issuers: Option<Vec<String>>,
}

const CLIENT_ID: Argument = Argument {
    name: "client_id",
    meaning: "the client id of the WorkOS dashboard, which begins with client_",
};

fn register(arguments: Arguments) -> Result<Registration> {
    // WorkOS' first environments have client ids that begin with project_.
    let client_id = CLIENT_ID.id(&arguments.client_id, &["client_", "project_"])?;
    let usual = || {
        vec![
            "https://api.workos.com".to_owned(),
            format!("https://api.workos.com/user_management/{client_id}"),
        ]
    };
    Ok(Registration::with_jwks(
        format!("https://api.workos.com/sso/jwks/{client_id}"),
        Rules {
            issuers: arguments.issuers.unwrap_or_else(usual),
            token_types: texts(&["JWT", ""]),
            subject_pattern: Some("user_[0-9A-Z]{26}".to_owned()),
            ..usual_rules()
        },
    ))
}

/// Database roles. PostgREST and InsForge read them from `role`, where WorkOS puts the role in the
/// organisation.
const DATABASE_ROLES: [&str; 3] = ["anon", "authenticated", "project_admin"];

/// WorkOS puts the role in the organisation into `role`, or into `user_role` if a JWT template
/// writes the database role into `role`. Other issuers use `role` differently, so WorkOS' mark is
/// the form of its session ids.
fn membership(claims: &Claims) -> Option<Membership> {
    claims
        .text("sid")
        .filter(|session| session.starts_with("session_"))?;
    let membership = Membership::at_the_top_level(claims);
    membership.org_id.as_ref()?;
    let role = || {
        claims
            .text("role")
            .filter(|role| !DATABASE_ROLES.contains(&role.as_str()))
            .or_else(|| claims.text("user_role"))
    };
    Some(Membership {
        org_role: membership.org_role.or_else(role),
        ..membership
    })
}

#[cfg(test)]
mod tests {
    use crate::providers::tests::assert_identity;

    #[test]
    fn the_role_in_the_organization_is_in_role() {
        assert_identity(
            r#"{"iss":"https://api.workos.com","sub":"user_01HBEQKA6K4QJAS93VPE39W1JT","sid":"session_01HQSXZGF8FHF7A9ZZFCW4387R",
                "org_id":"org_01HRDMC6CM357W30QMHMQ96Q0S","role":"member","roles":["member"],"permissions":["posts:read"],
                "entitlements":["audit-logs"]}"#,
            "user_01HBEQKA6K4QJAS93VPE39W1JT",
            Some("org_01HRDMC6CM357W30QMHMQ96Q0S"),
            Some("member"),
            Some(&["posts:read"]),
        );
    }

    #[test]
    fn the_database_role_in_role_leaves_user_role() {
        assert_identity(
            r#"{"sub":"user_01H","sid":"session_01H","org_id":"org_01H","role":"authenticated","user_role":"admin"}"#,
            "user_01H",
            Some("org_01H"),
            Some("admin"),
            None,
        );
    }

    #[test]
    fn a_role_outside_workos_is_not_a_role_in_an_organization() {
        for (claims, org) in [
            (r#"{"sub":"u","org_id":"o","role":"admin"}"#, Some("o")),
            (r#"{"sub":"u","sid":"session_1","role":"admin"}"#, None),
            (
                r#"{"sub":"u","sid":"session_1","org_id":"o","role":"anon"}"#,
                Some("o"),
            ),
        ] {
            assert_identity(claims, "u", org, None, None);
        }
    }
}
