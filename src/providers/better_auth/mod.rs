//! Better Auth, whose tables are in this database: the tokens of its jwt plugin, and its sessions.

pub mod session;
pub mod tables;

use std::collections::BTreeMap;

use serde::Deserialize;

use super::mapping::Mapping;
use super::registration::{
    Preset, Registration, Result, base_url, read_arguments, refuse, texts, usual_rules,
};
use crate::jwt::policy::{AudienceRule, Rules};

pub(super) const PRESET: Preset = Preset {
    name: "better_auth",
    example: (
        r#"{"base_url": "http://localhost:3000/api", "schema_name": "better_auth", "names": {}}"#,
        "Tx4sPhJ8vqGm2RkNd7WbYc3LfZa9UeQ1",
    ),
    register: |arguments| register(read_arguments(arguments)?),
    membership: None,
};

#[derive(Deserialize)]
struct Arguments {
    base_url: String,
    schema_name: String,
    allow_bare_sessions: Option<bool>,
    subject_pattern: Option<String>,
    allow_uuid_subjects: Option<bool>,
    names: BTreeMap<String, String>,
    /// The type of the users' ids, if the table exists.
    id_type: Option<String>,
}

fn register(arguments: Arguments) -> Result<Registration> {
    let base = base_url(&arguments.base_url);
    let origin = match base.split_once("://") {
        Some((scheme, rest)) => {
            format!("{scheme}://{}", rest.split('/').next().unwrap_or_default())
        }
        None => {
            return refuse(
                "The base URL is Better Auth's \"baseURL\", such as https://app.example.com.",
            );
        }
    };
    if let Some(problem) = tables::problem_with(&arguments.names) {
        return refuse(problem);
    }
    let pattern = match (arguments.subject_pattern, arguments.id_type.as_deref()) {
        (Some(pattern), _) => pattern,
        (None, Some("integer" | "bigint" | "smallint")) => "[1-9][0-9]*".to_owned(),
        (None, _) if arguments.allow_uuid_subjects == Some(true) => "[0-9a-f-]{36}".to_owned(),
        (None, Some("uuid")) => {
            return refuse(
                "The users' ids are uuids, as those of InsForge's own users are: give allow_uuid_subjects => true.",
            );
        }
        (None, _) => "[A-Za-z0-9]{32}".to_owned(),
    };
    Ok(Registration {
        preset: String::new(),
        key_source: format!("better_auth:{}", arguments.schema_name),
        jwks_url: None,
        discovery_url: None,
        allow_bare_sessions: arguments.allow_bare_sessions == Some(true),
        better_auth_names: Some(arguments.names),
        rules: Rules {
            issuers: vec![origin.clone()],
            algorithms: texts(&["EdDSA", "ES256", "ES512", "PS256", "RS256"]),
            audience_rule: AudienceRule::Required,
            audiences: vec![origin],
            // Only the cookie that caches a session has a `typ`.
            token_types: texts(&[""]),
            subject_pattern: Some(pattern),
            allow_uuid_subjects: arguments.allow_uuid_subjects.unwrap_or_default(),
            ..usual_rules()
        },
        mapping: Mapping::default(),
    })
}

#[cfg(test)]
mod tests {
    use crate::providers::tests::{assert_addresses, assert_identity};

    #[test]
    fn the_issuer_is_the_origin_of_the_base_url() {
        assert_addresses(
            "better_auth",
            r#"{"base_url": "http://localhost:3000/api/auth", "schema_name": "b", "names": {}}"#,
            &["http://localhost:3000"],
            None,
        );
    }

    #[test]
    fn a_users_own_role_is_not_one_in_an_organization() {
        assert_identity(
            r#"{"id":"abc","sub":"abc","email":"a@b.c","emailVerified":true,"role":"admin","iss":"http://localhost:3000","aud":"http://localhost:3000"}"#,
            "abc",
            None,
            None,
            None,
        );
    }
}
