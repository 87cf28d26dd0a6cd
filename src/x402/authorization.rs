//! Authorizations of a transfer (EIP-3009).

use crate::eip712::digest_of;
use crate::evm::Word;
use crate::evm::address::Address;
use crate::evm::integer::{U256, word};
use crate::evm::keccak::keccak256_of;

/// keccak256 of `TransferWithAuthorization(address from,address to,uint256 value,uint256
/// validAfter,uint256 validBefore,bytes32 nonce)`, the constant of the tokens' contracts.
const TYPE_HASH: Word = [
    0x7c, 0x7c, 0x6c, 0xdb, 0x67, 0xa1, 0x87, 0x43, 0xf4, 0x9e, 0xc6, 0xfa, 0x9b, 0x35, 0xf5, 0x0d,
    0x52, 0xed, 0x05, 0xcb, 0xed, 0x4c, 0xc5, 0x92, 0xe1, 0x3b, 0x44, 0x50, 0x1c, 0x1a, 0x22, 0x67,
];

/// The message that a payer signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// The payer.
    pub from: Address,
    /// The recipient.
    pub to: Address,
    /// The amount, in the token's smallest unit.
    pub value: U256,
    /// Start of validity, in seconds since 1970.
    pub valid_after: U256,
    /// End of validity, in seconds since 1970.
    pub valid_before: U256,
    /// The nonce, with which it can be used only once.
    pub nonce: Word,
}

impl Authorization {
    /// The digest that the payer signs for a token with this domain.
    #[must_use]
    pub fn digest(&self, separator: &Word) -> Word {
        let hash = keccak256_of([
            TYPE_HASH,
            self.from.word(),
            self.to.word(),
            word(&self.value),
            word(&self.valid_after),
            word(&self.valid_before),
            self.nonce,
        ]);
        digest_of(separator, &hash)
    }
}
