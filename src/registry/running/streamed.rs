//! Results that are read while they are sent, and never lie in memory as a whole.
//!
//! A source is read by a worker, a piece at a time, and becomes the inside of a JSON string on the way: text is
//! escaped, bytes become base64. Nothing is read ahead of what the client takes but one piece.
#![allow(
    clippy::disallowed_types,
    reason = "a source is taken once, wherever its result goes; nobody waits for the lock"
)]

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::collect_budget::CollectBudget;
use crate::jsonrpc::write_string_part;
use crate::registry::owned::Owned;

/// Bytes of a source that are held while they are not written yet.
const RAW_BYTES: usize = 16 << 10;

/// So few unwritten bytes are read behind: it must be more than the rest of a character, or of a group of three.
const REFILL_BYTES: usize = 16;

/// Room below which nothing more is written into a piece: more than the longest escape, and than four characters of
/// base64.
const ROOM_MIN: usize = 8;

/// A long text that is read while it is sent: the result of a tool, or the contents of a resource.
///
/// The source is read on a worker thread, so it may block; make it in a function that may block, too, if opening it
/// does. It is dropped there, too. A source that fails, or that is not UTF-8, ends an answer that has begun in its
/// middle: the connection is then cut off, so that the client does not take it for whole.
///
/// ```
/// use weir::{BlockingContext, CallContext, NoArguments, Registry, StreamedText, Tool};
///
/// let mut registry = Registry::builder();
/// registry.add(Tool::new("log").run_blocking(|_: &BlockingContext, _: NoArguments| {
///     Ok(StreamedText::from_reader(std::fs::File::open("/var/log/build.log")?))
/// }))?;
/// registry.add(Tool::new("squares").run(|_: CallContext, _: NoArguments| async {
///     Ok(StreamedText::from_pieces((0..1_000_000_u64).map(|number| format!("{}\n", number * number))))
/// }))?;
/// # Ok::<(), weir::RegistryError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct StreamedText(pub(super) Place);

/// Many bytes that are read while they are sent: the contents of a resource, which become base64 on the way. Otherwise
/// the same as [`StreamedText`].
#[derive(Debug, Clone, PartialEq)]
pub struct StreamedBytes(pub(super) Place);

impl StreamedText {
    /// A text in UTF-8 from a file, a socket or anything else that is read.
    pub fn from_reader(reader: impl Read + Send + 'static) -> Self {
        Self(Place::new(Encoding::Text, reader))
    }

    /// A text of these pieces, one behind the other; the iterator runs on a worker thread and may block.
    pub fn from_pieces<I>(pieces: I) -> Self
    where
        I: IntoIterator<Item = String>,
        I::IntoIter: Send + 'static,
    {
        Self::from_results(pieces.into_iter().map(Ok))
    }

    /// The same of pieces that may fail to come.
    pub fn from_results<I>(pieces: I) -> Self
    where
        I: IntoIterator<Item = io::Result<String>>,
        I::IntoIter: Send + 'static,
    {
        Self::from_reader(PieceReader {
            // One that has ended is asked again.
            pieces: pieces.into_iter().fuse(),
            piece: Vec::new(),
            read: 0,
            failed: None,
        })
    }
}

impl StreamedBytes {
    /// The bytes of a file, a socket or anything else that is read.
    pub fn from_reader(reader: impl Read + Send + 'static) -> Self {
        Self(Place::new(Encoding::Base64, reader))
    }
}

/// Where a source lies until it is taken.
#[derive(Clone)]
pub(super) struct Place {
    encoding: Encoding,
    reader: Arc<Mutex<Option<Source>>>,
}

impl Place {
    fn new(encoding: Encoding, reader: impl Read + Send + 'static) -> Self {
        Self {
            encoding,
            reader: Arc::new(Mutex::new(Some(Owned::new(Box::new(reader))))),
        }
    }

    /// Takes the source, once.
    pub(super) fn take(&self) -> Option<AnswerSource> {
        let mut place = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        Some(AnswerSource {
            encoding: self.encoding,
            reader: place.take()?,
            raw: Vec::new(),
            unwritten: 0..0,
            is_over: false,
        })
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.reader, &other.reader)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.encoding).finish()
    }
}

/// An author's source.
type Source = Owned<Box<dyn Read + Send>>;

/// What the bytes of a source become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Text,
    Base64,
}

/// The source of a result, as it is sent.
pub struct AnswerSource {
    encoding: Encoding,
    reader: Source,
    /// Where it is read into.
    raw: Vec<u8>,
    /// What of that was read and not written.
    unwritten: Range<usize>,
    is_over: bool,
}

impl fmt::Debug for AnswerSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnswerSource").field(&self.encoding).finish()
    }
}

impl AnswerSource {
    /// Bytes that it holds at most.
    pub const HELD_BYTES: usize = RAW_BYTES;

