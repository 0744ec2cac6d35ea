//! The slow second look at a text that the parser refused: JSON by RFC 8259 to the letter, token by token.
//!
//! The parser refuses more than what is not JSON: integers beyond 64 bits, numbers beyond the range of a double,
//! unpaired surrogates, too much depth. A walk tells these apart, and finds the numbers that the parser cannot hold.
//! No ordinary body needs one, but what a child process says is walked once, to find where its parts lie: so its time
//! is linear in the text, and its memory is one bit for each level of nesting, because a peer decides how deep that
//! is. The first 64 levels need no allocation.
//!
//! Invariant: the n-th [`Step`] that is not a closing bracket is the n-th entry of the parser's tape.

use std::ops::Range;

use super::parse_error::{DEPTH_MAX, ParseError, VALUES_MAX};
use super::string::plain_bytes;

/// The kind of token that a step is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// `{` or `[`.
    Open,
    /// `}` or `]`.
    Close,
    /// A member's name.
    Name,
    /// A string, `true`, `false` or `null`.
    Plain,
    /// A number.
    Number,
}

/// One token that is not punctuation.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its kind.
    pub token: Token,
    /// Where in the text it lies.
    pub span: Range<usize>,
}

/// The text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON")]
pub struct NotJson;

/// A surrogate that a string has without its other half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Surrogate {
    unit: u16,
    at: usize,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expects {
    Value,
    FirstElement,
    FirstName,
    Name,
    Colon,
    Separator,
    End,
}

/// The kinds of the containers that are open, innermost last: a bit each.
#[derive(Debug, Default)]
struct Nesting {
    /// The outermost 64.
    outer: u64,
    /// The others.
    inner: Vec<u64>,
    depth: usize,
}

impl Nesting {
    fn open(&mut self, is_object: bool) {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if word > self.inner.len() {
            self.inner.push(0);
        }
        let bits = match word.checked_sub(1) {
            None => Some(&mut self.outer),
            Some(inner) => self.inner.get_mut(inner),
        };
        if let Some(bits) = bits {
            *bits = *bits & !(1 << bit) | u64::from(is_object) << bit;
        }
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// The kind of the innermost open container; `None` outside of all.
    fn is_in_object(&self) -> Option<bool> {
        let innermost = self.depth.checked_sub(1)?;
        let bits = match (innermost / 64).checked_sub(1) {
            None => self.outer,
            Some(inner) => *self.inner.get(inner)?,
        };
        Some(bits >> (innermost % 64) & 1 == 1)
    }
}

/// A walk over a text.
#[derive(Debug)]
pub struct Walk<'b> {
    text: &'b [u8],
    at: usize,
    expects: Expects,
    nesting: Nesting,
    /// The first unpaired surrogate that the walk met.
    surrogate: Option<Surrogate>,
}

impl<'b> Walk<'b> {
    /// A walk from the beginning of a text.
    ///
    /// # Errors
    /// The text is not UTF-8.
    pub fn new(text: &'b [u8]) -> Result<Self, NotJson> {
        std::str::from_utf8(text).map_err(|_| NotJson)?;
        Ok(Self::over_checked(text))
    }

    /// The same over a text that is known to be UTF-8.
    pub fn over_checked(text: &'b [u8]) -> Self {
        Self {
            text,
            at: 0,
            expects: Expects::Value,
            nesting: Nesting::default(),
            surrogate: None,
        }
    }

    /// The containers that are open: behind an opening bracket its own is, behind a closing one it no longer is.
    pub fn depth(&self) -> usize {
        self.nesting.depth
    }

    /// The next step; none behind the last one of a text that is JSON.
    ///
    /// # Errors
    /// The text is not JSON.
    pub fn next_step(&mut self) -> Result<Option<Step>, NotJson> {
        loop {
            while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
                self.at += 1;
            }
            let start = self.at;
            let Some(byte) = self.peek() else {
                return match self.expects {
                    Expects::End => Ok(None),
                    _ => Err(NotJson),
                };
            };
            let token = match (self.expects, byte) {
                (Expects::FirstElement | Expects::FirstName | Expects::Separator, b']' | b'}') => {
                    self.close(byte)?
                }
                (Expects::Separator, b',') => {
                    self.at += 1;
                    self.expects = match self.nesting.is_in_object() {
                        Some(true) => Expects::Name,
                        _ => Expects::Value,
                    };
                    continue;
                }
                (Expects::Colon, b':') => {
                    self.at += 1;
                    self.expects = Expects::Value;
                    continue;
                }
                (Expects::FirstName | Expects::Name, b'"') => {
                    self.string()?;
                    self.expects = Expects::Colon;
                    Token::Name
                }
                (Expects::Value | Expects::FirstElement, _) => self.value(byte)?,
                _ => return Err(NotJson),
            };
            return Ok(Some(Step {
                token,
                span: start..self.at,
            }));
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let is_there = self.peek().is_some_and(wanted);
        self.at += usize::from(is_there);
        is_there
    }

