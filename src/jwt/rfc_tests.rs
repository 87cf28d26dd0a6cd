//! The signatures that the RFCs publish as examples: each verifies with the published key, and not
//! once a character of its payload is another. A value without a section is of the one that its
//! test is named after.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::algorithm::Algorithm;
use super::jws::Jws;
use super::key::{KeySet, KeySetError};
use super::rejection::{Rejection, RejectionReason};

const ALL: [Algorithm; 13] = [
    Algorithm::HS256,
    Algorithm::HS384,
    Algorithm::HS512,
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

/// RFC 7515 section A.1.1.
const CLAIMS_TEXT: &str = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \
                           \"http://example.com/is_root\":true}";
/// RFC 7515 section A.1.1, base64url; the payload of A.2, A.3, A.5 and A.6 too.
const CLAIMS: &str = "\
    eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290\
    Ijp0cnVlfQ";
/// RFC 7515 section A.1.1, `k`.
const A1_KEY: &str = "\
    AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CA\
    ow";
/// RFC 7515 section A.2.1, `n`.
const A2_MODULUS: &str = "\
    ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEz\
    P1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf6\
    3kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5Zw\
    Kh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRW\
    yuXpoQ";
/// RFC 7515 section A.2.1.
const A2_SIGNATURE: &str = "\
    cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt\
    _O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArL\
    IARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7no\
    OPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQ\
    Ge77Rw";
/// RFC 7515 section A.3.1.
const A3_SIGNATURE: &str = "\
    DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU\
    1Q";
/// RFC 7515 section A.4.1, `x`.
const A4_X: &str = "\
    AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceq\
    wQGk";
/// RFC 7515 section A.4.1, `y`.
const A4_Y: &str = "\
    ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3k\
    yMj2";
/// RFC 7515 section A.4.1.
const A4_SIGNATURE: &str = "\
    AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_\
    7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXo\
    lLzeO_Jn";
/// RFC 7520 section 4.
const COOKBOOK_TEXT: &str = "It\u{2019}s a dangerous business, Frodo, going out your door. You \
                             step onto the road, and if you don't keep your feet, there\u{2019}s \
                             no knowing where you might be swept off to.";
/// RFC 7520 section 4, base64url.
const COOKBOOK_PAYLOAD: &str = "\
    SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0\
    ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5v\
    IGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";
/// RFC 7520 section 3.3, `n`.
const COOKBOOK_MODULUS: &str = "\
    n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZ\
    QHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oB\
    HqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVb\
    b9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHd\
    rNP5zw";
/// RFC 7520 section 3.1, `x`.
const COOKBOOK_X: &str = "\
    AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5c\
    j0Kt";
/// RFC 7520 section 3.1, `y`.
const COOKBOOK_Y: &str = "\
    AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-Hq\
    HZR1";
/// RFC 7520 section 4.1.2.
const COOKBOOK_4_1_SIGNATURE: &str = "\
    MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996i\
    vp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1u\
    SNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAh\
    b6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18\
    kDquDg";
/// RFC 7520 section 4.2.2.
const COOKBOOK_4_2_SIGNATURE: &str = "\
    cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqH\
    CdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn\
    442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0\
    n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-\
    X72Eaw";
/// RFC 7520 section 4.3.2.
const COOKBOOK_4_3_SIGNATURE: &str = "\
    AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cm\
    L1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRu\
    Bomu9xQ2";
/// RFC 7520 sections 3.1 and 3.3.
const COOKBOOK_KEY_ID: &str = "bilbo.baggins@hobbiton.example";

fn public(jwk: &Value) -> KeySet {
    let parsed = KeySet::parse(&json!({ "keys": [jwk] }).to_string());
    parsed.expect("a set with a usable key").keys
}

fn secret(k: &str) -> KeySet {
    KeySet::from_secret(&URL_SAFE_NO_PAD.decode(k).unwrap())
}

fn verify(token: &str, allowed: &[Algorithm], keys: &KeySet) -> Result<Vec<u8>, Rejection> {
    let jws = Jws::parse(token)?;
    jws.verify(allowed, keys).map(|()| jws.payload().to_vec())
}

fn refusal(token: &str, allowed: &[Algorithm], keys: &KeySet) -> Option<RejectionReason> {
    verify(token, allowed, keys)
        .err()
        .map(|rejection| rejection.reason)
}

/// Insists that header, payload and signature verify and give the published text, and that they do
/// not verify when one character of the payload is another.
fn verifies_only_unaltered(
    algorithm: Algorithm,
    keys: &KeySet,
    [header, payload, signature]: [&str; 3],
    text: &str,
) {
    let token = format!("{header}.{payload}.{signature}");
    let verified = verify(&token, &[algorithm], keys);
    assert_eq!(verified.as_deref(), Ok(text.as_bytes()));

    let first = if payload.starts_with('A') { 'B' } else { 'A' };
    let altered = format!("{header}.{first}{}.{signature}", &payload[1..]);
    assert_eq!(
        refusal(&altered, &[algorithm], keys),
        Some(RejectionReason::BadSignature)
    );
}

/// RFC 7515 section A.2.1, the public members.
fn a2_keys() -> KeySet {
    public(&json!({"kty": "RSA", "n": A2_MODULUS, "e": "AQAB"}))
}

/// RFC 7515 section A.3.1, the public members.
fn a3_keys() -> KeySet {
    public(&json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }))
}

