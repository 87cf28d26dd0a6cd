//! JSON Web Keys (RFC 7517): the keys of a provider that can verify, and why the others cannot.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    EcdsaVerificationAlgorithm, ParsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use super::algorithm::{Algorithm, Material};
use crate::json::strict::parse_object;

/// The largest number of keys in a set. Providers publish one to four.
const MAX_KEYS: usize = 100;
/// RFC 7518 section 3.3.
const MIN_RSA_BITS: usize = 2048;
const MAX_RSA_BITS: usize = 8192;
/// Members that only a private or symmetric key has.
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Ed25519 public keys of small order, without the sign bit: the points of order 1, 2, 4 and 8, and
/// their encodings at or above the field's prime. A signature under such a key proves nothing.
const SMALL_ORDER: [[u8; 32]; 7] = {
    const fn ends(low: u8, middle: u8, high: u8) -> [u8; 32] {
        let mut bytes = [middle; 32];
        bytes[0] = low;
        bytes[31] = high;
        bytes
    }
    [
        ends(0x00, 0x00, 0x00),
        ends(0x01, 0x00, 0x00),
        ends(0xec, 0xff, 0x7f),
        ends(0xed, 0xff, 0x7f),
        ends(0xee, 0xff, 0x7f),
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
    ]
};

/// One key that can verify.
pub(super) struct Key {
    id: Option<String>,
    /// `alg` of the key. A key that names an algorithm serves only that one.
    algorithm: Option<Algorithm>,
    material: Material,
}

impl Key {
    fn serves(&self, algorithm: Algorithm) -> bool {
        self.material.fits(algorithm) && self.algorithm.is_none_or(|only| only == algorithm)
    }

    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &str) -> bool {
        self.material.verifies(algorithm, message, signature)
    }
}

/// The keys of one provider.
#[derive(Default)]
pub struct KeySet(Vec<Key>);

/// The result of reading a JWK set.
pub struct ParsedKeys {
    /// The keys that can verify.
    pub keys: KeySet,
    /// Why the other keys cannot verify, one sentence for each.
    pub skipped: Vec<String>,
}

/// Why a JWK set is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySetError {
    /// It is not a JSON object with a list `keys` of objects, or it has too many keys.
    Malformed,
    /// The key at this place, counted from 1, has a private or symmetric part.
    Private(usize),
    /// No key can verify. One sentence for each key says why.
    NoUsableKey(Vec<String>),
}

impl KeySet {
    /// Reads a JWK set (RFC 7517 section 5).
    ///
    /// # Errors
    /// [`KeySetError`]. A set with a private key is refused as a whole.
    pub fn parse(json: &str) -> Result<ParsedKeys, KeySetError> {
        let set = parse_object(json.as_bytes()).ok_or(KeySetError::Malformed)?;
        let Some(Value::Array(list)) = set.get("keys") else {
            return Err(KeySetError::Malformed);
        };
        let jwks: Option<Vec<_>> = list.iter().map(Value::as_object).collect();
        let jwks = jwks
            .filter(|jwks| jwks.len() <= MAX_KEYS)
            .ok_or(KeySetError::Malformed)?;
        let is_private =
            |jwk: &&Map<String, Value>| PRIVATE_MEMBERS.iter().any(|name| jwk.contains_key(*name));
        if let Some(index) = jwks.iter().position(is_private) {
            return Err(KeySetError::Private(index + 1));
        }
        let mut keys = Vec::new();
        let mut skipped = Vec::new();
        for (index, jwk) in jwks.into_iter().enumerate() {
            match Key::from_jwk(jwk) {
                Ok(key) => keys.push(key),
                Err(problem) => skipped.push(format!("Key {} {problem}.", index + 1)),
            }
        }
        if keys.is_empty() {
            return Err(KeySetError::NoUsableKey(skipped));
        }
        Ok(ParsedKeys {
            keys: Self(keys),
            skipped,
        })
    }

    /// The only key of a provider that signs with a shared secret.
    #[must_use]
    pub fn from_secret(secret: &[u8]) -> Self {
        Self(vec![Key {
            id: None,
            algorithm: None,
            material: Material::Secret(DecodingKey::from_secret(secret)),
        }])
    }

    /// How many keys can verify a signature of one of these algorithms.
    #[must_use]
    pub fn count_for(&self, algorithms: &[Algorithm]) -> usize {
        let serves = |key: &&Key| algorithms.iter().any(|algorithm| key.serves(*algorithm));
        self.0.iter().filter(serves).count()
    }

    /// The `kid` of each key that has one.
    #[must_use]
    pub fn ids(&self) -> Vec<&str> {
        self.0.iter().filter_map(|key| key.id.as_deref()).collect()
    }

