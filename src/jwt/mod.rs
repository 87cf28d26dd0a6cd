//! JSON Web Tokens (RFC 7519): what their claims say about who is asking, and whether a provider
//! signed them.

pub mod algorithm;
mod claims;
mod clerk;
pub mod grant;
pub mod identity;
pub mod jws;
pub mod key;
pub mod policy;
pub mod preset;
pub mod rejection;
#[cfg(test)]
mod rfc_tests;
pub mod url;
pub mod verify;
#[cfg(test)]
mod wycheproof_tests;
