//! SQL functions on identity, providers' tokens and InsForge's own tokens.

#![forbid(unsafe_code)]

pub mod better_auth;
pub mod exchange;
pub mod pre_request;
pub mod providers;
pub mod refresh;
pub mod request;
pub mod secret_search;
pub mod sessions;
pub mod verdict;
pub mod verification;
pub mod verified_tokens;
