//! Lines out of pieces: a pipe delivers bytes as it likes.
//!
//! A line that lies whole in one piece, as most do, is looked at where it lies; only the beginning of one that goes
//! on in the next piece is copied.

use crate::jsonrpc::{LineProgress, Lines, Outline};

/// Memory that is kept for the beginning of the next line; a long line's is given back.
const RETAINED_BYTES: usize = 64 << 10;

/// What a piece of a stream completed.
#[derive(Debug)]
pub enum Line<'b> {
    /// A line, without its end. It is not blank.
    Whole(&'b [u8]),
    /// The end of a line beyond the limit, whose bytes are gone; what could be seen of it.
    TooLong(Outline),
}

/// The lines of one stream.
#[derive(Debug)]
pub struct LineReader {
    lines: Lines,
    /// The beginning of a line.
    partial: Vec<u8>,
    line_bytes_max: usize,
}

impl LineReader {
    /// A reader of lines of at most `line_bytes_max` bytes, their ends not counted.
    pub fn new(line_bytes_max: usize) -> LineReader {
        LineReader {
            lines: Lines::default(),
            partial: Vec::new(),
            line_bytes_max,
        }
    }

    /// Bytes that are held until the rest of their line comes.
    pub fn held_bytes(&self) -> usize {
        self.partial.capacity()
    }

    /// Takes the next piece, and hands out the lines that it completes, in order.
    pub fn feed(&mut self, mut piece: &[u8], mut on_line: impl FnMut(Line<'_>)) {
        while !self.partial.is_empty() && !piece.is_empty() {
            piece = self.complete(piece, &mut on_line);
        }
        while !piece.is_empty() {
            let progress = self.lines.advance(piece, self.line_bytes_max);
            match take(progress, piece, &mut on_line) {
                Some(consumed) => piece = piece.get(consumed..).unwrap_or_default(),
                None => {
                    self.partial.extend_from_slice(piece);
                    return;
                }
            }
        }
    }

    /// The end of the stream: what is held is the last line, which lacks its end.
    pub fn finish(&mut self, mut on_line: impl FnMut(Line<'_>)) {
        let last = std::mem::take(&mut self.partial);
        let progress = self.lines.finish(&last);
        take(progress, &last, &mut on_line);
    }

    /// Puts the line that was begun together as far as the piece goes; returns what is behind it.
    fn complete<'b>(&mut self, piece: &'b [u8], on_line: &mut impl FnMut(Line<'_>)) -> &'b [u8] {
        let end = memchr::memchr(b'\n', piece).map_or(piece.len(), |at| at + 1);
        let (rest, behind) = piece.split_at_checked(end).unwrap_or((piece, &[]));
        self.partial.extend_from_slice(rest);
        let progress = self.lines.advance(&self.partial, self.line_bytes_max);
        if take(progress, &self.partial, on_line).is_some() {
            self.partial.clear();
            if self.partial.capacity() > RETAINED_BYTES {
                self.partial = Vec::new();
            }
        }
        behind
    }
}

/// Hands out what `progress` found in the window; the bytes that were consumed.
fn take(progress: LineProgress, window: &[u8], on_line: &mut impl FnMut(Line<'_>)) -> Option<usize> {
    match progress {
        LineProgress::Incomplete => None,
        LineProgress::Skipped { consumed } => Some(consumed),
        LineProgress::Line { start, end, consumed } => {
            on_line(Line::Whole(window.get(start..end).unwrap_or_default()));
            Some(consumed)
        }
        LineProgress::TooLong { consumed, outline } => {
            on_line(Line::TooLong(outline));
            Some(consumed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reader: &mut LineReader, pieces: &[&[u8]]) -> Vec<String> {
        let mut found = Vec::new();
        let mut on_line = |line: Line<'_>| {
            found.push(match line {
                Line::Whole(text) => text.escape_ascii().to_string(),
                Line::TooLong(outline) => format!("too long: {:?}", outline.id()),
            });
        };
        for piece in pieces {
            reader.feed(piece, &mut on_line);
        }
        reader.finish(&mut on_line);
        found
    }

    #[test]
    fn pieces_make_no_difference() {
        let text = b"{\"a\":1}\r\n\nrubbish\n{\"id\":7,\"long\":\"0123456789012345678901234567890123456789\"}\n{}\nlast";
        let expected = [
            "{\"a\":1}",
            "rubbish",
            "too long: Some(Verbatim(\"7\"))",
            "{}",
            "last",
        ]
        .map(|line| line.replace('"', "\\\""))
        .map(|line| {
            line.replace(
                "too long: Some(Verbatim(\\\"7\\\"))",
                "too long: Some(Verbatim(\"7\"))",
            )
        });
        let whole = read(&mut LineReader::new(32), &[text]);
        assert_eq!(whole, expected);
        for first in 0..text.len() {
            for second in first..text.len() {
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(
                    read(&mut LineReader::new(32), &pieces),
                    expected,
                    "{first} {second}"
                );
            }
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(read(&mut LineReader::new(32), &bytes), expected);
    }

    #[test]
    fn bytes_that_are_no_text_are_lines_all_the_same() {
        let found = read(
            &mut LineReader::new(100),
            &[b"\xff\xfe\n{\"a\"", b":\"\xc3", b"\xa9\"}\n"],
        );
        assert_eq!(found, [r"\xff\xfe", r#"{\"a\":\"\xc3\xa9\"}"#]);
    }

    #[test]
    fn a_long_line_leaves_no_memory_behind() {
        let mut reader = LineReader::new(1 << 20);
        let long = vec![b'x'; 200 << 10];
        reader.feed(&long, |_| panic!("no end yet"));
        assert!(reader.held_bytes() >= long.len());
        let mut lines = 0;
        reader.feed(b"\nshort\nbeg", |_| lines += 1);
        assert_eq!(lines, 2);
        assert!(reader.held_bytes() <= RETAINED_BYTES);
        let mut flood = LineReader::new(1000);
        for _ in 0..1000 {
            flood.feed(&long, |_| panic!("no end"));
            assert!(flood.held_bytes() <= RETAINED_BYTES);
        }
    }
}