    /// Reads on, and appends as the inside of a JSON string what fits into `room` bytes. Returns whether that was the
    /// last of it.
    ///
    /// # Errors
    /// It cannot be read, or its text is not UTF-8.
    pub fn write_next(&mut self, out: &mut Vec<u8>, room: usize) -> io::Result<bool> {
        let end = out.len() + room;
        loop {
            let is_full = end - out.len() < ROOM_MIN;
            let is_written = self.is_over && self.unwritten.is_empty();
            if is_full || is_written {
                return Ok(is_written);
            }
            if !self.is_over && self.unwritten.len() < REFILL_BYTES {
                self.fill()?;
            }
            let unwritten = &self.raw[self.unwritten.clone()];
            let room = end - out.len();
            self.unwritten.start += match self.encoding {
                Encoding::Text => {
                    let whole = whole_characters(unwritten, self.is_over)?;
                    write_string_part(out, whole, room)
                }
                Encoding::Base64 => write_base64(out, unwritten, room, self.is_over),
            };
        }
    }

    /// All of it, as it was read.
    ///
    /// # Errors
    /// It cannot be read, or its text is not UTF-8; [`ErrorKind::OutOfMemory`] if others hold too much of the budget.
    pub fn read_all(mut self, bytes_max: usize, budget: &CollectBudget) -> io::Result<Collected> {
        let mut all = self.raw[self.unwritten.clone()].to_vec();
        let mut share = budget.share();
        loop {
            if all.len() > bytes_max {
                return Ok(Collected::TooLong);
            }
            if all.len() == all.capacity() {
                // One byte more tells a source that is too long.
                let grown = (2 * all.len()).max(RAW_BYTES).min(bytes_max.saturating_add(1));
                if !budget.can_hold(grown) {
                    return Ok(Collected::TooLong);
                }
                if !share.grow_to(grown) {
                    return Err(ErrorKind::OutOfMemory.into());
                }
                all.reserve_exact(grown - all.len());
            }
            let room = all.capacity() - all.len();
            let read = self.reader.by_ref().take(room as u64).read_to_end(&mut all)?;
            if read < room {
                break;
            }
        }
        if all.len() > bytes_max {
            return Ok(Collected::TooLong);
        }
        match self.encoding {
            Encoding::Base64 => Ok(Collected::Bytes(all)),
            Encoding::Text => String::from_utf8(all)
                .map(Collected::Text)
                .map_err(|_| not_utf8()),
        }
    }

    /// Reads once more behind what is not written.
    fn fill(&mut self) -> io::Result<()> {
        self.raw.resize(RAW_BYTES, 0);
        self.raw.copy_within(self.unwritten.clone(), 0);
        self.unwritten = 0..self.unwritten.len();
        let read = loop {
            match self.reader.read(&mut self.raw[self.unwritten.end..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.unwritten.end += read;
        self.is_over = read == 0;
        Ok(())
    }
}

/// Appends whole groups of three bytes, and at the end the rest; returns how many bytes that were.
fn write_base64(out: &mut Vec<u8>, bytes: &[u8], room: usize, is_over: bool) -> usize {
    let fits = (room / 4 * 3).min(bytes.len());
    let taken = if is_over && fits == bytes.len() {
        fits
    } else {
        fits - fits % 3
    };
    let begin = out.len();
    out.resize(begin + taken.div_ceil(3) * 4, 0);
    // The slice is as long as the text becomes.
    let _ = STANDARD.encode_slice(&bytes[..taken], &mut out[begin..]);
    taken
}

/// A source that was read as a whole.
#[derive(Debug, PartialEq, Eq)]
pub enum Collected {
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// More than could be kept.
    TooLong,
}

/// The front of `raw` without a character that was cut off at its end.
fn whole_characters(raw: &[u8], is_over: bool) -> io::Result<&[u8]> {
    match std::str::from_utf8(raw) {
        Ok(text) => Ok(text.as_bytes()),
        Err(error) if error.error_len().is_none() && !is_over => Ok(&raw[..error.valid_up_to()]),
        Err(_) => Err(not_utf8()),
    }
}

fn not_utf8() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "the text is not UTF-8")
}

/// Reads pieces of text.
struct PieceReader<I> {
    pieces: I,
    piece: Vec<u8>,
    read: usize,
    /// The error behind what was read.
    failed: Option<io::Error>,
}

impl<I: Iterator<Item = io::Result<String>>> Read for PieceReader<I> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            if self.read == self.piece.len() {
                let Some(piece) = self.failed.take().map(Err).or_else(|| self.pieces.next()) else {
                    break;
                };
                match piece {
                    Ok(piece) => self.piece = piece.into_bytes(),
                    // What came before it is read first.
                    Err(error) if filled > 0 => {
                        self.failed = Some(error);
                        break;
                    }
                    Err(error) => return Err(error),
                }
                self.read = 0;
            }
            let rest = &self.piece[self.read..];
            let count = rest.len().min(into.len() - filled);
            into[filled..filled + count].copy_from_slice(&rest[..count]);
            (filled, self.read) = (filled + count, self.read + count);
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_that_are_read_as_a_whole_share_a_budget() {
        let budget = CollectBudget::new(3 * RAW_BYTES);
        let all = |bytes: usize, bytes_max: usize| {
            let source = StreamedBytes::from_reader(io::repeat(7).take(bytes as u64));
            source.0.take().unwrap().read_all(bytes_max, &budget)
        };
        let bytes = RAW_BYTES + 1;
        assert_eq!(all(bytes, bytes).unwrap(), Collected::Bytes(vec![7; bytes]));
        assert_eq!(all(bytes, bytes - 1).unwrap(), Collected::TooLong);
        assert_eq!(all(0, 0).unwrap(), Collected::Bytes(Vec::new()));
        assert_eq!(all(2 * RAW_BYTES + 1, usize::MAX).unwrap(), Collected::TooLong);
        let mut other = budget.share();
        assert!(other.grow_to(2 * RAW_BYTES));
        let error = all(bytes, usize::MAX).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        drop(other);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_source_that_panics_as_it_is_dropped_ends_nothing_else() {
        struct Falling;
        impl Read for Falling {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Ok(0)
            }
        }
        impl Drop for Falling {
            fn drop(&mut self) {
                panic!("a source that is dropped badly");
            }
        }
        let source = StreamedText::from_reader(Falling).0;
        drop(source.take());
        drop(StreamedText::from_reader(Falling));
    }

