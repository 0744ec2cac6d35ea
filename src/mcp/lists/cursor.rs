//! Cursors of lists: opaque to clients, and possibly hostile when they come back.
//!
//! A cursor names a page of the registered items, or a lister and the place at which it goes on. That place is the
//! lister's own text, which the lister must not trust either.

use std::fmt;

/// The place at which a list goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mcp) enum Cursor<'s> {
    /// A prepared page, counted from zero.
    Page(usize),
    /// A lister, and the place it gave for going on.
    Lister { at: usize, after: Option<&'s str> },
}

impl<'s> Cursor<'s> {
    /// Parses what [`Display`](fmt::Display) wrote; `None` for anything else.
    pub(in crate::mcp) fn parse(text: &'s str) -> Option<Self> {
        if let Some(page) = text.strip_prefix('p') {
            return number(page).map(Self::Page);
        }
        let (at, after) = text.strip_prefix('l')?.split_once(':')?;
        let after = (!after.is_empty()).then_some(after);
        Some(Self::Lister {
            at: number(at)?,
            after,
        })
    }
}

/// Reads decimal digits, and nothing else, in one spelling.
fn number(text: &str) -> Option<usize> {
    let number: usize = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

impl fmt::Display for Cursor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page(page) => write!(f, "p{page}"),
            Self::Lister { at, after } => write!(f, "l{at}:{}", after.unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip() {
        for cursor in [
            Cursor::Page(0),
            Cursor::Page(17),
            Cursor::Lister { at: 1, after: None },
            Cursor::Lister {
                at: 2,
                after: Some("a:b é\n"),
            },
        ] {
            assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        }
    }

    #[test]
    fn others_are_none() {
        for text in [
            "",
            "p",
            "p-1",
            "p+1",
            "p01",
            "p1 ",
            "q1",
            "l",
            "l0",
            "l:x",
            "lx:",
            "P1",
            "p99999999999999999999",
        ] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
