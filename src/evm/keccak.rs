//! Keccak-256, the version from before NIST's SHA-3. Ethereum uses it.

use sha3::{Digest, Keccak256};

use super::Word;

/// The hash of some bytes.
#[must_use]
pub fn keccak256(data: &[u8]) -> Word {
    Keccak256::digest(data).into()
}

/// The hash of several words in a row.
pub fn keccak256_of(words: impl IntoIterator<Item = Word>) -> Word {
    let mut hasher = Keccak256::new();
    for word in words {
        hasher.update(word);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::{keccak256, keccak256_of};
    use crate::evm::hexadecimal;

    /// From the Ethereum Yellow Paper (the hash of nothing) and the ERC-20 event `Transfer`.
    #[test]
    fn published_hashes() {
        assert_eq!(
            hexadecimal(&keccak256(b"")),
            "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
        );
        assert_eq!(
            hexadecimal(&keccak256(b"Transfer(address,address,uint256)")),
            "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
        );
    }

    #[test]
    fn words_are_hashed_as_their_concatenation() {
        assert_eq!(
            keccak256_of([[1; 32], [2; 32]]),
            keccak256(&[[1; 32], [2; 32]].concat())
        );
    }
}
