//! Why a setting is refused.

use crate::report::{Report, shown, sqlstate};

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `configure()` was given a name that is no setting.
    #[error("unrecognized setting {}", shown(.name))]
    UnknownSetting {
        /// The name as given.
        name: String,
    },

    /// A setting was given a value it does not take.
    #[error("invalid value for setting \"{name}\": {}", shown(.value))]
    InvalidSettingValue {
        /// Name of the setting.
        name: &'static str,
        /// The value as given.
        value: String,
        /// The values it takes, for the HINT.
        accepts: &'static str,
    },

    /// A role that tokens of users must not have.
    #[error("invalid value for setting \"token_role\": {}", shown(.role))]
    InvalidTokenRole {
        /// The role as given.
        role: String,
        /// What is wrong with it, a sentence.
        problem: String,
    },

    /// The settings table holds a value that no version of `configure()` of this library writes.
    #[error("the stored value of setting \"{name}\" is invalid")]
    StoredSettingInvalid {
        /// Name of the setting.
        name: &'static str,
        /// The value as stored.
        value: String,
        /// The values it takes, for the HINT.
        accepts: &'static str,
    },
}

impl Error {
    /// What Postgres reports with it.
    #[must_use]
    pub fn report(&self) -> Report {
        match self {
            Self::UnknownSetting { name } => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                format!("There is no setting {}.", shown(name)),
                format!("Settings: {}.", super::names()),
            ),
            Self::InvalidSettingValue { name, accepts, .. } => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                format!("The setting \"{name}\" does not take this value; nothing was changed."),
                format!("Values: {accepts}. NULL returns to the default."),
            ),
            Self::InvalidTokenRole { problem, .. } => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                format!("{problem} Nothing was changed."),
                "Give a role for which row level security holds: no superuser, without BYPASSRLS, and a member of no such role. NULL returns to the default, authenticated.",
            ),
            Self::StoredSettingInvalid {
                name,
                value,
                accepts,
            } => Report::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!(
                    "Table insforge_integrations.settings holds {} for it.",
                    shown(value)
                ),
                format!(
                    "As a superuser, call insforge_integrations.configure('{name}', …) with one of: {accepts}."
                ),
            ),
        }
    }
}
