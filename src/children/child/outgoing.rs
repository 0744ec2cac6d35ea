//! What a child is to read: lines gathered while a write is under way, so that the lines of one pass, or of one
//! write's duration, go out in one write.
//!
//! Positions count the bytes of the child's stdin from its first. Those up to `written` were taken by the pipe. A line
//! whose first byte was not can still be given to another child.
//!
//! Invariant: in the order of positions come bytes that were taken, the rest of the buffer that is being written, and
//! what is gathered.

use std::io;
use std::ops::Range;
use std::time::Instant;

/// Memory that is kept for gathering; a large line's is given back.
const RETAINED_BYTES: usize = 64 << 10;

/// A write to be begun: the buffer belongs to the ring until it is over.
#[derive(Debug)]
pub struct PipeWrite {
    /// The bytes.
    pub buffer: Vec<u8>,
    /// Which of them.
    pub range: Range<usize>,
}

/// The lines on their way to a child.
#[derive(Debug)]
pub struct Outgoing {
    /// Lines that no write has.
    gathered: Vec<u8>,
    /// The buffer that a write had which was over, to gather in next.
    spare: Vec<u8>,
    write: Write,
    /// Bytes that the pipe has taken.
    written: u64,
    /// When the pipe last took something, or had nothing to take.
    took_at: Instant,
    is_broken: bool,
}

#[derive(Debug)]
enum Write {
    None,
    /// With the ring.
    UnderWay(Range<usize>),
    /// The pipe took only the front of it.
    Rest(PipeWrite),
}

impl Outgoing {
    /// Nothing to write yet.
    pub fn new(now: Instant) -> Outgoing {
        Outgoing {
            gathered: Vec::new(),
            spare: Vec::new(),
            write: Write::None,
            written: 0,
            took_at: now,
            is_broken: false,
        }
    }

    /// Where the next line will begin.
    pub fn position(&self) -> u64 {
        self.written + (self.begun_bytes() + self.gathered.len()) as u64
    }

    /// Where to append a line.
    pub fn line(&mut self, now: Instant) -> &mut Vec<u8> {
        if self.pending_bytes() == 0 {
            self.took_at = now;
        }
        &mut self.gathered
    }

    /// Takes out what is to be written now; `None` while a write is under way, and if there is nothing.
    pub fn next_write(&mut self) -> Option<PipeWrite> {
        if self.is_broken {
            return None;
        }
        let next = match std::mem::replace(&mut self.write, Write::None) {
            Write::Rest(rest) => rest,
            Write::UnderWay(range) => {
                self.write = Write::UnderWay(range);
                return None;
            }
            Write::None if self.gathered.is_empty() => return None,
            Write::None => {
                let spare = std::mem::take(&mut self.spare);
                let buffer = std::mem::replace(&mut self.gathered, spare);
                let range = 0..buffer.len();
                PipeWrite { buffer, range }
            }
        };
        self.write = Write::UnderWay(next.range.clone());
        Some(next)
    }

