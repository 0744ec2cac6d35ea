//! Session ids that a shard opened before, so that it need not decrypt them again.
//!
//! An id opens to the same session every time: what changes (its expiry, and whether it was ended or evicted) is looked
//! at whenever the id comes. The table is a cache with one place for an id. Only ids that this process sealed or opened
//! come in, and whoever has a place leaves it to the next.
//!
//! Invariant: a session is found by all characters of its id and nothing less, in a time that does not tell how many of
//! them were right.

use super::seal::{Plain, TEXT_BYTES};
use crate::registry::CLIENT_TEXT_BYTES_MAX;

/// The number of places of a table that holds anything; it doubles from here.
const PLACES_MIN: usize = 64;

/// The ids that one shard remembers.
pub(super) struct OpenedIds {
    /// None, or a power of two.
    places: Vec<Option<Opened>>,
    places_max: usize,
    len: usize,
}

struct Opened {
    text: [u8; TEXT_BYTES],
    /// What stands behind it.
    client: Box<[u8]>,
    plain: Plain,
}

impl OpenedIds {
    /// The bytes that each of them takes, if its client has said as much of itself as it may.
    pub(super) const ENTRY_BYTES: usize = size_of::<Option<Opened>>() + CLIENT_TEXT_BYTES_MAX;

    /// Remembers at most `ids_max`, which is rounded down to a power of two.
    pub(super) fn new(ids_max: usize) -> Self {
        let places_max = ids_max.checked_ilog2().map_or(0, |log| 1 << log);
        Self {
            places: Vec::new(),
            places_max,
            len: 0,
        }
    }

    /// The session that this text opened to, together with what the client said behind it.
    pub(super) fn find(&self, text: &[u8; TEXT_BYTES], client: &[u8]) -> Option<&Plain> {
        let opened = self.places.get(self.place(text))?.as_ref()?;
        // What a client said is no secret.
        (is_same(&opened.text, text) && *opened.client == *client).then_some(&opened.plain)
    }

    /// Remembers what a text opened to.
    pub(super) fn insert(&mut self, text: &[u8; TEXT_BYTES], client: &[u8], plain: Plain) {
        // With one place for an id, a table that is a quarter full has about one in eight of them displaced.
        if self.len >= self.places.len() / 4 {
            self.grow();
        }
        self.put(Opened {
            text: *text,
            client: client.into(),
            plain,
        });
    }

    /// Forgets a text.
    pub(super) fn remove(&mut self, text: &[u8; TEXT_BYTES], client: &[u8]) {
        if self.find(text, client).is_some() {
            let at = self.place(text);
            if let Some(place) = self.places.get_mut(at) {
                *place = None;
                self.len -= 1;
            }
        }
    }

    fn put(&mut self, opened: Opened) {
        let at = self.place(&opened.text);
        if let Some(place) = self.places.get_mut(at) {
            self.len += usize::from(place.is_none());
            *place = Some(opened);
        }
    }

    fn grow(&mut self) {
        let wanted = (2 * self.places.len()).max(PLACES_MIN).min(self.places_max);
        if wanted > self.places.len() {
            let mut places = Vec::new();
            places.resize_with(wanted, || None);
            self.len = 0;
            for opened in std::mem::replace(&mut self.places, places).into_iter().flatten() {
                self.put(opened);
            }
        }
    }

    /// The place of a text, out of bounds if there is none. The last characters are those of the tag, which are as good
    /// as random in every id that was ever remembered.
    fn place(&self, text: &[u8; TEXT_BYTES]) -> usize {
        const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
        let tail = text.last_chunk::<8>().copied().unwrap_or_default();
        let mixed = u64::from_le_bytes(tail).wrapping_mul(ODD) >> 32;
        usize::try_from(mixed).unwrap_or_default() & self.places.len().wrapping_sub(1)
    }
}

/// Compares all characters, wherever the first difference is.
fn is_same(one: &[u8; TEXT_BYTES], other: &[u8; TEXT_BYTES]) -> bool {
    let (ones, _) = one.as_chunks::<8>();
    let (others, _) = other.as_chunks::<8>();
    let differences = ones.iter().zip(others).fold(0, |all, (one, other)| {
        all | (u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other))
    });
    differences == 0
}

const _: () = assert!(TEXT_BYTES.is_multiple_of(8), "every character is compared");

impl std::fmt::Debug for OpenedIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpenedIds({} of {})", self.len, self.places_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::{ClientCapabilities, Principal, Revision, Session, UnixSeconds};

    fn plain(number: u64) -> Plain {
        Plain {
            session: Session {
                revision: Revision::V2025_11_25,
                capabilities: ClientCapabilities::NONE,
                principal: Principal::ANONYMOUS,
            },
            issued: UnixSeconds(number),
            token: [0; 16],
        }
    }

    /// A text with random characters at its end, and none elsewhere.
    fn text(number: u64) -> [u8; TEXT_BYTES] {
        let mut text = [b'A'; TEXT_BYTES];
        let random = fastrand::Rng::with_seed(number).u64(..);
        text[TEXT_BYTES - 16..].copy_from_slice(format!("{random:016x}").as_bytes());
        text
    }

    fn found(ids: &OpenedIds, number: u64) -> Option<u64> {
        ids.find(&text(number), b"").map(|plain| plain.issued.0)
    }

    #[test]
    fn every_character_counts() {
        let mut ids = OpenedIds::new(64);
        ids.insert(&text(1), b"", plain(1));
        assert_eq!(found(&ids, 1), Some(1));
        for at in 0..TEXT_BYTES {
            let mut other = text(1);
            other[at] ^= 1;
            assert!(ids.find(&other, b"").is_none(), "{at}");
            ids.remove(&other, b"");
        }
        assert_eq!(found(&ids, 1), Some(1));
        ids.remove(&text(1), b"");
        assert_eq!((found(&ids, 1), ids.len), (None, 0));
    }

    #[test]
    fn remembers_no_more_than_it_may() {
        for (ids_max, places) in [(0, 0), (1, 1), (3, 2), (1_000, 512)] {
            let mut ids = OpenedIds::new(ids_max);
            for number in 0..5_000 {
                ids.insert(&text(number), b"", plain(number));
                let is_there = found(&ids, number) == Some(number);
                assert_eq!(is_there, ids_max > 0, "what came last is remembered");
            }
            assert_eq!(ids.places.len(), places);
            assert_eq!(ids.len, ids.places.iter().flatten().count());
            assert!((0..5_000).all(|number| found(&ids, number).is_none_or(|found| found == number)));
        }
    }

    #[test]
    fn most_of_few_are_there() {
        let mut ids = OpenedIds::new(4_096);
        (0..1_000).for_each(|number| ids.insert(&text(number), b"", plain(number)));
        let there = (0..1_000).filter(|number| found(&ids, *number).is_some()).count();
        assert!(there > 800, "{there} of 1000");
        assert!(ids.places.len() <= 4_096);
    }
}
