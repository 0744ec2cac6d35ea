//! Request ids: a string or an integer, echoed with exactly the value that came.
//!
//! [`Id`] borrows from the text being decoded; [`RequestId`] is its owned form for as long as a call runs, and
//! holds integers and strings of up to [`RequestId::INLINE_BYTES_MAX`] bytes without allocating.

use std::fmt;

use super::write::write_string;

/// A request's id as it lies in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Id<'s> {
    /// An integer that fits `i64`.
    Signed(i64),
    /// An integer above `i64::MAX`.
    Unsigned(u64),
    /// A string, unescaped.
    Text(&'s str),
}

impl Id<'_> {
    /// Appends the id as JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Signed(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
            Self::Unsigned(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
            Self::Text(text) => write_string(out, text),
        }
    }
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
}

impl RequestId {
    /// Longest string held without an allocation, so that the whole is 48 bytes. UUIDs take 36.
    pub const INLINE_BYTES_MAX: usize = 46;

    /// The id as a borrowed value.
    pub fn as_id(&self) -> Id<'_> {
        match &self.0 {
            Repr::Signed(number) => Id::Signed(*number),
            Repr::Unsigned(number) => Id::Unsigned(*number),
            Repr::Inline { len, bytes } => {
                let text = bytes.get(..usize::from(*len)).unwrap_or_default();
                Id::Text(std::str::from_utf8(text).unwrap_or_default())
            }
            Repr::Heap(text) => Id::Text(text),
        }
    }
}

impl From<Id<'_>> for RequestId {
    fn from(id: Id<'_>) -> Self {
        Self(match id {
            Id::Signed(number) => Repr::Signed(number),
            Id::Unsigned(number) => Repr::Unsigned(number),
            Id::Text(text) => {
                let mut bytes = [0; Self::INLINE_BYTES_MAX];
                match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
                    (Some(room), Ok(len)) => {
                        room.copy_from_slice(text.as_bytes());
                        Repr::Inline { len, bytes }
                    }
                    _ => Repr::Heap(text.into()),
                }
            }
        })
    }
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
        let mut out = Vec::new();
        RequestId::from(id).as_id().write(&mut out);
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
    }
}
