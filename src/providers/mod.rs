//! The identity providers, one file each: what its registration asks for, the rules that makes for
//! its tokens, how its claims name an organisation, and what its users' ids look like.
//!
//! What each rule rests on is in docs/providers.md.

mod auth0;
pub mod better_auth;
pub mod claims;
mod clerk;
mod custom;
mod error;
pub mod insforge;
mod kinde;
pub mod registration;
mod stytch;
mod workos;

use crate::report::shown;
use claims::{Claims, Membership};
pub use error::Error;
use registration::{Preset, Registration, refuse};

/// All presets. Claims that have the marks of two belong to the first.
pub const PRESETS: [&Preset; 8] = [
    &clerk::PRESET,
    &stytch::CONSUMER,
    &stytch::B2B,
    &kinde::PRESET,
    &workos::PRESET,
    &auth0::PRESET,
    &better_auth::PRESET,
    &custom::PRESET,
];

/// Makes the registration of a preset from its arguments, a JSON object.
///
/// # Errors
/// [`Error::InvalidRegistration`], with what is wrong.
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

/// The organisation that claims name, whichever provider made them.
#[must_use]
pub fn membership(claims: &Claims) -> Membership {
    let mut readers = PRESETS.iter().filter_map(|preset| preset.membership);
    readers
        .find_map(|read| read(claims))
        .unwrap_or_else(|| Membership::at_the_top_level(claims))
}

#[cfg(test)]
mod tests;