    /// Adds the keys of another set. They are tried after the keys of this set.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// The keys that may have signed a token with this `kid` and `alg`.
    pub(super) fn candidates<'a>(
        &'a self,
        key_id: Option<&'a str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'a Key> {
        self.0.iter().filter(move |key| {
            let is_named = key_id.is_none() || key.id.is_none() || key.id.as_deref() == key_id;
            is_named && key.serves(algorithm)
        })
    }
}

impl Key {
    fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, String> {
        if jwk.get("use").is_some_and(|usage| usage != "sig") {
            return Err("is not for signatures (\"use\")".to_owned());
        }
        let verifies = |operations: &Value| {
            operations
                .as_array()
                .is_some_and(|list| list.iter().any(|operation| operation == "verify"))
        };
        if jwk
            .get("key_ops")
            .is_some_and(|operations| !verifies(operations))
        {
            return Err("is not for verifying (\"key_ops\")".to_owned());
        }
        let algorithm = match jwk.get("alg") {
            None => None,
            Some(name) => {
                let known = name.as_str().and_then(Algorithm::from_name);
                Some(known.ok_or("is for an algorithm that is not supported (\"alg\")")?)
            }
        };
        let material = match (text(jwk, "kty")?, jwk.get("crv").and_then(Value::as_str)) {
            ("RSA", _) => rsa(jwk)?,
            ("EC", Some("P-256")) => Material::P256(point(jwk, &ECDSA_P256_SHA256_FIXED, 32)?),
            ("EC", Some("P-384")) => Material::P384(point(jwk, &ECDSA_P384_SHA384_FIXED, 48)?),
            ("EC", Some("P-521")) => Material::P521(point(jwk, &ECDSA_P521_SHA512_FIXED, 66)?),
            ("OKP", Some("Ed25519")) => ed25519(jwk)?,
            _ => {
                return Err(
                    "is of a type or curve that is not supported (\"kty\", \"crv\")".to_owned(),
                );
            }
        };
        if algorithm.is_some_and(|algorithm| !material.fits(algorithm)) {
            return Err("does not fit its own \"alg\"".to_owned());
        }
        let id = match jwk.get("kid") {
            None => None,
            Some(Value::String(id)) => Some(id.clone()),
            Some(_) => return Err("has a \"kid\" that is not a string".to_owned()),
        };
        Ok(Self {
            id,
            algorithm,
            material,
        })
    }
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &str) -> Result<&'a str, String> {
    jwk.get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("has no \"{name}\""))
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, String> {
    URL_SAFE_NO_PAD
        .decode(text(jwk, name)?)
        .map_err(|_| format!("has a \"{name}\" that is not base64url"))
}

fn rsa(jwk: &Map<String, Value>) -> Result<Material, String> {
    // Some issuers write DER's sign octet, which RFC 7518 section 6.3.1.1 forbids.
    let integer = |name| bytes(jwk, name).map(without_leading_zeros);
    let (modulus, exponent) = (integer("n")?, integer("e")?);
    let leading = modulus
        .first()
        .map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = modulus.len() * 8 - leading;
    if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
        return Err(format!(
            "is an RSA key of {bits} bits, outside {MIN_RSA_BITS} to {MAX_RSA_BITS}"
        ));
    }
    let value = exponent
        .iter()
        .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let is_sane = exponent.len() <= 4 && value >= 3 && value % 2 == 1;
    if !is_sane || modulus.last().is_none_or(|byte| byte % 2 == 0) {
        return Err("is an RSA key with an exponent or modulus that no issuer uses".to_owned());
    }
    Ok(Material::Rsa(DecodingKey::from_rsa_raw_components(
        &modulus, &exponent,
    )))
}

fn without_leading_zeros(octets: Vec<u8>) -> Vec<u8> {
    octets.into_iter().skip_while(|octet| *octet == 0).collect()
}

/// Reads a point whose coordinates must be `size` bytes long (RFC 7518 section 6.2).
fn point(
    jwk: &Map<String, Value>,
    curve: &'static EcdsaVerificationAlgorithm,
    size: usize,
) -> Result<ParsedPublicKey, String> {
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    if x.len() != size || y.len() != size {
        return Err(format!("has coordinates that are not {size} bytes long"));
    }
    // 4 marks an uncompressed point.
    ParsedPublicKey::new(curve, [&[4][..], &x, &y].concat())
        .map_err(|_| "is not a point on its curve".to_owned())
}

fn ed25519(jwk: &Map<String, Value>) -> Result<Material, String> {
    let refused = || "is not a usable Ed25519 key".to_owned();
    // aws-lc-rs would also accept a SubjectPublicKeyInfo.
    let public: [u8; 32] = bytes(jwk, "x")?.try_into().map_err(|_| refused())?;
    let mut without_sign = public;
    if let Some(last) = without_sign.last_mut() {
        // The top bit is the sign of the other coordinate.
        *last &= 0x7f;
    }
    match ParsedPublicKey::new(&ED25519, public) {
        Ok(key) if !SMALL_ORDER.contains(&without_sign) => Ok(Material::Ed25519(key)),
        _ => Err(refused()),
    }
}
