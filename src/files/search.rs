//! `search`: lines that match a regular expression, with ripgrep's searcher.
//!
//! Line by line, never across lines; patterns run in linear time. Binary files are skipped as `read_file` refuses
//! them, by their NULs, and nothing is memory-mapped: a file cut short under a map would end the process.
//! Cancelled between files and between two reads of a file.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::ops::{ControlFlow, Range};

use grep_matcher::{LineTerminator, Matcher};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, MmapChoice, Searcher, SearcherBuilder, Sink, SinkMatch};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Cancel;
use super::entry::Kind;
use super::error::FileError;
use super::limits::FilesLimits;
use super::root::Root;
use super::walk::{Met, Omitted, PathGlob, open_met, walk};

/// Arguments of `search`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct Search {
    /// Regular expression (Rust syntax, as in ripgrep), matched within lines. `(?i)` in front ignores case.
    pub pattern: String,
    /// Only files that match this glob; as in `find_files`.
    #[serde(default)]
    pub glob: Option<String>,
    /// Matching lines to return at most. Default: 100, largest: 1000.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub limit: Option<u64>,
}

/// Lines that match a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SearchResult {
    /// The lines, by path and line number.
    pub matches: Vec<LineMatch>,
    /// Whether there are more than one answer holds; a narrower pattern or glob, or a higher limit, shows them.
    pub truncated: bool,
    /// What was not searched, and why.
    pub omitted: Omitted,
}

/// A line that matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LineMatch {
    /// The file, relative to the served directory.
    pub path: String,
    /// The line's number, counted from 1: an `offset` for `read_file`.
    pub line: u64,
    /// Where the line begins in the file: a `start_byte` for `read_file`.
    pub start_byte: u64,
    /// The line without its end; of a long one the part around the first match. Bytes that are not UTF-8 are
    /// replaced by U+FFFD.
    pub text: String,
    /// Present, and true, if `text` is only part of the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_is_cut: Option<bool>,
}

/// Searches the files' lines.
///
/// # Errors
/// The pattern or the glob does not parse; the call was cancelled.
pub fn search(root: &Root, args: &Search, cancel: Cancel<'_>) -> Result<SearchResult, FileError> {
    let limits = root.limits();
    if args.limit == Some(0) {
        return Err(FileError::BelowOne { argument: "limit" });
    }
    let glob = args
        .glob
        .as_deref()
        .map(|glob| PathGlob::new(glob, limits))
        .transpose()?;
    let matcher = compile(&args.pattern, limits)?;
    let asked = args
        .limit
        .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let mut search = FileSearch {
        searcher: searcher(limits),
        matcher,
        limits,
        cancel,
        matches: Vec::new(),
        matches_max: asked
            .unwrap_or(limits.search_matches_default)
            .min(limits.search_matches_max),
        bytes_left: limits.answer_bytes_max,
        is_full: false,
    };
    let omitted = walk(root, cancel, |met, omitted| {
        // A link's target is searched where it lies, or is outside.
        if met.kind != Kind::File || glob.as_ref().is_some_and(|glob| !glob.is_match(&met)) {
            return Ok(ControlFlow::Continue(()));
        }
        search.file(&met, omitted)?;
        Ok(if search.is_full {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })?;
    Ok(SearchResult {
        matches: search.matches,
        truncated: search.is_full,
        omitted,
    })
}

fn compile(pattern: &str, limits: &FilesLimits) -> Result<RegexMatcher, FileError> {
    let bytes_max = limits.pattern_bytes_max;
    if pattern.len() > bytes_max {
        return Err(FileError::BadPattern {
            reason: format!("it is longer than {bytes_max} bytes"),
        });
    }
    RegexMatcherBuilder::new()
        .crlf(true)
        .size_limit(limits.pattern_compiled_bytes_max)
        .dfa_size_limit(limits.pattern_compiled_bytes_max)
        .build(pattern)
        .map_err(|error| FileError::BadPattern {
            reason: error.to_string(),
        })
}

fn searcher(limits: &FilesLimits) -> Searcher {
    SearcherBuilder::new()
        // Must be what the matcher has; lines end with LF alone, too.
        .line_terminator(LineTerminator::crlf())
        .line_number(true)
        .bom_sniffing(false)
        .memory_map(MmapChoice::never())
        .heap_limit(Some(limits.search_line_bytes_max))
        .binary_detection(BinaryDetection::quit(0))
        .build()
}

struct FileSearch<'a> {
    searcher: Searcher,
    matcher: RegexMatcher,
    limits: &'a FilesLimits,
    cancel: Cancel<'a>,
    matches: Vec<LineMatch>,
    matches_max: usize,
    bytes_left: usize,
    /// One match more was found than fits.
    is_full: bool,
}

impl FileSearch<'_> {
    fn file(&mut self, met: &Met<'_>, omitted: &mut Omitted) -> Result<(), FileError> {
        let file = match open_met(met) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(()),
            Err(_) => {
                omitted.unreadable += 1;
                return Ok(());
            }
        };
        let (matches_before, bytes_before) = (self.matches.len(), self.bytes_left);
        let ending = Cell::new(Ending::Whole);
        let reader = CancellableReader {
            file,
            cancel: self.cancel,
            ending: &ending,
        };
        let mut sink = LineSink {
            path: met.path,
            matcher: &self.matcher,
            text_bytes_max: self.limits.match_bytes_max,
            matches: &mut self.matches,
            matches_max: self.matches_max,
            bytes_left: &mut self.bytes_left,
            is_full: &mut self.is_full,
            ending: &ending,
        };
        let searched = self.searcher.search_reader(&self.matcher, reader, &mut sink);
        match (ending.get(), searched) {
            (Ending::Cancelled, _) => return Err(FileError::Cancelled),
            (Ending::Binary, _) => omitted.binary_files += 1,
            (Ending::ReadFailed, _) => omitted.unreadable += 1,
            // The reader did not fail, so it was the buffer that may not grow to the line's length.
            (Ending::Whole, Err(_)) => omitted.files_with_too_long_lines += 1,
            (Ending::Whole, Ok(())) => return Ok(()),
        }
        if matches!(ending.get(), Ending::Binary) {
            // Lines before the first NUL are no text either.
            self.matches.truncate(matches_before);
            self.bytes_left = bytes_before;
            self.is_full = false;
        }
        Ok(())
    }
}

