//! Any other issuer of signed tokens. The arguments of `register_auth_provider()` are its rules.

use serde::Deserialize;

use super::mapping::Mapping;
use super::registration::{Preset, Registration, Result, read_arguments, refuse};
use crate::jwt::policy::{AudienceRule, Rules};

pub(super) const PRESET: Preset = Preset {
    name: "custom",
    example: (
        r#"{"issuers": ["https://i.example"], "jwks_url": "https://i.example/jwks", "algorithms": ["EdDSA"],
            "audience_rule": "required", "audiences": ["api"], "authorized_parties": [], "required_claims": [],
            "forbidden_claims": [], "token_types": ["JWT"], "token_categories": [], "max_age_seconds": null,
            "subject_pattern": "i:.+", "subject_prefix": null, "allow_uuid_subjects": false}"#,
        "i:1",
    ),
    register: |arguments| register(read_arguments(arguments)?),
    membership: None,
};

#[derive(Deserialize)]
struct Arguments {
    jwks_url: String,
    #[serde(flatten)]
    rules: Rules,
    #[serde(flatten)]
    mapping: Mapping,
}

fn register(arguments: Arguments) -> Result<Registration> {
    let Arguments {
        jwks_url,
        rules,
        mapping,
    } = arguments;
    if rules.audience_rule == AudienceRule::Ignored && rules.authorized_parties.is_empty() {
        return refuse(
            "Name an audience or an authorized party. Otherwise every token of the issuer would be accepted, also tokens for other applications.",
        );
    }
    Ok(Registration {
        mapping,
        ..Registration::with_jwks(jwks_url, rules)
    })
}
