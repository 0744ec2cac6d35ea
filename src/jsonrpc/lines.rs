//! Messages as lines of UTF-8: the framing of stdio (MCP, transports: stdio).
//!
//! This finds lines and their bounds in a window of bytes; it neither reads nor judges their contents. Blank lines are
//! ignored; a carriage return before the line feed belongs to the end of the line, since clients on other systems write
//! it. A line beyond the limit is reported when it ends, however long it is, with what could be seen of its id: its
//! bytes are outlined at and dropped as they come.
//!
//! ```text
//! Reading ─ limit without line feed ─► Skipping ─ line feed ─► (TooLong) ─► Reading
//! ```
//!
//! Invariant: a window from which everything consumed was removed is no longer than the limit, the two bytes of a
//! line's end and the bytes that came last.

use super::outline::{Outline, OutlineScanner};

/// The progress through the lines of a stream.
#[derive(Debug, Default)]
pub struct Lines {
    /// The scanner of a line that is too long.
    skipping: Option<Box<OutlineScanner>>,
    /// Bytes at the front of the window known to hold no line feed, so that a long line is looked through once.
    searched_bytes: usize,
}

/// The result of looking at a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineProgress {
    /// No line is complete: call again with more, from the same first byte.
    Incomplete,
    /// One line, without its end; never empty.
    Line {
        /// The index where it begins.
        start: usize,
        /// The index where it ends.
        end: usize,
        /// Bytes that were consumed.
        consumed: usize,
    },
    /// A line beyond the limit has ended; its bytes before were [`LineProgress::Skipped`].
    TooLong {
        /// Bytes that were consumed.
        consumed: usize,
        /// The outline of the message.
        outline: Outline,
    },
    /// There was nothing that matters.
    Skipped {
        /// Bytes that were consumed.
        consumed: usize,
    },
}

impl Lines {
    /// Looks at the front of a window, which begins where the last one was consumed up to. A line of `line_bytes_max`
    /// bytes, without its end, is accepted.
    pub fn advance(&mut self, window: &[u8], line_bytes_max: usize) -> LineProgress {
        let unseen = window.get(self.searched_bytes..).unwrap_or_default();
        match memchr::memchr(b'\n', unseen) {
            Some(at) => {
                let end = self.searched_bytes + at;
                self.end_line(window, end, end + 1, line_bytes_max)
            }
            // One byte more may still be a carriage return.
            None if self.skipping.is_some() || without_return(window).len() > line_bytes_max => {
                self.searched_bytes = 0;
                self.skipping.get_or_insert_default().feed(window);
                LineProgress::Skipped {
                    consumed: window.len(),
                }
            }
            None => {
                self.searched_bytes = window.len();
                LineProgress::Incomplete
            }
        }
    }

    /// The end of input: the rest of the window is the last line, which lacks its line feed.
    pub fn finish(&mut self, window: &[u8]) -> LineProgress {
        self.end_line(window, window.len(), window.len(), usize::MAX)
    }

