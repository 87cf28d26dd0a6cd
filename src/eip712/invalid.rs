//! Why a document is not typed data, and where.

use std::fmt;

/// A problem and the place of it in the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The place, `message.to[2].wallet`; empty for the whole.
    pub path: String,
    /// What is wrong there, a sentence.
    pub problem: String,
}

impl Invalid {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            problem: problem.into(),
        }
    }

    /// The same problem, with the place inside member `name` of an object. A name that is longer
    /// than usual names could be a token or a key, so it is not shown.
    pub(super) fn inside(self, name: &str) -> Self {
        let is_plain = name.len() < 32
            && name
                .chars()
                .all(|character| character.is_alphanumeric() || "_$- ".contains(character));
        self.at(if is_plain { name } else { "(a name)" })
    }

    /// The same problem, with the place inside an element of an array.
    pub(super) fn in_element(self, index: usize) -> Self {
        self.at(&format!("[{index}]"))
    }

    fn at(self, place: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        Self {
            path: format!("{place}{dot}{}", self.path),
            ..self
        }
    }
}

impl std::error::Error for Invalid {}

impl fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => formatter.write_str(&self.problem),
            path => write!(formatter, "{path}: {}", self.problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Invalid;

    #[test]
    fn the_place_shows_names_and_no_credentials() {
        let place = |name: &str| {
            let invalid = Invalid::new("It is null.").in_element(2).inside(name);
            invalid.inside("message").to_string()
        };
        for name in ["to", "a b", "é", "totalOriginalConsiderationItems"] {
            assert_eq!(place(name), format!("message.{name}[2]: It is null."));
        }
        // A session's token, and the beginning of a provider's token.
        for credential in [
            "Tx4sPhJ8vqGm2RkNd7WbYc3LfZa9UeQ1",
            "eyJhbGciOiJIUzI1NiJ9.e30",
        ] {
            assert_eq!(place(credential), "message.(a name)[2]: It is null.");
        }
    }
}
