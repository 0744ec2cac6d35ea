//! Where something lies in a text.

use std::borrow::Cow;
use std::ops::Range;

/// A range of bytes in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
}

impl Span {
    /// The bytes themselves.
    pub fn of<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        text.get(self.start..self.end).unwrap_or_default()
    }

    /// Where this lies in the text, if it was counted from the beginning of `whole`.
    #[must_use]
    pub fn within(self, whole: Span) -> Span {
        Span {
            start: whole.start + self.start,
            end: whole.start + self.end,
        }
    }
}

impl From<Range<usize>> for Span {
    fn from(Range { start, end }: Range<usize>) -> Span {
        Span { start, end }
    }
}

/// A string token without quotes and escapes; empty if it has an unpaired surrogate.
pub fn plain_text(token: &[u8]) -> Cow<'_, str> {
    let inside = token.get(1..token.len().saturating_sub(1)).unwrap_or_default();
    match std::str::from_utf8(inside) {
        Ok(text) if memchr::memchr(b'\\', inside).is_none() => Cow::Borrowed(text),
        _ => Cow::Owned(serde_json::from_slice(token).unwrap_or_default()),
    }
}
