//! `search`: lines that match a regular expression, with ripgrep's searcher.
//!
//! Files are searched line by line, never across lines; patterns run in linear time. UTF-16 with a byte order mark is
//! decoded. Files that `read_file` would refuse as binary, because of their NULs, are skipped. Nothing is
//! memory-mapped, because a file that is cut short under a map would end the process. A call can be cancelled between
//! files and between two reads of a file, which are the smaller the more a pattern costs; a single long line is
//! searched in one go all the same.

use std::borrow::Cow;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use grep_matcher::{LineTerminator, Matcher};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, MmapChoice, Searcher, SearcherBuilder, Sink, SinkMatch};
use regex_syntax::{ast, hir};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Cancel;
use super::answer_bytes::AnswerBytes;
use super::encoding::{Encoding, MARK_BYTES_MAX};
use super::entry::Kind;
use super::error::{FileError, ShownPath};
use super::limits::FilesLimits;
use super::progress::{Looked, Progress};
use super::root::{Root, Served};
use super::walk::{Case, Met, Omitted, PathGlob, open_met, walk};

/// One read, at most: with most patterns that is well under a millisecond's work.
const READ_BYTES_MAX: usize = 64 << 10;
/// The least size of a read, and the first one's.
const READ_BYTES_MIN: usize = 1 << 10;
/// The time between two checks whether the call has been cancelled.
const WORK: Duration = Duration::from_millis(2);

/// A file's progress is reported after so many bytes: a smaller file takes too little time.
const TOLD_BYTES: u64 = 1 << 20;

/// Arguments of `search`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct Search {
    /// Regular expression (Rust syntax, as in ripgrep), matched within lines.
    pub pattern: String,
    /// Whether `pattern` is no regular expression but the text itself. Default: false.
    pub literal: Option<bool>,
    /// Whether letters of both cases are the same. Default: false.
    pub ignore_case: Option<bool>,
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
    /// Where the line begins in the file: a `start_byte` for `read_file`. Absent in files that are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_byte: Option<u64>,
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
pub fn search(
    root: &Root,
    args: &Search,
    cancel: Cancel<'_>,
    progress: Progress<'_>,
) -> Result<SearchResult, FileError> {
    let limits = root.limits();
    if args.limit == Some(0) {
        return Err(FileError::BelowOne { argument: "limit" });
    }
    let root = &root.served()?;
    let glob = args
        .glob
        .as_deref()
        .map(|glob| PathGlob::new(root, glob, Case::Heeded))
        .transpose()?;
    let asked = args
        .limit
        .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let matches_max = asked
        .unwrap_or(limits.search_matches_default)
        .min(limits.search_matches_max);
    let meaning = match args.literal {
        Some(true) => Meaning::Text,
        _ => Meaning::Expression,
    };
    let matcher = compile(&args.pattern, meaning, Case::ignored_if(args.ignore_case), limits)?;
    let search = FileSearch::new(root, matcher, matches_max, cancel, progress);
    search.run(root, glob.as_ref())
}

/// Searches for a text as it stands, in the file or directory at `beneath` or in all files.
///
/// # Errors
/// There is nothing at `beneath`; the text is empty, too long, or has a line end; the call was cancelled.
pub(super) fn find_text(
    root: &Root,
    text: &str,
    beneath: Option<&str>,
    cancel: Cancel<'_>,
    progress: Progress<'_>,
) -> Result<SearchResult, FileError> {
    let limits = root.limits();
    let root = &root.served()?;
    let matcher = compile(text, Meaning::Text, Case::Heeded, limits)?;
    let glob = match beneath {
        Some(path) => Some(beneath_real(root, path)?),
        None => None,
    };
    let search = FileSearch::new(root, matcher, limits.search_matches_default, cancel, progress);
    search.run(root, glob.as_ref())
}

/// Walks meet files by their paths without links.
fn beneath_real(root: &Served, path: &str) -> Result<PathGlob, FileError> {
    let real = root
        .dir()
        .canonicalize(root.relative(path)?)
        .map_err(|error| FileError::from_io(path, error))?;
    match real.to_str() {
        Some(".") => PathGlob::beneath(""),
        Some(real) => PathGlob::beneath(real),
        None => Err(FileError::NotFound {
            path: ShownPath::new(path),
        }),
    }
}

/// The meaning of a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Expression,
    Text,
}

