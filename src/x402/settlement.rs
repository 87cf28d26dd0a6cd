//! A settlement as the ledger holds it.

use super::registry::{Network, Networks};
use crate::error::Error;
use crate::evm::integer::{Integer, decimal, without_leading_zeros};
use crate::evm::{address, lower_case};

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
        let tx_hash = lower_case::<32>(self.tx_hash).ok_or(Error::InvalidTransactionHash)?;
        let payer = lower_case::<20>(self.payer).ok_or(Error::InvalidAddress {
            problem: address::EXPECTED,
        })?;
        let amount = decimal(self.amount).filter(|_| !self.amount.is_empty());
        amount.ok_or_else(|| match Integer::is_decimal(self.amount) {
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
            tx_hash,
            payer,
            amount: without_leading_zeros(self.amount).to_owned(),
            network,
        })
    }
}
