//! The providers' own vocabulary, turned into rules. What each rule rests on is in docs/providers.md.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::address::{is_local, is_private_on_the_way};
use super::policy::{AudienceRule, Policy, Rules};
use crate::better_auth::tables::problem_with;
use crate::jwt::Error;
use crate::report::shown;

/// What registering a provider stores, but for its name and its keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Registration {
    /// Which preset made it.
    pub preset: String,
    /// Where its keys come from; with an issuer, unique among providers.
    pub key_source: String,
    /// The address of its JWK set, when it has one.
    pub jwks_url: Option<String>,
    /// Whether bare tokens of its sessions are taken; Better Auth's alone are.
    pub allow_bare_sessions: bool,
    /// What Better Auth's tables and columns are called.
    pub better_auth_names: Option<BTreeMap<String, String>>,
    /// The rules for its tokens.
    #[serde(flatten)]
    pub rules: Rules,
}

type Result<T> = std::result::Result<T, Error>;

fn problem<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::InvalidRegistration {
        problem: text.into(),
    })
}

/// Makes the registration of a preset from its arguments, a JSON object.
///
/// # Errors
/// [`Error::InvalidRegistration`], with what is wrong.
pub fn register(preset: &str, arguments: &str) -> Result<Registration> {
    let registration = match preset {
        "clerk" => clerk(read(arguments)?)?,
        "auth0" => auth0(read(arguments)?)?,
        "workos" => workos(read(arguments)?)?,
        "kinde" => kinde(read(arguments)?)?,
        "stytch" => stytch(read(arguments)?, "user", "v1/sessions/jwks")?,
        "stytch_b2b" => stytch(read(arguments)?, "member", "v1/b2b/sessions/jwks")?,
        "better_auth" => better_auth(read(arguments)?)?,
        "custom" => custom(read(arguments)?)?,
        _ => return problem(format!("There is no preset {}.", shown(preset))),
    };
    let registration = Registration {
        preset: preset.to_owned(),
        ..registration
    };
    check(&registration)?;
    Ok(registration)
}

/// The rules of the built-in provider: tokens signed with the secret that the database holds, for
/// the role and the audience that InsForge gives its users' tokens.
#[must_use]
pub fn insforge(role: &str, audience: &str) -> Rules {
    Rules {
        algorithms: types(&["HS256"]),
        audience_rule: AudienceRule::Required,
        audiences: types(&[audience]),
        required_claims: vec![format!("role={role}")],
        // InsForge signs refresh tokens and others with the same secret, and marks them by `type`.
        forbidden_claims: types(&["type"]),
        token_types: types(&["JWT", ""]),
        subject_pattern: Some(".+".to_owned()),
        allow_uuid_subjects: true,
        ..template()
    }
}

fn read<T: DeserializeOwned>(arguments: &str) -> Result<T> {
    serde_json::from_str(arguments).map_err(|error| Error::InvalidRegistration {
        problem: unreadable(&error),
    })
}

/// What is wrong with a JSON object that does not make a struct: the parser's own words without the
/// values, which could be secrets.
#[must_use]
pub fn unreadable(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(&*text, |(text, _)| text);
    match (
        text.strip_prefix("missing field"),
        text.rsplit_once(", expected "),
    ) {
        (Some(name), _) => format!("An argument is missing:{name}."),
        (None, Some((_, expected))) => {
            format!("An argument is missing or of the wrong type: expected {expected}.")
        }
        (None, None) => "An argument is of the wrong type.".to_owned(),
    }
}

fn template() -> Rules {
    Rules {
        issuers: Vec::new(),
        algorithms: vec!["RS256".to_owned()],
        audience_rule: AudienceRule::Ignored,
        audiences: Vec::new(),
        authorized_parties: Vec::new(),
        required_claims: Vec::new(),
        forbidden_claims: Vec::new(),
        token_types: types(&["JWT"]),
        token_categories: Vec::new(),
        max_age_seconds: None,
        leeway_seconds: 5,
        subject_pattern: None,
        subject_prefix: None,
        allow_uuid_subjects: false,
    }
}

