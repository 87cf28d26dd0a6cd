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

    /// The same, seen from the object whose member `name` it is in.
    pub(super) fn inside(self, name: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        Self {
            path: format!("{name}{dot}{}", self.path),
            ..self
        }
    }

    /// The same, seen from the array whose element it is in.
    pub(super) fn in_element(self, index: usize) -> Self {
        self.inside(&format!("[{index}]"))
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => formatter.write_str(&self.problem),
            path => write!(formatter, "{path}: {}", self.problem),
        }
    }
}
