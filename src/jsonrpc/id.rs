//! Request ids: a string or a whole number, echoed with exactly the value that came.
//!
//! [`Id`] borrows from the text being decoded; [`RequestId`] is its owned form for as long as a call runs, and
//! holds integers and strings of up to [`RequestId::INLINE_BYTES_MAX`] bytes without allocating.

use std::fmt;

use super::string::{write_string, write_string_bytes};

/// A request's id as it lies in the text.
#[derive(Clone, Copy, Debug)]
pub enum Id<'s> {
    /// An integer that fits `i64`.
    Signed(i64),
    /// An integer above `i64::MAX`.
    Unsigned(u64),
    /// A string, unescaped.
    Text(&'s str),
    /// A token of JSON, to be echoed as it stands: a whole number that is no integer of 64 bits (`1.0`, `1e20`), or
    /// an id out of a message that was not parsed.
    Verbatim(&'s str),
}

/// Two ids are the same if their values are: `1.0` is `1`, `"1"` is not.
impl PartialEq for Id<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Signed(one), Self::Signed(other)) => one == other,
            (Self::Unsigned(one), Self::Unsigned(other)) => one == other,
            (Self::Text(one), Self::Text(other)) => one == other,
            (Self::Verbatim(one), Self::Verbatim(other)) if one == other => true,
            (Self::Verbatim(token), other) | (other, Self::Verbatim(token)) => other.is_written(token),
            _ => false,
        }
    }
}

impl Eq for Id<'_> {}

impl Id<'_> {
    /// Whether a token of JSON stands for this id. Numbers that no integer type holds are the same if they are equal as
    /// doubles, because many clients know no more of them.
    fn is_written(&self, token: &str) -> bool {
        let number = || token.parse::<f64>().ok();
        match self {
            Self::Text(text) => serde_json::from_str::<String>(token).is_ok_and(|token| token == *text),
            Self::Signed(integer) => {
                token.parse() == Ok(*integer) || number().is_some_and(|number| is_integer(number, *integer))
            }
            Self::Unsigned(integer) => token.parse() == Ok(*integer),
            Self::Verbatim(other) => {
                number().is_some_and(|number| number.is_finite() && other.parse() == Ok(number))
            }
        }
    }

    /// Appends the id as JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Signed(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
            Self::Unsigned(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
            Self::Text(text) => write_string(out, text),
            Self::Verbatim(token) => out.extend_from_slice(token.as_bytes()),
        }
    }
}

/// Whether a double stands for an integer that it holds exactly.
fn is_integer(number: f64, integer: i64) -> bool {
    const EXACT_MAX: u64 = 1 << f64::MANTISSA_DIGITS;
    integer.unsigned_abs() <= EXACT_MAX && number == integer as f64
}

/// An owned [`Id`].
#[derive(Clone)]
pub struct RequestId(Repr);

#[derive(Clone)]
enum Repr {
    Signed(i64),
    Unsigned(u64),
    Inline {
        len: u8,
        bytes: [u8; RequestId::INLINE_BYTES_MAX],
    },
    Heap(Box<str>),
    InlineVerbatim {
        len: u8,
        bytes: [u8; RequestId::INLINE_BYTES_MAX],
    },
    HeapVerbatim(Box<str>),
}

impl RequestId {
    /// The longest string that is held without an allocation; it makes the type 48 bytes long. UUIDs take 36.
    pub const INLINE_BYTES_MAX: usize = 46;

    /// The id as a borrowed value.
    pub fn as_id(&self) -> Id<'_> {
        match &self.0 {
            Repr::Signed(number) => Id::Signed(*number),
            Repr::Unsigned(number) => Id::Unsigned(*number),
            Repr::Inline { len, bytes } => Id::Text(inline_text(*len, bytes)),
            Repr::Heap(text) => Id::Text(text),
            Repr::InlineVerbatim { len, bytes } => Id::Verbatim(inline_text(*len, bytes)),
            Repr::HeapVerbatim(token) => Id::Verbatim(token),
        }
    }

    /// Appends the id as JSON, without another look at whether its bytes are text.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Repr::Inline { len, bytes } => write_string_bytes(out, inline_bytes(*len, bytes)),
            _ => self.as_id().write(out),
        }
    }
}

