//! Any issuer that publishes a discovery document: Keycloak, Zitadel, Logto, Cognito, Firebase,
//! Microsoft Entra, Supabase Auth, and others.

use serde::Deserialize;

use super::mapping::Mapping;
use super::registration::{
    Preset, Registration, Result, read_arguments, refuse, texts, usual_rules,
};
use crate::jwt::discovery;
use crate::jwt::policy::{AudienceRule, Rules};

pub(super) const PRESET: Preset = Preset {
    name: "oidc",
    example: (
        r#"{"name": "oidc", "issuer": "https://i.example", "audience": "api", "subject_prefix": "", "subject_pattern": "[0-9]{18}",
            "document": "{\"issuer\": \"https://i.example\", \"jwks_uri\": \"https://i.example/keys\"}"}"#,
        "312454532645128197",
    ),
    register: |arguments| register(read_arguments(arguments)?),
    membership: None,
};

/// What marks tokens that are not an access token of a user. Each mark belongs to the issuers named
/// beside it.
const OTHER_TOKENS: [&str; 8] = [
    // A token that is bound to a key (RFC 7800) proves nothing without that key.
    "cnf",
    // Logout tokens and security events (RFC 8417).
    "events",
    // ID tokens of Keycloak, which have the same audience and party as the client's access tokens.
    "typ=ID",
    // Keycloak's service accounts.
    "clientHost",
    "clientAddress",
    // Microsoft Entra's applications, if the optional claim is on.
    "idtyp=app",
    // Client credentials of Auth0 and Kinde.
    "gty=client-credentials",
    "gty=client_credentials",
];

#[derive(Deserialize)]
struct Arguments {
    name: String,
    issuer: String,
    document: String,
    audience: Option<String>,
    audiences: Option<Vec<String>>,
    authorized_parties: Option<Vec<String>>,
    required_claims: Option<Vec<String>>,
    forbidden_claims: Option<Vec<String>>,
    token_types: Option<Vec<String>>,
    max_age_seconds: Option<u32>,
    subject_pattern: Option<String>,
    subject_prefix: Option<String>,
    allow_uuid_subjects: Option<bool>,
    #[serde(flatten)]
    mapping: Mapping,
}

fn register(arguments: Arguments) -> Result<Registration> {
    let issuer = arguments.issuer;
    let mut audiences = arguments.audiences.unwrap_or_default();
    audiences.extend(arguments.audience);
    let authorized_parties = arguments.authorized_parties.unwrap_or_default();
    // Each client of WorkOS is an issuer of its own, and the tokens name no audience.
    let is_one_client = issuer.starts_with("https://api.workos.com/user_management/client_");
    if audiences.is_empty() && authorized_parties.is_empty() && !is_one_client {
        return refuse(
            "Name an audience or an authorized party. Otherwise every token of the issuer would be accepted, also tokens for other applications. audience: \"aud\" of your application's access tokens. authorized_parties: the client ids of your applications, which the tokens name in \"azp\" or \"client_id\".",
        );
    }
    let discovery_url = discovery::address(&issuer).or_else(refuse)?;
    let discovered = discovery::read(&arguments.document, &issuer).or_else(refuse)?;
    let algorithms = discovered.algorithms.iter().map(|one| one.name());
    let mut forbidden_claims = texts(&OTHER_TOKENS);
    forbidden_claims.extend(arguments.forbidden_claims.unwrap_or_default());
    let rules = Rules {
        algorithms: algorithms.map(str::to_owned).collect(),
        issuers: vec![issuer],
        audience_rule: match audiences.is_empty() {
            true => AudienceRule::Ignored,
            false => AudienceRule::Required,
        },
        audiences,
        authorized_parties,
        required_claims: arguments.required_claims.unwrap_or_default(),
        forbidden_claims,
        token_types: (arguments.token_types).unwrap_or_else(|| texts(&["JWT", "at+jwt", ""])),
        max_age_seconds: arguments.max_age_seconds,
        subject_pattern: arguments.subject_pattern,
        // Most issuers' users have UUIDs, as InsForge's own users do. The prefix keeps them apart.
        subject_prefix: Some(
            (arguments.subject_prefix).unwrap_or_else(|| format!("{}:", arguments.name)),
        ),
        allow_uuid_subjects: arguments.allow_uuid_subjects.unwrap_or_default(),
        ..usual_rules()
    };
    Ok(Registration {
        discovery_url: Some(discovery_url),
        mapping: arguments.mapping,
        ..Registration::with_jwks(discovered.jwks_uri, rules)
    })
}
