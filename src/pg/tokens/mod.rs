//! SQL functions on identity, providers' tokens and InsForge's own tokens.

#![forbid(unsafe_code)]

pub(crate) mod better_auth;
pub(crate) mod exchange;
pub(crate) mod pre_request;
pub(crate) mod providers;
pub(crate) mod refresh;
pub(crate) mod request;
pub(crate) mod secret_search;
pub(crate) mod sessions;
pub(crate) mod status;
pub(crate) mod verdict;
pub(crate) mod verification;
pub(crate) mod verified_tokens;
