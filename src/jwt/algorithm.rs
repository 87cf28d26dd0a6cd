//! Signature algorithms (RFC 7518 section 3.1, RFC 8037) and what they verify with.

use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;

/// An algorithm this verifier knows. There is no variant for `none`.
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
    /// The algorithm of a name, which is case-sensitive. `Ed25519` (RFC 9864) is `EdDSA` with the
    /// one curve that this verifier has.
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

    /// Whether the key that verifies is the key that signs.
    #[must_use]
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::HS256 | Self::HS384 | Self::HS512)
    }
}

/// What a key verifies with; one variant for each kind of key, so that a key never serves an
/// algorithm of another kind.
///
/// Points are parsed once, when the key is read, by aws-lc-rs, with which jsonwebtoken verifies too;
/// jsonwebtoken would parse them at each verification, and has no ES512.
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

    /// Whether `signature` (base64url) is this key's over `message`.
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
