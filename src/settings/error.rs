//! Why a setting is refused.

use crate::report::{Report, shown, sqlstate};

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `configure()` got a name that is not a setting.
    #[error("unrecognized setting {}", shown(.name))]
    UnknownSetting {
        /// The name as given.
        name: String,
    },

    /// A setting got a value that it does not accept.
    #[error("invalid value for setting \"{name}\": {}", shown(.value))]
    InvalidSettingValue {
        /// Name of the setting.
        name: &'static str,
        /// The value as given.
        value: String,
        /// The accepted values, for the HINT.
        accepts: &'static str,
    },

    /// A role that users' requests must not have.
    #[error("invalid value for setting \"{name}\": {}", shown(.role))]
    InvalidRole {
        /// Name of the setting.
        name: &'static str,
        /// The role as given.
        role: String,
        /// What is wrong with it, a sentence.
        problem: String,
    },

    /// The table of settings has a value that this library's `configure()` does not write.
    #[error("the stored value of setting \"{name}\" is invalid")]
    StoredSettingInvalid {
        /// Name of the setting.
        name: &'static str,
        /// The value as stored.
        value: String,
        /// The accepted values, for the HINT.
        accepts: &'static str,
    },
}

impl Error {
    /// SQLSTATE, DETAIL and HINT.
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
                format!("The setting \"{name}\" does not accept this value. Nothing was changed."),
                format!("Values: {accepts}. NULL returns to the default."),
            ),
            Self::InvalidRole { problem, .. } => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                format!("{problem} Nothing was changed."),
                "Give a role for which row level security holds: not a superuser, without BYPASSRLS, and not a member of such a role. NULL returns to the default.",
            ),
            Self::StoredSettingInvalid {
                name,
                value,
                accepts,
            } => Report::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!(
                    "Table insforge_integrations.settings has the value {}.",
                    shown(value)
                ),
                format!(
                    "As a superuser, call insforge_integrations.configure('{name}', …) with one of: {accepts}."
                ),
            ),
        }
    }
}
