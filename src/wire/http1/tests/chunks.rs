//! The chunk decoder beside a naive twin, at every split, and at its limits.

use super::super::{BodyError, BodyLimits, ChunkDecoder};
use super::for_seeds;

const LIMITS: BodyLimits = BodyLimits {
    body_bytes_max: 4 << 20,
    framing_bytes_max: 16 << 10,
};

/// The body and the consumed bytes; `None` while incomplete.
type Outcome = Result<Option<(Vec<u8>, usize)>, BodyError>;

fn decode(input: &[u8]) -> Outcome {
    decode_pieces(input, [].into_iter(), &LIMITS)
}

/// Passes in the bytes between the cuts; bytes that were not consumed are passed in again.
fn decode_pieces(input: &[u8], cuts: impl Iterator<Item = usize>, limits: &BodyLimits) -> Outcome {
    let (mut decoder, mut body, mut begin) = (ChunkDecoder::default(), Vec::new(), 0);
    for end in cuts.chain([input.len()]) {
        let progress = decoder.decode(&input[begin..end], &mut body, limits)?;
        begin += progress.consumed;
        assert!(progress.is_done || begin == end, "an unfinished body takes all");
        if progress.is_done {
            return Ok(Some((body, begin)));
        }
    }
    Ok(None)
}

fn chunk(data: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat()
}

/// The same grammar over complete input, written as plainly as possible.
mod naive {
    pub(super) enum Outcome {
        Body(Vec<u8>, usize),
        Incomplete,
        Broken,
    }

    pub(super) fn decode(input: &[u8]) -> Outcome {
        let (mut body, mut at) = (Vec::new(), 0);
        loop {
            let Some(line) = line_at(input, at) else {
                return Outcome::Incomplete;
            };
            let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
            if digits == 0 || digits > 16 || !is_extensions(&line[digits..]) {
                return Outcome::Broken;
            }
            let size = u64::from_str_radix(std::str::from_utf8(&line[..digits]).unwrap(), 16).unwrap();
            at += line.len() + 2;
            if size == 0 {
                return trailers(input, at, body);
            }
            let Some(end) = usize::try_from(size).ok().and_then(|size| size.checked_add(at)) else {
                return Outcome::Broken;
            };
            if end > super::LIMITS.body_bytes_max {
                return Outcome::Broken;
            }
            match input.get(end..end + 2) {
                Some(b"\r\n") => body.extend_from_slice(&input[at..end]),
                Some(_) => return Outcome::Broken,
                None => return Outcome::Incomplete,
            }
            at = end + 2;
        }
    }

    fn trailers(input: &[u8], mut at: usize, body: Vec<u8>) -> Outcome {
        loop {
            let Some(line) = line_at(input, at) else {
                return Outcome::Incomplete;
            };
            at += line.len() + 2;
            if line.is_empty() {
                return Outcome::Body(body, at);
            }
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                return Outcome::Broken;
            };
            if !is_token(&line[..colon]) || !line[colon..].iter().all(|byte| is_text(*byte)) {
                return Outcome::Broken;
            }
        }
    }

    fn line_at(input: &[u8], at: usize) -> Option<&[u8]> {
        let rest = input.get(at..)?;
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        Some(&rest[..end])
    }

    fn is_text(byte: u8) -> bool {
        byte == b'\t' || (byte >= b' ' && byte != 0x7f)
    }

    fn is_token(text: &[u8]) -> bool {
        let others = b"!#$%&'*+-.^_`|~";
        !text.is_empty()
            && text
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || others.contains(byte))
    }

    /// `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`
    fn is_extensions(mut text: &[u8]) -> bool {
        while !text.is_empty() {
            let Some(rest) = skip_space(text).strip_prefix(b";") else {
                return false;
            };
            let Some(rest) = after_token(skip_space(rest)) else {
                return false;
            };
            text = match skip_space(rest).strip_prefix(b"=") {
                None => rest,
                Some(rest) => {
                    match after_quoted(skip_space(rest)).or_else(|| after_token(skip_space(rest))) {
                        Some(rest) => rest,
                        None => return false,
                    }
                }
            };
        }
        true
    }

    fn skip_space(text: &[u8]) -> &[u8] {
        let spaces = text
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        &text[spaces..]
    }

    fn after_token(text: &[u8]) -> Option<&[u8]> {
        let length = (0..text.len()).take_while(|end| is_token(&text[..=*end])).count();
        (length > 0).then(|| &text[length..])
    }

    fn after_quoted(text: &[u8]) -> Option<&[u8]> {
        let mut rest = text.strip_prefix(b"\"")?;
        loop {
            rest = match rest {
                [b'"', rest @ ..] => return Some(rest),
                [b'\\', byte, rest @ ..] if is_text(*byte) => rest,
                [b'\\', ..] => return None,
                [byte, rest @ ..] if is_text(*byte) => rest,
                _ => return None,
            };
        }
    }
}

