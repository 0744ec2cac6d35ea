//! The storage of the one parse per body: the text's own copy, the parser's buffers, the tape.
//!
//! A shard has one [`Scratch`]. [`Scratch::parse`] copies the body into it (the parser wants padding, and
//! unescapes in place), so the caller's bytes stay as they came. What ordinary bodies need is kept between
//! parses; what a large body needed is given back: the parser's buffers as soon as the tape is built, the tape
//! when its [`Document`] is dropped, the text at [`Scratch::trim`] or the next parse.
//!
//! A small text whose structure is known (`known_structures`) is not parsed: its strings lie in the caller's bytes, but
//! for those with escapes.
//!
//! A text that the parser refuses is looked at again from the caller's bytes, since those in the scratch are changed by
//! then. If nothing is wrong with it but numbers that the parser cannot hold, it is parsed once more, with zeros in
//! their places, and the tape gets the nearest doubles.
//!
//! Invariant: between a `trim` and the next `parse` a scratch holds at most about 400 KiB.

use std::cell::Cell;
use std::fmt;

use simd_json::{Buffers, INPUT_PADDING, Node, StaticNode, Tape};

use super::known_structures::KnownStructures;
use super::parse_error::{DEPTH_MAX, ParseError};
use super::value::Value;
use super::{prescan, walk};

/// Bodies up to this size leave their storage in place for the next.
const RETAINED_BODY_BYTES: usize = 32 * 1024;

/// Tape entries kept between parses; 24 bytes each.
const RETAINED_NODES: usize = 8 * 1024;

/// Reused storage for parsing bodies one after another.
pub struct Scratch {
    text: Vec<u8>,
    /// The text of a second parse; empty between parses.
    rewritten: Vec<u8>,
    buffers: Buffers,
    structures: KnownStructures,
    /// The tape's storage while no document holds it.
    tape: Cell<Tape<'static>>,
}

impl Scratch {
    /// Empty storage; it grows to what ordinary bodies need during the first few parses.
    pub fn new() -> Self {
        Self {
            text: Vec::new(),
            rewritten: Vec::new(),
            buffers: fresh_buffers(),
            structures: KnownStructures::default(),
            tape: Cell::new(Tape(Vec::new())),
        }
    }

    /// Parses one body. Once warm, it allocates nothing for a body of up to 32 KiB.
    ///
    /// # Errors
    /// See [`ParseError`]; the cost of refusing is linear in the body and takes no storage for its structure.
    pub fn parse<'s>(&'s mut self, body: &'s [u8]) -> Result<Document<'s>, ParseError> {
        self.trim();
        if body.is_empty() {
            return Err(ParseError::Syntax);
        }
        let is_large = body.len() > RETAINED_BODY_BYTES;
        if is_large {
            prescan::check(body).map_err(|error| refusal(body, error))?;
        } else if let Some((structure, text)) = self.structures.find(body) {
            let mut document = Document::new(&self.tape, body);
            self.structures.fill(structure, text, &mut document.tape.0);
            return Ok(document);
        }
        fill_padded(&mut self.text, body);
        let mut document = Document::new(&self.tape, body);
        let mut parsed =
            simd_json::fill_tape_padded(&mut self.text, body.len(), &mut self.buffers, &mut document.tape)
                .map_err(|_| ParseError::Syntax);
        if parsed.is_err() {
            parsed = parse_again(body, &mut self.rewritten, &mut self.buffers, &mut document.tape);
        }
        if is_large {
            self.buffers = fresh_buffers();
        }
        parsed.map(|()| {
            self.structures.remember(body, &document.tape.0);
            document
        })
    }

    /// Gives back what a large body left behind. The call is cheap when there is nothing; make it when a request is
    /// done and the next may be far away.
    pub fn trim(&mut self) {
        if self.text.capacity() > RETAINED_BODY_BYTES + INPUT_PADDING {
            self.text = Vec::new();
        }
        if self.rewritten.capacity() > 0 {
            self.rewritten = Vec::new();
        }
    }

    /// Bytes held between requests, the parser's own buffers excepted.
    pub fn resident_bytes(&self) -> usize {
        let tape = self.tape.replace(Tape(Vec::new()));
        let nodes = tape.0.capacity();
        self.tape.set(tape);
        let texts = self.text.capacity() + self.rewritten.capacity();
        texts + self.structures.resident_bytes() + nodes * size_of::<Node<'static>>()
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch")
            .field("resident_bytes", &self.resident_bytes())
            .finish_non_exhaustive()
    }
}

