//! The settings of the extension: names, accepted values and defaults.
//!
//! Table `insforge_integrations.settings` has a row for each setting that differs from its default.

mod error;

pub use error::Error;

/// The source of the identity for `requesting_user_id()` and its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentitySource {
    /// `request.jwt.claims`. The clients of Postgres are trusted to set it.
    Claims,
    /// Only an identity that this extension verified. `request.jwt.claims` does not count.
    Verified,
}

/// What a statement does that drops the extension while its ledger has rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerDrop {
    /// It is refused.
    Refuse,
    /// It first copies the rows into a table that is not the extension's.
    Keep,
    /// It drops the rows.
    Lose,
}

/// All settings, each at its stored value or its default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Setting `identity_source`.
    pub identity_source: IdentitySource,
    /// Setting `anon_role`: the database role of requests without a token.
    pub anon_role: String,
    /// Setting `token_role`: the database role of users' tokens.
    pub token_role: String,
    /// Setting `token_audience`: the audience of InsForge's tokens.
    pub token_audience: String,
    /// Setting `token_ttl`: the longest life of a minted token, in seconds.
    pub token_ttl: u32,
    /// Setting `provider_token_header`: the request header that `pre_request()` reads.
    pub provider_token_header: String,
    /// Setting `jwks_ca`: certificates (PEM) of a private authority. Certificates of providers'
    /// servers may be from it, besides the public ones.
    pub jwks_ca: Option<String>,
    /// Setting `allow_mock_settlements`: whether reservations can be settled without any money.
    pub allow_mock_settlements: bool,
    /// Setting `allow_ledger_drop`.
    pub allow_ledger_drop: LedgerDrop,
    /// Setting `realtime`: whether each recorded settlement is published on channel
    /// `x402_payments`.
    pub realtime: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            identity_source: IdentitySource::Claims,
            anon_role: "anon".to_owned(),
            token_role: "authenticated".to_owned(),
            token_audience: "insforge-api".to_owned(),
            token_ttl: 3600,
            provider_token_header: "x-provider-token".to_owned(),
            jwks_ca: None,
            allow_mock_settlements: false,
            allow_ledger_drop: LedgerDrop::Refuse,
            realtime: false,
        }
    }
}

/// A setting, for `configure()`.
struct Setting {
    name: &'static str,
    accepts: &'static str,
    /// Puts a value into `Settings`; `None` if the setting does not accept it.
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
        name: "anon_role",
        accepts: "the role of requests without a token, PostgREST's db-anon-role, such as anon",
        apply: |settings, value| {
            settings.anon_role = not_empty(value)?;
            Some(())
        },
    },
    Setting {
        name: "token_role",
        accepts: "the name of a role for which row level security holds, such as authenticated",
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
    Setting {
        name: "token_ttl",
        accepts: "1 minute to 24 hours, such as 90 seconds, 15 minutes or 1 hour",
        apply: |settings, value| {
            settings.token_ttl = duration(value).filter(|ttl| TTL_SECONDS.contains(ttl))?;
            Some(())
        },
    },
    Setting {
        name: "provider_token_header",
        accepts: "the name of a request header in lower case, such as x-provider-token",
        apply: |settings, value| {
            let is_name = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
            settings.provider_token_header =
                not_empty(value).filter(|name| name.bytes().all(is_name))?;
            Some(())
        },
    },
    Setting {
        name: "jwks_ca",
        accepts: "certificates of a private authority in PEM, -----BEGIN CERTIFICATE----- and so on",
        apply: |settings, value| {
            let is_pem = ["BEGIN", "END"]
                .iter()
                .all(|part| value.contains(&format!("-----{part} CERTIFICATE-----")));
            settings.jwks_ca = Some(value.to_owned()).filter(|_| is_pem);
            is_pem.then_some(())
        },
    },
    Setting {
        name: "allow_mock_settlements",
        accepts: SWITCH,
        apply: |settings, value| {
            settings.allow_mock_settlements = switch(value)?;
            Some(())
        },
    },
    Setting {
        name: "allow_ledger_drop",
        accepts: "off, keep, on",
        apply: |settings, value| {
            settings.allow_ledger_drop = match value {
                "off" => LedgerDrop::Refuse,
                "keep" => LedgerDrop::Keep,
                "on" => LedgerDrop::Lose,
                _ => return None,
            };
            Some(())
        },
    },
    Setting {
        name: "realtime",
        accepts: SWITCH,
        apply: |settings, value| {
            settings.realtime = switch(value)?;
            Some(())
        },
    },
];

const SWITCH: &str = "on, off";

fn switch(value: &str) -> Option<bool> {
    match value {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// The shortest and longest life of a minted token, in seconds. Clients treat a token with less
/// than a minute left as ended, and nobody can withdraw a token.
pub const TTL_SECONDS: std::ops::RangeInclusive<u32> = 60..=24 * 60 * 60;

/// Reads a number and a unit, such as `15 minutes`, in seconds.
fn duration(text: &str) -> Option<u32> {
    let (number, unit) = text.split_once(' ')?;
    let seconds = match unit {
        "second" | "seconds" => 1,
        "minute" | "minutes" => 60,
        "hour" | "hours" => 60 * 60,
        _ => return None,
    };
    number.parse::<u32>().ok()?.checked_mul(seconds)
}

fn not_empty(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// The names of all settings, for messages.
#[must_use]
pub fn names() -> String {
    SETTINGS
        .iter()
        .map(|setting| setting.name)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Whether `configure(name, value)` may store this pair; `value` is `None` to return to the
/// default.
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
    /// The settings from stored rows of (name, value).
    ///
    /// A row with a name that this version does not know is ignored: another version wrote it.
    ///
    /// # Errors
    /// [`Error::StoredSettingInvalid`]. An unknown value never counts as the default.
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
    fn a_duration_is_a_number_and_a_unit() {
        for (value, expected) in [
            ("90 seconds", Some(90)),
            ("1 minute", Some(60)),
            ("24 hours", Some(86_400)),
            ("25 hours", None),
            ("59 seconds", None),
            ("1h", None),
            ("-1 hours", None),
            ("4294967295 hours", None),
        ] {
            let settings = Settings::from_rows([row("token_ttl", value)]);
            assert_eq!(
                settings.ok().map(|settings| settings.token_ttl),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn a_header_is_named_as_postgrest_names_it() {
        assert!(check("provider_token_header", Some("x-clerk-token")).is_ok());
        for name in ["X-Token", "x token", "x_token", ""] {
            assert!(
                check("provider_token_header", Some(name)).is_err(),
                "{name}"
            );
        }
    }

    /// In the page for people, the first value of a row is the default. The others are accepted, too.
    #[test]
    fn the_reference_has_the_defaults() {
        let page = include_str!("../docs/reference.md");
        let (_, settings) = page.split_once("\n## The settings\n").unwrap();
        let (settings, _) = settings.split_once("\n## ").unwrap();
        let mut count = 0;
        for line in settings.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = line.split(" | ").collect();
            let name = cells[0].trim_matches(['|', ' ', '`']);
            let mut values = cells[1].split('`').skip(1).step_by(2).peekable();
            if let Some(default) = values.peek() {
                let settings = Settings::from_rows([row(name, default)]).unwrap();
                assert_eq!(settings, Settings::default(), "{name}");
            }
            for value in values {
                assert_eq!(check(name, Some(value)), Ok(()), "{name}");
                count += 1;
            }
        }
        assert!(count > 12, "{count}");
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
