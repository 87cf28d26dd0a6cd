//! Reads any text as a JWK set, and as the arguments of a registration. Nothing panics. No set with
//! a private key is accepted. Only the issuer's key verifies the issuer's tokens. No refusal
//! repeats the input.
#![no_main]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use insforge_integrations::jwt::algorithm::Algorithm;
use insforge_integrations::jwt::jws::Jws;
use insforge_integrations::jwt::key::{KeySet, KeySetError};
use insforge_integrations::providers::register;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const JWKS: &str = include_str!("../seeds/key_set/issuer.json");
const SIGNED: [(&str, &str); 3] = [
    (include_str!("../seeds/token/es256.txt"), "x"),
    (include_str!("../seeds/token/eddsa.txt"), "x"),
    (include_str!("../seeds/token/rs256.txt"), "n"),
];
const ALL: [Algorithm; 10] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::ES512,
    Algorithm::EdDSA,
];

/// The values of a member of the keys, as numbers without leading zeros.
fn numbers(jwks: &str, member: &str) -> Vec<Vec<u8>> {
    let set: Value = serde_json::from_str(jwks).unwrap();
    let texts = set["keys"].as_array().unwrap().iter().filter_map(|key| key[member].as_str());
    texts
        .filter_map(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .map(|octets| octets.into_iter().skip_while(|octet| *octet == 0).collect())
        .collect()
}

/// No message of this extension has a word of this length.
fn repeats(given: &str, said: &str) -> bool {
    let mut words = given.split(['"', ' ']);
    words.any(|word| word.len() > 40 && said.contains(word))
}

fuzz_target!(|text: &str| {
    match KeySet::parse(text) {
        Ok(parsed) => {
            assert!(parsed.keys.count_for(&ALL) > 0);
            assert!(!repeats(text, &parsed.skipped.join(" ")));
            for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
                let set: Value = serde_json::from_str(text).unwrap();
                let keys = set["keys"].as_array().unwrap();
                assert!(keys.iter().all(|key| key.get(private).is_none()), "{private}");
            }
            for (token, member) in SIGNED {
                if Jws::parse(token).unwrap().verify(&ALL, &parsed.keys).is_ok() {
                    let own = numbers(JWKS, member);
                    assert!(numbers(text, member).iter().any(|number| own.contains(number)));
                }
            }
        }
        Err(KeySetError::NoUsableKey(skipped)) => assert!(!repeats(text, &skipped.join(" "))),
        Err(_) => {}
    }
    let (name, arguments) = text.split_once('\n').unwrap_or(("custom", text));
    if let Err(error) = register(name, arguments) {
        assert!(!repeats(arguments, &format!("{error:?}")));
    }
});
