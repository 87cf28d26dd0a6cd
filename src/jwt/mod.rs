//! JSON Web Tokens: JWS (RFC 7515), keys (RFC 7517), algorithms (RFC 7518, RFC 8037) and claims
//! (RFC 7519), and whether a token is what a provider's policy wants.

pub mod algorithm;
pub mod discovery;
pub mod jws;
pub mod key;
pub mod policy;
pub mod rejection;
#[cfg(test)]
mod rfc_tests;
pub mod url;
pub mod verify;
#[cfg(test)]
mod wycheproof_tests;
