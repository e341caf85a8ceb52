//! The digest of a token value: what is stored, looked up and cached in its stead.

use std::fmt;

use sha2::block_api::compress256;
use sha2::{Digest, Sha256};

/// SHA-256 of a token value (FIPS 180-4).
///
/// No salt and no slow hash: the value has 178 bits of randomness, so there is nothing to guess.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of a token value's bytes.
    #[inline]
    #[must_use]
    pub fn of(value: &[u8]) -> Self {
        one_block(value).map_or_else(|| Self(Sha256::digest(value).into()), Self)
    }

    /// A digest that was computed elsewhere.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The state before the first block: FIPS 180-4, section 5.3.3.
const BEFORE: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
/// Where the length of a message stands in its last block.
const LENGTH_AT: usize = 56;

/// The digest of what fits into one block with its padding (FIPS 180-4, section 5.1.1), as every token value does: without
/// the buffer that longer messages need.
#[inline]
fn one_block(value: &[u8]) -> Option<[u8; 32]> {
    let mut block = [0; 64];
    let (message, length) = block.split_at_mut(LENGTH_AT);
    let (text, padding) = message.split_at_mut_checked(value.len())?;
    text.copy_from_slice(value);
    *padding.first_mut()? = 0x80;
    // At most 55 bytes have at most 440 bits.
    length.copy_from_slice(&(value.len() as u64 * 8).to_be_bytes());
    let mut state = BEFORE;
    compress256(&mut state, &[block]);
    let mut digest = [0; 32];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    Some(digest)
}

/// Shows the first four bytes: enough to tell digests apart in a log.
impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, third, fourth, ..] = self.0;
        write!(f, "TokenDigest({:08x}..)", u32::from_be_bytes([first, second, third, fourth]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn is_sha_256() {
        // The one-block message sample of FIPS 180-4.
        let digest = TokenDigest::of(b"abc");
        assert_eq!(digest.as_bytes()[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(format!("{digest:?}"), "TokenDigest(ba7816bf..)");
    }

    proptest! {
        #[test]
        fn one_block_is_the_same_as_any_number(value in proptest::collection::vec(any::<u8>(), 0..130)) {
            prop_assert_eq!(one_block(&value).is_some(), value.len() <= 55);
            let expected: [u8; 32] = Sha256::digest(&value).into();
            prop_assert_eq!(TokenDigest::of(&value), TokenDigest::from_bytes(expected));
        }
    }
}
