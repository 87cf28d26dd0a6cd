//! All errors: those of the rooms, and those of the glue.

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

    /// A fault of this extension.
    #[error(transparent)]
    Bug(#[from] Bug),

    /// A table of the extension is not there.
    #[error("table insforge_integrations.{table} is missing")]
    TableMissing {
        /// Name of the table.
        table: &'static str,
    },

    /// The extension's objects in this database are of another version than the library.
    #[error("extension insforge_integrations has a library and SQL of different versions")]
    OtherVersion {
        /// Version of the objects in this database.
        sql: String,
    },

    /// A text from Postgres is not valid in its encoding.
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
    /// A fault of this extension.
    pub fn bug(problem: impl std::fmt::Display) -> Self {
        Self::Bug(Bug::new(problem))
    }

    /// SQLSTATE, DETAIL and HINT.
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
                "Give the argument of eth_signTypedData_v4: {types, primaryType, domain, message}. In psql, \\df+ insforge_integrations.eip712_* describes the functions.",
            ),
            Self::OtherVersion { sql } => Report::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!(
                    "The library is version {}, and the SQL is version {sql}.",
                    env!("CARGO_PKG_VERSION")
                ),
                "If the SQL is older, run as a superuser: ALTER EXTENSION insforge_integrations UPDATE. If it is newer, connect again. If that does not help, install the library of its version.",
            ),
            Self::TableMissing { .. } => Report::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "The library is loaded, but its tables are not in this database.",
                "Run CREATE EXTENSION insforge_integrations, or ALTER EXTENSION insforge_integrations UPDATE.",
            ),
            Self::NotUtf8 { problem } => Report::new(
                sqlstate::CHARACTER_NOT_IN_REPERTOIRE,
                format!("The reader reports: {problem}."),
                "The extension needs a database with encoding UTF8. Set the value again from a client with the right client_encoding.",
            ),
            Self::NotATrigger { .. } => Report::new(
                sqlstate::FEATURE_NOT_SUPPORTED,
                "It is a trigger function. Only Postgres calls it.",
                "Run a statement that fires the trigger.",
            ),
        }
    }
}
