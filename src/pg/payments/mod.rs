//! SQL functions on payments: typed data and signatures, x402, reservations and the ledger.

#![forbid(unsafe_code)]

pub(crate) mod evm;
pub(crate) mod imports;
pub(crate) mod ledger;
pub(crate) mod ledger_guard;
pub(crate) mod realtime;
pub(crate) mod reservations;
pub(crate) mod sums;
pub(crate) mod x402;
