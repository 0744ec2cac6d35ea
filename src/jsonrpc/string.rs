//! Texts as JSON strings.

/// Bytes that are looked at together as long as they stand for themselves: what fills two vector registers anywhere.
const BLOCK_BYTES: usize = 32;

/// One in each byte of a word, and the highest bit of each.
const ONES: u64 = u64::MAX / 0xff;
const HIGHS: u64 = ONES << 7;

/// Bytes that are counted together, so many that a small counter does not overflow.
const COUNTED_BYTES: usize = 128;

/// The length of `\u0000`, and of an escape such as `\n`.
const ESCAPE_BYTES_MAX: usize = 6;
const SHORT_ESCAPE_BYTES: usize = 2;

/// Whether a JSON string may not hold this byte as it is (RFC 8259, section 7).
const fn needs_escape(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// Whether its escape is a long one, as there is no letter for it.
const fn needs_long_escape(byte: u8) -> bool {
    byte < b' ' && !matches!(byte, 0x08 | b'\t' | b'\n' | 0x0c | b'\r')
}

/// Appends `text` as a JSON string, quotes included. Runs of bytes that stand for themselves are copied whole, as most
/// texts are.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    write_string_bytes(out, text.as_bytes());
}

/// The same of the bytes of a text.
pub(super) fn write_string_bytes(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    out.reserve(rest.len() + 2);
    out.push(b'"');
    loop {
        let (plain, special) = rest.split_at(plain_bytes(rest));
        out.extend_from_slice(plain);
        let Some((&byte, behind)) = special.split_first() else {
            break;
        };
        write_escaped(out, byte);
        rest = behind;
    }
    out.push(b'"');
}

/// Appends the front of `text` as the inside of a JSON string, as far as it fits into `room` bytes; returns how many
/// bytes of the text that was. With room for the longest escape it is at least one.
pub fn write_string_part(out: &mut Vec<u8>, text: &[u8], room: usize) -> usize {
    let (end, mut rest) = (out.len() + room, text);
    while !rest.is_empty() {
        let left = end - out.len();
        let (plain, _) = rest.split_at(plain_bytes(&rest[..left.min(rest.len())]));
        out.extend_from_slice(plain);
        rest = &rest[plain.len()..];
        if end - out.len() < ESCAPE_BYTES_MAX {
            break;
        }
        if let Some((&byte, behind)) = rest.split_first() {
            write_escaped(out, byte);
            rest = behind;
        }
    }
    text.len() - rest.len()
}

/// Bytes that `text` takes inside a JSON string.
pub fn escaped_bytes(text: &[u8]) -> usize {
    let (blocks, last) = text.as_chunks::<COUNTED_BYTES>();
    // Small counters, so that the compiler counts many bytes in one step.
    let count =
        |bytes: &[u8], of: fn(u8) -> bool| bytes.iter().fold(0_u8, |sum, byte| sum + u8::from(of(*byte)));
    let more = |bytes: &[u8]| {
        let (all, long) = (count(bytes, needs_escape), count(bytes, needs_long_escape));
        usize::from(all) + usize::from(long) * (ESCAPE_BYTES_MAX - SHORT_ESCAPE_BYTES)
    };
    let blocks = blocks.iter().map(|block| more(block));
    text.len() + blocks.sum::<usize>() + more(last)
}

/// The same as [`plain_bytes`], and quicker where these are few.
#[inline]
pub(super) fn plain_bytes_of_few(text: &[u8]) -> usize {
    const WORDS: usize = BLOCK_BYTES / size_of::<u64>();
    let (words, _) = text.as_chunks();
    let mut plain = 0;
    for word in words.iter().take(WORDS) {
        match escapes_in(u64::from_le_bytes(*word)) {
            0 => plain += size_of::<u64>(),
            escapes => return plain + (escapes.trailing_zeros() / u8::BITS) as usize,
        }
    }
    plain + plain_bytes(&text[plain..])
}

