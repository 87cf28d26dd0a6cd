//! JSON read on demand, with every number as it is written.
//!
//! EIP-712 has integers of 256 bits, and a parser that makes floats of numbers would round them.
//! Here a value is a piece of the text. The syntax is checked once, and a value is decoded when it
//! is asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::object::read_members;

/// The greatest nesting depth of a document that becomes `jsonb`.
const MAX_DEPTH: usize = 100;
/// The largest length and exponent of a number that becomes `jsonb`.
const MAX_NUMBER: u32 = 1000;

/// One value, as it is written.
#[derive(Debug, Clone, Copy)]
pub struct Json<'a>(&'a str);

/// The members of an object by name.
pub type Members<'a> = BTreeMap<Cow<'a, str>, Json<'a>>;

/// The members of an object as a list, which is fast for a few look-ups. If a name is there twice,
/// the last member counts, as in `jsonb`.
#[derive(Debug, Default)]
pub struct MemberList<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> MemberList<'a> {
    /// Reads a text that is an object. A text that is another value has no members.
    ///
    /// # Errors
    /// The parser's words: what is wrong with the JSON and where. They do not repeat the text.
    pub fn parse(text: &'a str) -> serde_json::Result<Self> {
        match text.trim_ascii_start().starts_with('{') {
            true => serde_json::from_str::<Object<Self>>(text).map(|object| object.0),
            false => serde_json::from_str::<IgnoredAny>(text).map(|_| Self::default()),
        }
    }

    /// The member of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Json<'a>> {
        let mut last_first = self.0.iter().rev();
        last_first
            .find(|(found, _)| found == name)
            .map(|(_, value)| *value)
    }
}

impl<'a> Json<'a> {
    /// Reads a text that is one JSON value. `None`: it is not. Nesting needs no stack.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let raw: &RawValue = serde_json::from_str(text).ok()?;
        Some(Self(raw.get()))
    }

    /// A text whose syntax is checked only when its parts are read.
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

    /// The members, if it is an object without duplicate names.
    #[must_use]
    pub fn members(self) -> Option<Members<'a>> {
        self.0.starts_with('{').then_some(())?;
        Some(self.to::<Object<Members>>()?.0)
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

    /// Checks that `jsonb` can hold the value. Postgres refuses some characters, numbers and depths
    /// that JSON has.
    ///
    /// # Errors
    /// A sentence names what Postgres refuses.
    pub fn check_jsonb(self) -> Result<(), &'static str> {
        let mut rest = self.0;
        let mut depth = 0;
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '"' => string_length(rest),
                '-' | '0'..='9' => number_length(rest),
                _ => first.len_utf8(),
            };
            let (token, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
            let problem = match first {
                '{' | '[' => {
                    depth += 1;
                    (depth > MAX_DEPTH)
                        .then_some("It has more than 100 objects and arrays inside each other.")
                }
                '}' | ']' => {
                    depth = depth.saturating_sub(1);
                    None
                }
                '"' => match Self(token).string() {
                    Some(text) if !text.contains('\0') => None,
                    _ => Some("A string in it has the character U+0000, or half of a character."),
                },
                '-' | '0'..='9' => (!is_number_of_jsonb(token)).then_some(
                    "A number in it has more than 1000 digits, or an exponent beyond 1000.",
                ),
                _ => None,
            };
            if let Some(problem) = problem {
                return Err(problem);
            }
            rest = after;
        }
        Ok(())
    }

    /// The value as serde reads it.
    pub fn to<T: Deserialize<'a>>(self) -> Option<T> {
        serde_json::from_str(self.0).ok()
    }
}

/// The length in bytes of the string at the start of a text, with its quotes.
fn string_length(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

/// The length in bytes of the number at the start of a text.
fn number_length(text: &str) -> usize {
    let is_part = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    let end = text.bytes().position(|byte| !is_part(byte));
    end.unwrap_or(text.len())
}

fn is_number_of_jsonb(number: &str) -> bool {
    let exponent = number
        .split_once(['e', 'E'])
        .map_or("0", |(_, exponent)| exponent);
    let exponent = exponent.parse::<i32>().map(i32::unsigned_abs);
    number.len() <= MAX_NUMBER as usize && exponent.is_ok_and(|exponent| exponent <= MAX_NUMBER)
}

/// A string. If it has no escapes, it is a piece of the text.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A collection of the members of an object.
trait Collection<'a>: Default {
    /// Adds a member. Returns true if its name is a duplicate that this collection forbids.
    fn insert(&mut self, name: Cow<'a, str>, value: Json<'a>) -> bool;
}

impl<'a> Collection<'a> for Members<'a> {
    fn insert(&mut self, name: Cow<'a, str>, value: Json<'a>) -> bool {
        self.insert(name, value).is_some()
    }
}

impl<'a> Collection<'a> for MemberList<'a> {
    fn insert(&mut self, name: Cow<'a, str>, value: Json<'a>) -> bool {
        self.0.push((name, value));
        false
    }
}

struct Object<C>(C);

impl<'de, C: Collection<'de>> Deserialize<'de> for Object<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnObject<C>(PhantomData<C>);

        impl<'de, C: Collection<'de>> Visitor<'de> for AnObject<C> {
            type Value = Object<C>;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
                let mut members = C::default();
                read_members(object, |Text(name): Text<'de>, value: &RawValue| {
                    members.insert(name, Json(value.get()))
                })?;
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(AnObject(PhantomData))
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
    fn what_jsonb_does_not_hold_is_named() {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        for (text, problem) in [
            (r#"{"a": "\u0000"}"#.to_owned(), "U+0000"),
            (r#"{"\u0000": 1}"#.to_owned(), "U+0000"),
            (r#"["\ud800"]"#.to_owned(), "half of a character"),
            (r#"["\udc00\ud800"]"#.to_owned(), "half of a character"),
            (
                r#"["\"", "\\", "\ud83d"]"#.to_owned(),
                "half of a character",
            ),
            ("[1e999999]".to_owned(), "exponent"),
            ("[-1E-99999999999]".to_owned(), "exponent"),
            (format!("[0.{}1]", "0".repeat(1000)), "1000 digits"),
            (deep(20_000), "inside each other"),
            (deep(101), "inside each other"),
        ] {
            let refused = parse(&text).check_jsonb().unwrap_err();
            assert!(refused.contains(problem), "{text:.40}: {refused}");
        }
        for text in [
            r#"{"a": "\\u0000", "b\"": "\ud83d\ude00 {[\"", "c": -1.5e+300, "d": [0, 1E-9]}"#,
            &deep(100),
            &format!("[{}]", vec![deep(99); 300].join(", ")),
        ] {
            assert_eq!(parse(text).check_jsonb(), Ok(()), "{text:.40}");
        }
    }

    #[test]
    fn a_hundred_thousand_brackets_do_no_harm() {
        let text = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(parse(&text).items().unwrap().len(), 1);
    }
}
