//! `read_file`: a piece of a text file, by lines or by bytes.
//!
//! The tool reads only what it needs: 8 KiB from the front to tell text from binary, the lines before the first
//! requested one (which it counts and does not keep), and at most one answer's worth. Text is UTF-8, or UTF-16 if a
//! byte order mark says so; bytes that are neither are replaced, and the answer says so. A file with a NUL in its front
//! or in the piece is binary.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Cancel;
use super::encoding::{Decoded, Encoding};
use super::error::{FileError, ShownPath};
use super::limits::FilesLimits;
use super::root::Root;

/// Enough to meet a NUL in practically every binary format; git and grep look at as much.
const SNIFF_BYTES: usize = 8 << 10;
/// A file of no more bytes is read as a whole at once. A shard does so if it is in memory: to copy and to look through
/// that much takes it about as long as sending a piece of a large answer.
const SMALL_FILE_BYTES_MAX: usize = 64 << 10;
/// The size of one read; between two of them the call can be cancelled.
const CHUNK_BYTES: usize = 64 << 10;
/// As much memory is taken before the first read, if the file is so long; more comes as it is needed.
const READ_AHEAD_BYTES_MAX: usize = 256 << 10;

/// Arguments of `read_file`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct ReadFile {
    /// Path of the file, relative to the served directory.
    pub path: String,
    /// First line to return, counted from 1. Default: 1.
    #[schemars(range(min = 1))]
    pub offset: Option<u64>,
    /// Lines to return at most. Default: as many as fit into one answer.
    #[schemars(range(min = 1))]
    pub limit: Option<u64>,
    /// Instead of `offset`: first byte to return, counted from 0. Reaches any place of a huge file, or of a very
    /// long line, at once.
    pub start_byte: Option<u64>,
}

/// A piece of a text file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileText {
    /// The text, line ends as in the file, without a byte order mark.
    pub text: String,
    /// Number of the first line returned, counted from 1; none when reading began at `start_byte`.
    pub first_line: Option<u64>,
    /// Lines returned, the last perhaps in part.
    pub lines: u64,
    /// Where the text begins in the file, in bytes.
    pub start_byte: u64,
    /// Size of the whole file in bytes.
    pub size_bytes: u64,
    /// Whether the file goes on after this piece.
    pub truncated: bool,
    /// The `offset` to go on with, if the piece ends with a line.
    pub next_offset: Option<u64>,
    /// The `start_byte` to go on with.
    pub next_start_byte: Option<u64>,
    /// What it was decoded from, if that is not UTF-8: `UTF-16LE` or `UTF-16BE`.
    pub decoded_from: Option<&'static str>,
    /// Whether bytes that are no characters were replaced by U+FFFD.
    pub has_replaced: bool,
}