    /// Ends the line at `end`; its line feed ends at `consumed`.
    fn end_line(
        &mut self,
        window: &[u8],
        end: usize,
        consumed: usize,
        line_bytes_max: usize,
    ) -> LineProgress {
        self.searched_bytes = 0;
        let line = without_return(window.get(..end).unwrap_or_default());
        if self.skipping.is_some() || line.len() > line_bytes_max {
            let mut scanner = self.skipping.take().unwrap_or_default();
            scanner.feed(line);
            LineProgress::TooLong {
                consumed,
                outline: scanner.finish(),
            }
        } else if line.trim_ascii().is_empty() {
            LineProgress::Skipped { consumed }
        } else {
            LineProgress::Line {
                start: 0,
                end: line.len(),
                consumed,
            }
        }
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 8;

    /// The results for a reader.
    #[derive(Debug, Clone, PartialEq, Eq)]
    enum Told {
        Line(Vec<u8>),
        TooLong,
    }

    fn line(text: &str) -> Told {
        Told::Line(text.into())
    }

    /// All results for `bytes` that come in pieces which end at `cuts`.
    fn told(bytes: &[u8], cuts: &[usize]) -> Vec<Told> {
        let (mut lines, mut told, mut window) = (Lines::default(), Vec::new(), Vec::new());
        let mut begin = 0;
        for &cut in cuts.iter().chain([&bytes.len()]) {
            window.extend_from_slice(&bytes[begin..cut]);
            let piece = cut - begin;
            begin = cut;
            while let Some(consumed) = take(&lines.advance(&window, LIMIT), &window, &mut told) {
                window.drain(..consumed);
                if window.is_empty() {
                    break;
                }
            }
            assert!(
                window.len() <= LIMIT + 1,
                "{} bytes wait, {piece} came",
                window.len()
            );
        }
        take(&lines.finish(&window), &window, &mut told);
        told
    }

    fn take(progress: &LineProgress, window: &[u8], told: &mut Vec<Told>) -> Option<usize> {
        match *progress {
            LineProgress::Incomplete => None,
            LineProgress::Line { start, end, consumed } => {
                told.push(Told::Line(window[start..end].to_vec()));
                Some(consumed)
            }
            LineProgress::TooLong { consumed, .. } => {
                told.push(Told::TooLong);
                Some(consumed)
            }
            LineProgress::Skipped { consumed } => Some(consumed),
        }
    }

    /// The naive twin.
    fn naive(bytes: &[u8]) -> Vec<Told> {
        bytes
            .split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .filter(|line| line.len() > LIMIT || !line.iter().all(u8::is_ascii_whitespace))
            .map(|line| {
                if line.len() > LIMIT {
                    Told::TooLong
                } else {
                    Told::Line(line.to_vec())
                }
            })
            .collect()
    }

    #[test]
    fn lines_are_told_without_their_ends() {
        let cases: [(&[u8], Vec<Told>); 9] = [
            (b"", vec![]),
            (b"a\nbc\n", vec![line("a"), line("bc")]),
            (b"a\r\nb\r\n", vec![line("a"), line("b")]),
            (b"\n\r\n \t\n\na\n", vec![line("a")]),
            (b"a\nlast", vec![line("a"), line("last")]),
            (b"a\rb\n", vec![line("a\rb")]),
            (
                b"12345678\n12345678\r\n",
                vec![line("12345678"), line("12345678")],
            ),
            (b"123456789\na\n", vec![Told::TooLong, line("a")]),
            (
                b"1234567890123456789012345678\n\na",
                vec![Told::TooLong, line("a")],
            ),
        ];
        for (bytes, expected) in cases {
            assert_eq!(told(bytes, &[]), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn the_id_of_a_long_line_is_seen_wherever_it_stands() {
        let line = br#"{"method":"ping","params":{"id":1},"id":"far behind"}"#;
        for cut in 0..line.len() {
            let mut lines = Lines::default();
            let (first, rest) = line.split_at(cut);
            let mut window = first.to_vec();
            if let LineProgress::Skipped { consumed } = lines.advance(&window, LIMIT) {
                window.drain(..consumed);
            }
            window.extend_from_slice(rest);
            window.push(b'\n');
            let LineProgress::TooLong { consumed, outline } = lines.advance(&window, LIMIT) else {
                panic!("cut at {cut}");
            };
            assert_eq!(consumed, window.len());
            assert_eq!(outline.id_text().as_deref(), Some("far behind"), "cut at {cut}");
        }
    }

    #[test]
    fn pieces_do_not_matter() {
        let bytes = b"ab\r\n\n12345678\r\n123456789\r\n12345678901234567890\r\n  \nlast\r";
        let whole = naive(bytes);
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                assert_eq!(told(bytes, &[first, second]), whole, "{first} {second}");
            }
        }
    }

    #[test]
    fn random_bytes_are_told_as_the_naive_twin_tells_them() {
        let seed = fastrand::u64(..);
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..random.usize(0..40))
                .map(|_| random.choice(*b"\n\r a{\xff\0").unwrap_or_default())
                .collect();
            let mut cuts: Vec<usize> = (0..random.usize(0..5))
                .map(|_| random.usize(0..=bytes.len()))
                .collect();
            cuts.sort_unstable();
            assert_eq!(
                told(&bytes, &cuts),
                naive(&bytes),
                "seed {seed}: {}",
                bytes.escape_ascii()
            );
        }
    }
}