/// How the search of one file ended.
#[derive(Clone, Copy)]
enum Ending {
    Whole,
    Binary,
    ReadFailed,
    Cancelled,
}

struct CancellableReader<'a> {
    file: File,
    cancel: Cancel<'a>,
    ending: &'a Cell<Ending>,
}

impl Read for CancellableReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.cancel)() {
            self.ending.set(Ending::Cancelled);
            return Err(io::Error::other("cancelled"));
        }
        self.file.read(buffer).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.ending.set(Ending::ReadFailed);
            }
        })
    }
}

struct LineSink<'a> {
    path: &'a str,
    matcher: &'a RegexMatcher,
    text_bytes_max: usize,
    matches: &'a mut Vec<LineMatch>,
    matches_max: usize,
    bytes_left: &'a mut usize,
    is_full: &'a mut bool,
    ending: &'a Cell<Ending>,
}

impl Sink for LineSink<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, io::Error> {
        let line = without_line_end(found.bytes());
        // The pattern matched this line; where, only the matcher knows.
        let at = self
            .matcher
            .find(line)
            .ok()
            .flatten()
            .map_or(0..0, |at| at.start()..at.end());
        let shown = around(line, at, self.text_bytes_max);
        let text = String::from_utf8_lossy(line.get(shown.clone()).unwrap_or_default()).into_owned();
        let cost_bytes = self.path.len() + text.len();
        if self.matches.len() >= self.matches_max || cost_bytes > *self.bytes_left {
            *self.is_full = true;
            return Ok(false);
        }
        *self.bytes_left -= cost_bytes;
        self.matches.push(LineMatch {
            path: self.path.to_owned(),
            line: found.line_number().unwrap_or_default(),
            start_byte: found.absolute_byte_offset(),
            text,
            text_is_cut: (shown.len() < line.len()).then_some(true),
        });
        Ok(true)
    }

    fn binary_data(&mut self, _: &Searcher, _: u64) -> Result<bool, io::Error> {
        self.ending.set(Ending::Binary);
        Ok(false)
    }
}

fn without_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// At most `bytes_max` bytes of `line` that begin a little before the match `at`, cut between characters.
fn around(line: &[u8], at: Range<usize>, bytes_max: usize) -> Range<usize> {
    if line.len() <= bytes_max {
        return 0..line.len();
    }
    // A quarter for what comes before the match, unless it is near the line's end.
    let start = at.start.saturating_sub(bytes_max / 4).min(line.len() - bytes_max);
    let is_inside_character = |at: usize| line.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
    let start = (start..start + 3)
        .find(|&at| !is_inside_character(at))
        .unwrap_or(start);
    let end = (start + bytes_max).min(line.len());
    let end = (end.saturating_sub(3)..=end)
        .rev()
        .find(|&at| !is_inside_character(at))
        .unwrap_or(end);
    start..end.max(start)
}
