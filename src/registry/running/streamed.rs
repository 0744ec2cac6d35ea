//! Results that are read while they are sent, and never lie in memory as a whole.
//!
//! A source is read by a worker, a piece at a time, and becomes the inside of a JSON string on the way: text is
//! escaped, bytes become base64. Nothing is read ahead of what the client takes but one piece, which is shorter where a
//! source is slow.
//!
//! Invariant: what a source is known to hold beyond [`AnswerSource::HELD_BYTES`] is charged while it holds that.
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

use super::collect_budget::{CollectBudget, CollectShare};
use crate::jsonrpc::write_string_part;
use crate::registry::owned::Owned;

/// Bytes of a source that are held while they are not written yet.
const RAW_BYTES: usize = 16 << 10;

/// So few unwritten bytes are read behind: it must be more than the rest of a character, or of a group of three.
const REFILL_BYTES: usize = 16;

/// A piece of an author's of so many bytes is not charged on its own: every source is charged for one.
const FREE_BYTES_MAX: usize = 16 << 10;

/// Room below which nothing more is written into a piece: more than the longest escape, and than four characters of
/// base64.
const ROOM_MIN: usize = 8;

/// A long text that is read while it is sent: the result of a tool, or the contents of a resource.
///
/// The source is read on a worker thread, so it may block; make it in a function that may block, too, if opening it
/// does. It is dropped there, too. Its first piece has to come within the call's timeout; behind that it may give
/// nothing for `--write-timeout` at a time. A source that fails, or that is not UTF-8, ends an answer that has begun in
/// its middle: the connection is then cut off, so that the client does not take it for whole.
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
        Self(Place::new(Encoding::Text, Reader(reader)))
    }

    /// A text of these pieces, one behind the other; the iterator runs on a worker thread and may block. A piece of
    /// more than 16 KiB is charged to the memory budget until it is read, and ends the answer if it has no room there.
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
        Self(Place::new(
            Encoding::Text,
            PieceReader {
                // One that has ended is asked again.
                pieces: pieces.into_iter().fuse(),
                piece: Vec::new(),
                read: 0,
                failed: None,
            },
        ))
    }
}

impl StreamedBytes {
    /// The bytes of a file, a socket or anything else that is read.
    pub fn from_reader(reader: impl Read + Send + 'static) -> Self {
        Self(Place::new(Encoding::Base64, Reader(reader)))
    }
}

/// Where a source lies until it is taken.
#[derive(Clone)]
pub(super) struct Place {
    encoding: Encoding,
    reader: Arc<Mutex<Option<Source>>>,
}

impl Place {
    fn new(encoding: Encoding, supply: impl Supply + 'static) -> Self {
        Self {
            encoding,
            reader: Arc::new(Mutex::new(Some(Owned::new(Box::new(supply))))),
        }
    }

    /// Takes the source, once. What it holds is charged to `budget`.
    pub(super) fn take(&self, budget: &Arc<CollectBudget>) -> Option<AnswerSource> {
        let mut place = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        Some(AnswerSource {
            encoding: self.encoding,
            reader: place.take()?,
            raw: Vec::new(),
            unwritten: 0..0,
            is_over: false,
            share: CollectBudget::share(budget),
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

/// Where the bytes come from.
trait Supply: Send {
    /// Reads some, and ends early when it is time to hand on what is there; nothing at the end.
    fn supply(&mut self, into: &mut [u8], is_time: &mut dyn FnMut() -> bool) -> io::Result<usize>;

    /// Bytes on the heap that it is known to hold.
    fn held_bytes(&self) -> usize {
        0
    }
}

struct Reader<R>(R);

impl<R: Read + Send> Supply for Reader<R> {
    fn supply(&mut self, into: &mut [u8], _: &mut dyn FnMut() -> bool) -> io::Result<usize> {
        self.0.read(into)
    }
}

/// An author's source.
type Source = Owned<Box<dyn Supply>>;

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
    /// What it holds beyond [`HELD_BYTES`](Self::HELD_BYTES).
    share: CollectShare,
}

/// What a step has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// As much as there was room for, or what came before it was time to hand it on, which may be nothing to write yet.
    Some,
    /// The last of it.
    Last,
}

impl fmt::Debug for AnswerSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnswerSource").field(&self.encoding).finish()
    }
}

impl AnswerSource {
    /// Bytes that it holds without charging them.
    pub const HELD_BYTES: usize = RAW_BYTES + FREE_BYTES_MAX;

