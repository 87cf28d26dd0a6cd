//! The switches of the extension: their names, the values they take, and their defaults.
//!
//! The rows of `insforge_integrations.settings` say what differs from the defaults.

use crate::error::Error;

/// Where `requesting_user_id()` and its family take the identity from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentitySource {
    /// From `request.jwt.claims`, which whoever connected to Postgres is trusted to set.
    Claims,
    /// Only from an identity that this extension verified; `request.jwt.claims` is worth nothing.
    Verified,
}

/// All settings, each at its stored value or its default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Setting `identity_source`.
    pub identity_source: IdentitySource,
    /// Setting `token_role`: the database role of users' tokens.
    pub token_role: String,
    /// Setting `token_audience`: whom InsForge's tokens are for.
    pub token_audience: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            identity_source: IdentitySource::Claims,
            token_role: "authenticated".to_owned(),
            token_audience: "insforge-api".to_owned(),
        }
    }
}

/// One setting as `configure()` knows it.
struct Setting {
    name: &'static str,
    accepts: &'static str,
    /// Puts a value into `Settings`; `None` when the setting does not take it.
    apply: fn(&mut Settings, &str) -> Option<()>,
}

const SETTINGS: &[Setting] = &[
    Setting {
        name: "identity_source",
        accepts: "claims, verified",
        apply: |settings, value| {
            settings.identity_source = match value {
                "claims" => IdentitySource::Claims,
                "verified" => IdentitySource::Verified,
                _ => return None,
            };
            Some(())
        },
    },
    Setting {
        name: "token_role",
        accepts: "the name of a role, such as authenticated",
        apply: |settings, value| {
            settings.token_role = not_empty(value)?;
            Some(())
        },
    },
    Setting {
        name: "token_audience",
        accepts: "a value of \"aud\", such as insforge-api",
        apply: |settings, value| {
            settings.token_audience = not_empty(value)?;
            Some(())
        },
    },
];

fn not_empty(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// The names that `configure()` takes, for messages.
#[must_use]
pub fn names() -> String {
    SETTINGS
        .iter()
        .map(|setting| setting.name)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Whether `configure(name, value)` may store this pair; `value` is `None` to return to the default.
///
/// # Errors
/// [`Error::UnknownSetting`] and [`Error::InvalidSettingValue`].
pub fn check(name: &str, value: Option<&str>) -> Result<(), Error> {
    let setting = find(name).ok_or_else(|| Error::UnknownSetting {
        name: name.to_owned(),
    })?;
    let Some(value) = value else { return Ok(()) };
    (setting.apply)(&mut Settings::default(), value).ok_or_else(|| Error::InvalidSettingValue {
        name: setting.name,
        value: value.to_owned(),
        accepts: setting.accepts,
    })
}

impl Settings {
    /// The settings that stored rows of (name, value) make.
    ///
    /// A row whose name this version does not know is left to the version that wrote it.
    ///
    /// # Errors
    /// [`Error::StoredSettingInvalid`]: a switch in an unknown position is never read as the default.
    pub fn from_rows(rows: impl IntoIterator<Item = (String, String)>) -> Result<Self, Error> {
        let mut settings = Self::default();
        for (name, value) in rows {
            let Some(setting) = find(&name) else { continue };
            (setting.apply)(&mut settings, &value).ok_or(Error::StoredSettingInvalid {
                name: setting.name,
                value,
                accepts: setting.accepts,
            })?;
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn no_rows_mean_the_defaults() {
        let settings = Settings::from_rows([]).unwrap();
        assert_eq!(settings.identity_source, IdentitySource::Claims);
    }

    #[test]
    fn a_row_replaces_the_default() {
        let settings = Settings::from_rows([row("identity_source", "verified")]).unwrap();
        assert_eq!(settings.identity_source, IdentitySource::Verified);
    }

    #[test]
    fn a_stored_value_that_is_not_understood_is_an_error_not_the_default() {
        let refused = Settings::from_rows([row("identity_source", "Verified")]).unwrap_err();
        assert!(matches!(
            refused,
            Error::StoredSettingInvalid {
                name: "identity_source",
                ..
            }
        ));
    }

    #[test]
    fn a_row_of_a_later_version_is_left_alone() {
        assert!(Settings::from_rows([row("from_the_future", "x")]).is_ok());
    }

    #[test]
    fn check_refuses_unknown_names_and_values() {
        assert!(matches!(
            check("identity", Some("claims")),
            Err(Error::UnknownSetting { .. })
        ));
        assert!(matches!(
            check("identity", None),
            Err(Error::UnknownSetting { .. })
        ));
        assert!(matches!(
            check("identity_source", Some("")),
            Err(Error::InvalidSettingValue { .. })
        ));
        assert_eq!(check("identity_source", None), Ok(()));
    }
}