/// Bytes at the front of `text` that stand for themselves.
pub(super) fn plain_bytes(text: &[u8]) -> usize {
    let (blocks, _) = text.as_chunks::<BLOCK_BYTES>();
    // Without a stop inside a block, so that the compiler takes a block in one step.
    let is_plain =
        |block: &&[u8; BLOCK_BYTES]| !block.iter().fold(false, |any, byte| any | needs_escape(*byte));
    let mut plain = blocks.iter().take_while(is_plain).count() * BLOCK_BYTES;
    let (words, _) = text[plain..].as_chunks();
    for word in words {
        match escapes_in(u64::from_le_bytes(*word)) {
            0 => plain += size_of::<u64>(),
            escapes => return plain + (escapes.trailing_zeros() / u8::BITS) as usize,
        }
    }
    let last = text[plain..].iter();
    plain + last.take_while(|byte| !needs_escape(**byte)).count()
}

/// The lowest bit set is the highest of the first byte in `word` that needs an escape; none is set if none does. (Bits
/// behind the first may be wrong: each subtraction borrows only from bytes behind a hit.)
fn escapes_in(word: u64) -> u64 {
    let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, b' ') | is(b'"') | is(b'\\')) & HIGHS
}

fn write_escaped(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            let [high, low] = [byte >> 4, byte & 0xf].map(|digit| DIGITS[usize::from(digit)]);
            return out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = b"before ".to_vec();
        write_string(&mut out, text);
        String::from_utf8(out.split_off("before ".len())).unwrap()
    }

    /// Serde's writer is the twin.
    #[track_caller]
    fn assert_as_serde_writes(text: &str) {
        assert_eq!(written(text), serde_json::to_string(text).unwrap());
    }

    #[test]
    fn every_character_is_written_as_serde_writes_it_wherever_it_stands() {
        let characters = (0..=0x80_u8)
            .map(char::from)
            .chain(['ä', '\u{2028}', '\u{1f600}']);
        for character in characters {
            for before in 0..=2 * BLOCK_BYTES {
                let plain = "p".repeat(before);
                for after in [0, 1, BLOCK_BYTES] {
                    let behind = "q".repeat(after);
                    assert_as_serde_writes(&format!("{plain}{character}{behind}"));
                    assert_as_serde_writes(&format!("{plain}{character}{character}{behind}\""));
                }
            }
        }
        assert_eq!(written(""), "\"\"");
    }

    #[test]
    fn a_text_is_written_in_parts_of_any_size() {
        let texts = [
            "plain ".repeat(40),
            "\"\\\n\u{1}\u{1f}".repeat(20),
            (0..=0x80_u8).map(char::from).collect(),
            "\u{1f600}a\nb".repeat(30),
            String::new(),
        ];
        for text in texts {
            let whole = written(&text);
            assert_eq!(escaped_bytes(text.as_bytes()) + 2, whole.len(), "{text:?}");
            for room in ESCAPE_BYTES_MAX..200 {
                let (mut out, mut rest) = (b"\"".to_vec(), text.as_bytes());
                while !rest.is_empty() {
                    let before = out.len();
                    let taken = write_string_part(&mut out, rest, room);
                    assert!(taken > 0 && out.len() <= before + room, "{text:?} by {room}");
                    rest = &rest[taken..];
                }
                out.push(b'"');
                assert_eq!(String::from_utf8(out).unwrap(), whole, "by {room}");
            }
        }
        assert_eq!(write_string_part(&mut Vec::new(), b"text", 0), 0);
    }

    /// Seeded.
    #[test]
    fn texts_are_written_as_serde_writes_them() {
        let seed = fastrand::u64(..);
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..2_000 {
            let text: String = (0..random.usize(..100))
                .map(|_| {
                    let ascii = random.u8(..0x80);
                    *random.choice(&['a', 'é', '\u{1f600}', ascii.into()]).unwrap()
                })
                .collect();
            let whole = written(&text);
            assert_eq!(whole, serde_json::to_string(&text).unwrap(), "seed {seed}");
            assert_eq!(escaped_bytes(text.as_bytes()) + 2, whole.len(), "seed {seed}");
        }
    }
}
