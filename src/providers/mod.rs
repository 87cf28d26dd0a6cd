//! The identity providers. The file of a provider has the arguments of its registration, the rules
//! for its tokens, the shape of its claims and an example of a user id.
//!
//! docs/providers.md lists the rules of each provider.

mod auth0;
pub mod better_auth;
pub mod claims;
mod clerk;
mod custom;
mod error;
pub mod insforge;
mod kinde;
mod oidc;
pub mod registration;
mod stytch;
mod workos;

use crate::report::shown;
use claims::{Claims, Membership};
pub use error::Error;
use registration::{Preset, Registration, refuse};

/// All presets. If claims have the marks of two providers, the first one reads them.
pub const PRESETS: [&Preset; 9] = [
    &clerk::PRESET,
    &stytch::CONSUMER,
    &stytch::B2B,
    &kinde::PRESET,
    &workos::PRESET,
    &auth0::PRESET,
    &better_auth::PRESET,
    &oidc::PRESET,
    &custom::PRESET,
];

/// Makes the registration of a preset from its arguments, a JSON object.
///
/// # Errors
/// [`Error::InvalidRegistration`] says what is wrong.
pub fn register(preset: &str, arguments: &str) -> Result<Registration, Error> {
    let Some(preset) = PRESETS.iter().find(|known| known.name == preset) else {
        return refuse(format!("There is no preset {}.", shown(preset)));
    };
    let registration = Registration {
        preset: preset.name.to_owned(),
        ..(preset.register)(arguments)?
    };
    registration.check()?;
    Ok(registration)
}

/// Reads the membership from claims of any provider.
#[must_use]
pub fn membership(claims: &Claims) -> Membership {
    let mut readers = PRESETS.iter().filter_map(|preset| preset.membership);
    readers
        .find_map(|read| read(claims))
        .unwrap_or_else(|| Membership::at_the_top_level(claims))
}

#[cfg(test)]
mod tests;