    fn close(&mut self, byte: u8) -> Result<Token, NotJson> {
        if self.nesting.is_in_object() != Some(byte == b'}') {
            return Err(NotJson);
        }
        self.nesting.close();
        self.at += 1;
        self.end_value();
        Ok(Token::Close)
    }

    fn end_value(&mut self) {
        self.expects = match self.nesting.depth {
            0 => Expects::End,
            _ => Expects::Separator,
        };
    }

    fn value(&mut self, byte: u8) -> Result<Token, NotJson> {
        let token = match byte {
            b'{' | b'[' => {
                self.at += 1;
                self.nesting.open(byte == b'{');
                self.expects = match byte {
                    b'{' => Expects::FirstName,
                    _ => Expects::FirstElement,
                };
                return Ok(Token::Open);
            }
            b'"' => {
                self.string()?;
                Token::Plain
            }
            b't' => self.word(b"true")?,
            b'f' => self.word(b"false")?,
            b'n' => self.word(b"null")?,
            _ => self.number()?,
        };
        self.end_value();
        Ok(token)
    }

    fn word(&mut self, word: &[u8]) -> Result<Token, NotJson> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(NotJson);
        }
        self.at += word.len();
        Ok(Token::Plain)
    }

    fn number(&mut self) -> Result<Token, NotJson> {
        self.take(|byte| byte == b'-');
        if !self.take(|byte| byte == b'0') {
            self.digits()?;
        }
        if self.take(|byte| byte == b'.') {
            self.digits()?;
        }
        if self.take(|byte| matches!(byte, b'e' | b'E')) {
            self.take(|byte| matches!(byte, b'+' | b'-'));
            self.digits()?;
        }
        Ok(Token::Number)
    }

    fn digits(&mut self) -> Result<(), NotJson> {
        if !self.take(|byte| byte.is_ascii_digit()) {
            return Err(NotJson);
        }
        while self.take(|byte| byte.is_ascii_digit()) {}
        Ok(())
    }

    fn string(&mut self) -> Result<(), NotJson> {
        self.at += 1;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            self.at += plain_bytes(rest);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                _ => return Err(NotJson),
            }
        }
    }

    fn escape(&mut self) -> Result<(), NotJson> {
        let start = self.at;
        self.at += 1;
        if self.take(|byte| matches!(byte, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')) {
            return Ok(());
        }
        let unit = self.unit().ok_or(NotJson)?;
        let is_paired = match unit {
            0xd800..=0xdbff => self.take_low_surrogate(),
            0xdc00..=0xdfff => false,
            _ => true,
        };
        if !is_paired {
            self.surrogate.get_or_insert(Surrogate { unit, at: start });
        }
        Ok(())
    }

    /// `uXXXX`.
    fn unit(&mut self) -> Option<u16> {
        let (first, digits) = self.text.get(self.at..self.at + 5)?.split_first()?;
        if *first != b'u' || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        self.at += 5;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }

    fn take_low_surrogate(&mut self) -> bool {
        let before = self.at;
        let is_there = self.take(|byte| byte == b'\\')
            && self.unit().is_some_and(|unit| (0xdc00..=0xdfff).contains(&unit));
        if !is_there {
            self.at = before;
        }
        is_there
    }
}

/// Checks a text that the parser refused: whether it is JSON, and if it is, which limit it exceeds. `Ok` if only its
/// numbers can have been the reason.
///
/// # Errors
/// [`ParseError::Syntax`] comes before everything else, so that it means only that the text is not JSON.
pub(super) fn judge(text: &[u8]) -> Result<(), ParseError> {
    let syntax = |NotJson| ParseError::Syntax;
    let mut walk = Walk::new(text).map_err(syntax)?;
    let (mut depth_most, mut values) = (0, 0_usize);
    while let Some(step) = walk.next_step().map_err(syntax)? {
        depth_most = depth_most.max(walk.depth());
        values += usize::from(step.token != Token::Close);
    }
    match walk.surrogate {
        _ if depth_most > DEPTH_MAX => Err(ParseError::TooDeep),
        _ if values > VALUES_MAX => Err(ParseError::TooManyValues),
        Some(Surrogate { unit, at }) => Err(ParseError::Surrogate { unit, at }),
        None => Ok(()),
    }
}

