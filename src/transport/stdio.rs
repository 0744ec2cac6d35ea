//! Messages as lines.

/// Where the reading of lines stands.
#[derive(Debug, Default)]
pub struct Lines {
    is_skipping: bool,
}

/// What a window amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// No line is whole.
    Incomplete,
    /// One line.
    Line {
        /// Where it begins.
        start: usize,
        /// Where it ends.
        end: usize,
        /// Bytes that are done with.
        consumed: usize,
    },
    /// A line beyond the limit.
    TooLong {
        /// Bytes that are done with.
        consumed: usize,
    },
    /// Nothing that matters.
    Skipped {
        /// Bytes that are done with.
        consumed: usize,
    },
}

impl Lines {
    /// Looks at the front of a window.
    pub fn advance(&mut self, window: &[u8], line_bytes_max: usize) -> Progress {
        let _ = line_bytes_max;
        match window.iter().position(|byte| *byte == b'\n') {
            Some(end) => Progress::Line {
                start: 0,
                end,
                consumed: end + 1,
            },
            None => Progress::Incomplete,
        }
    }

    /// The end of input.
    pub fn finish(&mut self, window: &[u8]) -> Progress {
        let _ = self.is_skipping;
        Progress::Line {
            start: 0,
            end: window.len(),
            consumed: window.len(),
        }
    }
}
