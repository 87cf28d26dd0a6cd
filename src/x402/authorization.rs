//! What a payer signs: an authorization of a transfer (EIP-3009), or a permit for contract Permit2
//! with the witness of x402's contracts.

use super::Scheme;
use crate::eip712::digest_of;
use crate::evm::Word;
use crate::evm::address::Address;
use crate::evm::integer::{U256, decimal, word};
use crate::evm::keccak::keccak256_of;

/// keccak256 of `TransferWithAuthorization(address from,address to,uint256 value,uint256
/// validAfter,uint256 validBefore,bytes32 nonce)`, the constant of the tokens' contracts.
const TRANSFER: Word = [
    0x7c, 0x7c, 0x6c, 0xdb, 0x67, 0xa1, 0x87, 0x43, 0xf4, 0x9e, 0xc6, 0xfa, 0x9b, 0x35, 0xf5, 0x0d,
    0x52, 0xed, 0x05, 0xcb, 0xed, 0x4c, 0xc5, 0x92, 0xe1, 0x3b, 0x44, 0x50, 0x1c, 0x1a, 0x22, 0x67,
];

/// keccak256 of `TokenPermissions(address token,uint256 amount)`.
const TOKEN_PERMISSIONS: Word = [
    0x61, 0x83, 0x58, 0xac, 0x3d, 0xb8, 0xdc, 0x27, 0x4f, 0x0c, 0xd8, 0x82, 0x9d, 0xa7, 0xe2, 0x34,
    0xbd, 0x48, 0xcd, 0x73, 0xc4, 0xa7, 0x40, 0xae, 0xde, 0x1a, 0xde, 0xc9, 0x84, 0x6d, 0x06, 0xa1,
];

/// keccak256 of `Witness(address to,uint256 validAfter)`.
const EXACT_WITNESS: Word = [
    0xd9, 0x7b, 0x32, 0x39, 0xa7, 0xf3, 0x22, 0x95, 0x51, 0x7b, 0xd1, 0x4c, 0xb0, 0x74, 0xed, 0xfd,
    0xd1, 0x88, 0xdf, 0xe5, 0xeb, 0x42, 0xf8, 0x02, 0xbb, 0x26, 0xd4, 0xfd, 0x1e, 0xb1, 0x2c, 0x37,
];

/// keccak256 of `PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256
/// nonce,uint256 deadline,Witness witness)`, with `TokenPermissions` and the witness of scheme
/// `exact`.
const EXACT_PERMIT: Word = [
    0xeb, 0xc1, 0x56, 0xcd, 0x23, 0x67, 0x8a, 0x74, 0xc9, 0x4d, 0xf1, 0x3d, 0x77, 0x2e, 0xf5, 0x47,
    0x84, 0x20, 0x63, 0x7f, 0x0c, 0x94, 0xbd, 0x10, 0xd5, 0x09, 0xe1, 0xdc, 0x98, 0xf5, 0x21, 0xc7,
];

/// keccak256 of `Witness(address to,address facilitator,uint256 validAfter)`.
const UPTO_WITNESS: Word = [
    0xd4, 0x17, 0x1c, 0x44, 0x5a, 0x74, 0x21, 0x8b, 0x01, 0xd4, 0xfd, 0x8a, 0xf3, 0x4f, 0xf1, 0x10,
    0x65, 0x80, 0xea, 0x1e, 0x36, 0xff, 0x83, 0x7e, 0x64, 0x48, 0x4b, 0xfa, 0xa2, 0x25, 0x3b, 0x75,
];

/// The same as [`EXACT_PERMIT`], with the witness of scheme `upto`.
const UPTO_PERMIT: Word = [
    0x51, 0xdf, 0xf6, 0x97, 0x4a, 0xd4, 0x38, 0x8c, 0x49, 0x9e, 0x7f, 0xcf, 0xe8, 0x38, 0xd2, 0xbd,
    0x76, 0x71, 0x62, 0x55, 0x3a, 0x14, 0x40, 0x98, 0xce, 0x20, 0xea, 0x66, 0x1d, 0x70, 0xc2, 0xee,
];

/// keccak256 of `EIP712Domain(string name,uint256 chainId,address verifyingContract)`.
const PERMIT2_DOMAIN: Word = [
    0x8c, 0xad, 0x95, 0x68, 0x7b, 0xa8, 0x2c, 0x2c, 0xe5, 0x0e, 0x74, 0xf7, 0xb7, 0x54, 0x64, 0x5e,
    0x51, 0x17, 0xc3, 0xa5, 0xbe, 0xc8, 0x15, 0x1c, 0x07, 0x26, 0xd5, 0x85, 0x79, 0x80, 0xa8, 0x66,
];

