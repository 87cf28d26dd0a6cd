//! The boundary: an [`Error`] becomes Postgres' report.

use pgrx::PgLogLevel;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::panic::ErrorReport;

use crate::error::Error;
use crate::{eip712, evm, providers, settings, x402};

/// The type that all functions in the glue return.
pub(super) type Result<T> = std::result::Result<T, Error>;

/// The boundary.
pub(super) mod reported {
    /// The type that a `#[pg_extern]` returns. An `Err` keeps its SQLSTATE only as exactly this
    /// type, and pgrx finds the rows of a set only in a type named `Result`.
    pub(crate) type Result<T> = std::result::Result<T, super::ErrorReport>;
}

impl From<Error> for ErrorReport {
    fn from(error: Error) -> Self {
        let report = error.report();
        let code = PgSqlErrorCode::from(packed(report.sqlstate.as_bytes()));
        Self::new(code, error.to_string(), "insforge_integrations")
            .set_detail(report.detail)
            .set_hint(report.hint)
    }
}

/// Lets a `#[pg_extern]` use `?`.
macro_rules! reports {
    ($($error:ty),*) => {
        $(impl From<$error> for ErrorReport {
            fn from(error: $error) -> Self {
                Error::from(error).into()
            }
        })*
    };
}
reports!(
    providers::Error,
    x402::Error,
    evm::Error,
    eip712::Invalid,
    settings::Error
);

/// A SQLSTATE in Postgres' packed form, six bits for each character.
pub(super) fn packed(sqlstate: &[u8]) -> i32 {
    sqlstate.iter().rev().fold(0, |packed, byte| {
        packed << 6 | i32::from(byte.wrapping_sub(b'0') & 0x3f)
    })
}

impl Error {
    /// Raises it, for functions that cannot return one. Called where pgrx guards the frame.
    pub fn raise(self) {
        ErrorReport::from(self).report(PgLogLevel::ERROR);
    }
}
