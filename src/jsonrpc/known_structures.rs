//! Structures of texts that were parsed lately: a text that differs from one of them only in values is not parsed.
//!
//! Clients write the same names in the same order with every request; what differs is an id and a few values. All that
//! is remembered of a text lies between its values: names, brackets, punctuation, space, `true`, `false` and `null`. A
//! text is recalled if it has the same bytes there, and if each value leaves no doubt where it ends and what it means:
//! strings of UTF-8 without control characters, in which only one character may stand behind a backslash, and integers
//! of at most 18 digits without a sign. Parsing it would give the same tape.
//!
//! No value is remembered, so that nothing of what one client sends is compared with what another does. A text of a new
//! structure is walked once more ([`Walk`]), so this is done for one in a few of them only.
//!
//! Invariants: at most [`STRUCTURES_MAX`] structures, of [`FIXED_BYTES_MAX`] bytes and [`NODES_MAX`] nodes each. The
//! tape of a text that was recalled is the parser's, node for node.

use std::ops::Range;

use simd_json::{Node, StaticNode};

use super::string::plain_bytes_of_few;
use super::walk::{Token, Walk};

/// Structures that are remembered: some for each kind of client and each tool that are used at the same time.
const STRUCTURES_MAX: usize = 16;
/// Bytes between the values, at most.
const FIXED_BYTES_MAX: usize = 1024;
const NODES_MAX: usize = 96;
/// Digits of a number that fits in 64 bits whatever they are.
const DIGITS_MAX: usize = 18;
/// A structure found behind so many others moves ahead, so that the usual ones are found soon.
const LOOKS_USUAL: usize = 2;
/// Of texts of unknown structures, one of eight is remembered: the numbers of texts, multiplied by this (2³² over the
/// golden ratio), fall into each eighth of all numbers equally often, whatever comes in turns.
const SPREAD: u32 = 0x9e37_79b9;
const REMEMBERED_BELOW: u32 = u32::MAX / 8;
/// After so many texts in a row that were not recalled,
const MISSES_MAX: u32 = 64;
/// only one of so many is looked for.
const LOOKED_FOR_ONE_OF: u32 = 16;

/// The structures that one scratch has parsed lately, and the values of the text that was recalled last.
#[derive(Debug, Default)]
pub(super) struct KnownStructures {
    /// Those that are recalled often stand in front.
    known: Vec<Structure>,
    values: Vec<FoundValue>,
    /// Strings without their escapes, one behind the other.
    unescaped: String,
    /// Texts in a row that were not recalled.
    misses: u32,
    /// Texts of unknown structures.
    unknown: u32,
    /// The text that was looked for last is to be remembered.
    is_wanted: bool,
}

#[derive(Debug, PartialEq)]
struct Structure {
    /// What lies between the values, one run behind the other.
    fixed: Box<[u8]>,
    runs: Box<[Run]>,
    /// The tape, with `null` for names and values.
    nodes: Box<[Node<'static>]>,
    /// The names, and their places on the tape.
    names: Box<[(usize, Box<str>)]>,
}

/// So many bytes up to a value, or to the end of the text. The quotes of a string belong to the runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    bytes: u16,
    follows: Follows,
    /// The place of the value on the tape.
    node: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    String,
    Number,
    End,
}

/// A value. Places are in the text, or in the strings without their escapes; 32 bits are enough, as only small texts
/// are looked for.
#[derive(Clone, Copy, Debug)]
enum Found {
    Text { start: u32, end: u32 },
    Unescaped { start: u32, end: u32 },
    Number(u64),
}

/// A value, and so many bytes of the text that are left behind it.
#[derive(Clone, Copy, Debug)]
struct FoundValue {
    value: Found,
    left: u32,
}

/// How far a text is like a structure.
enum Likeness {
    /// All of it.
    Whole,
    /// So many runs, with the values behind them.
    Runs(usize),
    /// Up to a value that only the parser can read.
    Unusual,
}