    fn budget() -> CollectBudget {
        CollectBudget::new(1 << 20)
    }

    /// Gives at most so many bytes at a time.
    struct Slowly(io::Cursor<Vec<u8>>, usize);

    impl Read for Slowly {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(into.len());
            self.0.read(&mut into[..count])
        }
    }

    fn written(place: &Place, room: usize) -> io::Result<String> {
        let mut source = place.take().unwrap();
        let mut all = Vec::new();
        loop {
            let mut piece = Vec::with_capacity(room);
            let is_last = source.write_next(&mut piece, room)?;
            assert!(piece.len() <= room, "{} of {room}", piece.len());
            all.extend_from_slice(&piece);
            if is_last {
                return Ok(String::from_utf8(all).unwrap());
            }
        }
    }

    #[test]
    fn a_text_is_the_same_in_pieces_of_any_size() {
        let text: String = (0..0x300)
            .filter_map(char::from_u32)
            .chain("🦀\"\\".chars())
            .collect();
        let expected = serde_json::to_string(&text).unwrap();
        for (given, room) in [(1, 8), (3, 9), (7, 64), (1000, 20), (100_000, 100_000)] {
            let reader = Slowly(io::Cursor::new(text.clone().into_bytes()), given);
            let place = StreamedText::from_reader(reader).0;
            let written = written(&place, room).unwrap();
            let unescaped: String = serde_json::from_str(&format!("\"{written}\"")).unwrap();
            assert_eq!(unescaped, text, "{given} by {room}");
            assert_eq!(format!("\"{written}\""), expected);
        }
    }

    #[test]
    fn bytes_become_base64_in_pieces_of_any_size() {
        for length in (0..40).chain([RAW_BYTES - 1, RAW_BYTES, 3 * RAW_BYTES + 1]) {
            let bytes: Vec<u8> = (0..length).map(|at| at as u8).collect();
            for (given, room) in [(1, 8), (2, 11), (5, 64), (100_000, 1000)] {
                let place = StreamedBytes::from_reader(Slowly(io::Cursor::new(bytes.clone()), given)).0;
                assert_eq!(
                    written(&place, room).unwrap(),
                    STANDARD.encode(&bytes),
                    "{length} {given} {room}"
                );
            }
        }
    }

    #[test]
    fn pieces_of_an_iterator_are_one_text() {
        let pieces = ["a", "", "\"", "é"].map(str::to_owned);
        let place = StreamedText::from_pieces(pieces).0;
        assert_eq!(written(&place, 8).unwrap(), "a\\\"é");
        assert!(place.take().is_none(), "a source is taken once");
    }

    #[test]
    fn what_is_wrong_with_a_source_is_seen() {
        let broken = io::Error::other("gone");
        let place = StreamedText::from_results([Ok("a".to_owned()), Err(broken)]).0;
        assert_eq!(written(&place, 100).unwrap_err().to_string(), "gone");
        for bytes in [&b"\xff"[..], b"a\xc3", b"\xc3\x28"] {
            let place = StreamedText::from_reader(bytes).0;
            assert_eq!(written(&place, 100).unwrap_err().kind(), ErrorKind::InvalidData);
            let source = StreamedText::from_reader(bytes).0.take().unwrap();
            assert_eq!(
                source.read_all(100, &budget()).unwrap_err().kind(),
                ErrorKind::InvalidData
            );
        }
    }

    #[test]
    fn a_whole_source_is_bounded() {
        let source = |text: &'static str| StreamedText::from_reader(text.as_bytes()).0.take().unwrap();
        assert_eq!(
            source("abc").read_all(3, &budget()).unwrap(),
            Collected::Text("abc".to_owned())
        );
        assert_eq!(source("abc").read_all(2, &budget()).unwrap(), Collected::TooLong);
        let bytes = StreamedBytes::from_reader(&b"\xff"[..]).0.take().unwrap();
        assert_eq!(
            bytes.read_all(3, &budget()).unwrap(),
            Collected::Bytes(vec![0xff])
        );
    }
}