    /// The bytes of a write that is over, of which the pipe took so many.
    pub fn taken<'b>(&self, buffer: &'b [u8], count: usize) -> &'b [u8] {
        match &self.write {
            Write::UnderWay(range) => {
                let end = range.end.min(range.start.saturating_add(count));
                buffer.get(range.start..end).unwrap_or_default()
            }
            Write::None | Write::Rest(_) => &[],
        }
    }

    /// A write is over: its buffer comes back, of which the pipe took so many bytes. After an error nothing more is
    /// written.
    pub fn on_written(&mut self, buffer: Vec<u8>, result: io::Result<usize>, now: Instant) {
        let Write::UnderWay(range) = std::mem::replace(&mut self.write, Write::None) else {
            debug_assert!(false, "no write is under way");
            return;
        };
        let taken = match result {
            Ok(taken) => taken.min(range.len()),
            Err(error) => {
                // Full for now: it is tried again.
                let is_full = matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                );
                self.is_broken |= !is_full;
                0
            }
        };
        if taken > 0 {
            self.took_at = now;
        }
        self.written += taken as u64;
        let rest = range.start + taken..range.end;
        if rest.is_empty() {
            self.keep(buffer);
        } else {
            self.write = Write::Rest(PipeWrite { buffer, range: rest });
        }
    }

    /// The line that begins at this position, without its end, if none of its bytes was taken and no write has it.
    pub fn unwritten_line(&self, position: u64) -> Option<&[u8]> {
        let at = usize::try_from(position.checked_sub(self.written)?).ok()?;
        let begun = match &self.write {
            Write::Rest(rest) => rest.buffer.get(rest.range.clone()).unwrap_or_default(),
            // Bytes are with the ring that stand before everything gathered.
            Write::UnderWay(range) => {
                let from_gathered = self.gathered.get(at.checked_sub(range.len())?..)?;
                return first_line(from_gathered);
            }
            Write::None => &[],
        };
        match begun.get(at..) {
            Some(rest) if !rest.is_empty() => first_line(rest),
            _ => first_line(self.gathered.get(at - begun.len()..)?),
        }
    }

    /// Bytes that the pipe has not taken.
    pub fn pending_bytes(&self) -> usize {
        self.begun_bytes() + self.gathered.len()
    }

    /// Memory that is held for them.
    pub fn held_bytes(&self) -> usize {
        self.begun_bytes() + self.gathered.capacity() + self.spare.capacity()
    }

    /// Since when the pipe has not taken anything although something waits.
    pub fn stuck_since(&self) -> Option<Instant> {
        (self.pending_bytes() > 0).then_some(self.took_at)
    }

    /// Whether nobody reads any more.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Whether the ring has a buffer of it.
    pub fn is_writing(&self) -> bool {
        matches!(self.write, Write::UnderWay(_))
    }

    fn begun_bytes(&self) -> usize {
        match &self.write {
            Write::None => 0,
            Write::UnderWay(range) => range.len(),
            Write::Rest(rest) => rest.range.len(),
        }
    }

    fn keep(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() <= RETAINED_BYTES {
            buffer.clear();
            self.spare = buffer;
        }
    }
}

