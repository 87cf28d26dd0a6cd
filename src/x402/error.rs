//! Why a payment, an offer or a settlement is refused.

use crate::report::{Bug, Report, shown, sqlstate};

/// A symbol, or a contract's address, which is no secret.
fn shown_asset(asset: &str) -> String {
    match crate::evm::address::Address::parse(asset) {
        Ok(_) => format!("\"{asset}\""),
        Err(_) => shown(asset),
    }
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Text that is neither an x402 header nor the JSON of one.
    #[error("invalid x402 header")]
    InvalidHeader {
        /// What is wrong with it, a sentence.
        problem: String,
    },

    /// The seller's requirements make no sense.
    #[error("invalid x402 payment requirements")]
    InvalidRequirements {
        /// What is wrong with it, with its place, a sentence.
        problem: String,
    },

    /// No network has this name.
    #[error("unknown x402 network {}", shown(.name))]
    UnknownNetwork {
        /// The name as given.
        name: String,
    },

    /// The network has no asset of this name.
    #[error("unknown x402 asset {} on {network}", shown_asset(.asset))]
    UnknownAsset {
        /// The symbol or contract as given.
        asset: String,
        /// The network's identifier.
        network: String,
        /// The known symbols.
        known: String,
    },

    /// No facilitator has this name.
    #[error("unknown x402 facilitator {}", shown(.name))]
    UnknownFacilitator {
        /// The name as given.
        name: String,
    },

    /// A payment that was read and refused.
    #[error("payment rejected")]
    PaymentRejected(super::refusal::PaymentRefusal),

    /// An event that a reservation cannot have.
    #[error(transparent)]
    Reservation(#[from] super::reservation::Refused),

    /// Text that is not an amount.
    #[error("invalid amount")]
    InvalidAmount,

    /// An integer that is too large for any token.
    #[error("amount out of range")]
    AmountOutOfRange,

    /// A request to record a payment that has not settled.
    #[error("a settlement of status {} cannot be recorded", shown(.status))]
    NotSettled {
        /// The status as given.
        status: String,
    },

    /// A settlement without an endpoint.
    #[error("no endpoint is given")]
    EndpointMissing,

    /// A request with several settlements for a call that takes one.
    #[error("record_x402_settlement() takes one settlement")]
    SeveralSettlements {
        /// Their number.
        count: usize,
    },

    /// The ledger already has the transaction.
    #[error("transaction {tx_hash} is recorded already")]
    AlreadyRecorded {
        /// Its hash.
        tx_hash: String,
        /// When it was recorded.
        recorded_at: String,
        /// The columns in which the stored row differs from what was given, separated by commas.
        differences: String,
    },

    /// The INSERT into the ledger added no row.
    #[error("transaction {tx_hash} was not recorded")]
    NotRecorded {
        /// Its hash.
        tx_hash: String,
    },

    /// A statement would drop the ledger.
    #[error("the x402 ledger is not empty")]
    LedgerNotEmpty {
        /// What would be lost, a sentence.
        content: String,
    },

    /// A table that cannot be imported.
    #[error("table {table} cannot be imported")]
    NotImportable {
        /// Name of the table.
        table: String,
    },

    /// There is no table to import.
    #[error("the table to import does not exist")]
    SourceMissing,

    /// A function to call does not exist.
    #[error("the function to call does not exist")]
    FunctionMissing,

    /// An address, or the hash of a transaction.
    #[error(transparent)]
    Evm(#[from] crate::evm::Error),

    /// A fault of this extension.
    #[error(transparent)]
    Bug(#[from] Bug),
}

impl Error {
    /// SQLSTATE, DETAIL and HINT.
    #[must_use]
    pub fn report(&self) -> Report {
        match self {
            Self::InvalidHeader { problem } => Report::new(
                sqlstate::INVALID_TEXT_REPRESENTATION,
                problem.as_str(),
                "Give the value of PAYMENT-SIGNATURE, X-PAYMENT or another x402 header unchanged: JSON in base64.",
            ),
            Self::InvalidRequirements { problem } => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                problem.as_str(),
                "insforge_integrations.x402_payment_requirements() makes requirements. In psql, \\df+ insforge_integrations.x402_payment_requirements explains its arguments.",
            ),
            Self::UnknownNetwork { name } => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                format!(
                    "View insforge_integrations.x402_networks has no network, name or v1_network {}.",
                    shown(name)
                ),
                "As a superuser, call insforge_integrations.register_x402_network() for another chain.",
            ),
            Self::UnknownAsset { network, known, .. } => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                match known.as_str() {
                    "" => {
                        format!("View insforge_integrations.x402_assets has no asset on {network}.")
                    }
                    _ => format!("Assets on {network}: {known}."),
                },
                "As a superuser, call insforge_integrations.register_x402_asset() with the token's contract and the domain under which it checks signatures.",
            ),
            Self::UnknownFacilitator { name } => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                format!("No facilitator is called {}.", shown(name)),
                "Facilitators: okx, or x402 for every other one.",
            ),
            Self::PaymentRejected(refusal) => Report::new(
                match refusal.reason {
                    super::refusal::InvalidReason::InvalidPayload => {
                        sqlstate::INVALID_TEXT_REPRESENTATION
                    }
                    _ => sqlstate::INVALID_AUTHORIZATION_SPECIFICATION,
                },
                format!("{}: {}", refusal.reason.name(), refusal.message),
                "Nothing was reserved. insforge_integrations.verify_x402_payment() explains without raising.",
            ),
            Self::Reservation(refused) => refused.report(),
            Self::InvalidAmount => Report::new(
                sqlstate::INVALID_TEXT_REPRESENTATION,
                "An amount must be a text of decimal digits, in the token's smallest unit.",
                "Give the amount that the buyer signed, such as \"10000\" for 0.01 of a token with 6 decimals.",
            ),
            Self::AmountOutOfRange => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                "An amount must be at least 0 and below 2^256.",
                "Give the amount that the buyer signed.",
            ),
            Self::NotSettled { .. } => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                "The ledger holds only payments that were settled on chain.",
                "Record the payment after it has settled. reserve_x402_payment() stores a payment before its outcome is known.",
            ),
            Self::EndpointMissing => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                "A settlement must name the paid endpoint.",
                "Give the address that the buyer requested.",
            ),
            Self::SeveralSettlements { count } => Report::new(
                sqlstate::INVALID_PARAMETER_VALUE,
                format!(
                    "The request has an array of {count}, and PostgREST would drop all but the first."
                ),
                "Nothing was recorded. Call the function once for each settlement.",
            ),
            Self::AlreadyRecorded {
                recorded_at,
                differences,
                ..
            } => Report::new(
                sqlstate::UNIQUE_VIOLATION,
                match differences.as_str() {
                    "" => format!("The stored row, recorded at {recorded_at}, is identical."),
                    _ => format!(
                        "The stored row, recorded at {recorded_at}, differs in: {differences}."
                    ),
                },
                match differences.as_str() {
                    "" => "With idempotent => true, the call returns the stored row instead.",
                    _ => {
                        "One transaction is one payment. With idempotent => true, only an identical call returns the stored row."
                    }
                },
            ),
            Self::NotRecorded { .. } => Report::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                "The INSERT added no row: a trigger or rule on insforge_integrations.x402_settlements dropped it.",
                "Drop that trigger or rule and record the transaction again. The money has moved.",
            ),
            Self::LedgerNotEmpty { content } => Report::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                content.as_str(),
                "As a superuser: SELECT insforge_integrations.configure('allow_ledger_drop', 'keep'). The rows are then copied before they are dropped, and insforge_integrations.restore_kept_x402_ledger() puts them back, after a restore for example. With 'on' they would be lost.",
            ),
            Self::NotImportable { .. } => Report::new(
                sqlstate::WRONG_OBJECT_TYPE,
                "It is not an ordinary table with only built-in column types. Reading it could run its owner's code as a superuser.",
                "Copy its rows into an ordinary table and import that.",
            ),
            Self::SourceMissing => Report::new(
                sqlstate::UNDEFINED_TABLE,
                "This database has no table with the given OID.",
                "Give the table's name: import_x402_payments('public.x402_payments_guide').",
            ),
            Self::FunctionMissing => Report::new(
                sqlstate::UNDEFINED_FUNCTION,
                "This database has no function with the given OID.",
                "Create realtime.publish(text, text, jsonb) again, or switch the setting realtime off.",
            ),
            Self::Evm(error) => error.report(),
            Self::Bug(bug) => bug.report(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn a_contracts_address_is_shown() {
        let asset = "0x036CbD53842c5426634e7929541eC2318f3dCF7e".to_owned();
        let unknown = Error::UnknownAsset {
            asset: asset.clone(),
            network: "eip155:1".to_owned(),
            known: String::new(),
        };
        assert!(unknown.to_string().contains(&asset));
    }
}