impl From<Id<'_>> for RequestId {
    fn from(id: Id<'_>) -> Self {
        Self(match id {
            Id::Signed(number) => Repr::Signed(number),
            Id::Unsigned(number) => Repr::Unsigned(number),
            Id::Text(text) => match inlined(text) {
                Some((len, bytes)) => Repr::Inline { len, bytes },
                None => Repr::Heap(text.into()),
            },
            Id::Verbatim(token) => match inlined(token) {
                Some((len, bytes)) => Repr::InlineVerbatim { len, bytes },
                None => Repr::HeapVerbatim(token.into()),
            },
        })
    }
}

fn inlined(text: &str) -> Option<(u8, [u8; RequestId::INLINE_BYTES_MAX])> {
    let mut bytes = [0; RequestId::INLINE_BYTES_MAX];
    bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    Some((u8::try_from(text.len()).ok()?, bytes))
}

fn inline_bytes(len: u8, bytes: &[u8]) -> &[u8] {
    bytes.get(..usize::from(len)).unwrap_or_default()
}

fn inline_text(len: u8, bytes: &[u8]) -> &str {
    std::str::from_utf8(inline_bytes(len, bytes)).unwrap_or_default()
}

impl PartialEq for RequestId {
    fn eq(&self, other: &Self) -> bool {
        self.as_id() == other.as_id()
    }
}

impl Eq for RequestId {}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_id().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(id: Id<'_>) -> String {
        let (mut out, mut owned) = (Vec::new(), Vec::new());
        id.write(&mut out);
        RequestId::from(id).write(&mut owned);
        assert_eq!(owned, out);
        assert_eq!(RequestId::from(id).as_id(), id);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn is_small() {
        assert_eq!(size_of::<RequestId>(), 48);
    }

    #[test]
    fn echoes_every_value_exactly() {
        for number in [0, -1, 9_007_199_254_740_993, i64::MAX, i64::MIN] {
            assert_eq!(written(Id::Signed(number)), number.to_string());
        }
        assert_eq!(written(Id::Unsigned(u64::MAX)), u64::MAX.to_string());
        for token in [
            "1.0",
            "1e2",
            "-0.0",
            "18446744073709551616",
            &"1".repeat(46),
            &"1".repeat(300),
        ] {
            assert_eq!(written(Id::Verbatim(token)), token);
        }
        for length in [0, 1, 36, 46, 47, 200] {
            let text = "é\u{2028}\"\\\u{1f600}\u{0}\u{1f}"
                .chars()
                .cycle()
                .take(length)
                .collect::<String>();
            assert_eq!(
                serde_json::from_str::<String>(&written(Id::Text(&text))).unwrap(),
                text
            );
            assert_eq!(RequestId::from(Id::Text(&text)), RequestId::from(Id::Text(&text)));
        }
    }

    #[test]
    fn a_number_is_not_the_string_of_its_digits() {
        assert_ne!(RequestId::from(Id::Signed(1)), RequestId::from(Id::Text("1")));
        assert_ne!(Id::Verbatim("1.0"), Id::Text("1.0"));
    }

    #[test]
    fn numbers_are_the_same_however_they_are_written() {
        let same = [
            (Id::Verbatim("1.0"), Id::Signed(1)),
            (Id::Signed(100), Id::Verbatim("1e2")),
            (Id::Verbatim("100e-2"), Id::Verbatim("1.0")),
            (Id::Verbatim("100000000000000000000"), Id::Verbatim("1e20")),
            (Id::Verbatim("-0.0"), Id::Signed(0)),
            (
                Id::Verbatim("9007199254740993"),
                Id::Signed(9_007_199_254_740_993),
            ),
            (Id::Verbatim(r#""\u0061""#), Id::Text("a")),
        ];
        for (one, other) in same {
            assert_eq!(one, other);
            assert_eq!(other, one);
        }
        let different = [
            (Id::Verbatim("1.0"), Id::Signed(2)),
            (
                Id::Verbatim("9007199254740992.0"),
                Id::Signed(9_007_199_254_740_993),
            ),
            (Id::Verbatim("18446744073709551616"), Id::Unsigned(u64::MAX)),
            (Id::Verbatim("1e999"), Id::Verbatim("2e999")),
        ];
        for (one, other) in different {
            assert_ne!(one, other);
            assert_ne!(other, one);
        }
    }
}
