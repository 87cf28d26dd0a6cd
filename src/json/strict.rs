//! JSON as a verifier reads it: an object whose members have one value each.
//!
//! RFC 7515 and 7519 allow a parser to refuse duplicate names. A verifier must refuse them:
//! otherwise two readers of one token could see two subjects.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::object::read_members;

/// Parses an object. At any depth it refuses duplicate names and what `jsonb` cannot hold: U+0000
/// and numbers beyond its range. The parser has its own limit of nesting.
#[must_use]
pub fn parse_object(json: &[u8]) -> Option<Map<String, Value>> {
    let text = std::str::from_utf8(json).ok()?;
    match serde_json::from_str::<Unambiguous>(text).ok()?.0 {
        Value::Object(members) if !has_long_exponent(text) => Some(members),
        _ => None,
    }
}

/// Whether a number in this JSON text has an exponent of more than three digits. A float would read
/// such a number as zero, and `jsonb` refuses it.
fn has_long_exponent(json: &str) -> bool {
    let mut is_in_string = false;
    let mut previous = b' ';
    let mut bytes = json.bytes().enumerate();
    while let Some((index, byte)) = bytes.next() {
        match byte {
            b'\\' if is_in_string => {
                bytes.next();
            }
            b'"' => is_in_string = !is_in_string,
            b'e' | b'E' if !is_in_string && previous.is_ascii_digit() => {
                let rest = json.get(index + 1..).unwrap_or_default();
                let digits = rest.trim_start_matches(['+', '-']).bytes();
                if digits.take_while(u8::is_ascii_digit).count() > 3 {
                    return true;
                }
            }
            _ => {}
        }
        previous = byte;
    }
    false
}

/// Returns the text if `jsonb` can hold it.
fn storable<E: Error>(text: &str) -> Result<&str, E> {
    match text.contains('\0') {
        true => Err(E::custom("U+0000 in a string")),
        false => Ok(text),
    }
}

/// The name of a member.
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        storable(&name)?;
        Ok(Self(name))
    }
}

/// A value without duplicate names.
struct Unambiguous(Value);

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyValue;

        impl<'de> Visitor<'de> for AnyValue {
            type Value = Value;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
                storable(value).map(Value::from)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
                let mut values = Vec::new();
                while let Some(Unambiguous(value)) = list.next_element()? {
                    values.push(value);
                }
                Ok(Value::Array(values))
            }

            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Value, A::Error> {
                let mut members = Map::new();
                read_members(object, |Name(name), Unambiguous(value)| {
                    members.insert(name, value).is_some()
                })?;
                Ok(Value::Object(members))
            }
        }

        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::parse_object;

    #[test]
    fn refuses_duplicate_names_however_they_are_written_and_wherever() {
        assert!(parse_object(br#"{"sub": "a", "iss": "b"}"#).is_some());
        assert!(parse_object(br#"{"sub": "a", "sub": "a"}"#).is_none());
        assert!(parse_object(br#"{"sub": "a", "s\u0075b": "b"}"#).is_none());
        assert!(parse_object(br#"{"x": [{"a": 1, "a": 2}]}"#).is_none());
    }

    #[test]
    fn refuses_what_jsonb_cannot_hold() {
        assert!(parse_object(br#"{"x": "\u0000"}"#).is_none());
        assert!(parse_object(br#"{"\u0000": 1}"#).is_none());
        assert!(parse_object(br#"{"x": "\ud800"}"#).is_none());
        assert!(parse_object(br#"{"x": 1e400}"#).is_none());
        assert!(parse_object(br#"{"x": [1.5E-20000]}"#).is_none());
        assert!(
            parse_object(br#"{"x": "1e-20000 \" 1e-20000", "y": 1e-300, "z": true}"#).is_some()
        );
    }

    #[test]
    fn refuses_what_is_not_an_object_in_utf_8() {
        for json in [
            &b"[]"[..],
            b"\"a\"",
            b"null",
            b"",
            b"{",
            b"{} {}",
            b"\xef\xbb\xbf{}",
            b"{\"a\": \"\xff\"}",
        ] {
            assert!(parse_object(json).is_none(), "{json:?}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = format!("{{\"a\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse_object(nested.as_bytes()).is_none());
    }
}
