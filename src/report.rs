//! The parts of Postgres' error reports, and a check of inputs that a message may repeat.

/// The parts of a report besides the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// SQLSTATE, of [`sqlstate`].
    pub sqlstate: &'static str,
    /// Sentences on what is wrong.
    pub detail: String,
    /// Sentences on what to do.
    pub hint: String,
}

impl Report {
    /// A report.
    #[must_use]
    pub fn new(sqlstate: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            sqlstate,
            detail: detail.into(),
            hint: hint.into(),
        }
    }
}

/// The SQLSTATEs in use, under their names in Postgres.
#[allow(missing_docs)]
pub mod sqlstate {
    pub const CHARACTER_NOT_IN_REPERTOIRE: &str = "22021";
    pub const FEATURE_NOT_SUPPORTED: &str = "0A000";
    pub const INTERNAL_ERROR: &str = "XX000";
    pub const INVALID_AUTHORIZATION_SPECIFICATION: &str = "28000";
    pub const INVALID_PARAMETER_VALUE: &str = "22023";
    pub const INVALID_TEXT_REPRESENTATION: &str = "22P02";
    pub const OBJECT_NOT_IN_PREREQUISITE_STATE: &str = "55000";
    pub const SERIALIZATION_FAILURE: &str = "40001";
    pub const UNDEFINED_FUNCTION: &str = "42883";
    pub const UNDEFINED_TABLE: &str = "42P01";
    pub const UNIQUE_VIOLATION: &str = "23505";
    pub const WRONG_OBJECT_TYPE: &str = "42809";
}

/// A fault of this extension.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Bug(String);

impl Bug {
    /// `problem`: a library's message, or the case that was thought impossible.
    pub fn new(problem: impl std::fmt::Display) -> Self {
        Self(problem.to_string())
    }

    /// SQLSTATE, DETAIL and HINT.
    #[must_use]
    pub fn report(&self) -> Report {
        Report::new(
            sqlstate::INTERNAL_ERROR,
            "Nothing was changed.",
            "Please report this.",
        )
    }
}

/// An input as a message may show it: in quotes if it is plainly a name.
///
/// Anything else could be a token, a payment or a secret that was given in place of a name. Those
/// are longer than any name here, and most contain other characters.
#[must_use]
pub fn shown(input: &str) -> String {
    let is_name = input.len() <= 20
        && input.starts_with(|first: char| first.is_ascii_alphabetic())
        && input
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte));
    if is_name || input.is_empty() {
        format!("\"{input}\"")
    } else {
        "(not shown: it is no name)".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn names_are_shown() {
        for name in [
            "",
            "clerk",
            "better_auth",
            "eip155:84532",
            "USDC.e",
            "x-token",
        ] {
            assert_eq!(shown(name), format!("\"{name}\""));
        }
    }

    /// A JWT, a session's token, secrets as `openssl rand -hex` and `-base64` make them, an address
    /// with a password, a one-time code, half a payment.
    #[test]
    fn what_could_be_a_secret_is_not_shown() {
        for secret in [
            "eyJhbGciOiJIUzI1NiJ9.e30.ZRrHA1JJJW8opsbCGfG_HACGpUMN_a9IV7pAx_Zmeo",
            "Tx4sPhJ8vqGm2RkNd7WbYc3LfZa9UeQ1",
            "d41d8cd98f00b204e9800998ecf8427e",
            "kqGm2RkNd7W/bYc3LfZa9w==",
            "https://a:b@c.example",
            "314159",
            "{\"payload\": 1}",
            "a\nb",
        ] {
            assert_eq!(shown(secret), "(not shown: it is no name)", "{secret}");
        }
    }
}
