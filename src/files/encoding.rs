//! The encoding of a text file: UTF-8, or UTF-16 if a byte order mark says so.
//!
//! The mark itself is not part of the text. Nothing is guessed: UTF-16 without a mark is full of NULs, and so is taken
//! for binary.

use std::ops::ControlFlow;

/// The longest mark.
pub(super) const MARK_BYTES_MAX: usize = 3;

/// An encoding, as a file's first bytes show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// UTF-8, with a mark or without.
    Utf8 { has_mark: bool },
    /// UTF-16 with a mark.
    Utf16(ByteOrder),
}

/// Which byte of a UTF-16 unit comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

/// Text that was decoded from bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) text: String,
    /// The number of bytes it was decoded from.
    pub(super) bytes: usize,
    /// Whether bytes that are not text were replaced by U+FFFD.
    pub(super) has_replaced: bool,
}

impl Encoding {
    /// The encoding of a file that begins with these bytes.
    pub(super) fn of(front: &[u8]) -> Encoding {
        match front {
            [0xEF, 0xBB, 0xBF, ..] => Encoding::Utf8 { has_mark: true },
            [0xFF, 0xFE, ..] => Encoding::Utf16(ByteOrder::Little),
            [0xFE, 0xFF, ..] => Encoding::Utf16(ByteOrder::Big),
            _ => Encoding::Utf8 { has_mark: false },
        }
    }

    /// How long the mark is.
    pub(super) const fn mark_bytes(self) -> usize {
        match self {
            Encoding::Utf8 { has_mark: false } => 0,
            Encoding::Utf8 { has_mark: true } => 3,
            Encoding::Utf16(_) => 2,
        }
    }

    /// Its name, if it is not UTF-8.
    pub(super) const fn name(self) -> Option<&'static str> {
        match self {
            Encoding::Utf8 { .. } => None,
            Encoding::Utf16(ByteOrder::Little) => Some("UTF-16LE"),
            Encoding::Utf16(ByteOrder::Big) => Some("UTF-16BE"),
        }
    }

    /// Whether a NUL is among the characters. `bytes` begin at the file's front, or where a character does.
    pub(super) fn has_nul(self, bytes: &[u8]) -> bool {
        match self {
            Encoding::Utf8 { .. } => memchr::memchr(0, bytes).is_some(),
            Encoding::Utf16(_) => bytes.chunks_exact(2).any(|unit| unit == [0, 0]),
        }
    }

    /// Calls `visit` with the place where each line ends: behind its line feed. `bytes` begin where a character does.
    pub(super) fn line_ends(
        self,
        bytes: &[u8],
        mut visit: impl FnMut(usize) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self {
            Encoding::Utf8 { .. } => {
                let mut newlines = memchr::memchr_iter(b'\n', bytes);
                newlines.try_for_each(|newline| visit(newline + 1))
            }
            Encoding::Utf16(order) => {
                let mut units = bytes.chunks_exact(2).map(|unit| order.unit(unit)).enumerate();
                units.try_for_each(|(at, unit)| {
                    if unit == u16::from(b'\n') {
                        visit(2 * at + 2)
                    } else {
                        ControlFlow::Continue(())
                    }
                })
            }
        }
    }

    /// All of `bytes`, which begin with the mark, as text; `None` if they are not text.
    pub(super) fn decode_whole(self, mut bytes: Vec<u8>) -> Result<String, Vec<u8>> {
        match self {
            _ if self.has_nul(&bytes) => Err(bytes),
            Encoding::Utf8 { .. } => {
                bytes.drain(..self.mark_bytes());
                // A mark that no text follows is part of something else.
                String::from_utf8(bytes).map_err(|error| {
                    let mark = [0xEF, 0xBB, 0xBF];
                    let mut bytes = mark[..self.mark_bytes()].to_vec();
                    bytes.extend_from_slice(error.as_bytes());
                    bytes
                })
            }
            Encoding::Utf16(order) => {
                let decoded = order.decode(bytes.get(2..).unwrap_or_default(), usize::MAX);
                if decoded.has_replaced {
                    Err(bytes)
                } else {
                    Ok(decoded.text)
                }
            }
        }
    }
}