/// The first line of `bytes`, without its end.
fn first_line(bytes: &[u8]) -> Option<&[u8]> {
    let end = memchr::memchr(b'\n', bytes)?;
    bytes.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn outgoing() -> (Outgoing, Instant) {
        let now = Instant::now();
        (Outgoing::new(now), now)
    }

    fn add(outgoing: &mut Outgoing, line: &str, now: Instant) -> u64 {
        let position = outgoing.position();
        outgoing.line(now).extend_from_slice(line.as_bytes());
        position
    }

    fn bytes(write: &PipeWrite) -> &[u8] {
        &write.buffer[write.range.clone()]
    }

    #[test]
    fn the_lines_of_a_pass_go_out_in_one_write() {
        let (mut outgoing, now) = outgoing();
        assert!(outgoing.next_write().is_none());
        assert_eq!(add(&mut outgoing, "one\n", now), 0);
        assert_eq!(add(&mut outgoing, "two\n", now), 4);
        let write = outgoing.next_write().unwrap();
        assert_eq!(bytes(&write), b"one\ntwo\n");
        assert_eq!(add(&mut outgoing, "three\n", now), 8);
        assert!(outgoing.next_write().is_none(), "one at a time");
        outgoing.on_written(write.buffer, Ok(8), now);
        let write = outgoing.next_write().unwrap();
        assert_eq!(bytes(&write), b"three\n");
        outgoing.on_written(write.buffer, Ok(6), now);
        assert_eq!((outgoing.pending_bytes(), outgoing.position()), (0, 14));
    }

    #[test]
    fn what_was_not_taken_comes_first() {
        let (mut outgoing, now) = outgoing();
        add(&mut outgoing, "one\ntwo\n", now);
        let write = outgoing.next_write().unwrap();
        add(&mut outgoing, "three\n", now);
        outgoing.on_written(write.buffer, Ok(3), now);
        let write = outgoing.next_write().unwrap();
        assert_eq!(bytes(&write), b"\ntwo\n");
        outgoing.on_written(write.buffer, Err(io::ErrorKind::WouldBlock.into()), now);
        let write = outgoing.next_write().unwrap();
        assert_eq!(bytes(&write), b"\ntwo\n");
        outgoing.on_written(write.buffer, Ok(5), now);
        assert_eq!(bytes(&outgoing.next_write().unwrap()), b"three\n");
    }

    #[test]
    fn lines_that_never_left_can_be_had_back() {
        let (mut outgoing, now) = outgoing();
        let positions: Vec<u64> = ["one\n", "two\n", "three\n"]
            .map(|line| add(&mut outgoing, line, now))
            .into();
        let write = outgoing.next_write().unwrap();
        let fourth = add(&mut outgoing, "four\n", now);
        assert_eq!(outgoing.unwritten_line(positions[2]), None, "the ring has it");
        assert_eq!(outgoing.unwritten_line(fourth), Some(&b"four"[..]));
        outgoing.on_written(write.buffer, Ok(5), now);
        outgoing.is_broken = true;
        assert_eq!(outgoing.unwritten_line(positions[0]), None, "it was taken");
        assert_eq!(
            outgoing.unwritten_line(positions[1]),
            None,
            "its first byte was taken"
        );
        assert_eq!(outgoing.unwritten_line(positions[2]), Some(&b"three"[..]));
        assert_eq!(outgoing.unwritten_line(fourth), Some(&b"four"[..]));
        assert_eq!(outgoing.unwritten_line(fourth + 5), None);
    }

    #[test]
    fn an_error_is_the_end_of_writing() {
        let (mut outgoing, now) = outgoing();
        let position = add(&mut outgoing, "one\n", now);
        let write = outgoing.next_write().unwrap();
        outgoing.on_written(write.buffer, Err(io::ErrorKind::BrokenPipe.into()), now);
        assert!(outgoing.is_broken() && outgoing.next_write().is_none());
        assert_eq!(outgoing.unwritten_line(position), Some(&b"one"[..]));
    }

    #[test]
    fn a_full_pipe_is_noticed() {
        let (mut outgoing, start) = outgoing();
        let later = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(outgoing.stuck_since(), None);
        add(&mut outgoing, "one\n", later(10));
        assert_eq!(outgoing.stuck_since(), Some(later(10)), "idleness does not count");
        let write = outgoing.next_write().unwrap();
        outgoing.on_written(write.buffer, Ok(1), later(20));
        assert_eq!(outgoing.stuck_since(), Some(later(20)));
        let write = outgoing.next_write().unwrap();
        add(&mut outgoing, "two\n", later(30));
        assert_eq!(outgoing.stuck_since(), Some(later(20)), "new lines do not help");
        outgoing.on_written(write.buffer, Ok(3), later(40));
        let write = outgoing.next_write().unwrap();
        outgoing.on_written(write.buffer, Ok(4), later(50));
        assert_eq!(outgoing.stuck_since(), None);
    }

    /// Seeded: however writes are shortened, the pipe gets each byte once and in order.
    #[test]
    fn every_byte_goes_out_once() {
        for seed in 0..100 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (mut outgoing, now) = outgoing();
            let (mut told, mut taken): (Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new());
            let mut under_way: Option<PipeWrite> = None;
            for number in 0..200 {
                if rng.bool() {
                    let line = format!("{number}{}\n", "x".repeat(rng.usize(..50)));
                    assert_eq!(outgoing.position(), told.len() as u64);
                    add(&mut outgoing, &line, now);
                    told.extend_from_slice(line.as_bytes());
                }
                match under_way.take() {
                    Some(write) if rng.bool() => {
                        let bytes = rng.usize(..=write.range.len());
                        taken.extend_from_slice(&write.buffer[write.range.clone()][..bytes]);
                        outgoing.on_written(write.buffer, Ok(bytes), now);
                    }
                    Some(write) => under_way = Some(write),
                    None => under_way = outgoing.next_write(),
                }
                assert_eq!(taken.len() + outgoing.pending_bytes(), told.len(), "seed {seed}");
                assert!(told.starts_with(&taken), "seed {seed}");
            }
        }
    }
}
