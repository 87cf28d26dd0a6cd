//! All that can go wrong: the errors of the rooms, and those of the glue.

use crate::jwt::rejection::Rejection;
use crate::report::{Bug, Report, sqlstate};
use crate::{eip712, evm, providers, settings, x402};

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A token, its provider or its claims.
    #[error(transparent)]
    Token(#[from] providers::Error),

    /// A payment, an offer or a settlement.
    #[error(transparent)]
    Payment(#[from] x402::Error),

    /// An address, a hash or a signature.
    #[error(transparent)]
    Evm(#[from] evm::Error),

    /// A document that is not typed data.
    #[error("invalid EIP-712 typed data")]
    TypedData(#[from] eip712::Invalid),

    /// A setting.
    #[error(transparent)]
    Setting(#[from] settings::Error),

    /// What must not happen.
    #[error(transparent)]
    Bug(#[from] Bug),

    /// A table of the extension is not there.
    #[error("table insforge_integrations.{table} is missing")]
    TableMissing {
        /// Name of the table.
        table: &'static str,
    },

    /// A text that Postgres gave is not what its encoding says.
    #[error("a text of this database or session is not valid UTF-8")]
    NotUtf8 {
        /// What the reader says: a place.
        problem: String,
    },

    /// A trigger function was called in a query.
    #[error("{function}() was not called as a trigger")]
    NotATrigger {
        /// Name of the function.
        function: &'static str,
    },
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        Self::Token(rejection.into())
    }
}

impl Error {
    /// What must not happen.
    pub fn bug(problem: impl std::fmt::Display) -> Self {
        Self::Bug(Bug::new(problem))
    }

    /// What Postgres reports with it.
    #[must_use]
    pub fn report(&self) -> Report {
        match self {
            Self::Token(error) => error.report(),
            Self::Payment(error) => error.report(),
            Self::Evm(error) => error.report(),
            Self::Setting(error) => error.report(),
            Self::Bug(bug) => bug.report(),
            Self::TypedData(invalid) => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                invalid.to_string(),
                "Give what the wallet was given: {types, primaryType, domain, message} of eth_signTypedData_v4. docs/payments.md says what is refused.",
            ),
            Self::TableMissing { .. } => Report::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "The library is loaded, but its tables are not in this database.",
                "Run CREATE EXTENSION insforge_integrations, or ALTER EXTENSION insforge_integrations UPDATE.",
            ),
            Self::NotUtf8 { problem } => Report::new(
                sqlstate::CHARACTER_NOT_IN_REPERTOIRE,
                format!("The reader reports: {problem}."),
                "The extension works in databases whose encoding is UTF8. Set the value again from a client whose client_encoding is right.",
            ),
            Self::NotATrigger { .. } => Report::new(
                sqlstate::FEATURE_NOT_SUPPORTED,
                "It is a trigger function, which Postgres calls.",
                "Run a statement that fires the trigger.",
            ),
        }
    }
}