impl FileText {
    /// What a reader should know of the text, and how to get the rest; `None` if the text is complete and unchanged.
    pub(super) fn note(&self) -> Option<String> {
        let size = format!("the file has {} bytes", self.size_bytes);
        let range = self.first_line.map(|first| match self.lines {
            0 | 1 => format!("line {first}"),
            lines => format!("lines {first} to {}", first + lines - 1),
        });
        let range = range.unwrap_or_else(|| format!("from byte {}", self.start_byte));
        let extent = match (self.next_offset, self.next_start_byte) {
            (Some(offset), _) => Some(format!("{range}; {size}; to go on, call with offset = {offset}")),
            (None, Some(byte)) => Some(format!(
                "{range}; {size}; to go on, call with start_byte = {byte}"
            )),
            _ if self.size_bytes == 0 => Some("the file is empty".to_owned()),
            _ if self.text.is_empty() => Some(format!("nothing follows; {size}")),
            _ => None,
        };
        let decoded = self
            .decoded_from
            .map(|encoding| format!("decoded from {encoding}"));
        let replaced = self
            .has_replaced
            .then(|| "bytes that are no characters were replaced by U+FFFD".to_owned());
        let parts: Vec<String> = [extent, decoded, replaced].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// Reads a piece of a file.
///
/// # Errors
/// The file is outside the root, missing, unreadable, binary or no regular file; the arguments exclude each other
/// or point past the end; the call was cancelled.
pub fn read_file(root: &Root, args: &ReadFile, cancel: Cancel<'_>) -> Result<FileText, FileError> {
    args.check()?;
    let (file, metadata) = root.served()?.open_file(&args.path)?;
    let reading = Reading {
        limits: root.limits(),
        path: &args.path,
        source: Source::File(file),
        size_bytes: metadata.len(),
        encoding: Encoding::of(b""),
        cancel,
    };
    let front_bytes = if reading.size_bytes > SMALL_FILE_BYTES_MAX as u64 {
        SNIFF_BYTES
    } else {
        // One byte more shows that it ends there.
        SMALL_FILE_BYTES_MAX + 1
    };
    let front = reading.read_at_most(0, front_bytes)?.into_owned();
    reading.read_on(front, front_bytes, args)
}

/// The same, if it can be done without waiting for anything: of a small file that is in memory.
pub(super) fn read_file_at_once(root: &Root, args: &ReadFile) -> Option<Result<FileText, FileError>> {
    args.check().ok()?;
    let bytes = root
        .served_at_once()?
        .read_cached(&args.path, SMALL_FILE_BYTES_MAX)?;
    let reading = Reading {
        limits: root.limits(),
        path: &args.path,
        source: Source::Whole(Vec::new()),
        size_bytes: bytes.len() as u64,
        encoding: Encoding::of(b""),
        cancel: &|| false,
    };
    Some(reading.read_on(bytes, usize::MAX, args))
}

impl ReadFile {
    fn check(&self) -> Result<(), FileError> {
        if self.offset.is_some() && self.start_byte.is_some() {
            return Err(FileError::OffsetAndStartByte);
        }
        for (argument, value) in [("offset", self.offset), ("limit", self.limit)] {
            if value == Some(0) {
                return Err(FileError::BelowOne { argument });
            }
        }
        Ok(())
    }
}

/// Reads the whole of a file of bounded size, whatever its bytes.
///
/// # Errors
/// The file is outside the root, missing, unreadable, too large or no regular file; the call was cancelled.
pub(super) fn read_whole(root: &Root, path: &str, cancel: Cancel<'_>) -> Result<Vec<u8>, FileError> {
    let bytes_max = root.limits().resource_bytes_max;
    let (file, metadata) = root.served()?.open_file(path)?;
    let too_large = |size_bytes| FileError::TooLarge {
        path: ShownPath::new(path),
        size_bytes,
        bytes_max,
    };
    if metadata.len() > bytes_max {
        return Err(too_large(metadata.len()));
    }
    let reading = Reading {
        limits: root.limits(),
        path,
        source: Source::File(file),
        size_bytes: metadata.len(),
        encoding: Encoding::of(b""),
        cancel,
    };
    // One byte more shows whether the file has grown since.
    let wanted = usize::try_from(bytes_max)
        .unwrap_or(usize::MAX - 1)
        .saturating_add(1);
    let bytes = reading.read_at_most(0, wanted)?.into_owned();
    if bytes.len() as u64 > bytes_max {
        Err(too_large(bytes.len() as u64))
    } else {
        Ok(bytes)
    }
}

struct Reading<'a> {
    limits: &'a FilesLimits,
    path: &'a str,
    source: Source,
    size_bytes: u64,
    encoding: Encoding,
    cancel: Cancel<'a>,
}

/// Where a file's bytes are taken from.
enum Source {
    File(File),
    /// All that a small file has.
    Whole(Vec<u8>),
}

impl Reading<'_> {
    /// The piece that is asked for, of a file whose first `front_bytes` are in `front`, or all that it has.
    fn read_on(mut self, front: Vec<u8>, front_bytes: usize, args: &ReadFile) -> Result<FileText, FileError> {
        self.encoding = Encoding::of(&front);
        self.refuse_binary(&front[..front.len().min(SNIFF_BYTES)])?;
        if front.len() < front_bytes {
            self.source = Source::Whole(front);
        }
        let start_byte = match args.start_byte {
            Some(byte) => self.character_at(byte)?,
            None => self.byte_of_line(args.offset.unwrap_or(1))?,
        };
        let first_line = args.start_byte.is_none().then(|| args.offset.unwrap_or(1));
        self.piece(start_byte, first_line, args.limit.unwrap_or(u64::MAX))
    }

    /// The answer that begins at `start_byte`.
    fn piece(
        mut self,
        start_byte: u64,
        first_line: Option<u64>,
        lines_max: u64,
    ) -> Result<FileText, FileError> {
        let (decoded, is_truncated) = match self.encoding {
            Encoding::Utf8 { .. } => self.piece_of_utf8(start_byte, lines_max)?,
            Encoding::Utf16(_) => self.piece_of_utf16(start_byte, lines_max)?,
        };
        let Decoded {
            text,
            bytes,
            has_replaced,
        } = decoded;
        let end_byte = start_byte + bytes as u64;
        let newlines = memchr::memchr_iter(b'\n', text.as_bytes()).count() as u64;
        let ends_with_line = text.is_empty() || text.ends_with('\n');
        Ok(FileText {
            text,
            first_line,
            lines: newlines + u64::from(!ends_with_line),
            start_byte,
            // A file may grow between the look at its size and the reading.
            size_bytes: self.size_bytes.max(end_byte),
            truncated: is_truncated,
            next_offset: first_line
                .filter(|_| is_truncated && ends_with_line)
                .map(|first| first + newlines),
            next_start_byte: is_truncated.then_some(end_byte),
            decoded_from: self.encoding.name(),
            has_replaced,
        })
    }

