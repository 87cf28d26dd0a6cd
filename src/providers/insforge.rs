//! InsForge's own tokens, signed with the secret that the database stores. This provider is built
//! in and cannot be registered.

use super::claims::{Claims, Membership};
use super::registration::{texts, usual_rules};
use crate::jwt::policy::{AudienceRule, Rules};

/// Its name.
pub const NAME: &str = "insforge";

/// The rules for users' tokens, which have this role and this audience.
#[must_use]
pub fn rules(role: &str, audience: &str) -> Rules {
    Rules {
        algorithms: texts(&["HS256"]),
        audience_rule: AudienceRule::Required,
        audiences: texts(&[audience]),
        required_claims: vec![format!("role={role}")],
        // InsForge signs refresh tokens and others with the same secret. They have a `type`.
        forbidden_claims: texts(&["type"]),
        token_types: texts(&["JWT", ""]),
        subject_pattern: Some(".+".to_owned()),
        allow_uuid_subjects: true,
        ..usual_rules()
    }
}

/// Reads a token that `exchange_provider_token()` made. Its mark is `provider`, and that it names no
/// issuer, which every provider's token does. The exchange writes these claims in its own reading of
/// the provider's token. A claim that it passes on tells nothing about the organisation.
pub(super) fn membership(claims: &Claims) -> Option<Membership> {
    let is_exchanged = claims.text("provider").is_some() && !claims.has("iss");
    is_exchanged.then(|| Membership {
        org_id: claims.text("org_id"),
        org_role: claims.text("org_role"),
        permissions: claims.get("permissions"),
    })
}

#[cfg(test)]
mod tests {
    use crate::providers::tests::assert_identity;

    #[test]
    fn an_organization_is_named_at_the_top_level() {
        assert_identity(
            r#"{"sub":"kp_1","role":"authenticated","aud":"insforge-api","org_id":"org_1","org_role":"owner","permissions":[]}"#,
            "kp_1",
            Some("org_1"),
            Some("owner"),
            Some(&[]),
        );
    }
}