impl KnownStructures {
    /// The place of the structure of a text of less than 4 GiB, if that is known, and the text; the values are kept
    /// for [`Self::fill`].
    pub(super) fn find<'t>(&mut self, text: &'t [u8]) -> Option<(usize, &'t str)> {
        self.is_wanted = false;
        self.misses = self.misses.wrapping_add(1);
        if self.misses > MISSES_MAX && !self.misses.is_multiple_of(LOOKED_FOR_ONE_OF) {
            return None;
        }
        let text = str::from_utf8(text).ok()?;
        let mut at = self.search(text)?;
        self.misses = 0;
        if at >= LOOKS_USUAL {
            self.known.swap(at, at / 2);
            at /= 2;
        }
        Some((at, text))
    }

    fn search(&mut self, text: &str) -> Option<usize> {
        self.unescaped.clear();
        // The structure that is most like the text, and by how many runs.
        let mut nearest: Option<(&Structure, usize)> = None;
        for (at, structure) in self.known.iter().enumerate() {
            let runs_same = match nearest {
                // Whatever is less like the text than another is not its structure.
                Some((other, runs)) if !structure.begins_like(other, runs) => continue,
                Some((_, runs)) => runs,
                None => 0,
            };
            match structure.compare(text, runs_same, &mut self.values, &mut self.unescaped) {
                Likeness::Whole => return Some(at),
                Likeness::Runs(runs) => nearest = Some((structure, runs)),
                // Nor would it be remembered anew.
                Likeness::Unusual => return None,
            }
        }
        self.is_wanted = self.unknown.wrapping_mul(SPREAD) <= REMEMBERED_BELOW;
        self.unknown = self.unknown.wrapping_add(1);
        None
    }

    /// Fills `tape` as the parser would with the text for which [`Self::find`] has just found the structure `at`.
    pub(super) fn fill<'s>(&'s self, at: usize, text: &'s str, tape: &mut Vec<Node<'s>>) {
        match self.known.get(at) {
            Some(structure) => structure.fill(text, &self.values, &self.unescaped, tape),
            None => debug_assert!(false, "structure {at} of {}", self.known.len()),
        }
    }

    /// Remembers the structure of a text that was not found and that the parser has made `nodes` of, if it is one that
    /// may be recalled. One that was not recalled for long is forgotten for it: those in front stay, however many come
    /// once.
    #[inline]
    pub(super) fn remember(&mut self, text: &[u8], nodes: &[Node<'_>]) {
        if std::mem::take(&mut self.is_wanted) {
            self.remember_wanted(text, nodes);
        }
    }

    #[cold]
    fn remember_wanted(&mut self, text: &[u8], nodes: &[Node<'_>]) {
        let text = str::from_utf8(text).unwrap_or_default();
        let is_small = nodes.len() <= NODES_MAX;
        let structure = is_small.then(|| Structure::of(text, nodes)).flatten();
        let structure = structure.filter(|structure| self.reads_alike(structure, text, nodes));
        if let Some(structure) = structure {
            self.known.truncate(STRUCTURES_MAX - 1);
            self.known
                .insert(self.known.len().min(STRUCTURES_MAX / 2), structure);
        }
    }

    /// Bytes that are held between texts.
    pub(super) fn resident_bytes(&self) -> usize {
        let structures = self.known.iter().map(Structure::resident_bytes);
        structures.sum::<usize>() + self.unescaped.capacity() + size_of_val(self.values.as_slice())
    }

    /// Whether a structure makes the same of its own text as the parser.
    fn reads_alike(&mut self, structure: &Structure, text: &str, nodes: &[Node<'_>]) -> bool {
        self.values.clear();
        self.unescaped.clear();
        let likeness = structure.compare(text, 0, &mut self.values, &mut self.unescaped);
        // It is not if one of the values is unusual.
        if !matches!(likeness, Likeness::Whole) {
            return false;
        }
        let mut tape = Vec::new();
        structure.fill(text, &self.values, &self.unescaped, &mut tape);
        tape == nodes
    }
}

impl Structure {
    /// `None` for a text that is not to be remembered.
    fn of(text: &str, nodes: &[Node<'_>]) -> Option<Structure> {
        let bytes = text.as_bytes();
        let mut walk = Walk::new(bytes).ok()?;
        let (mut fixed, mut runs, mut names, mut copied) = (Vec::new(), Vec::new(), Vec::new(), 0);
        let mut known = Vec::with_capacity(nodes.len());
        while let Some(step) = walk.next_step().ok()? {
            if step.token == Token::Close {
                continue;
            }
            let at = known.len();
            known.push(Node::Static(StaticNode::Null));
            let (follows, span) = match (step.token, nodes.get(at)?) {
                (Token::Name, Node::String(name)) => {
                    let is_plain = text.get(inside(&step.span)) == Some(name);
                    names.push((at, is_plain.then(|| Box::from(*name))?));
                    continue;
                }
                (Token::Plain, Node::String(_)) => (Follows::String, inside(&step.span)),
                (Token::Number, Node::Static(StaticNode::U64(_))) => (Follows::Number, step.span),
                (_, node) => {
                    *known.last_mut()? = same(node)?;
                    continue;
                }
            };
            let run = bytes.get(copied..span.start)?;
            fixed.extend_from_slice(run);
            copied = span.end;
            runs.push(Run::of(run, follows, at)?);
        }
        let run = bytes.get(copied..)?;
        fixed.extend_from_slice(run);
        runs.push(Run::of(run, Follows::End, known.len())?);
        (fixed.len() <= FIXED_BYTES_MAX).then(|| Structure {
            fixed: fixed.into(),
            runs: runs.into(),
            nodes: known.into(),
            names: names.into(),
        })
    }

    fn resident_bytes(&self) -> usize {
        // The names are among the fixed bytes, and apart.
        let texts = 2 * self.fixed.len() + size_of_val(&*self.names);
        texts + size_of_val(&*self.runs) + size_of_val(&*self.nodes)
    }

    /// So many bytes are in so many runs.
    fn fixed_bytes(&self, runs: usize) -> usize {
        let runs = self.runs.iter().take(runs);
        runs.map(|run| usize::from(run.bytes)).sum()
    }

    /// Whether so many runs are the same in another structure.
    fn begins_like(&self, other: &Structure, runs: usize) -> bool {
        let bytes = self.fixed_bytes(runs);
        self.runs.get(..runs) == other.runs.get(..runs) && self.fixed.get(..bytes) == other.fixed.get(..bytes)
    }

    /// Compares a text, whose first `runs_same` runs and values are known to be alike, and appends the other values.
    fn compare(
        &self,
        text: &str,
        runs_same: usize,
        values: &mut Vec<FoundValue>,
        unescaped: &mut String,
    ) -> Likeness {
        values.truncate(runs_same);
        let left = values.last().map_or(text.len(), |value| value.left as usize);
        let mut rest = text.as_bytes().get(text.len() - left..).unwrap_or_default();
        let mut fixed = self.fixed.get(self.fixed_bytes(runs_same)..).unwrap_or_default();
        for (runs, run) in self.runs.iter().enumerate().skip(runs_same) {
            let Some((bytes, behind)) = fixed.split_at_checked(run.bytes.into()) else {
                return Likeness::Runs(runs);
            };
            let Some(value) = rest.strip_prefix(bytes) else {
                return Likeness::Runs(runs);
            };
            fixed = behind;
            let found = match run.follows {
                Follows::End if value.is_empty() => return Likeness::Whole,
                Follows::End => return Likeness::Runs(runs),
                Follows::String => match string(text, value, unescaped) {
                    Some(found) => found,
                    None => return Likeness::Unusual,
                },
                Follows::Number => match number(value) {
                    Some(found) => found,
                    None => return Likeness::Runs(runs),
                },
            };
            rest = value.get(value.len() - found.left as usize..).unwrap_or_default();
            values.push(found);
        }
        Likeness::Runs(self.runs.len())
    }

    fn fill<'s>(
        &'s self,
        text: &'s str,
        values: &[FoundValue],
        unescaped: &'s str,
        tape: &mut Vec<Node<'s>>,
    ) {
        tape.clear();
        tape.extend_from_slice(&self.nodes);
        for (at, name) in &self.names {
            put(tape, *at, Node::String(name));
        }
        for (run, found) in self.runs.iter().zip(values) {
            let node = match found.value {
                Found::Text { start, end } => Node::String(part(text, start, end)),
                Found::Unescaped { start, end } => Node::String(part(unescaped, start, end)),
                Found::Number(number) => Node::Static(StaticNode::U64(number)),
            };
            put(tape, run.node.into(), node);
        }
    }
}

/// Puts a node where it belongs, which is on the tape.
#[inline]
fn put<'s>(tape: &mut [Node<'s>], at: usize, node: Node<'s>) {
    if let Some(place) = tape.get_mut(at) {
        *place = node;
    }
}

