//! What becomes of the claims of a provider's tokens: the arguments that every registration has.

use serde::{Deserialize, Serialize};

use super::registration::{Result, refuse};
use crate::report::shown;

/// Claims that only the issuer of a token sets: the user, the audience, the role and the times.
/// `type` marks InsForge's refresh tokens, and `provider` names the provider that verified the
/// user.
pub const ISSUER_CLAIMS: [&str; 9] = [
    "iss", "sub", "aud", "exp", "nbf", "iat", "role", "type", "provider",
];

/// Claims that a grant writes, in its own reading.
const GRANT_CLAIMS: [&str; 5] = ["email", "act", "org_id", "org_role", "permissions"];

/// Columns of table `auth_providers`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Claims that the exchange and `pre_request()` copy into their own claims.
    #[serde(default)]
    pub passed_claims: Vec<String>,
    /// The claim with the organisation's id. `None`: the presets read it.
    pub org_id_claim: Option<String>,
    /// The claim with the role in the organisation.
    pub org_role_claim: Option<String>,
    /// The claim with the permissions.
    pub permissions_claim: Option<String>,
}

impl Mapping {
    /// Checks what must hold for every registration. An empty name is no name.
    pub(super) fn checked(self) -> Result<Self> {
        if self.passed_claims.iter().any(String::is_empty) {
            return refuse("An empty string is not the name of a claim that can be passed.");
        }
        let is_written = |name: &&String| {
            let mut written = ISSUER_CLAIMS.iter().chain(&GRANT_CLAIMS);
            written.any(|claim| claim == name)
        };
        if let Some(name) = self.passed_claims.iter().find(is_written) {
            return refuse(format!(
                "Claim {} cannot be passed: the extension writes it itself.",
                shown(name)
            ));
        }
        let named = |name: Option<String>| name.filter(|name| !name.is_empty());
        Ok(Self {
            org_id_claim: named(self.org_id_claim),
            org_role_claim: named(self.org_role_claim),
            permissions_claim: named(self.permissions_claim),
            ..self
        })
    }
}
