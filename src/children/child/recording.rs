//! The last that went each way between us and a child, kept for the case that it dies.
//!
//! Off unless it is asked for. It takes what the pipes took and gave, as bytes, whoever's they are.

/// Bytes that are kept each way.
const BYTES_MAX: usize = 64 << 10;

/// Both ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// What its stdin has taken.
    pub to_child: Tape,
    /// What its stdout has given.
    pub from_child: Tape,
}

/// The end of a stream of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tape {
    bytes: Vec<u8>,
    /// Where the oldest byte is, once it is full.
    at: usize,
    total: u64,
}

impl Default for Recording {
    fn default() -> Recording {
        Recording {
            to_child: Tape::new(),
            from_child: Tape::new(),
        }
    }
}

impl Recording {
    /// Memory that it holds.
    pub fn held_bytes(&self) -> usize {
        self.to_child.bytes.capacity() + self.from_child.bytes.capacity()
    }
}

impl Tape {
    fn new() -> Tape {
        Tape {
            bytes: Vec::with_capacity(BYTES_MAX),
            at: 0,
            total: 0,
        }
    }

    /// Adds bytes, for which the oldest go.
    pub fn add(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let newest = bytes.len().saturating_sub(BYTES_MAX);
        let (mut rest, room) = (
            bytes.get(newest..).unwrap_or_default(),
            BYTES_MAX - self.bytes.len(),
        );
        if room > 0 {
            let (fits, left) = rest.split_at(room.min(rest.len()));
            self.bytes.extend_from_slice(fits);
            rest = left;
        }
        while !rest.is_empty() {
            let (now, left) = rest.split_at(rest.len().min(BYTES_MAX - self.at));
            if let Some(place) = self.bytes.get_mut(self.at..self.at + now.len()) {
                place.copy_from_slice(now);
            }
            self.at = (self.at + now.len()) % BYTES_MAX;
            rest = left;
        }
    }

    /// Bytes that went, in all.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// What is kept, in two pieces, the older one first.
    pub fn pieces(&self) -> [&[u8]; 2] {
        let (newer, older) = self.bytes.split_at(self.at.min(self.bytes.len()));
        [older, newer]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_bytes_are_kept_whatever_their_pieces() {
        for piece in [1, 7, 1000, BYTES_MAX - 1, BYTES_MAX, BYTES_MAX + 1, 3 * BYTES_MAX] {
            let mut tape = Tape::new();
            let all: Vec<u8> = (0..4 * BYTES_MAX + 11).map(|at| (at % 251) as u8).collect();
            let mut taken = 0;
            for bytes in all.chunks(piece) {
                tape.add(bytes);
                taken += bytes.len();
                if taken < BYTES_MAX {
                    assert_eq!(tape.pieces().concat(), all[..taken]);
                }
            }
            assert_eq!(tape.pieces().concat(), all[all.len() - BYTES_MAX..], "{piece}");
            assert_eq!(tape.total(), all.len() as u64);
            assert_eq!(tape.bytes.capacity(), BYTES_MAX);
        }
    }
}
