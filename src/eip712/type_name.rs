//! The names of types: atomic ones, structs, and arrays of either.

use super::Invalid;

/// The type before the brackets. `S`: the representation of a struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base<S> {
    Address,
    Bool,
    String,
    Bytes,
    /// `bytes1` to `bytes32`.
    FixedBytes(usize),
    /// `uint8` to `uint256`.
    Uint(u32),
    /// `int8` to `int256`.
    Int(u32),
    Struct(S),
}

/// A base type and the lengths of the arrays around it, the innermost first; `None`: any length.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TypeName<'a> {
    pub base: Base<&'a str>,
    pub dimensions: Vec<Option<usize>>,
}

impl<'a> TypeName<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Invalid> {
        let (base, brackets) = text.split_at(text.find('[').unwrap_or(text.len()));
        Ok(Self {
            base: Base::parse(base)?,
            dimensions: dimensions(brackets)?,
        })
    }
}

fn dimensions(brackets: &str) -> Result<Vec<Option<usize>>, Invalid> {
    let wrong = || {
        Invalid::new("Only [] or [n], for an array of n elements, can follow the name of a type.")
    };
    let mut dimensions = Vec::new();
    let mut rest = brackets;
    while !rest.is_empty() {
        let (length, after) = rest
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
            .ok_or_else(wrong)?;
        dimensions.push(match length {
            "" => None,
            digits => Some(number(digits).ok_or_else(wrong)?),
        });
        rest = after;
    }
    Ok(dimensions)
}

/// A number in its only spelling.
fn number(digits: &str) -> Option<usize> {
    let is_canonical = digits.bytes().all(|digit| digit.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    is_canonical.then(|| digits.parse().ok())?
}

impl<'a> Base<&'a str> {
    /// The same type with another representation of structs.
    pub(super) fn with_struct<S>(self, of_name: impl FnOnce(&'a str) -> S) -> Base<S> {
        match self {
            Self::Address => Base::Address,
            Self::Bool => Base::Bool,
            Self::String => Base::String,
            Self::Bytes => Base::Bytes,
            Self::FixedBytes(bytes) => Base::FixedBytes(bytes),
            Self::Uint(bits) => Base::Uint(bits),
            Self::Int(bits) => Base::Int(bits),
            Self::Struct(name) => Base::Struct(of_name(name)),
        }
    }

    fn parse(name: &'a str) -> Result<Self, Invalid> {
        match name {
            "address" => return Ok(Self::Address),
            "bool" => return Ok(Self::Bool),
            "string" => return Ok(Self::String),
            "bytes" => return Ok(Self::Bytes),
            "uint" | "int" => {
                return Err(Invalid::new(format!(
                    "EIP-712 does not have the alias {name}. Write {name}256."
                )));
            }
            _ => {}
        }
        let prefix = name.trim_end_matches(|last: char| last.is_ascii_digit());
        let width = number(name.strip_prefix(prefix).unwrap_or_default());
        let bits = width.filter(|bits| (8..=256).contains(bits) && bits % 8 == 0);
        let bits = bits.and_then(|bits| u32::try_from(bits).ok());
        match prefix {
            "bytes" => width.filter(|bytes| (1..=32).contains(bytes)).map(Self::FixedBytes),
            "uint" => bits.map(Self::Uint),
            "int" => bits.map(Self::Int),
            _ => return Self::of_struct(name),
        }
        .ok_or_else(|| Invalid::new("There is no atomic type of this width. There are bytes1 to bytes32, and uint8 to uint256 and int8 to int256 in steps of 8."))
    }

    fn of_struct(name: &'a str) -> Result<Self, Invalid> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b':');
        match name.bytes().all(is_name) && !name.is_empty() {
            true => Ok(Self::Struct(name)),
            false => Err(Invalid::new(
                "The name of a type can have only letters, digits, _, $ and :.",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Base, TypeName};

    fn parse(text: &str) -> Option<(Base<&str>, Vec<Option<usize>>)> {
        TypeName::parse(text)
            .ok()
            .map(|name| (name.base, name.dimensions))
    }

    #[test]
    fn every_width_there_is_and_no_other() {
        for bits in 0..=264 {
            let is_one = bits > 0 && bits <= 256 && bits % 8 == 0;
            assert_eq!(
                parse(&format!("uint{bits}")).is_some(),
                is_one,
                "uint{bits}"
            );
            assert_eq!(parse(&format!("int{bits}")).is_some(), is_one, "int{bits}");
            assert_eq!(
                parse(&format!("bytes{bits}")).is_some(),
                (1..=32).contains(&bits),
                "bytes{bits}"
            );
        }
    }

    #[test]
    fn arrays_of_arrays() {
        assert_eq!(
            parse("Person[][3][0]"),
            Some((Base::Struct("Person"), vec![None, Some(3), Some(0)]))
        );
        assert_eq!(
            parse("uint8[2][]"),
            Some((Base::Uint(8), vec![Some(2), None]))
        );
    }

    #[test]
    fn names_that_only_look_atomic_are_structs() {
        for name in [
            "intent",
            "bytesInfo",
            "Address",
            "uint8x",
            "HyperliquidTransaction:UsdSend",
            "_",
            "$a",
            "1",
        ] {
            assert_eq!(parse(name), Some((Base::Struct(name), vec![])), "{name}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "uint",
            "int",
            "uint[]",
            "uint08",
            "bytes01",
            "uint+8",
            "uint264",
            "bytes33",
            "[]",
            "a b",
            "a,b",
            "a(",
            "Pérson",
            "a]",
            "a[",
            "a[]b",
            "a[-1]",
            "a[ 1]",
            "a[01]",
            "a[x]",
            "a[[]]",
            "a[99999999999999999999]",
        ] {
            assert!(parse(text).is_none(), "{text:?}");
        }
    }
}