fn compile(
    pattern: &str,
    meaning: Meaning,
    case: Case,
    limits: &FilesLimits,
) -> Result<RegexMatcher, FileError> {
    let bytes_max = limits.pattern_bytes_max;
    if pattern.len() > bytes_max {
        return Err(FileError::BadPattern {
            reason: format!("it is longer than {bytes_max} bytes"),
        });
    }
    if meaning == Meaning::Text && pattern.is_empty() {
        return Err(FileError::BadPattern {
            reason: "it is empty".into(),
        });
    }
    let pattern = match meaning {
        Meaning::Text => Cow::Borrowed(pattern),
        Meaning::Expression => Cow::Owned(checked(pattern)?),
    };
    RegexMatcherBuilder::new()
        .fixed_strings(meaning == Meaning::Text)
        .case_insensitive(case == Case::Ignored)
        // `^` and `$` match at lines, with either kind of line end.
        .multi_line(true)
        .crlf(true)
        .size_limit(limits.pattern_compiled_bytes_max)
        .dfa_size_limit(limits.pattern_compiled_bytes_max)
        .build(&pattern)
        .map_err(|error| FileError::BadPattern {
            reason: error.to_string(),
        })
}

/// The pattern without its comments, if it parses by itself. The matcher puts the pattern into a group of its own: a
/// comment at its end would swallow the group's end, the group would close what the pattern left open, and errors would
/// show it.
fn checked(pattern: &str) -> Result<String, FileError> {
    let bad = |error: &dyn std::fmt::Display| FileError::BadPattern {
        reason: error.to_string(),
    };
    let parsed = ast::parse::Parser::new()
        .parse_with_comments(pattern)
        .map_err(|error| bad(&error))?;
    hir::translate::TranslatorBuilder::new()
        .utf8(false)
        .multi_line(true)
        .crlf(true)
        .build()
        .translate(pattern, &parsed.ast)
        .map_err(|error| bad(&error))?;
    if parsed.comments.is_empty() {
        return Ok(pattern.to_owned());
    }
    let mut plain = String::with_capacity(pattern.len());
    ast::print::Printer::new()
        .print(&parsed.ast, &mut plain)
        .map_err(|error| bad(&error))?;
    Ok(plain)
}

fn searcher(limits: &FilesLimits) -> Searcher {
    SearcherBuilder::new()
        // This must be the same as in the matcher; lines may also end with LF alone.
        .line_terminator(LineTerminator::crlf())
        .line_number(true)
        // UTF-16 with a mark is decoded, and no mark is text.
        .bom_sniffing(true)
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
    progress: Progress<'a>,
    looked: Looked,
    stride: Stride,
    matches: Vec<LineMatch>,
    matches_max: usize,
    bytes_left: AnswerBytes,
    /// Whether one match more was found than fits.
    is_full: bool,
}

impl<'a> FileSearch<'a> {
    fn new(
        root: &'a Served,
        matcher: RegexMatcher,
        matches_max: usize,
        cancel: Cancel<'a>,
        progress: Progress<'a>,
    ) -> FileSearch<'a> {
        let limits = root.limits();
        FileSearch {
            searcher: searcher(limits),
            matcher,
            limits,
            cancel,
            progress,
            looked: Looked::default(),
            stride: Stride::new(),
            matches: Vec::new(),
            matches_max,
            bytes_left: AnswerBytes::new(limits),
            is_full: false,
        }
    }

    fn run(mut self, root: &Served, glob: Option<&PathGlob>) -> Result<SearchResult, FileError> {
        let omitted = walk(root, self.cancel, |met, omitted| {
            // A link's target is searched where it lies, or is outside.
            if met.kind != Kind::File || glob.is_some_and(|glob| !glob.is_match(&met)) {
                return Ok(ControlFlow::Continue(()));
            }
            self.file(&met, omitted)?;
            self.looked.files += 1;
            self.looked.found = self.matches.len();
            (self.progress)(self.looked);
            Ok(if self.is_full {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        Ok(SearchResult {
            matches: self.matches,
            truncated: self.is_full,
            omitted,
        })
    }

    fn file(&mut self, met: &Met<'_>, omitted: &mut Omitted) -> Result<(), FileError> {
        let (file, metadata) = match open_met(met) {
            Ok(Some(opened)) => opened,
            Ok(None) => return Ok(()),
            Err(_) => {
                omitted.unreadable += 1;
                return Ok(());
            }
        };
        let (matches_before, bytes_before) = (self.matches.len(), self.bytes_left);
        let ending = Cell::new(Ending::Whole);
        let encoding = Cell::new(Encoding::of(b""));
        let reader = CancellableReader {
            file,
            size_bytes: metadata.len(),
            read_bytes: 0,
            cancel: self.cancel,
            progress: self.progress,
            looked: self.looked,
            stride: &mut self.stride,
            ending: &ending,
            encoding: &encoding,
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
            encoding: &encoding,
        };
        let searched = self.searcher.search_reader(&self.matcher, reader, &mut sink);
        match (ending.get(), searched) {
            (Ending::Cancelled, _) => return Err(FileError::Cancelled),
            (Ending::Binary, _) => omitted.binary_files += 1,
            (Ending::ReadFailed, _) => omitted.unreadable += 1,
            // The reader did not fail, so the buffer may not grow to the line's length.
            (Ending::Whole, Err(_)) => omitted.files_with_too_long_lines += 1,
            (Ending::Whole, Ok(())) => return Ok(()),
        }
        if matches!(ending.get(), Ending::Binary) {
            // Lines before the first NUL are not text either.
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

/// How much is read at a time. Patterns differ by a factor of thousands in what a byte costs, so the cost is measured:
/// the time between two reads is the search of what the first one brought.
#[derive(Debug)]
struct Stride {
    bytes: usize,
    since: Option<Instant>,
}

impl Stride {
    fn new() -> Stride {
        Stride {
            bytes: READ_BYTES_MIN,
            since: None,
        }
    }

    /// How much to read now.
    fn next(&mut self, now: Instant) -> usize {
        if let Some(since) = self.since {
            self.bytes = match now.saturating_duration_since(since) {
                work if work > WORK => self.bytes / 2,
                work if work < WORK / 4 => self.bytes * 2,
                _ => self.bytes,
            };
            self.bytes = self.bytes.clamp(READ_BYTES_MIN, READ_BYTES_MAX);
        }
        self.bytes
    }

    /// The search goes on from here.
    fn on_read(&mut self, now: Instant) {
        self.since = Some(now);
    }
}

struct CancellableReader<'a> {
    file: File,
    size_bytes: u64,
    read_bytes: u64,
    cancel: Cancel<'a>,
    progress: Progress<'a>,
    looked: Looked,
    stride: &'a mut Stride,
    ending: &'a Cell<Ending>,
    /// Told once the file's front was read.
    encoding: &'a Cell<Encoding>,
}

#[allow(clippy::disallowed_methods, reason = "runs on a worker")]
impl Read for CancellableReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.cancel)() {
            self.ending.set(Ending::Cancelled);
            return Err(io::Error::other("cancelled"));
        }
        let wanted = self.stride.next(Instant::now()).min(buffer.len());
        let buffer = buffer.get_mut(..wanted).unwrap_or_default();
        let read = self.file.read(buffer).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.ending.set(Ending::ReadFailed);
            }
        })?;
        self.stride.on_read(Instant::now());
        if self.read_bytes == 0 {
            let front = buffer.get(..read.min(MARK_BYTES_MAX));
            self.encoding.set(Encoding::of(front.unwrap_or_default()));
        }
        self.read_bytes += read as u64;
        // Short files are reported when they are done. A file that grows while it is read is never reported as done.
        if self.read_bytes > TOLD_BYTES && self.read_bytes < self.size_bytes {
            (self.progress)(Looked {
                part: self.read_bytes as f64 / self.size_bytes as f64,
                ..self.looked
            });
        }
        Ok(read)
    }
}

