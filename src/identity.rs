//! The requesting user, read once from a claims set of any provider.

use serde::{Deserialize, Serialize};

use crate::json::{Json, MemberList};
use crate::jwt::verify::Verified;
use crate::providers::Error;
use crate::providers::claims::{Claims, Membership};
use crate::providers::mapping::Mapping;
use crate::providers::membership;

/// The requesting user, and the organisation that the user acts in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Identity {
    /// `sub`: a string unchanged, an integer as its digits.
    pub user_id: Option<String>,
    /// The active organisation.
    pub org_id: Option<String>,
    /// The user's role in it, in the provider's spelling.
    pub org_role: Option<String>,
    /// The user's permissions in the provider's spelling. `None`: the token does not name any.
    pub permissions: Option<Vec<String>>,
}

impl Identity {
    /// A user in an organisation.
    #[must_use]
    pub fn new(user_id: Option<String>, membership: Membership) -> Self {
        Self {
            user_id,
            org_id: membership.org_id,
            org_role: membership.org_role,
            permissions: membership.permissions,
        }
    }

    /// Reads the text of `request.jwt.claims`. JSON that is not an object has no claims.
    ///
    /// # Errors
    /// [`Error::ClaimsNotJson`] and [`Error::ClaimContainsNul`].
    pub fn from_claims(json: &str) -> Result<Self, Error> {
        let claims = MemberList::parse(json).map_err(not_json)?;
        let user_id = subject(&claims)?;
        Self::new(user_id, membership(&Claims::OfRequest(claims))).without_nul()
    }

    /// Reads the claims of a verified token: what its provider maps by the mapping.
    #[must_use]
    pub fn from_token(verified: &Verified, mapping: &Mapping) -> Self {
        let membership = membership(&Claims::OfToken(verified.claims));
        let membership = mapping.applied_to(membership, verified.claims);
        Self::new(Some(verified.user_id.clone()), membership)
    }

    fn without_nul(self) -> Result<Self, Error> {
        let has_nul = |text: &String| text.contains('\0');
        let claim = if self.user_id.as_ref().is_some_and(has_nul) {
            "sub"
        } else if self.org_id.as_ref().is_some_and(has_nul) {
            "org_id"
        } else if self.org_role.as_ref().is_some_and(has_nul) {
            "org_role"
        } else if self.permissions.iter().flatten().any(has_nul) {
            "permissions"
        } else {
            return Ok(self);
        };
        Err(Error::ClaimContainsNul { claim })
    }
}

/// The claims set in the text of `request.jwt.claims`, if `jsonb` can hold it. JSON that is not an
/// object has no claims.
///
/// # Errors
/// [`Error::ClaimsNotJson`] and [`Error::ClaimsNotStorable`].
pub fn claims_set(json: &str) -> Result<Option<&str>, Error> {
    MemberList::parse(json).map_err(not_json)?;
    let claims = Json::unchecked(json);
    if !claims.text().starts_with('{') {
        return Ok(None);
    }
    let storable = claims.check_jsonb();
    storable.map_err(|problem| Error::ClaimsNotStorable { problem })?;
    Ok(Some(claims.text()))
}

fn not_json(error: serde_json::Error) -> Error {
    Error::ClaimsNotJson {
        problem: error.to_string(),
    }
}