/// RFC 7520 section 3.3.
fn cookbook_rsa_keys() -> KeySet {
    public(&json!({
        "kty": "RSA",
        "kid": COOKBOOK_KEY_ID,
        "use": "sig",
        "n": COOKBOOK_MODULUS,
        "e": "AQAB",
    }))
}

#[test]
fn rfc_7515_a1_hs256_verifies_only_unaltered() {
    let header = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9";
    let signature = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    verifies_only_unaltered(
        Algorithm::HS256,
        &secret(A1_KEY),
        [header, CLAIMS, signature],
        CLAIMS_TEXT,
    );
}

#[test]
fn rfc_7515_a2_rs256_verifies_only_unaltered() {
    verifies_only_unaltered(
        Algorithm::RS256,
        &a2_keys(),
        ["eyJhbGciOiJSUzI1NiJ9", CLAIMS, A2_SIGNATURE],
        CLAIMS_TEXT,
    );
}

#[test]
fn rfc_7515_a3_es256_verifies_only_unaltered() {
    verifies_only_unaltered(
        Algorithm::ES256,
        &a3_keys(),
        ["eyJhbGciOiJFUzI1NiJ9", CLAIMS, A3_SIGNATURE],
        CLAIMS_TEXT,
    );
}

#[test]
fn rfc_7515_a4_es512_verifies_only_unaltered() {
    verifies_only_unaltered(
        Algorithm::ES512,
        &public(&json!({"kty": "EC", "crv": "P-521", "x": A4_X, "y": A4_Y})),
        ["eyJhbGciOiJFUzUxMiJ9", "UGF5bG9hZA", A4_SIGNATURE],
        "Payload",
    );
}

#[test]
fn rfc_7515_a5_unsecured_is_refused_whatever_is_allowed() {
    let token = format!("eyJhbGciOiJub25lIn0.{CLAIMS}.");
    for keys in [
        secret(A1_KEY),
        KeySet::from_secret(b""),
        a2_keys(),
        a3_keys(),
    ] {
        assert_eq!(
            refusal(&token, &ALL, &keys),
            Some(RejectionReason::AlgorithmNotAllowed)
        );
    }
}

#[test]
fn rfc_7515_a6_and_a7_json_serializations_are_refused() {
    let rs256 = json!({
        "protected": "eyJhbGciOiJSUzI1NiJ9",
        "header": {"kid": "2010-12-29"},
        "signature": A2_SIGNATURE,
    });
    let es256 = json!({
        "protected": "eyJhbGciOiJFUzI1NiJ9",
        "header": {"kid": "e9bc097a-ce51-4036-9562-d2ade882db0d"},
        "signature": A3_SIGNATURE,
    });
    let mut flattened = es256.clone();
    flattened["payload"] = CLAIMS.into();
    let general = json!({"payload": CLAIMS, "signatures": [rs256, es256]});
    let mut keys = a2_keys();
    keys.append(a3_keys());
    for token in [general, flattened] {
        assert_eq!(
            refusal(&token.to_string(), &ALL, &keys),
            Some(RejectionReason::Malformed)
        );
    }
}

#[test]
fn rfc_7520_4_1_rs256_verifies_only_unaltered() {
    let header = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9";
    verifies_only_unaltered(
        Algorithm::RS256,
        &cookbook_rsa_keys(),
        [header, COOKBOOK_PAYLOAD, COOKBOOK_4_1_SIGNATURE],
        COOKBOOK_TEXT,
    );
}

