//! A settlement in the ledger's form.

use super::registry::{Network, Networks};
use crate::evm::integer::{Integer, decimal, without_leading_zeros};
use crate::evm::{address, fixed_bytes, hexadecimal, transaction_hash};
use crate::x402::Error;

/// A settled payment to record, each part in the ledger's only spelling.
#[derive(Debug)]
pub struct Settlement<'r> {
    /// The transaction, `0x` and 64 lower-case digits.
    pub tx_hash: String,
    /// The payer, `0x` and 40 lower-case digits.
    pub payer: String,
    /// The amount in the token's smallest unit, in decimal digits.
    pub amount: String,
    /// The network.
    pub network: &'r Network,
}

/// A settlement before it is read.
#[derive(Debug, Clone, Copy)]
pub struct UnreadSettlement<'a> {
    /// The transaction's hash in any case, with `0x` or without.
    pub tx_hash: &'a str,
    /// The payer's address in any case. Facilitators write addresses with the checksum, without, and in upper case.
    pub payer: &'a str,
    /// The amount in decimal digits.
    pub amount: &'a str,
    /// The network's name or identifier.
    pub chain: &'a str,
    /// The status. It must be `settled`.
    pub status: &'a str,
}

impl UnreadSettlement<'_> {
    /// Reads it.
    ///
    /// # Errors
    /// [`crate::evm::Error::InvalidTransactionHash`], [`crate::evm::Error::InvalidAddress`], [`Error::InvalidAmount`],
    /// [`Error::AmountOutOfRange`], [`Error::UnknownNetwork`], [`Error::NotSettled`].
    pub fn read<'r>(&self, networks: &'r Networks) -> Result<Settlement<'r>, Error> {
        let tx_hash =
            transaction_hash(self.tx_hash).ok_or(crate::evm::Error::InvalidTransactionHash)?;
        let payer = fixed_bytes::<20>(self.payer).ok_or(crate::evm::Error::InvalidAddress {
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
            tx_hash: hexadecimal(&tx_hash),
            payer: hexadecimal(&payer),
            amount: without_leading_zeros(self.amount).to_owned(),
            network,
        })
    }
}

/// The id of a transaction's row: a UUID of version 8 (RFC 9562) from the first bits of its hash. The same transaction
/// always gets the same id.
#[must_use]
pub fn row_id(tx_hash: &str) -> [u8; 16] {
    let hash: [u8; 32] = fixed_bytes(tx_hash).unwrap_or_default();
    let mut id = [0; 16];
    for (byte, hashed) in id.iter_mut().zip(hash) {
        *byte = hashed;
    }
    let [.., version, _, variant, _, _, _, _, _, _, _] = &mut id;
    *version = *version & 0x0f | 0x80;
    *variant = *variant & 0x3f | 0x80;
    id
}

#[cfg(test)]
mod tests {
    use super::row_id;

    /// Version and variant as in RFC 9562, section 4.
    #[test]
    fn a_rows_id_is_a_uuid_of_version_8() {
        let hash = format!("0x{}{}", "0123456789abcdef".repeat(2), "00".repeat(16));
        assert_eq!(
            hex::encode(row_id(&hash)),
            "0123456789ab8def8123456789abcdef"
        );
    }
}