/// A number that the parser cannot hold.
#[derive(Clone, Debug)]
pub(super) struct LargeNumber {
    /// Its place on the tape.
    pub(super) index: usize,
    pub(super) span: Range<usize>,
    /// The nearest double; infinite beyond the range of one.
    pub(super) nearest: f64,
}

/// The numbers in a text of JSON that the parser cannot hold, in order.
pub(super) fn large_numbers(text: &[u8]) -> impl Iterator<Item = LargeNumber> {
    let mut walk = Walk::new(text).ok();
    let mut index = 0;
    std::iter::from_fn(move || {
        loop {
            let step = walk.as_mut()?.next_step().ok()??;
            let here = index;
            index += usize::from(step.token != Token::Close);
            if step.token == Token::Number
                && let Some(nearest) = nearest_if_large(text.get(step.span.clone())?)
            {
                return Some(LargeNumber {
                    index: here,
                    span: step.span,
                    nearest,
                });
            }
        }
    })
}

/// The double nearest to a number that is no integer of 64 bits, signed or not, and that no finite double stands for.
fn nearest_if_large(number: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(number).ok()?;
    let is_integer = !number.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    if is_integer && (text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok()) {
        return None;
    }
    let nearest: f64 = text.parse().ok()?;
    (is_integer || nearest.is_infinite()).then_some(nearest)
}

/// How the number at `path` (a member's name for each level of objects) is written in a text of JSON.
#[cold]
pub fn number_text<'b>(text: &'b [u8], path: &[&str]) -> Option<&'b str> {
    let mut walk = Walk::new(text).ok()?;
    // The levels of the path inside which the walk is, and whether the next value belongs to the next level.
    let (mut inside, mut is_next) = (0, true);
    while let Some(step) = walk.next_step().ok()? {
        let token = text.get(step.span)?;
        match step.token {
            Token::Name if walk.depth() == inside => {
                is_next = name_of(token).is_some_and(|name| path.get(inside - 1) == Some(&&*name));
            }
            Token::Open if is_next && inside < path.len() && token == b"{" => {
                (inside, is_next) = (inside + 1, false);
            }
            Token::Number if is_next && inside == path.len() => return std::str::from_utf8(token).ok(),
            Token::Close if walk.depth() < inside => return None,
            Token::Open | Token::Plain | Token::Number if is_next => return None,
            _ => {}
        }
    }
    None
}

/// A string token's text; none if that has unpaired surrogates.
fn name_of(token: &[u8]) -> Option<String> {
    serde_json::from_slice(token).ok()
}

/// Where in a container a walk is.
enum Place {
    /// At the member of this name.
    Object(String),
    /// At the last of so many elements.
    Array(usize),
}

