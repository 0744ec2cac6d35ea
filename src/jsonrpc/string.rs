//! Texts as JSON strings.

/// Bytes that are looked at together.
const BLOCK_BYTES: usize = 8;

/// Which bytes a JSON string may not hold as they are (RFC 8259, section 7).
static IS_ESCAPED: [bool; 256] = {
    let mut is_escaped = [false; 256];
    let mut byte = 0;
    while byte < is_escaped.len() {
        is_escaped[byte] = needs_escape(byte as u8);
        byte += 1;
    }
    is_escaped
};

const fn needs_escape(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// Appends `text` as a JSON string, quotes included. Runs of bytes that stand for themselves are copied whole, as most
/// texts are.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    let text = text.as_bytes();
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut run = 0;
    let mut at = plain_blocks(text);
    while let Some(byte) = text.get(at) {
        at += 1;
        if IS_ESCAPED[usize::from(*byte)] {
            out.extend_from_slice(&text[run..at - 1]);
            write_escaped(out, *byte);
            run = at;
            at += plain_blocks(&text[at..]);
        }
    }
    out.extend_from_slice(&text[run..]);
    out.push(b'"');
}

/// Bytes at the front of `text`, in whole blocks, that stand for themselves.
fn plain_blocks(text: &[u8]) -> usize {
    let (blocks, _) = text.as_chunks::<BLOCK_BYTES>();
    // Without a stop inside a block, so that the compiler takes a block in one step.
    let is_plain =
        |block: &&[u8; BLOCK_BYTES]| !block.iter().fold(false, |any, byte| any | needs_escape(*byte));
    blocks.iter().take_while(is_plain).count() * BLOCK_BYTES
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
