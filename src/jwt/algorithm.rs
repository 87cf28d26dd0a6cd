//! Signature algorithms (RFC 7518 section 3.1, RFC 8037), and the key material that each needs.

use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;

/// An algorithm that this verifier supports. There is no variant for `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Algorithm {
    HS256,
    HS384,
    HS512,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    EdDSA,
}

const NAMES: [(Algorithm, &str); 13] = [
    (Algorithm::HS256, "HS256"),
    (Algorithm::HS384, "HS384"),
    (Algorithm::HS512, "HS512"),
    (Algorithm::RS256, "RS256"),
    (Algorithm::RS384, "RS384"),
    (Algorithm::RS512, "RS512"),
    (Algorithm::PS256, "PS256"),
    (Algorithm::PS384, "PS384"),
    (Algorithm::PS512, "PS512"),
    (Algorithm::ES256, "ES256"),
    (Algorithm::ES384, "ES384"),
    (Algorithm::ES512, "ES512"),
    (Algorithm::EdDSA, "EdDSA"),
];

impl Algorithm {
    /// Finds an algorithm by its name, which is case-sensitive. `Ed25519` (RFC 9864) is `EdDSA`
    /// with the only curve that this verifier supports.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = if name == "Ed25519" { "EdDSA" } else { name };
        NAMES
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(algorithm, _)| *algorithm)
    }

    /// The name as it stands in `alg`.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES
            .iter()
            .find(|(algorithm, _)| *algorithm == self)
            .map_or("", |(_, name)| name)
    }

    /// Whether the same key signs and verifies.
    #[must_use]
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::HS256 | Self::HS384 | Self::HS512)
    }
}

/// The part of a key that verifies. Each kind of key has a variant, so a key never serves an
/// algorithm of another kind.
///
/// jsonwebtoken verifies HMAC and RSA signatures. aws-lc-rs, which jsonwebtoken is built on,
/// verifies the others: it keeps a parsed point, where jsonwebtoken parses the point for each
/// signature, and jsonwebtoken has no ES512.
pub(super) enum Material {
    Secret(DecodingKey),
    Rsa(DecodingKey),
    P256(ParsedPublicKey),
    P384(ParsedPublicKey),
    P521(ParsedPublicKey),
    Ed25519(ParsedPublicKey),
}

impl Material {
    pub(super) const fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{
            ES256, ES384, ES512, EdDSA, HS256, HS384, HS512, PS256, PS384, PS512, RS256, RS384,
            RS512,
        };
        match self {
            Self::Secret(_) => matches!(algorithm, HS256 | HS384 | HS512),
            Self::Rsa(_) => matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
            Self::P256(_) => matches!(algorithm, ES256),
            Self::P384(_) => matches!(algorithm, ES384),
            Self::P521(_) => matches!(algorithm, ES512),
            Self::Ed25519(_) => matches!(algorithm, EdDSA),
        }
    }

    /// Whether this key made `signature` (base64url) for `message`.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &str) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        match self {
            Self::Secret(key) | Self::Rsa(key) => algorithm.name().parse().is_ok_and(|algorithm| {
                jsonwebtoken::crypto::verify(signature, message, key, algorithm).unwrap_or(false)
            }),
            Self::P256(key) | Self::P384(key) | Self::P521(key) | Self::Ed25519(key) => {
                URL_SAFE_NO_PAD
                    .decode(signature)
                    .is_ok_and(|signature| key.verify_sig(message, &signature).is_ok())
            }
        }
    }
}