impl ByteOrder {
    fn unit(self, bytes: &[u8]) -> u16 {
        let unit = [bytes.first(), bytes.get(1)].map(|byte| byte.copied().unwrap_or_default());
        match self {
            ByteOrder::Little => u16::from_le_bytes(unit),
            ByteOrder::Big => u16::from_be_bytes(unit),
        }
    }

    /// Decodes as many whole characters from the front as fit into `text_bytes_max` bytes of UTF-8. A last byte that is
    /// not a whole unit counts as one invalid character.
    pub(super) fn decode(self, bytes: &[u8], text_bytes_max: usize) -> Decoded {
        let mut decoded = Decoded::default();
        let whole = bytes.len() & !1;
        let units = bytes.chunks_exact(2).map(|unit| self.unit(unit));
        let mut characters = char::decode_utf16(units);
        while decoded.bytes < bytes.len() {
            let (character, length, is_replaced) = match characters.next() {
                Some(Ok(character)) => (character, 2 * character.len_utf16(), false),
                Some(Err(_)) => (char::REPLACEMENT_CHARACTER, 2, true),
                None => (char::REPLACEMENT_CHARACTER, bytes.len() - whole, true),
            };
            if decoded.text.len() + character.len_utf8() > text_bytes_max {
                break;
            }
            decoded.text.push(character);
            decoded.bytes += length;
            decoded.has_replaced |= is_replaced;
        }
        decoded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, order: ByteOrder) -> Vec<u8> {
        let units = text.encode_utf16();
        match order {
            ByteOrder::Little => units.flat_map(u16::to_le_bytes).collect(),
            ByteOrder::Big => units.flat_map(u16::to_be_bytes).collect(),
        }
    }

    #[test]
    fn marks_tell_encodings() {
        let utf8 = |has_mark| Encoding::Utf8 { has_mark };
        for (front, encoding) in [
            (&b""[..], utf8(false)),
            (b"\xef\xbb", utf8(false)),
            (b"\xef\xbb\xbfa", utf8(true)),
            (b"\xff\xfe", Encoding::Utf16(ByteOrder::Little)),
            (b"\xfe\xff\0a", Encoding::Utf16(ByteOrder::Big)),
            (b"\xff", utf8(false)),
        ] {
            assert_eq!(Encoding::of(front), encoding, "{front:?}");
        }
    }

    #[test]
    fn utf16_is_decoded_up_to_a_limit_and_what_is_none_is_replaced() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let bytes = utf16("aä🦀", order);
            let all = order.decode(&bytes, 100);
            assert_eq!((&*all.text, all.bytes, all.has_replaced), ("aä🦀", 8, false));
            for (text_bytes_max, text, bytes_used) in [(6, "aä", 4), (2, "a", 2), (0, "", 0)] {
                let part = order.decode(&bytes, text_bytes_max);
                assert_eq!((&*part.text, part.bytes), (text, bytes_used));
            }
            // Half a pair, then half a unit.
            let broken = order.decode(&[&bytes[..6], b"\x01"].concat(), 100);
            assert_eq!(
                (&*broken.text, broken.bytes, broken.has_replaced),
                ("aä\u{fffd}\u{fffd}", 7, true)
            );
        }
    }

    #[test]
    fn a_whole_file_is_text_or_stays_what_it_is() {
        let decode = |bytes: &[u8]| Encoding::of(bytes).decode_whole(bytes.to_vec());
        assert_eq!(decode(b"\xef\xbb\xbfa\n").unwrap(), "a\n");
        assert_eq!(decode(b"\xff\xfea\0\n\0").unwrap(), "a\n");
        assert_eq!(decode(b"\xfe\xff").unwrap(), "");
        for bytes in [
            &b"\xef\xbb\xbf\xff"[..],
            b"a\0",
            b"\xff\xfea",
            b"\xff\xfe\0\0",
            b"\xfe\xff\xd8\0",
        ] {
            assert_eq!(decode(bytes).unwrap_err(), bytes);
        }
    }
}
