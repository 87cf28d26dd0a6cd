//! JSON Web Tokens (RFC 7519): what their claims say about who is asking.

mod claims;
mod clerk;
pub mod identity;