fn random_body(rng: &mut fastrand::Rng) -> Vec<u8> {
    let extensions = [
        "",
        "",
        "",
        ";a",
        ";a=b",
        " ; a\t= \"q;\\\"\\\\\" ;c",
        ";a=\"\"",
        "; x=1;y",
    ];
    let trailers = ["", "", "X-T: 1\r\n", "A:\r\nB: c d\r\n"];
    let mut input = Vec::new();
    for _ in 0..rng.usize(..4) {
        let size = rng.usize(1..20);
        let zeros = "0".repeat(rng.usize(..3));
        let extension = extensions[rng.usize(..extensions.len())];
        input.extend_from_slice(format!("{zeros}{size:X}{extension}\r\n").as_bytes());
        input.extend((0..size).map(|_| rng.u8(..)));
        input.extend_from_slice(b"\r\n");
    }
    input.extend_from_slice(format!("0{}\r\n", extensions[rng.usize(..extensions.len())]).as_bytes());
    input.extend_from_slice(format!("{}\r\nbehind", trailers[rng.usize(..trailers.len())]).as_bytes());
    for _ in 0..rng.usize(..3) {
        let at = rng.usize(..input.len());
        let byte = b"\r\n\t ;=\"\\:0aFgx\0\x7f\xff+-"[rng.usize(..19)];
        match rng.u8(..3) {
            0 => input[at] = byte,
            1 => input.insert(at, byte),
            _ => drop(input.remove(at)),
        }
    }
    input
}

#[test]
fn agrees_with_the_naive_twin() {
    for_seeds(20_000, |rng| {
        let input = random_body(rng);
        let text = input.escape_ascii();
        let whole = decode(&input);
        match naive::decode(&input) {
            naive::Outcome::Body(body, consumed) => assert_eq!(whole, Ok(Some((body, consumed))), "{text}"),
            // The decoder may know already that the body will be refused, but never that it is complete.
            naive::Outcome::Incomplete => assert!(matches!(whole, Ok(None) | Err(_)), "{whole:?}: {text}"),
            naive::Outcome::Broken => assert!(whole.is_err(), "{whole:?}: {text}"),
        }
        let mut cuts = (0..rng.usize(..6))
            .map(|_| rng.usize(..=input.len()))
            .collect::<Vec<_>>();
        cuts.sort_unstable();
        let is_done_before = |cut: usize| matches!(&whole, Ok(Some((_, consumed))) if *consumed <= cut);
        cuts.retain(|cut| !is_done_before(*cut));
        assert_eq!(decode_pieces(&input, cuts.into_iter(), &LIMITS), whole, "{text}");
    });
}

#[test]
fn every_split_and_single_bytes_give_the_same_body() {
    let mut good = b"5;a=\"x\r\"\r\n".to_vec();
    good.retain(|byte| *byte != b'\r');
    let fixtures = [
        [
            b"5;a=\"\\\"x\" ; b\r\nhello\r\n".as_slice(),
            &chunk(b"wor"),
            &chunk(b"ld"),
            b"000;z\r\nX: y\r\n\r\n",
        ]
        .concat(),
        b"0\r\n\r\n".to_vec(),
        b"3\r\nabcd\r\n0\r\n\r\n".to_vec(),
        b"3\r\nabc\r\n0\r\nX Y: z\r\n\r\n".to_vec(),
        good,
    ];
    for input in fixtures {
        let whole = decode(&input);
        for cut in 0..input.len() {
            assert_eq!(
                decode_pieces(&input, [cut].into_iter(), &LIMITS),
                whole,
                "cut at {cut}"
            );
        }
        assert_eq!(decode_pieces(&input, 0..input.len(), &LIMITS), whole);
    }
}

#[test]
fn bodies_and_what_follows_them() {
    let input = [
        &chunk(b"hello"),
        b"A;x\r\n0123456789\r\n".as_slice(),
        b"0\r\nX-Checksum: 1\r\n\r\nPOST",
    ]
    .concat();
    let consumed = input.len() - 4;
    assert_eq!(decode(&input), Ok(Some((b"hello0123456789".to_vec(), consumed))));
    let mut decoder = ChunkDecoder::default();
    let mut body = Vec::new();
    decoder.decode(&input, &mut body, &LIMITS).unwrap();
    let again = decoder.decode(b"POST", &mut body, &LIMITS).unwrap();
    assert!(again.consumed == 0 && again.is_done && body.len() == 15);
}

