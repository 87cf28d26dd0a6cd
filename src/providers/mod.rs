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
pub mod mapping;
mod oidc;
pub mod registration;
mod stytch;
mod workos;

use crate::report::shown;
use claims::{Claims, Membership};
pub use error::Error;
use mapping::Mapping;
use registration::{Preset, Registration, SharedArguments, read_arguments, refuse};

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
    let shared: SharedArguments = read_arguments(arguments)?;
    let mut registration = (preset.register)(arguments)?;
    preset.name.clone_into(&mut registration.preset);
    if let Some(seconds) = shared.leeway_seconds {
        registration.rules.leeway_seconds = seconds;
    }
    registration.mapping = Mapping {
        passed_claims: shared.passed_claims.unwrap_or_default(),
        ..registration.mapping
    };
    registration.check()?;
    Ok(registration)
}

/// Reads the membership from claims of any provider.
#[must_use]
pub fn membership(claims: &Claims) -> Membership {
    let mut readers = PRESETS.iter().filter_map(|preset| preset.membership);
    insforge::membership(claims)
        .or_else(|| readers.find_map(|read| read(claims)))
        .unwrap_or_else(|| Membership::at_the_top_level(claims))
}

#[cfg(test)]
pub(crate) mod tests;
