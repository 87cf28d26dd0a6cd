//! JSON Web Tokens (RFC 7519): what their claims say about who is asking, and whether a provider
//! signed them.

pub mod address;
pub mod algorithm;
mod claims;
mod clerk;
mod error;
pub mod grant;
pub mod identity;
mod json;
pub mod jws;
pub mod key;
pub mod policy;
pub mod preset;
pub mod rejection;
#[cfg(test)]
mod rfc_tests;
pub mod verify;
#[cfg(test)]
mod wycheproof_tests;

pub use error::Error;
