//! JSON read on demand, with every number as it is written.
//!
//! EIP-712 has integers of 256 bits, which a parser that makes floats of numbers would round. A value
//! here is a piece of the text, checked for its syntax once and taken apart where somebody looks.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// One value, as it is written.
#[derive(Debug, Clone, Copy)]
pub struct Json<'a>(&'a str);

/// The members of an object by name.
pub type Members<'a> = BTreeMap<Cow<'a, str>, Json<'a>>;

impl<'a> Json<'a> {
    /// Reads a text that is one JSON value; `None` when it is not. Nesting costs no stack.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let raw: &RawValue = serde_json::from_str(text).ok()?;
        Some(Self(raw.get()))
    }

    /// A text that is checked when it is taken apart, and not before.
    #[must_use]
    pub fn unchecked(text: &'a str) -> Self {
        Self(text.trim_ascii())
    }

    /// The text itself.
    #[must_use]
    pub const fn text(self) -> &'a str {
        self.0
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// The members, when it is an object whose names are all different: readers of one text must not
    /// see two values for a name.
    #[must_use]
    pub fn members(self) -> Option<Members<'a>> {
        self.0.starts_with('{').then_some(())?;
        Some(self.to::<Object>()?.0)
    }

    /// The elements, when it is an array.
    #[must_use]
    pub fn items(self) -> Option<Vec<Self>> {
        self.0.starts_with('[').then_some(())?;
        let items: Vec<&RawValue> = self.to()?;
        Some(items.into_iter().map(|item| Self(item.get())).collect())
    }

    /// The characters, when it is a string.
    #[must_use]
    pub fn string(self) -> Option<Cow<'a, str>> {
        self.0.starts_with('"').then_some(())?;
        Some(self.to::<Text>()?.0)
    }

    /// The digits as they are written, when it is a number.
    #[must_use]
    pub fn number(self) -> Option<&'a str> {
        let is_number = self
            .0
            .starts_with(|first: char| first == '-' || first.is_ascii_digit());
        is_number.then_some(self.0)
    }

    /// The value, when it is `true` or `false`.
    #[must_use]
    pub fn boolean(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// What serde makes of it.
    pub fn to<T: Deserialize<'a>>(self) -> Option<T> {
        serde_json::from_str(self.0).ok()
    }
}

/// A string that is a piece of the text where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct Object<'a>(Members<'a>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnObject;

        impl<'de> Visitor<'de> for AnObject {
            type Value = Object<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Members::new();
                while let Some((Text(name), value)) = map.next_entry::<Text, &RawValue>()? {
                    if members.insert(name, Json(value.get())).is_some() {
                        return Err(A::Error::custom("duplicate name"));
                    }
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(AnObject)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::Json;

    /// Any JSON that is no array and no object.
    pub(crate) fn any_scalar() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC*".prop_map(Value::from),
        ]
    }

    fn parse(text: &str) -> Json<'_> {
        Json::parse(text).unwrap()
    }

    #[test]
    fn numbers_stay_as_they_are_written() {
        let text = r#" {"a": 115792089237316195423570985008687907853269984665640564039457584007913129639935, "b": -1e3} "#;
        let members = parse(text).members().unwrap();
        assert_eq!(
            members["a"].number(),
            Some("115792089237316195423570985008687907853269984665640564039457584007913129639935")
        );
        assert_eq!(members["b"].number(), Some("-1e3"));
    }

    #[test]
    fn each_kind_of_value_is_only_what_it_is() {
        for (text, kinds) in [
            ("null", "null"),
            ("true", "boolean"),
            ("12", "number"),
            ("\"12\"", "string"),
            ("[1]", "items"),
            ("{\"a\": 1}", "members"),
        ] {
            let value = parse(text);
            let found = [
                ("null", value.is_null()),
                ("boolean", value.boolean().is_some()),
                ("number", value.number().is_some()),
                ("string", value.string().is_some()),
                ("items", value.items().is_some()),
                ("members", value.members().is_some()),
            ];
            let found: Vec<&str> = found
                .iter()
                .filter(|(_, is)| *is)
                .map(|(kind, _)| *kind)
                .collect();
            assert_eq!(found, [kinds], "{text}");
        }
    }

    #[test]
    fn a_name_given_twice_is_refused_however_it_is_written() {
        assert!(parse(r#"{"a": 1, "\u0061": 2}"#).members().is_none());
    }

    #[test]
    fn what_is_not_json_is_nothing() {
        for text in [
            "",
            "{",
            "{} {}",
            "nul",
            "01",
            "'a'",
            "{\"a\": }",
            "\u{feff}{}",
        ] {
            assert!(Json::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_string_with_half_a_character_is_none() {
        assert!(parse(r#""\ud800""#).string().is_none());
        assert_eq!(
            parse(r#""\u20ae0 \ud83d\ude00""#).string().unwrap(),
            "₮0 😀"
        );
    }

    #[test]
    fn a_hundred_thousand_brackets_do_no_harm() {
        let text = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(parse(&text).items().unwrap().len(), 1);
    }
}