/// Reads `sub`: a string that is not empty, or the digits of an integer. RFC 7519 wants a string,
/// but some issuers write a serial number.
fn subject(claims: &MemberList) -> Result<Option<String>, Error> {
    let Some(claim) = claims.get("sub") else {
        return Ok(None);
    };
    if claim.text().starts_with('"') {
        // A string with half a surrogate pair does not decode.
        let text: String = serde_json::from_str(claim.text()).map_err(not_json)?;
        return Ok(Some(text).filter(|text| !text.is_empty()));
    }
    let integer = match claim.text() {
        "-0" => "0",
        text => text,
    };
    let digits = integer.strip_prefix('-').unwrap_or(integer);
    let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    Ok(is_integer.then(|| integer.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user_id(json: &str) -> Result<Option<String>, Error> {
        Ok(Identity::from_claims(json)?.user_id)
    }

    #[test]
    fn a_subject_is_a_string_or_an_integer() {
        for (sub, expected) in [
            (r#""user_1""#, Some("user_1")),
            ("42", Some("42")),
            ("-42", Some("-42")),
            ("-0", Some("0")),
            (
                "123456789012345678901234567890",
                Some("123456789012345678901234567890"),
            ),
            ("1.0", None),
            ("1e3", None),
            ("true", None),
            ("null", None),
            (r#""""#, None),
            ("[1]", None),
        ] {
            let claims = format!(r#"{{"sub": {sub}}}"#);
            assert_eq!(user_id(&claims), Ok(expected.map(str::to_owned)), "{sub}");
        }
    }

    #[test]
    fn what_is_no_object_has_no_claims() {
        for json in ["null", "[]", "\"sub\"", " 1 "] {
            assert_eq!(Identity::from_claims(json), Ok(Identity::default()));
        }
    }

    #[test]
    fn a_name_written_with_escapes_is_the_same_name() {
        assert_eq!(user_id(r#"{"\u0073ub": "a"}"#), Ok(Some("a".to_owned())));
    }

    #[test]
    fn the_last_of_two_members_counts() {
        assert_eq!(
            user_id(r#"{"sub": "a", "sub": "b"}"#),
            Ok(Some("b".to_owned()))
        );
        assert_eq!(user_id(r#"{"sub": "a", "sub": null}"#), Ok(None));
    }

    #[test]
    fn a_document_nested_a_million_deep_is_skipped_without_recursion() {
        let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        let nested = format!(r#"{{"x": {deep}, "sub": "a"}}"#);
        assert_eq!(user_id(&nested), Ok(Some("a".to_owned())));
        assert_eq!(user_id(&format!(r#"{{"sub": {deep}}}"#)), Ok(None));
        assert!(user_id(&"[".repeat(1_000_000)).is_err());
        let nested = Identity::from_claims(&format!(r#"{{"permissions": {deep}}}"#));
        assert_eq!(nested.unwrap().permissions, None);
    }

    #[test]
    fn the_problem_names_the_place_and_not_the_content() {
        for claims in ["{\"sub\": \"secret\" oops}", "{\"sub\": \"secret\\ud800\"}"] {
            let Err(Error::ClaimsNotJson { problem }) = user_id(claims) else {
                panic!("accepted");
            };
            assert!(problem.contains("column"), "{problem}");
            assert!(
                !problem.contains("secret") && !problem.contains("oops"),
                "{problem}"
            );
        }
    }

    #[test]
    fn a_claims_set_is_what_jsonb_holds() {
        let set = r#"{"sub": "a", "n": 12345678901234567890.10}"#;
        assert_eq!(claims_set(&format!(" {set} ")), Ok(Some(set)));
        for other in ["null", "[]", "\"x\"", "1"] {
            assert_eq!(claims_set(other), Ok(None));
        }
        assert!(matches!(claims_set("{"), Err(Error::ClaimsNotJson { .. })));
        for unstorable in [
            r#"{"x": "\u0000"}"#,
            r#"{"x": 1e999999}"#,
            r#"{"x": "\ud800"}"#,
        ] {
            let refused = claims_set(unstorable);
            assert!(
                matches!(refused, Err(Error::ClaimsNotStorable { .. })),
                "{unstorable}"
            );
            assert_eq!(user_id(unstorable), Ok(None));
        }
    }

    #[test]
    fn permissions_of_another_type_are_left_out() {
        for permissions in [
            "null",
            "\"read\"",
            "[\"read\", 1]",
            "{\"read\":true}",
            "[[\"read\"]]",
        ] {
            let claims = format!(r#"{{"sub":"u","permissions":{permissions}}}"#);
            assert_eq!(Identity::from_claims(&claims).unwrap().permissions, None);
        }
    }

    #[test]
    fn refuses_nul_in_what_identifies() {
        for (json, claim) in [
            (r#"{"sub":"a\u0000b"}"#, "sub"),
            (r#"{"sub":"a","org_id":"\u0000"}"#, "org_id"),
            (r#"{"sub":"a","org_role":"\u0000"}"#, "org_role"),
            (r#"{"sub":"a","permissions":["x","\u0000"]}"#, "permissions"),
        ] {
            assert_eq!(
                Identity::from_claims(json),
                Err(Error::ClaimContainsNul { claim })
            );
        }
    }
}