fn types(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

/// A registration whose keys are at `jwks_url`.
fn with_jwks(jwks_url: String, rules: Rules) -> Registration {
    Registration {
        preset: String::new(),
        key_source: jwks_url.clone(),
        jwks_url: Some(jwks_url),
        allow_bare_sessions: false,
        better_auth_names: None,
        rules,
    }
}

/// `https://` and a host, from a host or a URL, without a slash at the end.
fn base_url(text: &str) -> String {
    let text = text.trim().trim_end_matches('/');
    if text.contains("://") || text.is_empty() {
        text.to_owned()
    } else {
        format!("https://{text}")
    }
}

/// What must hold for every registration.
fn check(registration: &Registration) -> Result<()> {
    let rules = &registration.rules;
    let policy = match Policy::new(rules.clone()) {
        Ok(policy) => policy,
        Err(text) => return problem(text),
    };
    if rules.issuers.is_empty() {
        return problem("No issuer is named.");
    }
    if policy
        .algorithms()
        .iter()
        .any(|algorithm| algorithm.is_symmetric())
    {
        return problem(
            "Algorithms with a shared secret do not go with public keys: whoever knows the keys could sign.",
        );
    }
    let issuers = rules.issuers.iter().map(|url| ("An issuer", url));
    let jwks_url = registration.jwks_url.iter();
    for (what, url) in issuers.chain(jwks_url.map(|url| ("jwks_url", url))) {
        if url.starts_with("http://") && !is_local(url) {
            return problem(format!(
                "{what} is not https: anybody on the way could change what it says."
            ));
        }
        if url
            .chars()
            .any(|character| character.is_whitespace() || character.is_control())
        {
            return problem(format!("{what} contains white space."));
        }
    }
    match &registration.jwks_url {
        Some(url) if !is_private_on_the_way(url) => {
            problem("jwks_url is not the address of a JWK set: that begins with https://.")
        }
        _ => Ok(()),
    }
}

#[derive(Deserialize)]
struct Clerk {
    frontend_api: String,
    authorized_parties: Option<Vec<String>>,
    audiences: Option<Vec<String>>,
}

fn clerk(arguments: Clerk) -> Result<Registration> {
    let issuer = base_url(&arguments.frontend_api);
    let audiences = arguments.audiences.unwrap_or_default();
    // Session tokens, and those of handshakes; a JWT template's only when their audience is known.
    let mut token_categories = types(&["cl_B7d4PD111AAA", "cl_I7d4PD111III"]);
    let mut audience_rule = AudienceRule::Ignored;
    if !audiences.is_empty() {
        token_categories.push("cl_B7d4PD222AAA".to_owned());
        audience_rule = AudienceRule::Required;
    }
    Ok(with_jwks(
        format!("{issuer}/.well-known/jwks.json"),
        Rules {
            issuers: vec![issuer],
            audience_rule,
            audiences,
            authorized_parties: arguments.authorized_parties.unwrap_or_default(),
            forbidden_claims: types(&["sts=pending"]),
            token_types: types(&["JWT", ""]),
            token_categories,
            // A KSUID is longer than WorkOS' ULID: the same prefix never makes the same user.
            subject_pattern: Some("user_[A-Za-z0-9]{27,}".to_owned()),
            ..template()
        },
    ))
}

#[derive(Deserialize)]
struct Auth0 {
    domain: String,
    audience: String,
    custom_domains: Option<Vec<String>>,
}

fn auth0(arguments: Auth0) -> Result<Registration> {
    let domain = base_url(&arguments.domain);
    let custom = arguments.custom_domains.unwrap_or_default();
    let issuers = custom.iter().map(|domain| base_url(domain));
    Ok(with_jwks(
        format!("{domain}/.well-known/jwks.json"),
        Rules {
            issuers: std::iter::once(domain)
                .chain(issuers)
                .map(|issuer| issuer + "/")
                .collect(),
            audience_rule: AudienceRule::Required,
            audiences: vec![arguments.audience],
            // A token that is bound to a key (RFC 9449) proves nothing without that key.
            forbidden_claims: types(&["gty=client-credentials", "cnf"]),
            token_types: types(&["JWT", "at+jwt"]),
            subject_pattern: Some(r"[^|]+\|.+".to_owned()),
            ..template()
        },
    ))
}

#[derive(Deserialize)]
struct WorkOs {
    client_id: String,
    issuers: Option<Vec<String>>,
}

fn workos(arguments: WorkOs) -> Result<Registration> {
    let client_id = arguments.client_id;
    let usual = || {
        vec![
            "https://api.workos.com".to_owned(),
            format!("https://api.workos.com/user_management/{client_id}"),
        ]
    };
    if client_id.is_empty() || client_id.contains('/') {
        return problem("The client id is the \"client_…\" of the WorkOS dashboard.");
    }
    Ok(with_jwks(
        format!("https://api.workos.com/sso/jwks/{client_id}"),
        Rules {
            issuers: arguments.issuers.unwrap_or_else(usual),
            token_types: types(&["JWT", ""]),
            subject_pattern: Some("user_[0-9A-Z]{26}".to_owned()),
            ..template()
        },
    ))
}

#[derive(Deserialize)]
struct Kinde {
    domain: String,
    audience: Option<String>,
    authorized_parties: Option<Vec<String>>,
}

fn kinde(arguments: Kinde) -> Result<Registration> {
    let issuer = base_url(&arguments.domain);
    let audiences: Vec<_> = arguments.audience.into_iter().collect();
    Ok(with_jwks(
        format!("{issuer}/.well-known/jwks.json"),
        Rules {
            issuers: vec![issuer],
            // Kinde leaves the list empty when no API was asked for, and behind a custom domain.
            audience_rule: if audiences.is_empty() {
                AudienceRule::Ignored
            } else {
                AudienceRule::IfPresent
            },
            audiences,
            authorized_parties: arguments.authorized_parties.unwrap_or_default(),
            // Access tokens list their scopes; ID tokens, for the same users by the same keys, do not.
            required_claims: types(&["scp"]),
            forbidden_claims: types(&["gty=client_credentials"]),
            token_types: types(&["JWT", ""]),
            subject_pattern: Some("kp[_:][0-9A-Za-z_]+".to_owned()),
            ..template()
        },
    ))
}

#[derive(Deserialize)]
struct Stytch {
    project_id: String,
    base_url: Option<String>,
}

fn stytch(arguments: Stytch, subject: &str, path: &str) -> Result<Registration> {
    let project_id = arguments.project_id;
    let base = match arguments.base_url {
        Some(url) => base_url(&url),
        None if project_id.starts_with("project-test-") => "https://test.stytch.com".to_owned(),
        None if project_id.starts_with("project-live-") => "https://api.stytch.com".to_owned(),
        None => {
            return problem("The project id begins with \"project-test-\" or \"project-live-\".");
        }
    };
    Ok(with_jwks(
        format!("{base}/{path}/{project_id}"),
        Rules {
            issuers: vec![format!("stytch.com/{project_id}"), base],
            // The second issuer is every project's: the audience alone tells them apart.
            audience_rule: AudienceRule::Required,
            audiences: vec![project_id],
            // The same keys sign tokens of machines and of connected apps, which have no session.
            required_claims: types(&["https://stytch.com/session"]),
            subject_pattern: Some(format!("{subject}-(test|live)-[0-9a-f-]{{36}}")),
            ..template()
        },
    ))
}

#[derive(Deserialize)]
struct BetterAuth {
    base_url: String,
    schema_name: String,
    allow_bare_sessions: Option<bool>,
    subject_pattern: Option<String>,
    allow_uuid_subjects: Option<bool>,
    names: BTreeMap<String, String>,
    /// The type of the users' ids, where the table is there.
    id_type: Option<String>,
}

fn better_auth(arguments: BetterAuth) -> Result<Registration> {
    let base = base_url(&arguments.base_url);
    let origin = match base.split_once("://") {
        Some((scheme, rest)) => {
            format!("{scheme}://{}", rest.split('/').next().unwrap_or_default())
        }
        None => {
            return problem(
                "The base URL is Better Auth's \"baseURL\", such as https://app.example.com.",
            );
        }
    };
    if let Some(text) = problem_with(&arguments.names) {
        return problem(text);
    }
    let pattern = match (arguments.subject_pattern, arguments.id_type.as_deref()) {
        (Some(pattern), _) => pattern,
        (None, Some("integer" | "bigint" | "smallint")) => "[1-9][0-9]*".to_owned(),
        (None, _) if arguments.allow_uuid_subjects == Some(true) => "[0-9a-f-]{36}".to_owned(),
        (None, Some("uuid")) => {
            return problem(
                "The users' ids are uuids, as those of InsForge's own users are: give allow_uuid_subjects => true.",
            );
        }
        (None, _) => "[A-Za-z0-9]{32}".to_owned(),
    };
    Ok(Registration {
        preset: String::new(),
        key_source: format!("better_auth:{}", arguments.schema_name),
        jwks_url: None,
        allow_bare_sessions: arguments.allow_bare_sessions == Some(true),
        better_auth_names: Some(arguments.names),
        rules: Rules {
            issuers: vec![origin.clone()],
            algorithms: types(&["EdDSA", "ES256", "ES512", "PS256", "RS256"]),
            audience_rule: AudienceRule::Required,
            audiences: vec![origin],
            // Better Auth writes no `typ`, except into the cookie that caches a session.
            token_types: types(&[""]),
            subject_pattern: Some(pattern),
            allow_uuid_subjects: arguments.allow_uuid_subjects.unwrap_or_default(),
            ..template()
        },
    })
}

#[derive(Deserialize)]
struct Custom {
    jwks_url: String,
    #[serde(flatten)]
    rules: Rules,
}

fn custom(arguments: Custom) -> Result<Registration> {
    if arguments.rules.audience_rule == AudienceRule::Ignored
        && arguments.rules.authorized_parties.is_empty()
    {
        return problem(
            "Without an audience or an authorized party, every token of the issuer would be accepted, whomever it is for.",
        );
    }
    Ok(with_jwks(arguments.jwks_url, arguments.rules))
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex_lite::Regex;

    /// A preset, arguments for it, and a user's id as the provider's documentation shows it.
    const USERS: [(&str, &str, &str); 7] = [
        (
            "clerk",
            r#"{"frontend_api": "clerk.example.com"}"#,
            "user_29w83sxmDNGwOuEthce5gg56FcC",
        ),
        (
            "auth0",
            r#"{"domain": "t.auth0.com", "audience": "api"}"#,
            "auth0|6553da60a54af58e29493993",
        ),
        (
            "workos",
            r#"{"client_id": "client_1"}"#,
            "user_01HBEQKA6K4QJAS93VPE39W1JT",
        ),
        (
            "kinde",
            r#"{"domain": "x.kinde.com"}"#,
            "kp_0c3ff3d085fdea6396b29d4ffee750be",
        ),
        (
            "stytch",
            r#"{"project_id": "project-test-1"}"#,
            "user-test-16d9ba61-97a1-4ba4-9720-b03761dc50c6",
        ),
        (
            "stytch_b2b",
            r#"{"project_id": "project-live-1"}"#,
            "member-live-32fc5024-9c09-4da3-bd2e-c9ce4da9375f",
        ),
        (
            "better_auth",
            r#"{"base_url": "http://localhost:3000/api", "schema_name": "better_auth", "names": {}}"#,
            "Tx4sPhJ8vqGm2RkNd7WbYc3LfZa9UeQ1",
        ),
    ];

    #[test]
    fn no_preset_takes_the_users_of_another() {
        for (preset, arguments, _) in USERS {
            let pattern = register(preset, arguments)
                .unwrap()
                .rules
                .subject_pattern
                .unwrap();
            let pattern = Regex::new(&format!("^(?:{pattern})$")).unwrap();
            for (owner, _, user) in USERS {
                assert_eq!(pattern.is_match(user), owner == preset, "{preset}: {user}");
            }
        }
    }

    #[test]
    fn addresses_are_derived_as_the_providers_document_them() {
        let derived = |preset, arguments| {
            let registration = register(preset, arguments).unwrap();
            (registration.rules.issuers, registration.jwks_url)
        };
        let (issuers, jwks_url) = derived(
            "auth0",
            r#"{"domain": "https://t.eu.auth0.com/", "audience": "api",
            "custom_domains": ["login.example.com"]}"#,
        );
        assert_eq!(
            issuers,
            ["https://t.eu.auth0.com/", "https://login.example.com/"]
        );
        assert_eq!(
            jwks_url.as_deref(),
            Some("https://t.eu.auth0.com/.well-known/jwks.json")
        );
        let (issuers, jwks_url) = derived("stytch_b2b", r#"{"project_id": "project-live-1"}"#);
        assert_eq!(
            issuers,
            ["stytch.com/project-live-1", "https://api.stytch.com"]
        );
        assert_eq!(
            jwks_url.as_deref(),
            Some("https://api.stytch.com/v1/b2b/sessions/jwks/project-live-1")
        );
        let (issuers, jwks_url) = derived(
            "better_auth",
            r#"{"base_url": "http://localhost:3000/api/auth", "schema_name": "b", "names": {}}"#,
        );
        assert_eq!(
            (issuers, jwks_url),
            (vec!["http://localhost:3000".to_owned()], None)
        );
    }
}