/// One parsed body. Dropping it returns the tape's storage to its [`Scratch`].
pub struct Document<'s> {
    tape: Tape<'s>,
    home: &'s Cell<Tape<'static>>,
    text: &'s [u8],
}

impl<'s> Document<'s> {
    /// One without a value, in the tape's storage.
    fn new(home: &'s Cell<Tape<'static>>, text: &'s [u8]) -> Self {
        Self {
            tape: home.replace(Tape(Vec::new())).reset(),
            home,
            text,
        }
    }

    /// The whole text's value.
    pub fn root(&self) -> Value<'_, 's> {
        Value::new(&self.tape.0)
    }

    /// The text it was parsed from, as it came.
    pub fn text(&self) -> &'s [u8] {
        self.text
    }
}

impl fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Document").field(&self.tape).finish()
    }
}

impl Drop for Document<'_> {
    fn drop(&mut self) {
        if self.tape.0.capacity() <= RETAINED_NODES {
            let tape = std::mem::replace(&mut self.tape, Tape(Vec::new()));
            self.home.set(tape.reset());
        }
    }
}

fn fresh_buffers() -> Buffers {
    Buffers::with_max_depth(0, DEPTH_MAX)
}

/// Fills `text` with the body and the padding that the parser wants behind it.
fn fill_padded(text: &mut Vec<u8>, body: &[u8]) {
    text.clear();
    text.reserve_exact(body.len() + INPUT_PADDING);
    text.extend_from_slice(body);
    text.resize(body.len() + INPUT_PADDING, b' ');
}

/// Why a large body that exceeds a limit is refused: that it is not JSON comes first.
#[cold]
fn refusal(body: &[u8], error: ParseError) -> ParseError {
    walk::judge(body).err().unwrap_or(error)
}