    /// The text from `start_byte` on that fits into an answer, and whether there is more.
    fn piece_of_utf8(&mut self, start_byte: u64, lines_max: u64) -> Result<(Decoded, bool), FileError> {
        let bytes_max = self.limits.read_bytes_max;
        // One byte more shows whether the file goes on.
        let mut bytes = self.take_at_most(start_byte, bytes_max.saturating_add(1))?;
        let end = end_of_lines(&bytes, lines_max).unwrap_or(bytes.len());
        let end = if end > bytes_max {
            end_that_fits(&bytes, bytes_max)
        } else {
            end
        };
        let is_truncated = end < bytes.len();
        bytes.truncate(end);
        self.refuse_binary(&bytes)?;
        let (text, has_replaced) = match String::from_utf8(bytes) {
            Ok(text) => (text, false),
            Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), true),
        };
        let decoded = Decoded {
            text,
            bytes: end,
            has_replaced,
        };
        Ok((decoded, is_truncated))
    }

    /// Does the same for UTF-16, whose bytes are decoded first: each unit is at least one byte of the answer.
    fn piece_of_utf16(&self, start_byte: u64, lines_max: u64) -> Result<(Decoded, bool), FileError> {
        let Encoding::Utf16(order) = self.encoding else {
            return Ok((Decoded::default(), false));
        };
        let text_bytes_max = self.limits.read_bytes_max;
        // A pair more shows whether the file goes on.
        let bytes = self.read_at_most(start_byte, text_bytes_max.saturating_mul(2).saturating_add(4))?;
        self.refuse_binary(&bytes)?;
        let mut decoded = order.decode(&bytes, text_bytes_max);
        let end = match end_of_lines(decoded.text.as_bytes(), lines_max) {
            None if decoded.bytes < bytes.len() => end_that_fits(decoded.text.as_bytes(), decoded.text.len()),
            end => end.unwrap_or(decoded.text.len()),
        };
        if end < decoded.text.len() {
            // As many bytes of the file as the text is long now; it was decoded from its front before, too.
            decoded = order.decode(&bytes, end);
        }
        let is_truncated = decoded.bytes < bytes.len();
        Ok((decoded, is_truncated))
    }

    /// Where line `offset` begins. The line after the last one begins at the end of the file, which is a valid answer:
    /// the reader of a growing log asks there for more.
    fn byte_of_line(&self, offset: u64) -> Result<u64, FileError> {
        let mut newlines_wanted = offset.saturating_sub(1);
        let mut at = self.encoding.mark_bytes() as u64;
        let mut ends_with_line = true;
        while newlines_wanted > 0 {
            let chunk = self.read_at_most(at, CHUNK_BYTES)?;
            if chunk.is_empty() {
                let newlines = offset - 1 - newlines_wanted;
                return Err(FileError::LinePastEnd {
                    path: self.shown(),
                    offset,
                    lines: newlines + u64::from(!ends_with_line),
                });
            }
            let mut last_end = 0;
            let found = self.encoding.line_ends(&chunk, |end| {
                last_end = end;
                newlines_wanted -= 1;
                match newlines_wanted {
                    0 => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                }
            });
            if found.is_break() {
                return Ok(at + last_end as u64);
            }
            ends_with_line = last_end == chunk.len();
            at += chunk.len() as u64;
            let scan_bytes_max = self.limits.scan_bytes_max;
            if at >= scan_bytes_max {
                return Err(FileError::LineTooFar {
                    path: self.shown(),
                    offset,
                    scan_bytes_max,
                });
            }
        }
        Ok(at)
    }

    /// `start_byte`, or the beginning of the next character if it points into one or into the mark.
    fn character_at(&self, start_byte: u64) -> Result<u64, FileError> {
        let mark_bytes = self.encoding.mark_bytes() as u64;
        if start_byte <= mark_bytes {
            return Ok(mark_bytes.min(self.size_bytes));
        }
        let from = match self.encoding {
            Encoding::Utf8 { .. } => start_byte,
            // This reads the unit it points into, and the one before, which may be the first of a pair.
            Encoding::Utf16(_) => (start_byte.div_ceil(2) * 2).saturating_sub(2),
        };
        let front = self.read_at_most(from, 4)?;
        if front.is_empty() && start_byte > self.size_bytes {
            return Err(FileError::BytePastEnd {
                path: self.shown(),
                start_byte,
                size_bytes: self.size_bytes,
            });
        }
        Ok(match self.encoding {
            Encoding::Utf8 { .. } => {
                let inside = front
                    .iter()
                    .take(3)
                    .take_while(|&&byte| is_continuation(byte))
                    .count();
                start_byte + inside as u64
            }
            Encoding::Utf16(order) => {
                let first = order.decode(&front, usize::MAX).text.chars().next();
                from + first.map_or(2, |character| 2 * character.len_utf16() as u64)
            }
        })
    }

    /// The same as [`read_at_most`](Self::read_at_most), when nothing more is read behind it.
    fn take_at_most(&mut self, at: u64, bytes_max: usize) -> Result<Vec<u8>, FileError> {
        match &mut self.source {
            Source::Whole(whole) if at == 0 => {
                whole.truncate(bytes_max);
                Ok(std::mem::take(whole))
            }
            _ => Ok(self.read_at_most(at, bytes_max)?.into_owned()),
        }
    }

    /// Up to `bytes_max` bytes from `at`; fewer only at the end of the file.
    fn read_at_most(&self, at: u64, bytes_max: usize) -> Result<Cow<'_, [u8]>, FileError> {
        let file = match &self.source {
            Source::File(file) => file,
            Source::Whole(whole) => {
                let rest = usize::try_from(at).ok().and_then(|at| whole.get(at..));
                let rest = rest.unwrap_or_default();
                return Ok(Cow::Borrowed(&rest[..rest.len().min(bytes_max)]));
            }
        };
        // One byte more than the file should have shows that it ends there.
        let expected = usize::try_from(self.size_bytes.saturating_sub(at)).unwrap_or(usize::MAX);
        let expected = bytes_max.min(expected.saturating_add(1));
        let mut bytes = Vec::with_capacity(expected.min(READ_AHEAD_BYTES_MAX));
        while bytes.len() < bytes_max {
            if (self.cancel)() {
                return Err(FileError::Cancelled);
            }
            let filled = bytes.len();
            // A file that has grown, or whose size is not told, is read on by chunks.
            let wanted = match expected.saturating_sub(filled) {
                0 => bytes_max - filled,
                left => left,
            };
            let wanted = wanted.min(CHUNK_BYTES);
            bytes.resize(filled + wanted, 0);
            let read = match file.read_at(&mut bytes[filled..], at.saturating_add(filled as u64)) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    bytes.truncate(filled);
                    continue;
                }
                // An offset that the kernel cannot address is past the end.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    bytes.truncate(filled);
                    break;
                }
                Err(error) => return Err(FileError::from_io(self.path, error)),
            };
            bytes.truncate(filled + read);
            let is_at_end = read < wanted && at.saturating_add(bytes.len() as u64) == self.size_bytes;
            if read == 0 || is_at_end {
                break;
            }
        }
        Ok(Cow::Owned(bytes))
    }

    fn refuse_binary(&self, bytes: &[u8]) -> Result<(), FileError> {
        if self.encoding.has_nul(bytes) {
            Err(FileError::Binary {
                path: self.shown(),
                size_bytes: self.size_bytes,
            })
        } else {
            Ok(())
        }
    }

    fn shown(&self) -> ShownPath {
        ShownPath::new(self.path)
    }
}