/// Where in a text of JSON the byte at `at` is, as a JSON pointer of bounded length.
#[cold]
pub fn pointer_to(text: &[u8], at: usize) -> String {
    const NAME_BYTES_MAX: usize = 64;
    const POINTER_BYTES_MAX: usize = 256;
    let mut places: Vec<Place> = Vec::new();
    let Ok(mut walk) = Walk::new(text) else {
        return String::new();
    };
    while let Ok(Some(step)) = walk.next_step() {
        let token = text.get(step.span.clone()).unwrap_or_default();
        match (step.token, places.last_mut()) {
            (Token::Close, _) => drop(places.pop()),
            (Token::Name, Some(Place::Object(name))) => {
                *name = name_of(token).unwrap_or_else(|| "\u{fffd}".to_owned());
                name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
            }
            (_, Some(Place::Array(elements))) => *elements += 1,
            _ => {}
        }
        if step.span.end > at {
            break;
        }
        if step.token == Token::Open {
            places.push(match token {
                b"{" => Place::Object(String::new()),
                _ => Place::Array(0),
            });
        }
    }
    let mut pointer = String::new();
    for place in &places {
        pointer.push('/');
        match place {
            Place::Object(name) => pointer.push_str(&name.replace('~', "~0").replace('/', "~1")),
            Place::Array(elements) => pointer.push_str(&elements.saturating_sub(1).to_string()),
        }
    }
    pointer.truncate(pointer.floor_char_boundary(POINTER_BYTES_MAX));
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens of a text; none if it is not JSON.
    fn tokens(text: &str) -> Option<Vec<(Token, &str)>> {
        let mut walk = Walk::new(text.as_bytes()).ok()?;
        let mut tokens = Vec::new();
        while let Some(step) = walk.next_step().ok()? {
            tokens.push((step.token, text.get(step.span)?));
        }
        Some(tokens)
    }

    #[test]
    fn steps_are_over_tokens() {
        let found = tokens(r#" {"a" : [1, -2.5e+3 ,"x\"]"], "b":{} ,"":null}"#).unwrap();
        let expected = [
            (Token::Open, "{"),
            (Token::Name, "\"a\""),
            (Token::Open, "["),
            (Token::Number, "1"),
            (Token::Number, "-2.5e+3"),
            (Token::Plain, r#""x\"]""#),
            (Token::Close, "]"),
            (Token::Name, "\"b\""),
            (Token::Open, "{"),
            (Token::Close, "}"),
            (Token::Name, "\"\""),
            (Token::Plain, "null"),
            (Token::Close, "}"),
        ];
        assert_eq!(found, expected);
    }

    /// Seeded: texts of JSON with a few bytes changed are JSON to the walk exactly if they are to serde_json, which
    /// refuses numbers beyond a double's range and unpaired surrogates besides.
    #[test]
    fn agrees_with_a_parser() {
        let seed = fastrand::u64(..);
        let mut rng = fastrand::Rng::with_seed(seed);
        const SEEDS: [&str; 4] = [
            r#"{"a":[1,-0.5e1,"x\u00e9\n",true,null],"b":{"c":[[],{}]},"d":false}"#,
            r#"[[[{"k":"\ud83d\ude00"}]],1E9,"\\\"",{"":""}]"#,
            r#" 123 "#,
            r#"{"id":18446744073709551616,"x":[1.0,-1]}"#,
        ];
        let alphabet = br#"{}[]:,"\truefalsn0123456789.-+eE u/"#;
        let mut valid = 0;
        for _ in 0..60_000 {
            let mut text = SEEDS[rng.usize(..SEEDS.len())].as_bytes().to_vec();
            for _ in 0..rng.usize(..4) {
                let at = rng.usize(..text.len());
                match rng.u8(..3) {
                    0 => drop(text.remove(at)),
                    1 => text.insert(at, alphabet[rng.usize(..alphabet.len())]),
                    _ => text[at] = alphabet[rng.usize(..alphabet.len())],
                }
                if text.is_empty() {
                    break;
                }
            }
            let theirs = serde_json::from_slice::<serde_json::Value>(&text);
            let ours = judge(&text);
            let shown = text.escape_ascii();
            match theirs {
                Ok(_) => {
                    valid += 1;
                    assert_eq!(ours, Ok(()), "seed {seed}: {shown}");
                }
                Err(error) if error.to_string().starts_with("number out of range") => {
                    assert_ne!(ours, Err(ParseError::TooDeep), "seed {seed}: {shown}");
                }
                Err(error)
                    if error.to_string().contains("surrogate")
                        || error.to_string().contains("hex escape") =>
                {
                    let is_named = matches!(ours, Err(ParseError::Surrogate { .. } | ParseError::Syntax));
                    assert!(is_named, "seed {seed}: {shown}: {ours:?}");
                }
                Err(error) => assert_eq!(ours, Err(ParseError::Syntax), "seed {seed}: {shown}: {error}"),
            }
        }
        assert!(valid > 10_000, "seed {seed}: {valid}");
    }

    #[test]
    fn faults_are_told_apart() {
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(judge(deep(DEPTH_MAX).as_bytes()), Ok(()));
        assert_eq!(judge(deep(DEPTH_MAX + 1).as_bytes()), Err(ParseError::TooDeep));
        assert_eq!(judge(deep(100_000).as_bytes()), Err(ParseError::TooDeep));
        assert_eq!(judge("[".repeat(100_000).as_bytes()), Err(ParseError::Syntax));
        assert_eq!(judge((deep(200) + "]").as_bytes()), Err(ParseError::Syntax));
        assert_eq!(judge(b"[1,2}"), Err(ParseError::Syntax));
        let many = format!("[{}1]", "1,".repeat(VALUES_MAX));
        assert_eq!(judge(many.as_bytes()), Err(ParseError::TooManyValues));
        for (text, unit) in [
            (r#"{"a":"\ud83d"}"#, 0xd83d),
            (r#"{"\uDE00":1}"#, 0xde00),
            (r#"["\ud83dx"]"#, 0xd83d),
            (r#"["\ud83d\n"]"#, 0xd83d),
            (r#"["\ud83d\ud83d\ude00"]"#, 0xd83d),
        ] {
            let at = text.find("\\u").unwrap();
            assert_eq!(
                judge(text.as_bytes()),
                Err(ParseError::Surrogate { unit, at }),
                "{text}"
            );
        }
        for text in [
            r#"["\ud83d\ude00"]"#,
            r#"["\u0000"]"#,
            "[1e999]",
            "[18446744073709551616]",
        ] {
            assert_eq!(judge(text.as_bytes()), Ok(()), "{text}");
        }
        for text in [
            r#"["\ud83d\u"]"#,
            r#"["\ud8"]"#,
            r#"["\x41"]"#,
            "[1e]",
            "[01]",
            "[+1]",
            "[1.]",
            "",
            "\"\u{1}\"",
        ] {
            assert_eq!(judge(text.as_bytes()), Err(ParseError::Syntax), "{text}");
        }
        assert_eq!(judge(b"\"\xff\""), Err(ParseError::Syntax));
    }

    #[test]
    fn large_numbers_are_found_with_their_places() {
        let text = r#"{"a":1,"b":[18446744073709551615,18446744073709551616,-9223372036854775809],"c":[1e308,-1e309,1e-400,5e99999999999],"d":{"e":99999999999999999999}}"#;
        let found: Vec<(usize, f64)> = large_numbers(text.as_bytes())
            .map(|number| (number.index, number.nearest))
            .collect();
        assert_eq!(
            found,
            [
                (6, 18_446_744_073_709_551_616.0),
                (7, -9_223_372_036_854_775_809.0),
                (11, f64::NEG_INFINITY),
                (13, f64::INFINITY),
                (17, 1e20),
            ]
        );
        let digits = "7".repeat(400);
        let long: Vec<f64> = large_numbers(digits.as_bytes())
            .map(|number| number.nearest)
            .collect();
        assert_eq!(long, [f64::INFINITY]);
    }

    #[test]
    fn numbers_are_found_by_their_path() {
        let text =
            br#"{"a":{"id":1},"params":{"x":[{"_meta":{"t":0}}],"_m\u0065ta":{"t":1.0e0}},"id":1e2,"s":"5"}"#;
        assert_eq!(number_text(text, &["id"]), Some("1e2"));
        assert_eq!(number_text(text, &["params", "_meta", "t"]), Some("1.0e0"));
        for path in [
            &["s"][..],
            &["t"],
            &["params"],
            &["params", "x"],
            &["a", "b"],
            &["params", "_meta", "t", "u"],
        ] {
            assert_eq!(number_text(text, path), None, "{path:?}");
        }
        assert_eq!(number_text(b"[1]", &["id"]), None);
        assert_eq!(number_text(b"1", &["id"]), None);
    }

    #[test]
    fn pointers_say_where() {
        for (text, pointer) in [
            (r#"{"a":1,"b":["x",{"c/~":"@"}],"d":2}"#, "/b/1/c~1~0"),
            (r#"["a",[],["@"]]"#, "/2/0"),
            (r#"{"x":{},"y@":1}"#, "/y@"),
            (r#"{"x":{"z":1},"y":"@"}"#, "/y"),
            ("\"@\"", ""),
        ] {
            assert_eq!(
                pointer_to(text.as_bytes(), text.find('@').unwrap()),
                pointer,
                "{text}"
            );
        }
        let long = format!("{{{}\"@\"{}", "\"x\":{".repeat(100), "}".repeat(101));
        assert!(pointer_to(long.as_bytes(), long.find('@').unwrap()).len() <= 256);
        let wide = format!("{{\"{}\":\"@\"}}", "é".repeat(1000));
        assert!(pointer_to(wide.as_bytes(), wide.find('@').unwrap()).len() <= 65);
    }
}