/// keccak256 of `Permit2`.
const PERMIT2_NAME: Word = [
    0x9a, 0xc9, 0x97, 0x41, 0x6e, 0x8f, 0xf9, 0xd2, 0xff, 0x6b, 0xeb, 0xeb, 0x71, 0x49, 0xf6, 0x5c,
    0xda, 0xe5, 0xe3, 0x2e, 0x2b, 0x90, 0x44, 0x0b, 0x56, 0x6b, 0xb3, 0x04, 0x40, 0x41, 0xd3, 0x6a,
];

/// Uniswap's contract Permit2. It has the same address on all chains.
pub const PERMIT2: Address = Address([
    0x00, 0x00, 0x00, 0x00, 0x00, 0x22, 0xd4, 0x73, 0x03, 0x0f, 0x11, 0x6d, 0xde, 0xe9, 0xf6, 0xb4,
    0x3a, 0xc7, 0x8b, 0xa3,
]);

/// x402's contract for permits of scheme `exact`. It has the same address on all chains.
const EXACT_SPENDER: Address = Address([
    0x40, 0x20, 0x85, 0xc2, 0x48, 0xee, 0xa2, 0x7d, 0x92, 0xe8, 0xb3, 0x0b, 0x2c, 0x58, 0xed, 0x07,
    0xf9, 0xe2, 0x00, 0x01,
]);

/// x402's contract for permits of scheme `upto`. It has the same address on all chains.
const UPTO_SPENDER: Address = Address([
    0x40, 0x20, 0xa4, 0xf3, 0xb7, 0xb9, 0x0c, 0xca, 0x42, 0x3b, 0x9f, 0xab, 0xcc, 0x0c, 0xe5, 0x7c,
    0x6c, 0x24, 0x00, 0x02,
]);

/// The message that a payer signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// The payer.
    pub from: Address,
    /// The recipient.
    pub to: Address,
    /// The amount, in the token's smallest unit. In scheme `upto` it is a maximum.
    pub value: U256,
    /// Start of validity, in seconds since 1970.
    pub valid_after: U256,
    /// End of validity, in seconds since 1970.
    pub valid_before: U256,
    /// The nonce, with which it can be used only once.
    pub nonce: Word,
    /// The members that only a permit has; `None`: it is an authorization of EIP-3009.
    pub permit: Option<Permit>,
}

/// The members that only a permit has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// The token.
    pub token: Address,
    /// The contract that may use the permit.
    pub spender: Address,
    /// The facilitator that may settle it, in scheme `upto`.
    pub facilitator: Option<Address>,
}

impl Authorization {
    /// The contract that keeps the nonce: the token, or Permit2.
    #[must_use]
    pub fn nonce_contract(&self, token: Address) -> Address {
        match self.permit {
            None => token,
            Some(_) => PERMIT2,
        }
    }

    /// The digest that the payer signs under the domain with this hash: the token's domain, or that
    /// of Permit2.
    #[must_use]
    pub fn digest(&self, separator: &Word) -> Word {
        let hash = match &self.permit {
            None => keccak256_of([
                TRANSFER,
                self.from.word(),
                self.to.word(),
                word(&self.value),
                word(&self.valid_after),
                word(&self.valid_before),
                self.nonce,
            ]),
            Some(permit) => self.hash_of(permit),
        };
        digest_of(separator, &hash)
    }

    fn hash_of(&self, permit: &Permit) -> Word {
        let (to, valid_after) = (self.to.word(), word(&self.valid_after));
        let (permit_type, witness) = match permit.facilitator {
            None => (EXACT_PERMIT, keccak256_of([EXACT_WITNESS, to, valid_after])),
            Some(facilitator) => (
                UPTO_PERMIT,
                keccak256_of([UPTO_WITNESS, to, facilitator.word(), valid_after]),
            ),
        };
        keccak256_of([
            permit_type,
            keccak256_of([TOKEN_PERMISSIONS, permit.token.word(), word(&self.value)]),
            permit.spender.word(),
            self.nonce,
            word(&self.valid_before),
            witness,
        ])
    }

    /// The place of its members in a payment.
    pub(super) const fn place(&self) -> &'static str {
        match self.permit {
            None => "payload.authorization",
            Some(_) => "payload.permit2Authorization",
        }
    }
}

/// x402's contract that may use the permits of a scheme.
#[must_use]
pub const fn spender(scheme: Scheme) -> Address {
    match scheme {
        Scheme::Exact => EXACT_SPENDER,
        Scheme::Upto => UPTO_SPENDER,
    }
}

/// The hash of Permit2's domain on a chain; `None` if the chain's id is not a number.
#[must_use]
pub fn permit2_separator(chain_id: &str) -> Option<Word> {
    let chain_id = word(&decimal(chain_id)?);
    Some(keccak256_of([
        PERMIT2_DOMAIN,
        PERMIT2_NAME,
        chain_id,
        PERMIT2.word(),
    ]))
}