    /// Reads on, and appends as the inside of a JSON string what fits into `room` bytes, or what has come when it
    /// `is_time`.
    ///
    /// # Errors
    /// It cannot be read, or its text is not UTF-8; [`ErrorKind::OutOfMemory`] if there is no room for what it holds.
    pub fn write_next(
        &mut self,
        out: &mut Vec<u8>,
        room: usize,
        is_time: &mut dyn FnMut() -> bool,
    ) -> io::Result<Step> {
        let end = out.len() + room;
        let mut has_come = false;
        loop {
            if self.is_over && self.unwritten.is_empty() {
                return Ok(Step::Last);
            }
            let is_full = end - out.len() < ROOM_MIN;
            let is_short = !self.is_over && self.unwritten.len() < REFILL_BYTES;
            if is_full || (is_short && has_come && is_time()) {
                return Ok(Step::Some);
            }
            if is_short {
                self.fill(is_time)?;
                self.hold(0)?;
                has_come = true;
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

    /// All of it, as it was read, unless that `is_unwanted` meanwhile.
    ///
    /// # Errors
    /// It cannot be read, or its text is not UTF-8; [`ErrorKind::OutOfMemory`] if others hold too much of the budget.
    pub fn read_all(
        mut self,
        bytes_max: usize,
        is_unwanted: &mut dyn FnMut() -> bool,
    ) -> io::Result<Collected> {
        let mut all = Vec::new();
        loop {
            self.fill(is_unwanted)?;
            if self.is_over {
                break;
            }
            if is_unwanted() {
                return Err(io::Error::other("nobody waits for it"));
            }
            let come = std::mem::take(&mut self.unwritten);
            let bytes = all.len() + come.len();
            if bytes > bytes_max {
                return Ok(Collected::TooLong);
            }
            if bytes > all.capacity() {
                let grown = bytes.max(2 * all.len()).max(RAW_BYTES).min(bytes_max);
                if !self.share.could_be(grown) {
                    return Ok(Collected::TooLong);
                }
                self.hold(grown)?;
                all.reserve_exact(grown - all.len());
            } else {
                self.hold(all.capacity())?;
            }
            all.extend_from_slice(&self.raw[come]);
        }
        match self.encoding {
            Encoding::Base64 => Ok(Collected::Bytes(all)),
            Encoding::Text => String::from_utf8(all)
                .map(Collected::Text)
                .map_err(|_| not_utf8()),
        }
    }

    /// Reads once more behind what is not written.
    fn fill(&mut self, is_time: &mut dyn FnMut() -> bool) -> io::Result<()> {
        self.raw.resize(RAW_BYTES, 0);
        self.raw.copy_within(self.unwritten.clone(), 0);
        self.unwritten = 0..self.unwritten.len();
        let read = loop {
            match self.reader.supply(&mut self.raw[self.unwritten.end..], is_time) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.unwritten.end += read;
        self.is_over = read == 0;
        Ok(())
    }

    /// Charges so many bytes, and what its source holds.
    fn hold(&mut self, bytes: usize) -> io::Result<()> {
        let held = self.reader.held_bytes();
        let held = if held > FREE_BYTES_MAX { held } else { 0 };
        let all = bytes.saturating_add(held);
        if self.share.set(all) {
            Ok(())
        } else if self.share.could_be(all) {
            Err(ErrorKind::OutOfMemory.into())
        } else {
            let reason = format!("a piece of {held} bytes is more than all results may hold together");
            Err(io::Error::other(reason))
        }
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

impl<I: Iterator<Item = io::Result<String>> + Send> Supply for PieceReader<I> {
    fn supply(&mut self, into: &mut [u8], is_time: &mut dyn FnMut() -> bool) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            if self.piece.is_empty() {
                if filled > 0 && is_time() {
                    break;
                }
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
            }
            let rest = &self.piece[self.read..];
            let count = rest.len().min(into.len() - filled);
            into[filled..filled + count].copy_from_slice(&rest[..count]);
            (filled, self.read) = (filled + count, self.read + count);
            if self.read == self.piece.len() {
                // It is held no longer than it is read.
                (self.piece, self.read) = (Vec::new(), 0);
            }
        }
        Ok(filled)
    }

    fn held_bytes(&self) -> usize {
        self.piece.capacity()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn sources_that_are_read_as_a_whole_share_a_budget() {
        let budget = Arc::new(CollectBudget::new(3 * RAW_BYTES));
        let all = |bytes: usize, bytes_max: usize| {
            let source = StreamedBytes::from_reader(io::repeat(7).take(bytes as u64));
            source.0.take(&budget).unwrap().read_all(bytes_max, &mut || false)
        };
        let bytes = RAW_BYTES + 1;
        assert_eq!(all(bytes, bytes).unwrap(), Collected::Bytes(vec![7; bytes]));
        assert_eq!(all(bytes, bytes - 1).unwrap(), Collected::TooLong);
        assert_eq!(all(0, 0).unwrap(), Collected::Bytes(Vec::new()));
        assert_eq!(all(2 * RAW_BYTES + 1, usize::MAX).unwrap(), Collected::TooLong);
        let mut other = CollectBudget::share(&budget);
        assert!(other.set(2 * RAW_BYTES));
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
        drop(source.take(&budget()));
        drop(StreamedText::from_reader(Falling));
    }

    fn budget() -> Arc<CollectBudget> {
        Arc::new(CollectBudget::new(1 << 20))
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
        let mut source = place.take(&budget()).unwrap();
        let mut all = Vec::new();
        loop {
            let mut piece = Vec::with_capacity(room);
            let step = source.write_next(&mut piece, room, &mut || false)?;
            assert!(piece.len() <= room, "{} of {room}", piece.len());
            all.extend_from_slice(&piece);
            if step == Step::Last {
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
        assert!(place.take(&budget()).is_none(), "a source is taken once");
    }

    #[test]
    fn what_is_wrong_with_a_source_is_seen() {
        let broken = io::Error::other("gone");
        let place = StreamedText::from_results([Ok("a".to_owned()), Err(broken)]).0;
        assert_eq!(written(&place, 100).unwrap_err().to_string(), "gone");
        for bytes in [&b"\xff"[..], b"a\xc3", b"\xc3\x28"] {
            let place = StreamedText::from_reader(bytes).0;
            assert_eq!(written(&place, 100).unwrap_err().kind(), ErrorKind::InvalidData);
            let source = StreamedText::from_reader(bytes).0.take(&budget()).unwrap();
            assert_eq!(
                source.read_all(100, &mut || false).unwrap_err().kind(),
                ErrorKind::InvalidData
            );
        }
    }

    #[test]
    fn a_whole_source_is_bounded() {
        let source = |text: &'static str| {
            StreamedText::from_reader(text.as_bytes())
                .0
                .take(&budget())
                .unwrap()
        };
        assert_eq!(
            source("abc").read_all(3, &mut || false).unwrap(),
            Collected::Text("abc".to_owned())
        );
        assert_eq!(
            source("abc").read_all(2, &mut || false).unwrap(),
            Collected::TooLong
        );
        let bytes = StreamedBytes::from_reader(&b"\xff"[..])
            .0
            .take(&budget())
            .unwrap();
        assert_eq!(
            bytes.read_all(3, &mut || false).unwrap(),
            Collected::Bytes(vec![0xff])
        );
    }

    #[test]
    fn what_a_slow_source_has_given_does_not_wait_for_more() {
        let text = "a\u{e9}\"";
        let reader = Slowly(io::Cursor::new(text.as_bytes().to_vec()), 1);
        let mut source = StreamedText::from_reader(reader).0.take(&budget()).unwrap();
        let mut next = |expected: &str, is_slow: bool| {
            let mut out = Vec::new();
            let step = source.write_next(&mut out, 100, &mut || is_slow).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
            step
        };
        assert_eq!(next("a", true), Step::Some);
        assert_eq!(next("", true), Step::Some);
        assert_eq!(next("\u{e9}", true), Step::Some);
        assert_eq!(next("\\\"", false), Step::Last);

        let bytes = Slowly(io::Cursor::new(vec![1; 4]), 2);
        let mut source = StreamedBytes::from_reader(bytes).0.take(&budget()).unwrap();
        let mut out = Vec::new();
        for expected in ["", "AQEB"] {
            assert_eq!(
                source.write_next(&mut out, 100, &mut || true).unwrap(),
                Step::Some
            );
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }

        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let pieces = (0..3).inspect(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let place = StreamedText::from_pieces(pieces.map(|number| number.to_string())).0;
        let mut source = place.take(&budget()).unwrap();
        for given in 1..=3 {
            assert_eq!(
                source.write_next(&mut Vec::new(), 100, &mut || true).unwrap(),
                Step::Some
            );
            assert_eq!(asked.load(Ordering::Relaxed), given);
        }
    }

    #[test]
    fn a_source_that_nobody_waits_for_is_not_read_to_its_end() {
        let mut asked = 0;
        let source = StreamedText::from_reader(Slowly(io::Cursor::new(vec![b'x'; 100]), 1)).0;
        let mut is_unwanted = || {
            asked += 1;
            asked == 3
        };
        let error = source
            .take(&budget())
            .unwrap()
            .read_all(100, &mut is_unwanted)
            .unwrap_err();
        assert_eq!((error.to_string().as_str(), asked), ("nobody waits for it", 3));
    }

    #[test]
    fn a_large_piece_is_charged_while_it_is_held() {
        let budget = budget();
        let large = || "x".repeat(600_000);
        let pieces = ["a".repeat(FREE_BYTES_MAX), large(), "b".to_owned(), large()];
        let mut source = StreamedText::from_pieces(pieces).0.take(&budget).unwrap();
        let mut used = Vec::new();
        let mut out = Vec::new();
        while source.write_next(&mut out, 10_000, &mut || false).unwrap() == Step::Some {
            out.clear();
            used.push(budget.used());
        }
        used.dedup();
        assert_eq!((used, budget.used()), (vec![0, 600_000], 0));

        let failure = |bytes: usize, is_whole: bool| {
            let mut share = CollectBudget::share(&budget);
            assert!(share.set(500_000));
            let pieces = ["a".to_owned(), "x".repeat(bytes)];
            let mut source = StreamedText::from_pieces(pieces).0.take(&budget).unwrap();
            if is_whole {
                return source.read_all(usize::MAX, &mut || false).unwrap_err();
            }
            source
                .write_next(&mut Vec::new(), 100_000, &mut || false)
                .unwrap_err()
        };
        for is_whole in [false, true] {
            assert_eq!(failure(600_000, is_whole).kind(), ErrorKind::OutOfMemory);
            assert_eq!(failure(2_000_000, is_whole).kind(), ErrorKind::Other);
        }
        assert_eq!(budget.used(), 0);
    }
}
