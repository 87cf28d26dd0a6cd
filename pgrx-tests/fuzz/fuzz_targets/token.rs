//! Reads any text as a token, and the text after a line break as its rules. Nothing panics. No
//! unsigned token is accepted. No refusal repeats the token.
#![no_main]

use std::sync::LazyLock;

use insforge_integrations::grant::{Grant, IssuerClaims, Vouched, requested_claims};
use insforge_integrations::identity::{Identity, claims_set};
use insforge_integrations::jwt::jws::Jws;
use insforge_integrations::jwt::key::KeySet;
use insforge_integrations::jwt::policy::{Policy, Rules};
use insforge_integrations::jwt::verify::{unverified_issuer, verify};
use insforge_integrations::providers::better_auth::session::Credential;
use insforge_integrations::providers::mapping::Mapping;
use insforge_integrations::providers::registration::unreadable;
use insforge_integrations::providers::{insforge, register};
use libfuzzer_sys::fuzz_target;

const SECRET: &[u8] = b"a secret for fuzzing, of 32 bytes or more";
const JWKS: &str = include_str!("../seeds/key_set/issuer.json");
const COOKIE: &str = include_str!("../seeds/token/cookie.txt");
const SIGNED: [&str; 4] = [
    include_str!("../seeds/token/hs256.txt"),
    include_str!("../seeds/token/es256.txt"),
    include_str!("../seeds/token/eddsa.txt"),
    include_str!("../seeds/token/rs256.txt"),
];
const ISSUER: &str = r#"{"issuers": ["https://issuer.example"], "jwks_url": "https://issuer.example/jwks",
    "algorithms": ["ES256", "EdDSA", "RS256"], "audience_rule": "required", "audiences": ["api"],
    "authorized_parties": [], "required_claims": [], "forbidden_claims": [],
    "token_types": ["JWT", "at+jwt", ""], "token_categories": [], "max_age_seconds": null,
    "leeway_seconds": 5, "subject_pattern": "[a-z]+", "subject_prefix": null, "allow_uuid_subjects": false}"#;
const NOW: i64 = 1_800_000_000;
const ISSUER_CLAIMS: IssuerClaims = IssuerClaims {
    role: "authenticated",
    audience: "insforge-api",
    issued: NOW,
    expires: NOW + 60,
};

static POLICIES: LazyLock<[Policy; 2]> = LazyLock::new(|| {
    [
        Policy::new(register("custom", ISSUER).unwrap().rules).unwrap(),
        Policy::new(insforge::rules("authenticated", "insforge-api")).unwrap(),
    ]
});
static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let mut keys = KeySet::parse(JWKS).unwrap().keys;
    keys.append(KeySet::from_secret(SECRET));
    keys
});

/// The signed part. Some algorithms have several signatures for it.
fn message(token: &str) -> Option<&str> {
    Some(token.rsplit_once('.')?.0)
}

/// No message of this extension has a word of this length.
fn repeats(token: &str, said: &str) -> bool {
    let mut words = token.split(['.', ' ']);
    words.any(|word| word.len() > 32 && said.contains(word))
}

fuzz_target!(|text: &str| {
    let (token, rules) = text.split_once('\n').unwrap_or((text, "{}"));
    let _ = Identity::from_claims(rules);
    let _ = claims_set(rules);
    let mapping: Mapping = serde_json::from_str(rules).unwrap_or_default();
    let _ = requested_claims(token, rules, ISSUER_CLAIMS);
    let own_rules = serde_json::from_str::<Rules>(rules).map_err(|error| unreadable(&error));
    let own_policy = own_rules.and_then(Policy::new);
    match Jws::parse(token) {
        Err(rejection) => assert!(!repeats(token, &rejection.to_string())),
        Ok(jws) => {
            let _ = unverified_issuer(&jws);
            for policy in POLICIES.iter().chain(&own_policy) {
                for now in [0, NOW, i64::MAX] {
                    let verified = match verify(&jws, policy, &KEYS, now) {
                        Ok(verified) => verified,
                        Err(rejection) => {
                            assert!(!repeats(token, &rejection.to_string()));
                            continue;
                        }
                    };
                    assert!(SIGNED.iter().any(|known| message(known) == message(token)));
                    let ends = policy.end(&verified.times);
                    if let Ok(grant) = Grant::from_token("fuzz", &Vouched::read(&verified, &mapping), ends) {
                        grant.claims(ISSUER_CLAIMS).unwrap();
                    }
                }
            }
        }
    }
    match Credential::parse(token) {
        Err(rejection) => assert!(!repeats(token, &rejection.to_string())),
        Ok(credential) => {
            let _ = credential.session_token(None, true);
            // The seed was signed with another secret.
            assert!(!matches!(credential, Credential::Signed { .. }) || token.starts_with(COOKIE)
                || credential.session_token(Some(SECRET), true).is_err());
        }
    }
});
