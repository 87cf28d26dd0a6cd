//! A settlement as the ledger holds it.

use super::registry::{Network, Networks};
use crate::error::Error;
use crate::evm::address::Address;
use crate::evm::integer::{Integer, decimal, digits};
use crate::evm::{Word, fixed_bytes, hexadecimal};

/// What is recorded of a payment that moved, each part in the one spelling that the ledger has for it.
#[derive(Debug)]
pub struct Settlement<'r> {
    /// The transaction, `0x` and 64 lower-case digits.
    pub tx_hash: String,
    /// Who paid, `0x` and 40 lower-case digits.
    pub payer: String,
    /// How much, in the token's smallest unit: decimal digits.
    pub amount: String,
    /// Where.
    pub network: &'r Network,
}

/// A settlement as it is given.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// In any case.
    pub tx_hash: &'a str,
    /// In any case; facilitators write addresses with the checksum, without, and in upper case.
    pub payer: &'a str,
    /// Decimal digits.
    pub amount: &'a str,
    /// A name or an identifier of the network.
    pub chain: &'a str,
    /// `settled`: the ledger has nothing else.
    pub status: &'a str,
}

impl Given<'_> {
    /// Reads it.
    ///
    /// # Errors
    /// [`Error::InvalidTransactionHash`], [`Error::InvalidAddress`], [`Error::InvalidAmount`],
    /// [`Error::AmountOutOfRange`], [`Error::UnknownNetwork`], [`Error::NotSettled`].
    pub fn read<'r>(&self, networks: &'r Networks) -> Result<Settlement<'r>, Error> {
        let hash: Word = fixed_bytes(self.tx_hash).ok_or(Error::InvalidTransactionHash)?;
        let payer = Address::in_any_case(self.payer)
            .map_err(|problem| Error::InvalidAddress { problem })?;
        let amount = decimal(self.amount).filter(|_| !self.amount.is_empty());
        let amount = amount.ok_or_else(|| match Integer::is_decimal(self.amount) {
            true => Error::AmountOutOfRange,
            false => Error::InvalidAmount,
        })?;
        let network = networks.get(self.chain)?;
        if self.status != "settled" {
            return Err(Error::NotSettled {
                status: self.status.to_owned(),
            });
        }
        Ok(Settlement {
            tx_hash: hexadecimal(&hash),
            payer: payer.to_string(),
            amount: digits(&amount),
            network,
        })
    }
}
