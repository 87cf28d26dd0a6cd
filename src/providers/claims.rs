//! Claims, and the membership that a provider's file reads from them.
//!
//! A claim is left out if it cannot be read, has another type than documented, or leaves more than
//! one answer. A claim that is left out grants nothing.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::json::MemberList;

/// A claims set (RFC 7519 section 4). Claims are read by name.
#[derive(Debug)]
pub enum Claims<'a> {
    /// The claims of `request.jwt.claims`.
    OfRequest(MemberList<'a>),
    /// The claims of a token.
    OfToken(&'a Map<String, Value>),
}

impl Claims<'_> {
    /// Whether the claim is there and not null.
    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::OfRequest(members) => members.get(name).is_some_and(|claim| !claim.is_null()),
            Self::OfToken(members) => members.get(name).is_some_and(|claim| !claim.is_null()),
        }
    }

    /// The claim, if it is there and has the shape `T`.
    pub(super) fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        match self {
            Self::OfRequest(members) => members.get(name)?.to(),
            Self::OfToken(members) => T::deserialize(members.get(name)?).ok(),
        }
    }

    /// The claim, if it is a string that is not empty.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get::<String>(name).filter(|text| !text.is_empty())
    }
}

/// The organisation that a user acts in, with the user's rights there.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// The organisation's id.
    pub org_id: Option<String>,
    /// The user's role in it, in the provider's spelling.
    pub org_role: Option<String>,
    /// The user's permissions in the provider's spelling. `None`: the token does not name any.
    pub permissions: Option<Vec<String>>,
}

impl Membership {
    /// Reads claims whose names several issuers share: Auth0, WorkOS, Clerk's version 1, InsForge,
    /// and Better Auth if an application adds the claims.
    pub(super) fn at_the_top_level(claims: &Claims) -> Self {
        Self {
            org_id: claims.text("org_id"),
            org_role: claims.text("org_role"),
            permissions: claims
                .get("permissions")
                .or_else(|| claims.get("org_permissions")),
        }
    }
}

/// The element of a list with only one.
pub(super) fn single(list: Vec<String>) -> Option<String> {
    let [element] = <[String; 1]>::try_from(list).ok()?;
    Some(element).filter(|text| !text.is_empty())
}
