//! Integers of up to 256 bits.

use crypto_bigint::U128;
pub use crypto_bigint::U256;

use super::Word;

/// An integer with its sign and a magnitude below 2^256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Integer {
    is_negative: bool,
    magnitude: U256,
}

impl Integer {
    /// Reads decimal digits with or without a minus sign, or `0x` and hexadecimal digits.
    ///
    /// # Errors
    /// A sentence: the text is not an integer, or has more than 256 bits.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(digits) = text.strip_prefix("0x") {
            let is_hexadecimal =
                !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            return Self::of_digits(false, digits, is_hexadecimal, 16);
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_decimal = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        Self::of_digits(digits.len() < text.len(), digits, is_decimal, 10)
    }

    /// Whether a text is an integer in decimal digits, of any size.
    #[must_use]
    pub fn is_decimal(text: &str) -> bool {
        let digits = text.strip_prefix('-').unwrap_or(text);
        !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
    }

    fn of_digits(
        is_negative: bool,
        digits: &str,
        are_digits: bool,
        radix: u32,
    ) -> Result<Self, &'static str> {
        if !are_digits {
            return Err(
                "An integer must be a string of decimal digits, a string of 0x and hexadecimal digits, or a JSON number without fraction and exponent.",
            );
        }
        let magnitude = U256::from_str_radix_vartime(without_leading_zeros(digits), radix)
            .map_err(|_| "The integer has more than 256 bits.")?;
        Ok(Self {
            is_negative: is_negative && magnitude != U256::ZERO,
            magnitude,
        })
    }

    /// The value as a `uint` with this number of bits.
    #[must_use]
    pub fn unsigned(self, bits: u32) -> Option<U256> {
        (!self.is_negative && self.magnitude.bit_width_vartime() <= bits).then_some(self.magnitude)
    }

    /// The value as an `int` with this number of bits, in two's complement of 256 bits.
    #[must_use]
    pub fn signed(self, bits: u32) -> Option<U256> {
        // The negative range has one value more: -2^(bits-1).
        let beyond = if self.is_negative {
            self.magnitude.wrapping_sub(&U256::ONE)
        } else {
            self.magnitude
        };
        (beyond.bit_width_vartime() < bits).then(|| match self.is_negative {
            true => self.magnitude.wrapping_neg(),
            false => self.magnitude,
        })
    }
}

/// An unsigned integer, written with decimal digits only.
#[must_use]
pub fn decimal(text: &str) -> Option<U256> {
    let is_decimal = text.bytes().all(|digit| digit.is_ascii_digit());
    is_decimal.then_some(())?;
    Integer::parse(text).ok()?.unsigned(256)
}

/// At least one digit, without leading zeros.
#[must_use]
pub fn without_leading_zeros(digits: &str) -> &str {
    match digits.trim_start_matches('0') {
        "" => "0",
        significant => significant,
    }
}

/// The decimal digits of an integer.
#[must_use]
pub fn digits(integer: &U256) -> String {
    // Nearly all amounts are below 2^128, and Rust writes those faster.
    let (low, high) = integer.split();
    if high == U128::ZERO {
        u128::from(low).to_string()
    } else {
        integer.to_string_radix_vartime(10)
    }
}

/// The 32 bytes of an integer, the highest first.
#[must_use]
pub fn word(integer: &U256) -> Word {
    integer.to_be_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::{Integer, decimal, digits, word};
    use crate::evm::hexadecimal;

    /// 2^256 - 1, from the EVM's documentation of `type(uint256).max`.
    const MAXIMUM: &str =
        "115792089237316195423570985008687907853269984665640564039457584007913129639935";

    #[test]
    fn decimal_and_hexadecimal_say_the_same() {
        assert_eq!(Integer::parse("255"), Integer::parse("0xfF"));
        assert_eq!(
            Integer::parse(MAXIMUM),
            Integer::parse(&format!("0x{}", "f".repeat(64)))
        );
        assert_eq!(Integer::parse("007"), Integer::parse("7"));
        assert_eq!(Integer::parse("-0"), Integer::parse("0"));
    }

    #[test]
    fn what_is_no_integer_is_refused() {
        for text in [
            "", "-", "0x", "+1", " 1", "1_000", "1.0", "1e3", "-0x1", "0X1", "ff", "--1", "0b1",
        ] {
            assert!(Integer::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn more_than_256_bits_are_refused() {
        let one_more = format!("{}6", MAXIMUM.strip_suffix('5').unwrap());
        for text in [
            one_more,
            format!("0x1{}", "0".repeat(64)),
            "9".repeat(100_000),
        ] {
            assert!(Integer::parse(&text).is_err());
        }
        assert!(Integer::parse(&format!("{}1", "0".repeat(100_000))).is_ok());
    }

    #[test]
    fn the_ends_of_each_range() {
        for (text, bits, unsigned, signed) in [
            ("255", 8, true, false),
            ("256", 8, false, false),
            ("127", 8, true, true),
            ("128", 8, true, false),
            ("-128", 8, false, true),
            ("-129", 8, false, false),
            ("-1", 256, false, true),
            (MAXIMUM, 256, true, false),
        ] {
            let integer = Integer::parse(text).unwrap();
            assert_eq!(
                integer.unsigned(bits).is_some(),
                unsigned,
                "{text} uint{bits}"
            );
            assert_eq!(integer.signed(bits).is_some(), signed, "{text} int{bits}");
        }
        let least = format!(
            "-0{}",
            digits(
                &Integer::parse(&format!("0x8{}", "0".repeat(63)))
                    .unwrap()
                    .unsigned(256)
                    .unwrap()
            )
        );
        assert!(Integer::parse(&least).unwrap().signed(256).is_some());
        assert!(Integer::parse(&least).unwrap().signed(248).is_none());
    }

    #[test]
    fn a_negative_integer_is_sign_extended() {
        let minus_two = Integer::parse("-2").unwrap().signed(8).unwrap();
        assert_eq!(
            hexadecimal(&word(&minus_two)),
            format!("0x{}e", "f".repeat(63))
        );
    }

    #[test]
    fn digits_are_those_that_were_read() {
        // On both sides of 2^128.
        for text in [
            "0",
            "10000",
            "340282366920938463463374607431768211455",
            "340282366920938463463374607431768211456",
            MAXIMUM,
        ] {
            assert_eq!(digits(&decimal(text).unwrap()), text);
        }
    }

    #[test]
    fn decimal_takes_nothing_else() {
        for text in ["", "-1", "0x1", "1.0"] {
            assert!(decimal(text).is_none(), "{text:?}");
        }
    }
}
