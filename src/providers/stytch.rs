//! Stytch's session JWTs, of consumer and of B2B projects.

use serde::Deserialize;

use super::argument::Argument;
use super::claims::{Claims, Membership, single};
use super::registration::{Preset, Registration, Result, read_arguments, texts, usual_rules};
use crate::jwt::policy::{AudienceRule, Rules};

pub(super) const CONSUMER: Preset = Preset {
    name: "stytch",
    example: (
        r#"{"project_id": "project-test-1"}"#,
        "user-test-16d9ba61-97a1-4ba4-9720-b03761dc50c6",
    ),
    register: |arguments| register(read_arguments(arguments)?, "user", "v1/sessions/jwks"),
    membership: Some(membership),
};

pub(super) const B2B: Preset = Preset {
    name: "stytch_b2b",
    example: (
        r#"{"project_id": "project-live-1"}"#,
        "member-live-32fc5024-9c09-4da3-bd2e-c9ce4da9375f",
    ),
    register: |arguments| register(read_arguments(arguments)?, "member", "v1/b2b/sessions/jwks"),
    membership: Some(membership),
};

/// Claims that only Stytch's sessions have. Consumer projects have only the first.
const SESSION: &str = "https://stytch.com/session";
const ORGANIZATION: &str = "https://stytch.com/organization";

#[derive(Deserialize)]
struct Arguments {
    project_id: String,
    base_url: Option<String>,
}

const PROJECT_ID: Argument = Argument {
    name: "project_id",
    meaning: "the project id of the Stytch dashboard, which begins with project-test- or project-live-",
};
const BASE_URL: Argument = Argument {
    name: "base_url",
    meaning: "the custom base URL of the project, such as https://login.example.com",
};

fn register(arguments: Arguments, subject: &str, path: &str) -> Result<Registration> {
    let project_id = PROJECT_ID.id(&arguments.project_id, &["project-test-", "project-live-"])?;
    let base = match arguments.base_url {
        Some(url) => BASE_URL.base_url(&url)?,
        None if project_id.starts_with("project-test-") => "https://test.stytch.com".to_owned(),
        None => "https://api.stytch.com".to_owned(),
    };
    Ok(Registration::with_jwks(
        format!("{base}/{path}/{project_id}"),
        Rules {
            issuers: vec![format!("stytch.com/{project_id}"), base],
            // All projects share the second issuer. Only the audience tells them apart.
            audience_rule: AudienceRule::Required,
            audiences: vec![project_id],
            // The same keys sign tokens of machines and connected apps. These have no session.
            required_claims: texts(&[SESSION]),
            subject_pattern: Some(format!("{subject}-(test|live)-[0-9a-f-]{{36}}")),
            ..usual_rules()
        },
    ))
}

/// The roles that every Stytch user or member has.
const IMPLICIT_ROLES: [&str; 2] = ["stytch_member", "stytch_user"];

fn membership(claims: &Claims) -> Option<Membership> {
    #[derive(Deserialize)]
    struct Session {
        #[serde(default)]
        roles: Vec<String>,
    }
    #[derive(Deserialize)]
    struct Organization {
        organization_id: String,
    }

    if !claims.has(SESSION) {
        return None;
    }
    let Some(organization) = claims.get::<Organization>(ORGANIZATION) else {
        return Some(Membership::default());
    };
    let roles = claims
        .get::<Session>(SESSION)
        .map(|session| session.roles)
        .unwrap_or_default();
    let (implicit, assigned): (Vec<_>, Vec<_>) = roles
        .into_iter()
        .partition(|role| IMPLICIT_ROLES.contains(&role.as_str()));
    Some(Membership {
        org_id: Some(organization.organization_id).filter(|id| !id.is_empty()),
        org_role: single(if assigned.is_empty() {
            implicit
        } else {
            assigned
        }),
        permissions: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::providers::tests::{assert_addresses, assert_identity};

    #[test]
    fn keys_are_those_of_the_project() {
        assert_addresses(
            "stytch_b2b",
            r#"{"project_id": "project-live-1"}"#,
            &["stytch.com/project-live-1", "https://api.stytch.com"],
            Some("https://api.stytch.com/v1/b2b/sessions/jwks/project-live-1"),
        );
    }

    #[test]
    fn a_consumer_has_no_organization() {
        assert_identity(
            r#"{"iss":"stytch.com/project-test-1","aud":["project-test-1"],"sub":"user-test-2873cab5",
                "https://stytch.com/session":{"id":"session-test-1","roles":["stytch_user"]}}"#,
            "user-test-2873cab5",
            None,
            None,
            None,
        );
    }

    #[test]
    fn a_members_role_is_the_one_that_was_assigned() {
        for (roles, role) in [
            (r#"["stytch_member","editor"]"#, Some("editor")),
            (r#"["stytch_member"]"#, Some("stytch_member")),
            (r#"["stytch_member","editor","billing"]"#, None),
            ("[]", None),
        ] {
            assert_identity(
                &format!(
                    r#"{{"sub":"member-test-1","https://stytch.com/session":{{"id":"session-test-1","roles":{roles}}},
                        "https://stytch.com/organization":{{"organization_id":"organization-test-9","slug":"acme"}}}}"#
                ),
                "member-test-1",
                Some("organization-test-9"),
                role,
                None,
            );
        }
    }
}
