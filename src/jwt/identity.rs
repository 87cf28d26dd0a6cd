//! Who a claims set speaks of: one answer for the shapes of all providers.
//!
//! Which shape a claims set has is decided by a claim that only that provider makes, so that the
//! claims of two providers are never mixed into one answer. What cannot be read, is not of the
//! documented type or leaves more than one answer is left out, and so grants nothing.

use serde::{Deserialize, Serialize};

use super::claims::{ClaimName, Claims};
use super::clerk;
use crate::jwt::Error;

/// The requesting user, and the organisation the user acts in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Identity {
    /// `sub`: a string as it is, an integer as its digits.
    pub user_id: Option<String>,
    /// The active organisation.
    pub org_id: Option<String>,
    /// The user's role in it, in the provider's spelling.
    pub org_role: Option<String>,
    /// The user's permissions in the provider's spelling; `None` when the token does not say.
    pub permissions: Option<Vec<String>>,
}

/// `role` of a token that PostgREST or InsForge acts on is a database role, not one in an organisation.
const DATABASE_ROLES: [&str; 3] = ["anon", "authenticated", "project_admin"];

/// The roles that every Stytch user or member has, whatever else was assigned.
const STYTCH_IMPLICIT_ROLES: [&str; 2] = ["stytch_member", "stytch_user"];

impl Identity {
    /// Reads a claims set, the JSON text of `request.jwt.claims`.
    ///
    /// # Errors
    /// [`Error::ClaimsNotJson`] and [`Error::ClaimContainsNul`].
    pub fn from_claims(json: &str) -> Result<Self, Error> {
        let claims = Claims::parse(json)?;
        let identity = Self {
            user_id: claims.text_or_integer(ClaimName::Sub)?,
            ..organization(&claims)
        };
        identity.without_nul()
    }

    fn without_nul(self) -> Result<Self, Error> {
        let has_nul = |text: &String| text.contains('\0');
        let claim = if self.user_id.as_ref().is_some_and(has_nul) {
            ClaimName::Sub.as_str()
        } else if self.org_id.as_ref().is_some_and(has_nul) {
            ClaimName::OrgId.as_str()
        } else if self.org_role.as_ref().is_some_and(has_nul) {
            ClaimName::OrgRole.as_str()
        } else if self.permissions.iter().flatten().any(has_nul) {
            ClaimName::Permissions.as_str()
        } else {
            return Ok(self);
        };
        Err(Error::ClaimContainsNul { claim })
    }
}

/// The part of an identity that is not the user.
fn organization(claims: &Claims) -> Identity {
    if claims.get::<u32>(ClaimName::Version).is_some() || claims.has(ClaimName::Organization) {
        clerk_version_2(claims)
    } else if claims.has(ClaimName::StytchSession) {
        stytch(claims)
    } else if claims.has(ClaimName::OrgCode) {
        kinde(claims)
    } else {
        flat(claims)
    }
}

/// Clerk since 2025-04: `v`, and `o` while an organisation is active.
fn clerk_version_2(claims: &Claims) -> Identity {
    let Some(organization) = claims.get::<clerk::Organization>(ClaimName::Organization) else {
        return Identity::default();
    };
    let features = claims.text(ClaimName::Features);
    Identity {
        permissions: Some(organization.permissions(features.as_deref())),
        org_id: organization.id.filter(|id| !id.is_empty()),
        org_role: organization
            .rol
            .filter(|role| !role.is_empty())
            .map(|role| format!("org:{role}")),
        user_id: None,
    }
}

/// Stytch session tokens; the organisation is there in those of the B2B product.
fn stytch(claims: &Claims) -> Identity {
    #[derive(Deserialize)]
    struct Session {
        #[serde(default)]
        roles: Vec<String>,
    }
    #[derive(Deserialize)]
    struct Organization {
        organization_id: String,
    }

    let Some(organization) = claims.get::<Organization>(ClaimName::StytchOrganization) else {
        return Identity::default();
    };
    let roles = claims
        .get::<Session>(ClaimName::StytchSession)
        .map(|session| session.roles)
        .unwrap_or_default();
    let (implicit, assigned): (Vec<_>, Vec<_>) = roles
        .into_iter()
        .partition(|role| STYTCH_IMPLICIT_ROLES.contains(&role.as_str()));
    Identity {
        org_id: Some(organization.organization_id).filter(|id| !id.is_empty()),
        org_role: only(if assigned.is_empty() {
            implicit
        } else {
            assigned
        }),
        ..Identity::default()
    }
}

/// Kinde access tokens: `org_code`; roles are there when the token is customised to carry them.
fn kinde(claims: &Claims) -> Identity {
    #[derive(Deserialize)]
    struct Role {
        key: String,
    }

    let keys = claims
        .get::<Vec<Role>>(ClaimName::Roles)
        .map(|roles| roles.into_iter().map(|role| role.key).collect());
    Identity {
        org_id: claims.text(ClaimName::OrgCode),
        org_role: keys.or_else(|| claims.get(ClaimName::Roles)).and_then(only),
        permissions: claims.get(ClaimName::Permissions),
        ..Identity::default()
    }
}

/// Claims that stand at the top level under names several providers share: Auth0, WorkOS, Clerk
/// version 1, tokens minted for InsForge, and Better Auth where an application adds them.
fn flat(claims: &Claims) -> Identity {
    Identity {
        org_id: claims.text(ClaimName::OrgId),
        org_role: claims
            .text(ClaimName::OrgRole)
            .or_else(|| workos_role(claims)),
        permissions: claims
            .get(ClaimName::Permissions)
            .or_else(|| claims.get(ClaimName::OrgPermissions)),
        ..Identity::default()
    }
}

/// WorkOS puts the role in the organisation into `role`, or into `user_role` where a JWT template
/// makes room for the database role. Other issuers mean something else by `role`: its sessions are
/// told by their ids.
fn workos_role(claims: &Claims) -> Option<String> {
    claims.text(ClaimName::OrgId)?;
    claims
        .text(ClaimName::Sid)
        .filter(|sid| sid.starts_with("session_"))?;
    claims
        .text(ClaimName::Role)
        .filter(|role| !DATABASE_ROLES.contains(&role.as_str()))
        .or_else(|| claims.text(ClaimName::UserRole))
}

/// The one element of a list of one.
fn only(mut list: Vec<String>) -> Option<String> {
    (list.len() == 1)
        .then(|| list.pop())
        .flatten()
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
