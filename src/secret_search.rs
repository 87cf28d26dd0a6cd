//! Looks for a secret in a text.
//!
//! Everybody can plant texts in a database and measure the time of a search. Therefore the secret
//! is never compared with a text. Instead, every part of the text with the secret's length is
//! hashed, under a key that nobody knows, and the hashes are compared. The work depends on the
//! lengths of the text and of the secret, not on how much of the secret the text contains.

use aws_lc_rs::digest::{SHA256, digest};

/// The prime 2^61 - 1. Products fit into 128 bits, and the remainder needs only an addition.
const MODULUS: u64 = (1 << 61) - 1;

/// The result of a search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Number of parts with the secret's length that were hashed.
    pub hashed: usize,
    /// Number of parts with equal hashes, whose SHA-256 was compared: the secret itself, and one
    /// part in 2^61.
    pub compared: usize,
    /// Whether the secret was found.
    pub found: bool,
}

/// Looks for a secret in bytes. `key` is a number that the author of the bytes does not know.
#[must_use]
pub fn search(bytes: &[u8], secret: &[u8], key: u64) -> Work {
    let mut work = Work::default();
    let length = secret.len();
    let Some((first, rest)) = bytes.split_at_checked(length) else {
        return work;
    };
    if length == 0 {
        return work;
    }
    let key = key % MODULUS;
    let wanted = hash(secret, key);
    let leaves_with = (0..length).fold(1, |power, _| multiply(power, key));
    let mut of_run = hash(first, key);
    let mut compare = |of_run: u64, start: usize| {
        work.hashed += 1;
        if of_run == wanted {
            work.compared += 1;
            let run = bytes.get(start..start + length).unwrap_or_default();
            work.found |= digest(&SHA256, run).as_ref() == digest(&SHA256, secret).as_ref();
        }
    };
    compare(of_run, 0);
    for (start, (entering, leaving)) in rest.iter().zip(bytes).enumerate() {
        let left = multiply(value(*leaving), leaves_with);
        of_run = add(add(multiply(of_run, key), value(*entering)), MODULUS - left);
        compare(of_run, start + 1);
    }
    work
}

/// The bytes of the constants in an expression's tree, in the form of Postgres' catalogs:
/// `[ 113 56 -61 ]`.
pub fn constants(tree: &str) -> impl Iterator<Item = Vec<u8>> + '_ {
    tree.split('[').skip(1).filter_map(|part| {
        let (list, _) = part.split_once(']')?;
        let bytes = list.split_ascii_whitespace().map(str::parse::<i8>);
        bytes
            .map(|byte| byte.map(i8::cast_unsigned))
            .collect::<Result<_, _>>()
            .ok()
    })
}

fn hash(bytes: &[u8], key: u64) -> u64 {
    bytes
        .iter()
        .fold(0, |hash, byte| add(multiply(hash, key), value(*byte)))
}

/// Counts a byte from 1, so a zero byte is not lost.
fn value(byte: u8) -> u64 {
    u64::from(byte) + 1
}

/// Adds two numbers. One of them may be the modulus itself.
fn add(left: u64, right: u64) -> u64 {
    let sum = left + right;
    if sum >= MODULUS { sum - MODULUS } else { sum }
}

fn multiply(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    let low = product & u128::from(MODULUS);
    // Both parts are below 2^61.
    add(low as u64, (product >> 61) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: u64 = 0x9e37_79b9_7f4a_7c15;
    const SECRETS: [&str; 2] = [
        "q8Zr3'Vt6Yw9Bn2Mx5Kc7Ld4Pf1Hs0JgA+e",
        "Tx4sPhJ8vqGm2RkNd7WbYc3LfZa9UeQ1=?!",
    ];

    fn found(text: &str, secret: &str) -> bool {
        search(text.as_bytes(), secret.as_bytes(), KEY).found
    }

    /// The work does not depend on what a planted text shares with the secret: at its beginning,
    /// end or middle, or many times.
    #[test]
    fn the_work_does_not_depend_on_what_a_text_shares_with_the_secret() {
        for secret in SECRETS {
            let mut planted = Vec::new();
            for shared in 1..secret.len() {
                let (head, tail) = secret.split_at(shared);
                planted.push(format!("{head}{}", "~".repeat(tail.len())));
                planted.push(format!("{}{tail}", "~".repeat(head.len() + 1)));
                planted.push(format!("{head}~{tail}"));
            }
            for text in planted {
                for copies in [1, 50] {
                    let text = text.repeat(copies);
                    let expected = Work {
                        hashed: text.len() - secret.len() + 1,
                        compared: 0,
                        found: false,
                    };
                    for sought in SECRETS {
                        assert_eq!(
                            search(text.as_bytes(), sought.as_bytes(), KEY),
                            expected,
                            "{text}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn the_secret_is_found_wherever_it_is() {
        let [secret, other] = SECRETS;
        for text in [
            secret.to_owned(),
            format!("x{secret}"),
            format!("{secret}x"),
            format!("aaaa{secret}{secret}aaaa"),
            format!("ä{secret}ö"),
        ] {
            assert!(found(&text, secret), "{text}");
            assert!(!found(&text, other), "{text}");
        }
        assert!(!found("", secret));
        assert!(!found("", ""));
        assert!(!found("text", ""));
    }

    #[test]
    fn constants_of_a_tree_are_its_bytes() {
        // From pg_attrdef.adbin of a column with DEFAULT 'é' (PostgreSQL 15.13), with a name that
        // has a bracket in it.
        let tree = "{RTE :alias a[ :x 1}{CONST :consttype 25 :constvalue 6 [ 24 0 0 0 -61 -87 ]} [ 999 ] [ 1";
        let constants: Vec<_> = constants(tree).collect();
        assert_eq!(constants, [vec![24, 0, 0, 0, 0xc3, 0xa9]]);
    }

    proptest! {
        #[test]
        fn it_finds_what_a_plain_search_finds(
            text in "[ab]{0,40}", secret in "[ab]{1,6}", key in any::<u64>(),
        ) {
            let work = search(text.as_bytes(), secret.as_bytes(), key);
            prop_assert_eq!(work.found, text.contains(&secret));
        }
    }
}
