//! A client's name and version (MCP, `Implementation`), and the form in which they travel in the id of a session.
//!
//! A legacy client introduces itself once, by `initialize`; its session takes no memory, so what it said travels in the
//! session's id, behind what is sealed: `~NAME~VERSION`, percent-encoded but for letters, digits, `-`, `.` and `_`. The
//! seal covers it. A channel keeps the same text.

use std::borrow::Cow;
use std::fmt;

use crate::registry::uri::percent_decode;

/// The longest text of a name and version in the id of a session.
pub const CLIENT_TEXT_BYTES_MAX: usize = 64;
/// The longest name, and the longest version, that a tool is told.
pub(super) const NAME_BYTES_MAX: usize = 256;

/// The mark in front of the name, and of the version.
const MARK: u8 = b'~';

/// The program that a client says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientInfo<'c> {
    /// The program's name, such as `claude-code`.
    pub name: Cow<'c, str>,
    /// Its version.
    pub version: Option<Cow<'c, str>>,
}

/// `name version`, or the name alone.
impl fmt::Display for ClientInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.version {
            Some(version) => write!(f, " {version}"),
            None => Ok(()),
        }
    }
}

/// What a client said of itself by `initialize`, as it travels in the id of its session; empty if it said nothing, or
/// if its name is too long. A version that does not fit beside the name is left out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClientText {
    bytes: [u8; CLIENT_TEXT_BYTES_MAX],
    len: u8,
}

impl ClientText {
    /// Nothing.
    pub const NONE: Self = Self {
        bytes: [0; CLIENT_TEXT_BYTES_MAX],
        len: 0,
    };

    /// Of a client that calls itself so.
    pub fn of(name: &str, version: Option<&str>) -> Self {
        let mut text = Self::NONE;
        if !name.is_empty() && text.push(name).is_some() {
            let named = text;
            let version = version.filter(|version| !version.is_empty());
            if version.is_some_and(|version| text.push(version).is_none()) {
                return named;
            }
            return text;
        }
        Self::NONE
    }

    /// The text: visible ASCII.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    fn push(&mut self, part: &str) -> Option<()> {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        self.push_byte(MARK)?;
        for byte in part.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
                self.push_byte(byte)?;
            } else {
                self.push_byte(b'%')?;
                for digit in [byte >> 4, byte & 15] {
                    self.push_byte(*DIGITS.get(usize::from(digit))?)?;
                }
            }
        }
        Some(())
    }

    fn push_byte(&mut self, byte: u8) -> Option<()> {
        *self.bytes.get_mut(usize::from(self.len))? = byte;
        self.len += 1;
        Some(())
    }
}

impl fmt::Debug for ClientText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientText({})", self.as_bytes().escape_ascii())
    }
}

impl<'c> ClientInfo<'c> {
    /// What a text of this form says.
    pub(super) fn of_text(text: &'c [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.strip_prefix(char::from(MARK))?;
        // Byte by byte, since it is shorter than what a search is made for.
        let name_bytes = text.bytes().take_while(|byte| *byte != MARK).count();
        let (name, version) = text.split_at_checked(name_bytes)?;
        let version = version.strip_prefix(char::from(MARK));
        if text.bytes().all(|byte| byte != b'%') {
            return Some(ClientInfo {
                name: Cow::Borrowed(name),
                version: version.map(Cow::Borrowed),
            });
        }
        Some(ClientInfo {
            name: percent_decode(name)?,
            version: version.and_then(percent_decode),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(name: &str, version: Option<&str>) -> Option<(String, Option<String>)> {
        let text = ClientText::of(name, version);
        assert!(text.as_bytes().iter().all(u8::is_ascii_graphic), "{text:?}");
        let info = ClientInfo::of_text(text.as_bytes())?;
        Some((info.name.into_owned(), info.version.map(Cow::into_owned)))
    }

    #[test]
    fn a_name_and_a_version_come_back_whatever_they_are_made_of() {
        for (name, version) in [
            ("claude-code", Some("1.0.44")),
            ("Inspector (beta)", Some("~2%41")),
            ("prüfer🦀\n\"", None),
            ("a", Some("b")),
        ] {
            let expected = Some((name.to_owned(), version.map(str::to_owned)));
            assert_eq!(kept(name, version), expected);
        }
        assert_eq!(ClientText::of("a b", Some("1.0")).as_bytes(), b"~a%20b~1.0");
        let info = ClientInfo::of_text(b"~a%20b~1.0").unwrap();
        assert_eq!(info.to_string(), "a b 1.0");
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_never_cut() {
        let name = "n".repeat(CLIENT_TEXT_BYTES_MAX - 1);
        assert_eq!(kept(&name, Some("1")), Some((name.clone(), None)));
        assert_eq!(kept(&format!("{name}n"), Some("1")), None);
        let version = "v".repeat(CLIENT_TEXT_BYTES_MAX - 3);
        assert_eq!(
            kept("n", Some(&version)),
            Some(("n".to_owned(), Some(version.clone())))
        );
        assert_eq!(
            kept("n", Some(&format!("{version}v"))),
            Some(("n".to_owned(), None))
        );
        assert_eq!(kept(&"é".repeat(11), None), None, "6 characters each");
    }

    #[test]
    fn nothing_is_nobody() {
        assert_eq!(kept("", Some("1")), None);
        assert_eq!(kept("n", Some("")), Some(("n".to_owned(), None)));
        assert_eq!(ClientText::of("", None), ClientText::NONE);
        for text in [&b""[..], b"n~1", b"~%4", b"~%ff"] {
            assert_eq!(ClientInfo::of_text(text), None, "{}", text.escape_ascii());
        }
    }
}
