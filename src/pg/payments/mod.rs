//! SQL functions on payments: typed data and signatures, x402, reservations and the ledger.

#![forbid(unsafe_code)]

pub mod evm;
pub mod imports;
pub mod ledger;
pub mod ledger_guard;
pub mod realtime;
pub mod reservations;
pub mod x402;