/// Parses a text that the parser refused, if only numbers that it cannot hold were the reason.
#[cold]
fn parse_again<'s>(
    body: &[u8],
    text: &'s mut Vec<u8>,
    buffers: &mut Buffers,
    tape: &mut Tape<'s>,
) -> Result<(), ParseError> {
    walk::judge(body)?;
    fill_padded(text, body);
    for number in walk::large_numbers(body) {
        if let Some((first, others)) = text.get_mut(number.span).and_then(<[u8]>::split_first_mut) {
            *first = b'0';
            others.fill(b' ');
        }
    }
    simd_json::fill_tape_padded(text, body.len(), buffers, tape).map_err(|_| ParseError::Syntax)?;
    for number in walk::large_numbers(body) {
        if let Some(node) = tape.0.get_mut(number.index) {
            *node = Node::Static(StaticNode::F64(number.nearest));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::{Id, VALUES_MAX};

    /// Origin, licence and the rule of the file names: `tests/corpus/README.md`.
    const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/json-parsing");

    fn parse(body: impl AsRef<[u8]>) -> Result<(), ParseError> {
        Scratch::new().parse(body.as_ref()).map(|_| ())
    }

    fn float(document: &Document<'_>) -> f64 {
        match &document.tape.0[..] {
            [Node::Static(simd_json::StaticNode::F64(number))] => *number,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_corpus_byte_exact() {
        let mut seen = [0; 3];
        for entry in std::fs::read_dir(CORPUS).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let parsed = parse(std::fs::read(&path).unwrap());
            match name.split('_').next().unwrap() {
                "n" => {
                    seen[0] += 1;
                    assert_eq!(parsed, Err(ParseError::Syntax), "{name}");
                }
                "y" => {
                    seen[1] += 1;
                    assert_eq!(parsed, Ok(()), "{name}");
                }
                "i" => seen[2] += 1,
                _ => {}
            }
        }
        assert_eq!(seen[0], 188, "files that are no JSON");
        assert!(seen[1] > 90 && seen[2] > 30, "{seen:?}");
    }

    #[test]
    fn refuses_what_is_not_utf8_json() {
        let broken: [&[u8]; 17] = [
            b"",
            b"  ",
            b"hello",
            b"{} {}",
            b"{}x",
            b"\xef\xbb\xbf{}",
            b"{\x00\"\x00a\x00\"\x00:\x001\x00}\x00",
            b"\"\xff\"",
            b"\"\xc0\xaf\"",
            b"\"\xe0\x80\xaf\"",
            b"\"\xed\xa0\xbd\xed\xb0\x80\"",
            b"\"\xed\xa0\x80\"",
            b"\"\xf4\x90\x80\x80\"",
            b"\"\xe2\x82\"",
            b"\"\x80\"",
            b"\"\x1f\"",
            b"\"\0\"",
        ];
        for body in broken {
            assert_eq!(parse(body), Err(ParseError::Syntax), "{}", body.escape_ascii());
            // The same inside a request, at every alignment of the vector unit, and beyond the small sizes.
            for pad in (0..65).chain([RETAINED_BODY_BYTES]) {
                let mut padded = b"[".to_vec();
                padded.extend(std::iter::repeat_n(b' ', pad));
                padded.extend_from_slice(body);
                assert!(parse(&padded).is_err());
                if !body.trim_ascii().is_empty() {
                    padded.push(b']');
                    assert_eq!(
                        parse(&padded),
                        Err(ParseError::Syntax),
                        "{}",
                        padded.escape_ascii()
                    );
                }
            }
        }
    }

    #[test]
    fn numbers_are_exact_or_refused() {
        let mut scratch = Scratch::new();
        for text in [
            "0",
            "-1",
            "9007199254740993",
            "9223372036854775807",
            "-9223372036854775808",
        ] {
            let document = scratch.parse(text.as_bytes()).unwrap();
            assert_eq!(document.root().as_id(), Some(Id::Signed(text.parse().unwrap())));
        }
        let document = scratch.parse(b"18446744073709551615").unwrap();
        assert_eq!(document.root().as_id(), Some(Id::Unsigned(u64::MAX)));
        drop(document);
        let huge = [
            "18446744073709551616",
            "-9223372036854775809",
            "123456789012345678901234567890",
            "1e400",
            "-1e400",
            "1e99999999999",
        ];
        for text in huge.map(String::from).into_iter().chain(["9".repeat(5000)]) {
            let document = scratch.parse(text.as_bytes()).unwrap();
            assert_eq!(float(&document), text.parse::<f64>().unwrap(), "{text}");
        }
        for text in ["1e308", "-0.0", "0.1", "1e-400", "123456789.987654321e-300"] {
            let document = scratch.parse(text.as_bytes()).unwrap();
            let parsed = float(&document);
            assert_eq!(parsed.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
        }
        let long = format!("0.{}", "1".repeat(100_000));
        let document = scratch.parse(long.as_bytes()).unwrap();
        assert_eq!(float(&document), long.parse::<f64>().unwrap());
    }

    #[test]
    fn a_second_parse_is_as_good_as_the_first() {
        let text =
            r#"{"a\u0062":["\n\ud83d\ude00",1e400,{"x":1.5}],"id":100000000000000000000,"z":[-1e400 ,"é"]}"#;
        let mut scratch = Scratch::new();
        let document = scratch.parse(text.as_bytes()).unwrap();
        let root = document.root();
        let elements: Vec<_> = root.member("ab").unwrap().elements().collect();
        assert_eq!(elements[0].as_str(), Some("\n\u{1f600}"));
        assert_eq!(elements[1].as_float(), Some(f64::INFINITY));
        assert_eq!(elements[2].member("x").unwrap().as_float(), Some(1.5));
        assert_eq!(root.member("id").unwrap().as_float(), Some(1e20));
        let last: Vec<_> = root.member("z").unwrap().elements().collect();
        assert_eq!(
            (last[0].as_float(), last[1].as_str()),
            (Some(f64::NEG_INFINITY), Some("é"))
        );
        assert_eq!(document.text(), text.as_bytes());
        drop(document);
        scratch.trim();
        assert_eq!(scratch.rewritten.capacity(), 0);
        let large = format!("[{}1e999]", "18446744073709551616,".repeat(100_000));
        let document = scratch.parse(large.as_bytes()).unwrap();
        let floats = document.root().elements().filter_map(Value::as_float);
        assert_eq!(
            floats
                .filter(|number| *number == 18_446_744_073_709_551_616.0)
                .count(),
            100_000
        );
    }

    /// Seeded: numbers that the parser cannot hold, sown into texts that it can, change nothing else.
    #[test]
    fn large_numbers_change_nothing_else() {
        let seed = fastrand::u64(..);
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut scratch = Scratch::new();
        for _ in 0..2_000 {
            let number = *rng
                .choice(&["1e999", "-18446744073709551616", "1e1000", "7"])
                .unwrap();
            let parts: Vec<String> = (0..rng.usize(1..8))
                .map(|_| match rng.u8(..5) {
                    0 => format!("{{\"k\\n\":{number},\"é\":\"\\\"{number}\"}}"),
                    1 => number.to_owned(),
                    2 => format!("[[],{number},{{}},null]"),
                    3 => "\"\\ud83d\\ude00\"".to_owned(),
                    _ => "true".to_owned(),
                })
                .collect();
            let text = format!("[{}]", parts.join(" , "));
            let plain = text
                .replace(&format!("\"{number}"), "\"#")
                .replace(number, "0")
                .replace("\"#", &format!("\"{number}"));
            let found = scratch
                .parse(text.as_bytes())
                .unwrap()
                .tape
                .0
                .iter()
                .map(shape)
                .collect::<Vec<_>>();
            let expected = scratch
                .parse(plain.as_bytes())
                .unwrap()
                .tape
                .0
                .iter()
                .map(shape)
                .collect::<Vec<_>>();
            assert_eq!(found, expected, "seed {seed}: {text}");
        }
    }

    /// A node, numbers without their values.
    fn shape(node: &Node<'_>) -> String {
        match node {
            Node::Static(StaticNode::F64(_) | StaticNode::I64(_) | StaticNode::U64(_)) => "number".to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn unpaired_surrogates_are_refused_by_name() {
        for (text, unit) in [
            (r#""\ud800""#, 0xd800),
            (r#""\udc00""#, 0xdc00),
            (r#""\ud800A""#, 0xd800),
            (r#""\ud800\u0041""#, 0xd800),
            (r#""\ud800\ud800""#, 0xd800),
        ] {
            for pad in (0..65).chain([RETAINED_BODY_BYTES]) {
                let padded = format!("[{}{text}]", " ".repeat(pad));
                let refused = Err(ParseError::Surrogate { unit, at: pad + 2 });
                assert_eq!(parse(&padded), refused, "{text}");
                let name = format!("{{{}{text}:1}}", " ".repeat(pad));
                assert_eq!(parse(&name), refused, "{text}");
            }
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        for (open, close) in [("[", "]"), ("{\"a\":[", "]}")] {
            for levels in [DEPTH_MAX + 1, 5_000, 100_000] {
                assert_eq!(
                    parse(open.repeat(levels)),
                    Err(ParseError::Syntax),
                    "{levels} of {open}"
                );
                let closed = open.repeat(levels) + &close.repeat(levels);
                assert_eq!(parse(closed), Err(ParseError::TooDeep), "{levels} of {open}");
            }
        }
        let legitimate = "[".repeat(DEPTH_MAX) + &"]".repeat(DEPTH_MAX);
        assert_eq!(parse(legitimate), Ok(()));
    }

    #[test]
    fn the_callers_bytes_stay_as_they_came() {
        let body = br#"{"a\u0062":"\n\ud83d\ude00"}"#.to_vec();
        let kept = body.clone();
        let mut scratch = Scratch::new();
        let document = scratch.parse(&body).unwrap();
        let value = document.root().member("ab").unwrap();
        assert_eq!(value.as_str(), Some("\n\u{1f600}"));
        drop(document);
        assert_eq!(body, kept);
    }

    #[test]
    fn large_bodies_leave_nothing_behind() {
        let mut scratch = Scratch::new();
        let ordinary = format!("[{}1]", "1,".repeat(1000));
        drop(scratch.parse(ordinary.as_bytes()).unwrap());
        let before = scratch.resident_bytes();
        let large = format!("[{}1]", "\"0123\",".repeat(VALUES_MAX - 2));
        assert!(large.len() > 3 << 20);
        drop(scratch.parse(large.as_bytes()).unwrap());
        scratch.trim();
        assert!(scratch.resident_bytes() < 400 * 1024, "{scratch:?}");
        assert!(scratch.parse("[".repeat(4 << 20).as_bytes()).is_err());
        assert!(scratch.parse(" ".repeat(4 << 20).as_bytes()).is_err());
        assert!(scratch.parse("1 ".repeat(2 << 20).as_bytes()).is_err());
        scratch.trim();
        assert!(scratch.resident_bytes() < 400 * 1024, "{scratch:?}");
        for _ in 0..3 {
            drop(scratch.parse(ordinary.as_bytes()).unwrap());
        }
        assert!(scratch.resident_bytes() <= before.max(64 * 1024), "{scratch:?}");
    }

    #[test]
    fn too_many_values_are_refused_before_they_cost_memory() {
        let over = format!("[{}1]", "1,".repeat(VALUES_MAX));
        assert_eq!(parse(&over), Err(ParseError::TooManyValues));
    }
}