#[test]
fn rfc_7520_4_2_ps384_verifies_only_unaltered() {
    let header = "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9";
    verifies_only_unaltered(
        Algorithm::PS384,
        &cookbook_rsa_keys(),
        [header, COOKBOOK_PAYLOAD, COOKBOOK_4_2_SIGNATURE],
        COOKBOOK_TEXT,
    );
}

#[test]
fn rfc_7520_4_3_es512_verifies_only_unaltered() {
    // Section 3.1.
    let keys = public(&json!({
        "kty": "EC",
        "kid": COOKBOOK_KEY_ID,
        "use": "sig",
        "crv": "P-521",
        "x": COOKBOOK_X,
        "y": COOKBOOK_Y,
    }));
    let header = "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9";
    verifies_only_unaltered(
        Algorithm::ES512,
        &keys,
        [header, COOKBOOK_PAYLOAD, COOKBOOK_4_3_SIGNATURE],
        COOKBOOK_TEXT,
    );
}

#[test]
fn rfc_7520_4_4_hs256_verifies_only_unaltered() {
    // Section 3.5.
    let keys = secret("hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg");
    let header = "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9";
    let signature = "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0";
    verifies_only_unaltered(
        Algorithm::HS256,
        &keys,
        [header, COOKBOOK_PAYLOAD, signature],
        COOKBOOK_TEXT,
    );
}

#[test]
fn rfc_8037_a4_ed25519_verifies_only_unaltered() {
    // Section A.2.
    let keys = public(&json!({
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }));
    let signature =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    verifies_only_unaltered(
        Algorithm::EdDSA,
        &keys,
        [
            "eyJhbGciOiJFZERTQSJ9",
            "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            signature,
        ],
        "Example of Ed25519 signing",
    );
}

/// RFC 7515 section A.2.1 with zero octets in front, as DER has one: npm jose and Node's crypto
/// take the same key from it.
#[test]
fn leading_zero_octets_of_an_rsa_key_change_no_verdict() {
    let padded = |text: &str, zeros: usize| {
        let octets = [vec![0; zeros], URL_SAFE_NO_PAD.decode(text).unwrap()].concat();
        URL_SAFE_NO_PAD.encode(octets)
    };
    for (of_modulus, of_exponent) in [(1, 0), (0, 1), (1, 1), (3, 5)] {
        verifies_only_unaltered(
            Algorithm::RS256,
            &public(&json!({
                "kty": "RSA",
                "n": padded(A2_MODULUS, of_modulus),
                "e": padded("AQAB", of_exponent),
            })),
            ["eyJhbGciOiJSUzI1NiJ9", CLAIMS, A2_SIGNATURE],
            CLAIMS_TEXT,
        );
    }
    // Zeros make no key longer: one octet of the modulus is gone, and one stands in front.
    let shorter = URL_SAFE_NO_PAD.decode(A2_MODULUS).unwrap();
    let shorter = [&[0][..], &shorter[1..]].concat();
    for (modulus, exponent) in [
        (URL_SAFE_NO_PAD.encode(shorter), "AQAB"),
        (padded("", 256), "AQAB"),
        (A2_MODULUS.to_owned(), "AAAB"),
        (A2_MODULUS.to_owned(), ""),
    ] {
        let jwks = json!({"keys": [{"kty": "RSA", "n": modulus, "e": exponent}]});
        let refused = KeySet::parse(&jwks.to_string()).err();
        assert!(matches!(refused, Some(KeySetError::NoUsableKey(_))));
    }
}

/// RFC 8037 section 2: `x` is the public key itself, not its SubjectPublicKeyInfo (RFC 8410
/// section 4). The first is the RFC's own key, the second a point of small order.
#[test]
fn rfc_8037_a_wrapped_ed25519_key_is_refused() {
    let own = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    for point in [own.unwrap(), vec![0; 32]] {
        let prefix = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
        let x = URL_SAFE_NO_PAD.encode([&prefix[..], &point].concat());
        let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
        assert_eq!(
            KeySet::parse(&json!({ "keys": [jwk] }).to_string()).err(),
            Some(KeySetError::NoUsableKey(vec![
                "Key 1 is not a usable Ed25519 key.".to_owned()
            ]))
        );
    }
}
