//! Texts as JSON strings.

/// Bytes that are looked at together.
const BLOCK_BYTES: usize = 16;

/// Appends `text` as a JSON string, quotes included. Runs of bytes that stand for themselves are copied whole, as most
/// texts are.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    out.reserve(rest.len() + 2);
    out.push(b'"');
    while let Some(at) = first_escaped(rest) {
        let (plain, behind) = rest.split_at(at);
        out.extend_from_slice(plain);
        if let Some((byte, behind)) = behind.split_first() {
            write_escaped(out, *byte);
            rest = behind;
        }
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Where the first byte is that a JSON string may not hold as it is (RFC 8259, section 7).
fn first_escaped(text: &[u8]) -> Option<usize> {
    let (blocks, _) = text.as_chunks::<BLOCK_BYTES>();
    // Without a stop inside a block, so that the compiler takes a block in one step.
    let is_plain =
        |block: &&[u8; BLOCK_BYTES]| !block.iter().fold(false, |any, byte| any | is_escaped(*byte));
    let plain = blocks.iter().take_while(is_plain).count() * BLOCK_BYTES;
    let at = text.get(plain..)?.iter().position(|byte| is_escaped(*byte))?;
    Some(plain + at)
}

fn is_escaped(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
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
            let digit = |value: u8| char::from_digit(value.into(), 16).map_or(b'0', |digit| digit as u8);
            return out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 0xf)]);
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
