//! Texts as JSON strings.

/// Bytes that are looked at together as long as they stand for themselves: what fills two vector registers anywhere.
const BLOCK_BYTES: usize = 32;

/// One in each byte of a word, and the highest bit of each.
const ONES: u64 = u64::MAX / 0xff;
const HIGHS: u64 = ONES << 7;

/// Whether a JSON string may not hold this byte as it is (RFC 8259, section 7).
const fn needs_escape(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// Appends `text` as a JSON string, quotes included. Runs of bytes that stand for themselves are copied whole, as most
/// texts are.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
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

/// Bytes at the front of `text` that stand for themselves.
fn plain_bytes(text: &[u8]) -> usize {
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
            assert_eq!(
                written(&text),
                serde_json::to_string(&text).unwrap(),
                "seed {seed}"
            );
        }
    }
}
