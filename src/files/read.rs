//! `read_file`: a piece of a text file, by lines or by bytes.
//!
//! Reads only what it needs: 8 KiB from the front to tell text from binary, the lines before the first one asked
//! for (counted, not kept), and at most one answer's worth. Text is UTF-8; stray bytes are replaced and said so.
//! A file with a NUL in its front or in the piece is binary.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Cancel;
use super::error::{FileError, ShownPath};
use super::root::Root;

/// Enough to meet a NUL in practically every binary format; what git and grep look at, too.
const SNIFF_BYTES: usize = 8 << 10;
/// One read; between two of them the call can be cancelled.
const CHUNK_BYTES: usize = 64 << 10;

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FileText {
    /// The text, line ends as in the file.
    pub text: String,
    /// Number of the first line returned, counted from 1; absent when reading began at `start_byte`.
    #[serde(skip_serializing_if = "Option::is_none")]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u64>,
    /// The `start_byte` to go on with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_start_byte: Option<u64>,
    /// Whether bytes that are not UTF-8 were replaced by U+FFFD.
    pub invalid_utf8_replaced: bool,
}

/// Reads a piece of a file.
///
/// # Errors
/// The file is outside the root, missing, unreadable, binary or no regular file; the arguments exclude each other
/// or point past the end; the call was cancelled.
pub fn read_file(root: &Root, args: &ReadFile, cancel: Cancel<'_>) -> Result<FileText, FileError> {
    if args.offset.is_some() && args.start_byte.is_some() {
        return Err(FileError::OffsetAndStartByte);
    }
    for (argument, value) in [("offset", args.offset), ("limit", args.limit)] {
        if value == Some(0) {
            return Err(FileError::BelowOne { argument });
        }
    }
    let (file, metadata) = root.open_file(&args.path)?;
    let reading = Reading {
        root,
        path: &args.path,
        file,
        size_bytes: metadata.len(),
        cancel,
    };
    reading.refuse_binary(&reading.read_at_most(0, SNIFF_BYTES)?)?;
    let start_byte = match args.start_byte {
        Some(byte) => reading.character_at(byte)?,
        None => reading.byte_of_line(args.offset.unwrap_or(1))?,
    };
    let first_line = args.start_byte.is_none().then(|| args.offset.unwrap_or(1));
    reading.piece(start_byte, first_line, args.limit.unwrap_or(u64::MAX))
}

/// The whole of a file of bounded size, whatever its bytes.
///
/// # Errors
/// The file is outside the root, missing, unreadable, too large or no regular file; the call was cancelled.
pub(super) fn read_whole(root: &Root, path: &str, cancel: Cancel<'_>) -> Result<Vec<u8>, FileError> {
    let bytes_max = root.limits().resource_bytes_max;
    let (file, metadata) = root.open_file(path)?;
    let too_large = |size_bytes| FileError::TooLarge {
        path: ShownPath::new(path),
        size_bytes,
        bytes_max,
    };
    if metadata.len() > bytes_max {
        return Err(too_large(metadata.len()));
    }
    let reading = Reading {
        root,
        path,
        file,
        size_bytes: metadata.len(),
        cancel,
    };
    // One byte more shows whether it has grown since.
    let bytes = reading.read_at_most(
        0,
        usize::try_from(bytes_max)
            .unwrap_or(usize::MAX - 1)
            .saturating_add(1),
    )?;
    match bytes.len() as u64 > bytes_max {
        true => Err(too_large(bytes.len() as u64)),
        false => Ok(bytes),
    }
}

struct Reading<'a> {
    root: &'a Root,
    path: &'a str,
    file: File,
    size_bytes: u64,
    cancel: Cancel<'a>,
}

