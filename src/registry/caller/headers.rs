//! The headers that the author of a tool, resource or prompt wants to read, and what a client sent in them.
//!
//! Values are text: visible ASCII, spaces and tabs. Anything else in a header has no meaning that all readers agree on
//! (RFC 9110, section 5.5), and a header that stands twice means something else to each reader that takes one of them;
//! both are faults of the request, and a tool is given neither.

use std::sync::Arc;

use crate::wire::http1::{Field, is_token};

/// The most headers that one tool, resource or prompt reads.
pub(in crate::registry) const HEADERS_MAX: usize = 16;

/// Names of headers, in lower case, in the order in which they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderNames(Vec<Box<str>>);

impl HeaderNames {
    /// Adds a name, unless it is there.
    pub(in crate::registry) fn add(&mut self, name: &str) {
        let name = name.to_ascii_lowercase().into_boxed_str();
        if !self.0.contains(&name) {
            self.0.push(name);
        }
    }

    /// The names; `None` if there is none.
    ///
    /// # Errors
    /// A name that no header has, or the first beyond [`HEADERS_MAX`].
    pub(in crate::registry) fn checked(self) -> Result<Option<Arc<Self>>, String> {
        let is_name = |name: &str| is_token(name.as_bytes());
        let wrong = self.0.iter().find(|name| !is_name(name));
        match wrong.or_else(|| self.0.get(HEADERS_MAX)) {
            Some(wrong) => Err(wrong.clone().into()),
            None => Ok((!self.0.is_empty()).then(|| Arc::new(self))),
        }
    }

    /// The names.
    pub(in crate::registry) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }

    /// The place of a name, in any case.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Why a header cannot be read. `?` tells the client of a tool what is wrong with its request, and the log what is
/// wrong with the tool. The names are those that the tool asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderFault {
    /// The request has the header more than once.
    Repeated(String),
    /// Its value has other characters than visible ASCII, spaces and tabs.
    NotText(String),
    /// The tool was registered without `.reads_header(…)` of this name.
    NotNamed(String),
}

impl std::fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Repeated(name) => write!(f, "the header {name} is sent more than once"),
            Self::NotText(name) => write!(f, "the header {name} has characters outside ASCII"),
            Self::NotNamed(name) => write!(
                f,
                "the header {name} is read without having been named; add `.reads_header({name:?})` where this is registered"
            ),
        }
    }
}

/// What a client sent in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SentHeader<T> {
    Absent,
    Text(T),
    Repeated,
    NotText,
}

impl<'h> SentHeader<&'h str> {
    pub(super) fn of(field: Field<'h>) -> Self {
        let is_text = |value: &[u8]| value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
        match field {
            Field::Absent => Self::Absent,
            Field::Repeated => Self::Repeated,
            Field::One(value) if !is_text(value) => Self::NotText,
            Field::One(value) => std::str::from_utf8(value).map_or(Self::NotText, Self::Text),
        }
    }
}

impl<T> SentHeader<T> {
    pub(super) fn map<U>(self, make: impl FnOnce(T) -> U) -> SentHeader<U> {
        match self {
            Self::Absent => SentHeader::Absent,
            Self::Text(text) => SentHeader::Text(make(text)),
            Self::Repeated => SentHeader::Repeated,
            Self::NotText => SentHeader::NotText,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(of: &[&str]) -> Result<Option<Arc<HeaderNames>>, String> {
        let mut names = HeaderNames::default();
        of.iter().for_each(|name| names.add(name));
        names.checked()
    }

    #[test]
    fn names_are_tokens_in_any_case_and_stand_once() {
        let known = names(&["X-Tenant", "x-tenant", "X-Region"]).unwrap().unwrap();
        assert_eq!(known.iter().collect::<Vec<_>>(), ["x-tenant", "x-region"]);
        assert_eq!(known.place("X-REGION"), Some(1));
        assert_eq!(known.place("x-other"), None);
        assert_eq!(names(&[]), Ok(None));
        for wrong in ["", "x tenant", "x:tenant", "é"] {
            assert_eq!(names(&["x-tenant", wrong]), Err(wrong.to_owned()));
        }
        let many: Vec<String> = (0..=HEADERS_MAX).map(|at| format!("x-{at}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(names(&many), Err(format!("x-{HEADERS_MAX}")));
        assert!(names(&many[1..]).is_ok());
    }

    #[test]
    fn values_are_text_or_a_fault() {
        for (field, expected) in [
            (Field::Absent, SentHeader::Absent),
            (Field::Repeated, SentHeader::Repeated),
            (Field::One(b""), SentHeader::Text("")),
            (Field::One(b"a\t b~"), SentHeader::Text("a\t b~")),
            (Field::One("é".as_bytes()), SentHeader::NotText),
            (Field::One(b"\xff"), SentHeader::NotText),
        ] {
            assert_eq!(SentHeader::of(field), expected);
        }
    }
}