impl Run {
    /// `None` for more bytes than a structure may have.
    fn of(bytes: &[u8], follows: Follows, node: usize) -> Option<Run> {
        Some(Run {
            bytes: u16::try_from(bytes.len()).ok()?,
            follows,
            node: u16::try_from(node).ok()?,
        })
    }
}

/// A string's token without its quotes.
fn inside(token: &Range<usize>) -> Range<usize> {
    token.start + 1..token.end - 1
}

/// A node that is the same in every text of a structure.
fn same(node: &Node<'_>) -> Option<Node<'static>> {
    match *node {
        Node::Object { len, count } => Some(Node::Object { len, count }),
        Node::Array { len, count } => Some(Node::Array { len, count }),
        Node::Static(StaticNode::Bool(is_true)) => Some(Node::Static(StaticNode::Bool(is_true))),
        Node::Static(StaticNode::Null) => Some(Node::Static(StaticNode::Null)),
        Node::Static(_) | Node::String(_) => None,
    }
}

/// A part of a text that begins and ends at a quote.
#[inline]
fn part(text: &str, start: u32, end: u32) -> &str {
    let part = text.get(start as usize..end as usize);
    debug_assert!(part.is_some(), "a quote is no part of a character");
    part.unwrap_or_default()
}

/// The string whose inside `rest`, the last part of `text`, begins with.
#[inline]
fn string(text: &str, rest: &[u8], unescaped: &mut String) -> Option<FoundValue> {
    let plain = plain_bytes_of_few(rest);
    match rest.get(plain)? {
        b'"' => {
            let (start, left) = (text.len() - rest.len(), rest.len() - plain);
            let value = Found::Text {
                start: start as u32,
                end: (start + plain) as u32,
            };
            let left = left as u32;
            Some(FoundValue { value, left })
        }
        b'\\' => escaped_string(text, rest, plain, unescaped),
        _ => None,
    }
}

/// The same, of one that has an escape behind so many bytes.
fn escaped_string(
    text: &str,
    mut rest: &[u8],
    mut plain: usize,
    unescaped: &mut String,
) -> Option<FoundValue> {
    let begun = unescaped.len() as u32;
    loop {
        let start = text.len() - rest.len();
        unescaped.push_str(text.get(start..start + plain)?);
        rest = rest.get(plain..)?;
        match rest {
            [b'"', ..] => {
                let value = Found::Unescaped {
                    start: begun,
                    end: unescaped.len() as u32,
                };
                let left = rest.len() as u32;
                return Some(FoundValue { value, left });
            }
            [b'\\', escape, behind @ ..] => {
                unescaped.push(unescape(*escape)?);
                rest = behind;
                plain = plain_bytes_of_few(rest);
            }
            _ => return None,
        }
    }
}

/// What an escape of one character stands for (RFC 8259, section 7).
fn unescape(escape: u8) -> Option<char> {
    Some(match escape {
        b'"' | b'\\' | b'/' => char::from(escape),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        _ => return None,
    })
}

/// The number that `rest` begins with.
#[inline]
fn number(rest: &[u8]) -> Option<FoundValue> {
    let digits = rest
        .iter()
        .map(|byte| byte.wrapping_sub(b'0'))
        .take(DIGITS_MAX + 1);
    let (mut number, mut count) = (0_u64, 0);
    for digit in digits.take_while(|digit| *digit <= 9) {
        number = number.wrapping_mul(10).wrapping_add(digit.into());
        count += 1;
    }
    let has_leading_zero = count > 1 && rest.first() == Some(&b'0');
    let is_usual = (1..=DIGITS_MAX).contains(&count) && !has_leading_zero;
    is_usual.then(|| FoundValue {
        value: Found::Number(number),
        left: (rest.len() - count) as u32,
    })
}

#[cfg(test)]
mod tests {
    use simd_json::Tape;

    use super::*;
    use crate::jsonrpc::{ParseError, Scratch};

    const CALL: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo",
        "arguments":{"message":"hello \"world\"\n","n":12,"more":[true,null,{"é":"a"}]},"_meta":{}}}"#;

    /// What the parser itself makes of a text.
    fn parsed(text: &[u8], see: impl FnOnce(Result<&[Node<'_>], ParseError>)) {
        let mut scratch = Scratch::new();
        let document = scratch.parse(text);
        see(document
            .as_ref()
            .map(|document| document.root().nodes())
            .map_err(|error| *error));
    }

    #[track_caller]
    fn assert_reads_as_the_parser(scratch: &mut Scratch, text: &[u8]) {
        let document = scratch.parse(text);
        let nodes = document.as_ref().map(|document| document.root().nodes());
        parsed(text, |expected| {
            assert_eq!(nodes.map_err(|error| *error), expected, "{}", text.escape_ascii());
        });
    }

    /// A scratch that knows the structures of these texts, in this order.
    fn knowing(texts: &[&str]) -> KnownStructures {
        let mut structures = KnownStructures::default();
        for text in texts {
            learn(&mut structures, text);
        }
        structures
    }

    fn learn(structures: &mut KnownStructures, text: &str) {
        let mut bytes = text.as_bytes().to_vec();
        let tape: Tape<'_> = simd_json::to_tape(&mut bytes).unwrap();
        structures.is_wanted = true;
        structures.remember(text.as_bytes(), &tape.0);
    }

    fn finds(structures: &mut KnownStructures, text: &str) -> bool {
        structures.find(text.as_bytes()).is_some()
    }

    /// A value that may stand where another one stood.
    fn value(random: &mut fastrand::Rng) -> String {
        let strings = [
            "",
            "a",
            "é\u{1f600}",
            "0123456789abcdef0123456789abcdef\"\\/\n\r\t\u{8}\u{c} end",
            "\u{1}",
            "{}",
        ];
        match random.u32(0..8) {
            0 => random.u64(..).to_string(),
            1 => random.u64(..1_000_000_000_000_000_000).to_string(),
            2 => [
                "0",
                "-0",
                "-1",
                "1.5",
                "1e3",
                "00",
                "1e999",
                "123456789012345678901",
            ][random.usize(0..8)]
            .to_owned(),
            3 => ["true", "null", "[]", "{}"][random.usize(0..4)].to_owned(),
            4 => r#""\u0041\ud83d\ude00""#.to_owned(),
            _ => serde_json::to_string(strings[random.usize(0..strings.len())]).unwrap(),
        }
    }

    /// A text of one of a few structures, or of one that is new.
    fn text(random: &mut fastrand::Rng) -> String {
        let names = ["id", "method", "a b", "é", "x\u{1}", ""];
        let mut text = String::new();
        fn object(random: &mut fastrand::Rng, names: &[&str], depth: usize, text: &mut String) {
            text.push('{');
            for member in 0..random.usize(0..3) {
                if member > 0 {
                    text.push_str([",", ", "][random.usize(0..2)]);
                }
                text.push_str(&serde_json::to_string(names[random.usize(0..names.len())]).unwrap());
                text.push(':');
                match random.u32(0..4) {
                    0 if depth > 0 => object(random, names, depth - 1, text),
                    1 if depth > 0 => {
                        text.push('[');
                        text.push_str(&value(random));
                        text.push_str(", ");
                        object(random, names, depth - 1, text);
                        text.push(']');
                    }
                    _ => text.push_str(&value(random)),
                }
            }
            text.push('}');
        }
        object(random, &names, 2, &mut text);
        text
    }

    #[test]
    fn texts_are_read_as_the_parser_reads_them() {
        for seed in 0..40 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut scratch = Scratch::new();
            for _ in 0..300 {
                let text = text(&mut random);
                assert_reads_as_the_parser(&mut scratch, text.as_bytes());
            }
        }
    }

    #[test]
    fn a_text_of_a_known_structure_is_recalled_whatever_its_values() {
        let mut random = fastrand::Rng::with_seed(5);
        let mut structures = knowing(&[CALL]);
        let mut scratch = Scratch::new();
        assert_reads_as_the_parser(&mut scratch, CALL.as_bytes());
        for _ in 0..500 {
            let text = CALL
                .replace("12", &random.u64(..1_000_000_000_000_000_000).to_string())
                .replace(
                    r#""echo""#,
                    &serde_json::to_string(&"é\n\"x".repeat(random.usize(0..20))).unwrap(),
                );
            assert!(finds(&mut structures, &text), "{text}");
            assert_reads_as_the_parser(&mut scratch, text.as_bytes());
            assert_eq!(structures.misses, 0);
        }
    }

    #[test]
    fn a_byte_more_or_less_or_another_one_is_what_it_is_for_the_parser() {
        let mut scratch = Scratch::new();
        assert_reads_as_the_parser(&mut scratch, CALL.as_bytes());
        for at in 0..=CALL.len() {
            assert_reads_as_the_parser(&mut scratch, &CALL.as_bytes()[..at]);
            for byte in *b"\"\\{]:,0 .\x1f\xc3\xff" {
                let mut changed = CALL.as_bytes().to_vec();
                changed.insert(at, byte);
                assert_reads_as_the_parser(&mut scratch, &changed);
                changed.remove(at);
                if at < CALL.len() {
                    changed[at] = byte;
                    assert_reads_as_the_parser(&mut scratch, &changed);
                }
                // So that the structure is looked for every time, and in front.
                assert_reads_as_the_parser(&mut scratch, CALL.as_bytes());
            }
        }
    }

    #[test]
    fn no_value_is_remembered() {
        let secret = r#"{"id":"secret","params":{"arguments":{"token":"secret","pin":4711}}}"#;
        let structures = knowing(&[secret]);
        let debugged = format!("{:?}", structures.known);
        let fixed = String::from_utf8(structures.known[0].fixed.to_vec()).unwrap();
        assert_eq!(fixed, r#"{"id":"","params":{"arguments":{"token":"","pin":}}}"#);
        assert!(
            !debugged.contains("secret") && !debugged.contains("4711"),
            "{debugged}"
        );
    }

    #[test]
    fn what_the_parser_must_read_is_left_to_it() {
        for (known, other) in [
            (r#"{"a":1}"#, r#"{"a":1.0}"#),
            (r#"{"a":1}"#, r#"{"a":01}"#),
            (r#"{"a":1}"#, r#"{"a":-1}"#),
            (r#"{"a":1}"#, r#"{"a":1234567890123456789}"#),
            (r#"{"a":1}"#, r#"{"a":"1"}"#),
            (r#"{"a":1}"#, r#"{"a":}"#),
            (r#"{"a":"b"}"#, r#"{"a":"\u0062"}"#),
            (r#"{"a":"b"}"#, "{\"a\":\"\u{1f}\"}"),
            (r#"{"a":"b"}"#, r#"{"a":"\x"}"#),
            (r#"{"a":"b"}"#, r#"{"a":"b\"#),
            (r#"{"a":"b"}"#, r#"{"a":"b","a":"b"}"#),
            (r#"{"a":"b"}"#, r#"{"a":"b"} "#),
            (r#"{"a":true}"#, r#"{"a":null}"#),
            (r#"{"a":[1]}"#, r#"{"a":[1,1]}"#),
        ] {
            let mut structures = knowing(&[known]);
            assert!(finds(&mut structures, known), "{known}");
            assert!(!finds(&mut structures, other), "{other}");
        }
        for unknowable in [
            r#"{"a":1.5}"#.to_owned(),
            r#"{"a":-1}"#.to_owned(),
            r#"{"\u0061":1}"#.to_owned(),
            format!("[{}1]", "1,".repeat(NODES_MAX)),
            format!(r#"{{"{}":1}}"#, "a".repeat(FIXED_BYTES_MAX)),
        ] {
            assert_eq!(knowing(&[&unknowable]).known.len(), 0, "{unknowable}");
        }
    }

    #[test]
    fn structures_with_the_same_beginning_are_told_apart_where_they_differ() {
        let texts: Vec<String> = (0..STRUCTURES_MAX)
            .map(|number| {
                let (branch, name) = (["x", "y", "z"][number % 3], "n".repeat(number / 3));
                format!(r#"{{"id":1,"{branch}":"","params":{{"{name}":2,"end":""}}}}"#)
            })
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut structures = knowing(&texts);
        assert_eq!(structures.known.len(), STRUCTURES_MAX);
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..500 {
            let text = texts[random.usize(0..texts.len())]
                .replace('2', "345")
                .replace('1', "67");
            assert!(finds(&mut structures, &text), "{text}");
            assert!(!finds(&mut structures, &text.replace("end", "and")));
        }
    }

    #[test]
    fn those_that_come_again_outlive_any_number_of_others() {
        let mut structures = knowing(&[CALL]);
        for number in 0..1_000 {
            learn(&mut structures, &format!(r#"{{"n{number}":1}}"#));
            assert!(finds(&mut structures, CALL));
        }
        assert_eq!(structures.known.len(), STRUCTURES_MAX);
        let bytes_max = STRUCTURES_MAX * (2 * FIXED_BYTES_MAX + NODES_MAX * 3 * size_of::<Node<'_>>());
        assert!(structures.resident_bytes() < bytes_max);
    }

    #[test]
    fn of_texts_that_are_new_only_some_are_remembered_and_then_only_some_are_looked_for() {
        let mut structures = KnownStructures::default();
        let mut wanted = 0;
        for number in 0..64_000 {
            // As many hits as misses, so that all are looked for.
            structures.misses = 0;
            assert!(!finds(&mut structures, &format!(r#"{{"n{number}":1}}"#)));
            wanted += u32::from(structures.is_wanted);
        }
        assert!((7_500..8_500).contains(&wanted), "{wanted}");
        let looked_for = structures.unknown;
        for _ in 0..16_000 {
            assert!(!finds(&mut structures, "{}"));
        }
        let looked_for = structures.unknown - looked_for;
        assert!((1_000..1_100).contains(&looked_for), "{looked_for}");
    }
}