struct LineSink<'a> {
    path: &'a str,
    matcher: &'a RegexMatcher,
    text_bytes_max: usize,
    matches: &'a mut Vec<LineMatch>,
    matches_max: usize,
    bytes_left: &'a mut AnswerBytes,
    is_full: &'a mut bool,
    ending: &'a Cell<Ending>,
    encoding: &'a Cell<Encoding>,
}

impl Sink for LineSink<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, io::Error> {
        let line = without_line_end(found.bytes());
        // The pattern matched this line; only the matcher knows where.
        let at = self
            .matcher
            .find(line)
            .ok()
            .flatten()
            .map_or(0..0, |at| at.start()..at.end());
        let shown = around(line, at, self.text_bytes_max);
        let text = String::from_utf8_lossy(line.get(shown.clone()).unwrap_or_default()).into_owned();
        let start_byte = match self.encoding.get() {
            // The searched text begins behind the mark.
            utf8 @ Encoding::Utf8 { .. } => Some(found.absolute_byte_offset() + utf8.mark_bytes() as u64),
            Encoding::Utf16(_) => None,
        };
        let line_match = LineMatch {
            path: self.path.to_owned(),
            line: found.line_number().unwrap_or_default(),
            start_byte,
            text,
            text_is_cut: (shown.len() < line.len()).then_some(true),
        };
        if self.matches.len() >= self.matches_max || !self.bytes_left.take(&line_match) {
            *self.is_full = true;
            return Ok(false);
        }
        self.matches.push(line_match);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_as_long_as_they_cost_little() {
        let (mut stride, mut now) = (Stride::new(), Instant::now());
        let mut next = |work_us: u64| {
            now += Duration::from_micros(work_us);
            let bytes = stride.next(now);
            stride.on_read(now);
            bytes
        };
        assert_eq!(next(0), READ_BYTES_MIN);
        assert_eq!([next(10), next(10)], [2 << 10, 4 << 10]);
        assert_eq!(next(1_000), 4 << 10);
        assert_eq!((0..10).map(|_| next(10)).last(), Some(READ_BYTES_MAX));
        assert_eq!(next(2_001), READ_BYTES_MAX / 2);
        assert_eq!((0..10).map(|_| next(9_000)).last(), Some(READ_BYTES_MIN));
    }
}
