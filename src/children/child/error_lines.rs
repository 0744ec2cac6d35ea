//! What a child writes to stderr: lines of a bounded length, of which so many a second are logged, and the last are
//! kept as the likely reason of its death.

use std::collections::VecDeque;
use std::time::Instant;

use crate::children::rate::RateLimit;

/// The longest line that is kept whole; the rest of a longer one comes as lines of its own.
const LINE_BYTES_MAX: usize = 8 << 10;
/// Lines that are kept.
const KEPT_LINES: usize = 64;
/// Lines that are logged, a second and at once.
const LINES_PER_SECOND: u32 = 100;
const LINES_BURST: u32 = 1000;

/// A line to be logged.
#[derive(Debug, PartialEq, Eq)]
pub struct ErrorLine<'l> {
    /// Its text; bytes that are no UTF-8 are replaced.
    pub text: &'l str,
    /// Lines before it that were too many.
    pub left_out: u64,
}

/// The lines on one child's stderr.
#[derive(Debug)]
pub struct ErrorLines {
    partial: Vec<u8>,
    kept: VecDeque<Box<str>>,
    limit: RateLimit,
}

impl ErrorLines {
    /// None yet.
    pub fn new(now: Instant) -> ErrorLines {
        ErrorLines {
            partial: Vec::new(),
            kept: VecDeque::new(),
            limit: RateLimit::new(LINES_PER_SECOND, LINES_BURST, now),
        }
    }

    /// Takes what was read, and hands out the lines that are to be logged.
    pub fn feed(&mut self, mut bytes: &[u8], now: Instant, mut log: impl FnMut(ErrorLine<'_>)) {
        while !bytes.is_empty() {
            let room = LINE_BYTES_MAX - self.partial.len();
            let window = bytes.get(..room).unwrap_or(bytes);
            let end = memchr::memchr(b'\n', window);
            let taken = end.unwrap_or(window.len());
            self.partial
                .extend_from_slice(window.get(..taken).unwrap_or_default());
            bytes = bytes
                .get(taken + usize::from(end.is_some())..)
                .unwrap_or_default();
            if end.is_some() || self.partial.len() == LINE_BYTES_MAX {
                self.end_line(now, &mut log);
            }
        }
    }

    /// The end of the stream: a line without an end is one, too.
    pub fn finish(&mut self, now: Instant, mut log: impl FnMut(ErrorLine<'_>)) {
        self.end_line(now, &mut log);
    }

    /// The last lines, oldest first.
    pub fn kept(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().map(|line| &**line)
    }

    fn end_line(&mut self, now: Instant, log: &mut impl FnMut(ErrorLine<'_>)) {
        let text = String::from_utf8_lossy(&self.partial);
        let text = text.trim_end();
        if !text.is_empty() {
            if self.kept.len() == KEPT_LINES {
                self.kept.pop_front();
            }
            self.kept.push_back(text.into());
            if let Some(left_out) = self.limit.take(now) {
                log(ErrorLine { text, left_out });
            }
        }
        self.partial.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn lines_are_logged_as_they_end() {
        let now = Instant::now();
        let mut lines = ErrorLines::new(now);
        let mut logged = Vec::new();
        let mut log = |line: ErrorLine<'_>| logged.push(line.text.to_owned());
        lines.feed(b"one\r\ntw", now, &mut log);
        lines.feed(b"o\n\n \xff", now, &mut log);
        lines.finish(now, &mut log);
        lines.finish(now, &mut log);
        assert_eq!(logged, ["one", "two", " \u{fffd}"]);
        assert_eq!(lines.kept().collect::<Vec<_>>(), ["one", "two", " \u{fffd}"]);
    }

    #[test]
    fn a_flood_is_logged_in_part_and_the_last_lines_are_kept() {
        let now = Instant::now();
        let mut lines = ErrorLines::new(now);
        let mut logged = 0;
        for number in 0..5000 {
            lines.feed(format!("line {number}\n").as_bytes(), now, |_| logged += 1);
        }
        assert_eq!(logged, LINES_BURST);
        let kept: Vec<&str> = lines.kept().collect();
        assert_eq!((kept.len(), kept[0], kept[63]), (64, "line 4936", "line 4999"));
        let mut left_out = 0;
        let later = now + Duration::from_secs(1);
        lines.feed(b"more\n", later, |line| left_out = line.left_out);
        assert_eq!(left_out, 4000);
    }

    #[test]
    fn ten_mebibytes_without_an_end_cost_one_line() {
        let now = Instant::now();
        let mut lines = ErrorLines::new(now);
        let mut logged = 0;
        for _ in 0..160 {
            lines.feed(&[b'x'; 64 << 10], now, |line| {
                assert_eq!(line.text.len(), LINE_BYTES_MAX);
                logged += 1;
            });
            assert!(lines.partial.capacity() <= 2 * LINE_BYTES_MAX);
        }
        assert_eq!(logged, LINES_BURST);
    }
}