/// Behind the `lines_max`-th newline, if there are that many.
fn end_of_lines(bytes: &[u8], lines_max: u64) -> Option<usize> {
    let nth = usize::try_from(lines_max).ok()?.checked_sub(1)?;
    if bytes.len() <= nth {
        // Not even if all were newlines, as when no limit is given.
        return None;
    }
    memchr::memchr_iter(b'\n', bytes)
        .nth(nth)
        .map(|newline| newline + 1)
}

/// The best place to cut at or before `bytes_max`: behind a line, else between two characters.
fn end_that_fits(bytes: &[u8], bytes_max: usize) -> usize {
    let fitting = bytes.get(..bytes_max).unwrap_or(bytes);
    if let Some(newline) = memchr::memrchr(b'\n', fitting) {
        return newline + 1;
    }
    // A character is at most four bytes: its lead byte is among the last three before the cut, or it is whole.
    let mut end = fitting.len();
    for _ in 0..3 {
        if bytes.get(end).is_none_or(|&next| !is_continuation(next)) {
            return end;
        }
        end = end.saturating_sub(1);
    }
    if bytes.get(end).is_some_and(|&byte| is_continuation(byte)) {
        // The text is not UTF-8 here anyway.
        return fitting.len();
    }
    if end == 0 { fitting.len() } else { end }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}
