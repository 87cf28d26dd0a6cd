//! The claims set of a token (RFC 7519 section 4): the few members that name somebody.

use std::fmt;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::jwt::Error;

macro_rules! claim_names {
    ($($variant:ident = $name:literal),+ $(,)?) => {
        /// A claim that some provider uses to say who a user is or what the user may do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum ClaimName { $($variant),+ }

        impl ClaimName {
            const COUNT: usize = [$(Self::$variant),+].len();

            fn find(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The name as it stands in the token.
            pub(super) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }
    };
}

claim_names! {
    Sub = "sub",
    Role = "role",
    Roles = "roles",
    UserRole = "user_role",
    Permissions = "permissions",
    Sid = "sid",
    Version = "v",
    Organization = "o",
    Features = "fea",
    OrgId = "org_id",
    OrgRole = "org_role",
    OrgPermissions = "org_permissions",
    OrgCode = "org_code",
    StytchSession = "https://stytch.com/session",
    StytchOrganization = "https://stytch.com/organization",
}

/// The claims that matter here, each as the JSON text it was written in.
///
/// A name that occurs twice counts as it was written last, as in `jsonb`. Other members are
/// skipped without recursion, so neither depth nor size of a document can exhaust the stack.
#[derive(Debug, Default)]
pub(super) struct Claims<'a> {
    values: [Option<&'a RawValue>; ClaimName::COUNT],
}

impl<'a> Claims<'a> {
    /// Reads a JSON document. One that is not an object has no claims.
    pub(super) fn parse(json: &'a str) -> Result<Self, Error> {
        let not_json = |error: serde_json::Error| Error::ClaimsNotJson {
            problem: error.to_string(),
        };
        let is_object = json
            .trim_start_matches([' ', '\t', '\n', '\r'])
            .starts_with('{');
        if is_object {
            serde_json::from_str(json).map_err(not_json)
        } else {
            serde_json::from_str::<IgnoredAny>(json).map_err(not_json)?;
            Ok(Self::default())
        }
    }

    fn raw(&self, name: ClaimName) -> Option<&'a str> {
        self.values
            .get(name as usize)
            .copied()
            .flatten()
            .map(RawValue::get)
    }

    pub(super) fn has(&self, name: ClaimName) -> bool {
        self.raw(name).is_some_and(|value| value != "null")
    }

    /// The claim, if it is there and of the shape `T`.
    pub(super) fn get<T: DeserializeOwned>(&self, name: ClaimName) -> Option<T> {
        serde_json::from_str(self.raw(name)?).ok()
    }

    /// The claim if it is a string that is not empty.
    pub(super) fn text(&self, name: ClaimName) -> Option<String> {
        self.get::<String>(name).filter(|text| !text.is_empty())
    }

    /// The claim if it is a string that is not empty, or the digits of an integer.
    ///
    /// RFC 7519 wants `sub` to be a string; some issuers put a serial number there.
    pub(super) fn text_or_integer(&self, name: ClaimName) -> Result<Option<String>, Error> {
        let Some(value) = self.raw(name) else {
            return Ok(None);
        };
        if value.starts_with('"') {
            // A string that does not decode holds half a surrogate pair.
            let text: String =
                serde_json::from_str(value).map_err(|error| Error::ClaimsNotJson {
                    problem: error.to_string(),
                })?;
            return Ok(Some(text).filter(|text| !text.is_empty()));
        }
        let digits = value.strip_prefix('-').unwrap_or(value);
        let is_integer = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        Ok(is_integer.then(|| if digits == "0" { digits } else { value }.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Claims<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Claims<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims<'de>, A::Error> {
                let mut claims = Claims::default();
                while let Some(MemberName(name)) = map.next_key()? {
                    let slot = name.and_then(|name| claims.values.get_mut(name as usize));
                    match slot {
                        Some(slot) => *slot = Some(map.next_value()?),
                        None => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(claims)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// The name of a member, known or not, read without keeping a copy.
struct MemberName(Option<ClaimName>);

impl<'de> Deserialize<'de> for MemberName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl Visitor<'_> for Name {
            type Value = MemberName;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a member name")
            }

            fn visit_str<E>(self, name: &str) -> Result<MemberName, E> {
                Ok(MemberName(ClaimName::find(name)))
            }
        }

        deserializer.deserialize_str(Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sub(json: &str) -> Result<Option<String>, Error> {
        Claims::parse(json)?.text_or_integer(ClaimName::Sub)
    }

    #[test]
    fn a_name_written_with_escapes_is_the_same_name() {
        assert_eq!(sub(r#"{"\u0073ub": "a"}"#), Ok(Some("a".to_owned())));
    }

    #[test]
    fn the_last_of_two_members_counts() {
        assert_eq!(sub(r#"{"sub": "a", "sub": "b"}"#), Ok(Some("b".to_owned())));
        assert_eq!(sub(r#"{"sub": "a", "sub": null}"#), Ok(None));
    }

    #[test]
    fn a_document_nested_a_million_deep_is_skipped_without_recursion() {
        let deep = |open: &str, close: &str| {
            format!("{}{}", open.repeat(1_000_000), close.repeat(1_000_000))
        };
        let nested = format!(r#"{{"x": {}, "sub": "a"}}"#, deep("[", "]"));
        assert_eq!(sub(&nested), Ok(Some("a".to_owned())));
        let nested = format!(r#"{{"sub": {}}}"#, deep("[", "]"));
        assert_eq!(sub(&nested), Ok(None));
        let unclosed = "[".repeat(1_000_000);
        assert!(sub(&unclosed).is_err());
        let nested = format!(r#"{{"permissions": {}}}"#, deep("[", "]"));
        assert_eq!(
            Claims::parse(&nested)
                .unwrap()
                .get::<Vec<String>>(ClaimName::Permissions),
            None
        );
    }

    #[test]
    fn the_problem_names_the_place_and_not_the_content() {
        let Err(Error::ClaimsNotJson { problem }) = sub("{\"sub\": \"secret\" oops}") else {
            panic!("accepted");
        };
        assert!(problem.contains("column"), "{problem}");
        assert!(
            !problem.contains("secret") && !problem.contains("oops"),
            "{problem}"
        );
    }
}