impl Reading<'_> {
    /// The answer that begins at `start_byte`.
    fn piece(&self, start_byte: u64, first_line: Option<u64>, lines_max: u64) -> Result<FileText, FileError> {
        let bytes_max = self.root.limits().read_bytes_max;
        // One byte more shows whether the file goes on.
        let mut bytes = self.read_at_most(start_byte, bytes_max.saturating_add(1))?;
        let end = end_of_lines(&bytes, lines_max).unwrap_or(bytes.len());
        let end = if end > bytes_max {
            end_that_fits(&bytes, bytes_max)
        } else {
            end
        };
        let truncated = end < bytes.len();
        bytes.truncate(end);
        self.refuse_binary(&bytes)?;
        let lines = memchr::memchr_iter(b'\n', &bytes).count() as u64;
        let ends_with_line = bytes.last().is_none_or(|&last| last == b'\n');
        let (text, invalid_utf8_replaced) = match String::from_utf8(bytes) {
            Ok(text) => (text, false),
            Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), true),
        };
        Ok(FileText {
            text,
            first_line,
            lines: lines + u64::from(!ends_with_line),
            start_byte,
            // A file may grow between the look at its size and the reading.
            size_bytes: self.size_bytes.max(start_byte + end as u64),
            truncated,
            next_offset: first_line
                .filter(|_| truncated && ends_with_line)
                .map(|first| first + lines),
            next_start_byte: truncated.then_some(start_byte + end as u64),
            invalid_utf8_replaced,
        })
    }

    /// Where line `offset` begins. One past the last line is the end of the file, which is an answer too: the
    /// reader of a growing log asks there for more.
    fn byte_of_line(&self, offset: u64) -> Result<u64, FileError> {
        let mut newlines_wanted = offset.saturating_sub(1);
        let (mut at, mut last) = (0, b'\n');
        while newlines_wanted > 0 {
            let chunk = self.read_at_most(at, CHUNK_BYTES)?;
            let Some(&end) = chunk.last() else {
                let newlines = offset - 1 - newlines_wanted;
                let lines = newlines + u64::from(last != b'\n');
                return Err(FileError::LinePastEnd {
                    path: self.shown(),
                    offset,
                    lines,
                });
            };
            last = end;
            for newline in memchr::memchr_iter(b'\n', &chunk) {
                newlines_wanted -= 1;
                if newlines_wanted == 0 {
                    return Ok(at + newline as u64 + 1);
                }
            }
            at += chunk.len() as u64;
            let scan_bytes_max = self.root.limits().scan_bytes_max;
            if at >= scan_bytes_max {
                return Err(FileError::LineTooFar {
                    path: self.shown(),
                    offset,
                    scan_bytes_max,
                });
            }
        }
        Ok(0)
    }

    /// `start_byte`, or the beginning of the next character if it points into one.
    fn character_at(&self, start_byte: u64) -> Result<u64, FileError> {
        let front = self.read_at_most(start_byte, 3)?;
        if front.is_empty() && start_byte > self.size_bytes {
            return Err(FileError::BytePastEnd {
                path: self.shown(),
                start_byte,
                size_bytes: self.size_bytes,
            });
        }
        if start_byte == 0 {
            return Ok(0);
        }
        let inside = front.iter().take_while(|&&byte| is_continuation(byte)).count();
        Ok(start_byte + inside as u64)
    }

    /// Up to `bytes_max` bytes from `at`; fewer only at the end of the file.
    fn read_at_most(&self, at: u64, bytes_max: usize) -> Result<Vec<u8>, FileError> {
        let mut bytes = Vec::new();
        while bytes.len() < bytes_max {
            if (self.cancel)() {
                return Err(FileError::Cancelled);
            }
            let filled = bytes.len();
            bytes.resize(bytes_max.min(filled + CHUNK_BYTES), 0);
            let read = match self
                .file
                .read_at(&mut bytes[filled..], at.saturating_add(filled as u64))
            {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    bytes.truncate(filled);
                    continue;
                }
                // Past what the kernel can address is past the end.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    bytes.truncate(filled);
                    break;
                }
                Err(error) => return Err(FileError::from_io(self.path, error)),
            };
            bytes.truncate(filled + read);
            if read == 0 {
                break;
            }
        }
        Ok(bytes)
    }

    fn refuse_binary(&self, bytes: &[u8]) -> Result<(), FileError> {
        match memchr::memchr(0, bytes) {
            Some(_) => Err(FileError::Binary {
                path: self.shown(),
                size_bytes: self.size_bytes,
            }),
            None => Ok(()),
        }
    }

    fn shown(&self) -> ShownPath {
        ShownPath::new(self.path)
    }
}

/// Behind the `lines_max`-th newline, if there are that many.
fn end_of_lines(bytes: &[u8], lines_max: u64) -> Option<usize> {
    let nth = usize::try_from(lines_max).ok()?.checked_sub(1)?;
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
        // Not UTF-8 here anyway.
        return fitting.len();
    }
    if end == 0 { fitting.len() } else { end }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}
