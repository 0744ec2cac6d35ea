//! Maps from what is registered by its name or URI, which every call looks up.
//!
//! Only the server's author adds keys, so no client can make keys that share a place: the hash needs no secret, and is
//! a few multiplications instead of SipHash. What a client looks up meets the keys of one place at most.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// What is registered, by name or URI.
pub(super) type Names<T> = HashMap<String, T, BuildHasherDefault<NameHasher>>;

/// An odd number without a pattern: the golden ratio's fraction, as 64 bits.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// A hash of text for keys that nobody picks to do harm.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NameHasher(u64);

impl NameHasher {
    /// Both halves of the product, so that all bits count in every bit of the sum.
    #[inline]
    fn add(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(FACTOR);
        self.0 = (product as u64) ^ ((product >> 64) as u64);
        // Zero would stay zero, however many zeros follow.
        self.0 = self.0.wrapping_add(FACTOR);
    }
}

impl Hasher for NameHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        let rest = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        self.add(rest ^ (bytes.len() as u64) << 56);
    }

    #[inline]
    fn write_u8(&mut self, byte: u8) {
        self.0 ^= u64::from(byte);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &str) -> u64 {
        let mut hasher = NameHasher::default();
        std::hash::Hash::hash(text, &mut hasher);
        hasher.finish()
    }

    /// The map takes its places from the low bits and its tags from the high ones.
    #[test]
    fn similar_names_are_spread() {
        const PLACES: u64 = 1 << 10;
        for prefix in ["", "tool_", "tool_number_", "file:///srv/data/directory/"] {
            let hashes: Vec<u64> = (0..PLACES)
                .map(|number| hash(&format!("{prefix}{number}")))
                .collect();
            let spread = |place: fn(u64) -> u64| {
                let places: std::collections::HashSet<u64> = hashes.iter().map(|hash| place(*hash)).collect();
                places.len() as u64
            };
            // Of balls thrown at random into as many places, 63 % of the places get one.
            assert!(spread(|hash| hash % PLACES) > PLACES / 2, "{prefix}");
            assert!(spread(|hash| hash >> 54) > PLACES / 2, "{prefix}");
        }
    }

    #[test]
    fn lengths_and_zeros_count() {
        let texts = [
            "",
            "\0",
            "\0\0",
            "\0\0\0\0\0\0\0\0",
            "\0\0\0\0\0\0\0\0\0",
            "a",
            "a\0",
            "\0a",
        ];
        let hashes: std::collections::HashSet<u64> = texts.iter().map(|text| hash(text)).collect();
        assert_eq!(hashes.len(), texts.len());
    }
}