#[test]
fn broken_framing() {
    use BodyError::{ChunkEnd, ChunkLine, TooLarge, Trailer};
    let cases: [(&[u8], BodyError); 32] = [
        (b"10000000000000005\r\n", ChunkLine),
        (b"00000000000000005\r\n", ChunkLine),
        (b"FFFFFFFFFFFFFFFF\r\n", TooLarge),
        (b"8000000000000000\r\n", TooLarge),
        (b"+5\r\n", ChunkLine),
        (b"-5\r\n", ChunkLine),
        (b"0x5\r\n", ChunkLine),
        (b" 5\r\n", ChunkLine),
        (b"1_0\r\n", ChunkLine),
        (b"\r\n", ChunkLine),
        (b"g5\r\n", ChunkLine),
        (b";a\r\n", ChunkLine),
        (b"5\n", ChunkLine),
        (b"5 \r\n", ChunkLine),
        (b"5\r5", ChunkLine),
        (b"5;\r\n", ChunkLine),
        (b"5;a=\r\n", ChunkLine),
        (b"5;a\n", ChunkLine),
        (b"5;a=\"b\r\n", ChunkLine),
        (b"5;a=\"b\"c\r\n", ChunkLine),
        (b"5;a b\r\n", ChunkLine),
        (b"5;\0\r\n", ChunkLine),
        (b"5;a=\"\x7f\"", ChunkLine),
        (b"5\r\nhello\n", ChunkEnd),
        (b"5\r\nhello0", ChunkEnd),
        (b"5\r\nhello\r0", ChunkEnd),
        (b"5\r\nhelloxx0\r\n", ChunkEnd),
        (b"0\r\n\n", Trailer),
        (b"0\r\n\rX", Trailer),
        (b"0\r\n folded: x\r\n", Trailer),
        (b"0\r\nX : y\r\n", Trailer),
        (b"0\r\nX: y\n", Trailer),
    ];
    for (input, expected) in cases {
        assert_eq!(decode(input), Err(expected), "{}", input.escape_ascii());
    }
    assert_eq!(decode(b"0\n"), Err(ChunkLine));
}

#[test]
fn the_body_limit_holds_to_the_byte_and_before_the_data() {
    let limits = BodyLimits {
        body_bytes_max: 10,
        ..LIMITS
    };
    let of = |sizes: &[usize]| {
        let mut input = sizes
            .iter()
            .flat_map(|size| chunk(&vec![b'x'; *size]))
            .collect::<Vec<_>>();
        input.extend_from_slice(b"0\r\n\r\n");
        decode_pieces(&input, [].into_iter(), &limits).map(|done| done.unwrap().0.len())
    };
    assert_eq!(of(&[10]), Ok(10));
    assert_eq!(of(&[4, 6]), Ok(10));
    assert_eq!(of(&[11]), Err(BodyError::TooLarge));
    assert_eq!(of(&[4, 6, 1]), Err(BodyError::TooLarge));
    assert_eq!(
        decode_pieces(b"b\r\n", [].into_iter(), &limits),
        Err(BodyError::TooLarge)
    );
}

#[test]
fn extensions_and_trailers_share_one_limit() {
    let extension = |bytes: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(bytes - 1)).into_bytes();
    let plain = "1\r\n\r\n0\r\n\r\n".len();
    let most = LIMITS.framing_bytes_max - plain;
    assert!(decode(&extension(most)).unwrap().is_some());
    assert_eq!(decode(&extension(most + 1)), Err(BodyError::FramingTooLarge));
    assert_eq!(
        decode(&extension(64 << 10)[..20 << 10]),
        Err(BodyError::FramingTooLarge)
    );

    let trailer = |bytes: usize| format!("1\r\nx\r\n0\r\nT:{}\r\n\r\n", "t".repeat(bytes - 4)).into_bytes();
    assert!(decode(&trailer(most)).unwrap().is_some());
    assert_eq!(decode(&trailer(most + 1)), Err(BodyError::FramingTooLarge));

    let each = format!("1;{}\r\nx\r\n", "e".repeat(1023));
    assert!(decode(each.repeat(15).as_bytes()).is_ok());
    assert_eq!(
        decode(each.repeat(16).as_bytes()),
        Err(BodyError::FramingTooLarge)
    );
    // More data does not allow more extensions.
    let large = format!("10000;{}\r\n{}\r\n", "e".repeat(1023), "x".repeat(0x10000));
    assert!(decode(large.repeat(15).as_bytes()).is_ok());
    assert_eq!(
        decode(large.repeat(17).as_bytes()),
        Err(BodyError::FramingTooLarge)
    );
    let zeros = format!("{:0>16x}\r\n{}\r\n", 256, "x".repeat(256));
    assert_eq!(
        decode(zeros.repeat(2000).as_bytes()),
        Err(BodyError::FramingTooLarge)
    );
}

#[test]
fn honest_small_chunks_pass_and_single_bytes_do_not() {
    let of = |size: usize, total: usize| {
        let mut input = chunk(&vec![b'x'; size]).repeat(total / size);
        input.extend_from_slice(b"0\r\n\r\n");
        decode(&input).map(|done| done.unwrap().0.len())
    };
    assert_eq!(of(1024, 4 << 20), Ok(4 << 20));
    assert_eq!(of(256, 4 << 20), Ok(4 << 20));
    assert_eq!(of(1, 3000), Ok(3000));
    assert_eq!(of(1, 4000), Err(BodyError::FramingTooLarge));
}
