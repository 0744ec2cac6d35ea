//! The end of a request head, found in a window that grows as bytes arrive.
//!
//! The scanner looks at each byte once, however the bytes are delivered, and refuses as soon as a refusal is certain: a
//! stray line feed, a NUL or an over-long line is answered when its bytes are there, not when the head is complete.
//! It does not judge the lines' contents; [`parse_head`](super::parse_head) does.

use super::{HeadError, HeadLimits};

/// Empty lines tolerated before a request line. RFC 9112 (section 2.2) asks for at least one, for old clients
/// that append a CRLF to a body.
const EMPTY_LINES_MAX: u32 = 4;

/// The progress through one head. Each request needs a fresh one (`Default`).
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadScanner {
    /// Bytes of the window that need not be looked at again.
    pub(super) looked_bytes: usize,
    /// The place where the current line began.
    line_start: usize,
    /// Complete lines: the request line and the fields.
    lines: usize,
    empty_lines: u32,
}

impl HeadScanner {
    /// The length of the head including its empty line and any empty lines before it, or `None` while it is incomplete.
    /// `window` is everything received since the request began: what an earlier call saw, and more. The time is linear
    /// over all calls, and nothing is allocated.
    ///
    /// # Errors
    /// Fails for bad line ends, NUL and exceeded limits: always with the same error for the same bytes, however they
    /// were delivered.
    pub fn scan(&mut self, window: &[u8], limits: &HeadLimits) -> Result<Option<usize>, HeadError> {
        loop {
            let rest = window.get(self.looked_bytes..).unwrap_or_default();
            let Some(found) = memchr::memchr3(b'\r', b'\n', 0, rest) else {
                self.looked_bytes = window.len().max(self.looked_bytes);
                self.check_length(self.looked_bytes, limits)?;
                return Ok(None);
            };
            let at = self.looked_bytes + found;
            self.looked_bytes = at;
            self.check_length(at, limits)?;
            match window.get(at) {
                Some(b'\r') => {}
                Some(0) => return Err(HeadError::Nul),
                _ => return Err(HeadError::LineEnd),
            }
            if at + 2 > limits.head_bytes_max {
                return Err(self.too_long());
            }
            match window.get(at + 1) {
                None => return Ok(None),
                Some(b'\n') => {}
                Some(_) => return Err(HeadError::LineEnd),
            }
            if at == self.line_start && self.lines > 0 {
                return Ok(Some(at + 2));
            }
            self.end_line(at, limits)?;
        }
    }

    /// Whether no byte was looked at yet.
    pub fn is_fresh(&self) -> bool {
        self.looked_bytes == 0
    }

    /// Whether not even one byte of a request line has come: nothing, or tolerated empty lines.
    pub fn is_before_request(&self, window: &[u8]) -> bool {
        self.lines == 0 && window.len() <= self.line_start
    }

    fn end_line(&mut self, at: usize, limits: &HeadLimits) -> Result<(), HeadError> {
        if at == self.line_start {
            self.empty_lines += 1;
            if self.empty_lines > EMPTY_LINES_MAX {
                return Err(HeadError::EmptyLines);
            }
        } else {
            self.lines += 1;
            if self.lines > limits.fields_max + 1 {
                return Err(HeadError::TooManyFields);
            }
        }
        self.line_start = at + 2;
        self.looked_bytes = at + 2;
        Ok(())
    }

    /// Checks the limits for a head to which `end` bytes are known to belong, whatever follows.
    fn check_length(&self, end: usize, limits: &HeadLimits) -> Result<(), HeadError> {
        if self.lines == 0 && end - self.line_start > limits.request_line_bytes_max {
            return Err(HeadError::RequestLineTooLong);
        }
        if end > limits.head_bytes_max {
            return Err(self.too_long());
        }
        Ok(())
    }

    /// A head limit below the request line's limit is met by the request line first.
    fn too_long(&self) -> HeadError {
        if self.lines == 0 {
            HeadError::RequestLineTooLong
        } else {
            HeadError::HeadTooLarge
        }
    }
}
