//! The outline of a message that was not, or could not be, parsed: its id and its kind.
//!
//! A client waits for an answer under its request's id, so a refusal has to carry that id even if nothing else of the
//! message can be read. A scanner looks through the bytes once, in whatever pieces they come. It keeps track of
//! brackets and quotes and remembers only the members that decide, so its memory is constant, however long the message
//! is. It is not a parser: it goes on behind faults, as far as it can make sense of brackets and quotes.
//!
//! Invariant: an id is given only if one stands at the top level, whole and once.

use memchr::memchr2;

use super::id::Id;

/// The longest id that is kept; a longer one counts as unreadable.
const ID_BYTES_MAX: usize = 64 << 10;
/// The longest name that is kept: every character of the names that matter may be escaped.
const NAME_BYTES_MAX: usize = 64;

/// The kind of a message, by the members it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A method and an id.
    Request,
    /// A method and no id.
    Notification,
    /// A result or an error, and no method.
    Answer,
    /// The kind is unknown.
    Unknown,
}

/// The outline that a scanner found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// The id as it stands in the text: a string with its quotes, or a whole number.
    id: Option<Box<str>>,
    /// The kind of the message.
    pub shape: Shape,
}

impl Outline {
    /// The outline of a whole message.
    pub fn of(message: &[u8]) -> Outline {
        let mut scanner = OutlineScanner::default();
        scanner.feed(message);
        scanner.finish()
    }

    /// The one id at the top level.
    pub fn id(&self) -> Option<Id<'_>> {
        self.id.as_deref().map(Id::Verbatim)
    }

    /// The id's text, if it is one.
    pub fn id_text(&self) -> Option<String> {
        serde_json::from_str(self.id.as_deref()?).ok()
    }
}

/// The place of a scanner in the top level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// A name may begin.
    #[default]
    Name,
    /// In a name, or behind it.
    Named,
    /// Behind the colon, nothing of the value was seen.
    Value,
    /// In the value of `id`.
    Id,
    /// Behind that value, or in a value that does not matter.
    Rest,
}

/// A look at one message, piece by piece.
#[derive(Debug, Default)]
pub struct OutlineScanner {
    /// Open brackets.
    depth: u64,
    /// Whether the outermost of them is a brace.
    is_in_object: bool,
    /// Whether a top-level object was closed.
    is_closed: bool,
    string: InString,
    stage: Stage,
    /// The name or the id at hand, as far as it is kept.
    kept: Vec<u8>,
    is_kept_whole: bool,
    /// The value of `id` is complete; only what may stand behind a value may follow.
    is_id_ended: bool,
    ids: u32,
    id: Option<Box<str>>,
    has_method: bool,
    has_outcome: bool,
}

/// Whether the next byte is in a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum InString {
    #[default]
    No,
    Yes,
    /// Behind a backslash.
    Escaped,
}

impl OutlineScanner {
    /// Looks at the next piece.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            bytes = match self.string {
                InString::Yes => self.pass_string(bytes),
                InString::Escaped => {
                    self.keep(&[byte]);
                    self.string = InString::Yes;
                    rest
                }
                InString::No => {
                    self.pass(byte);
                    rest
                }
            };
        }
    }

    /// The outline, once no more bytes come.
    pub fn finish(mut self) -> Outline {
        // A number without an end may have lost digits; a string has an end of its own.
        if self.stage == Stage::Id && self.is_id_ended {
            self.end_id();
        }
        let id = self.id.filter(|_| self.ids == 1);
        let shape = match () {
            () if self.has_method && self.ids > 0 => Shape::Request,
            // The rest of the message, which is missing, may have had an id.
            () if self.has_method && self.is_closed => Shape::Notification,
            () if self.has_outcome && !self.has_method => Shape::Answer,
            () => Shape::Unknown,
        };
        Outline { id, shape }
    }

    /// Whether the next byte belongs to the top-level object itself.
    fn is_on_top(&self) -> bool {
        self.depth == 1 && self.is_in_object
    }

    /// Steps over what is left of a string; returns what follows.
    fn pass_string<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let Some(at) = memchr2(b'"', b'\\', bytes) else {
            self.keep(bytes);
            return &[];
        };
        let (passed, rest) = bytes.split_at_checked(at + 1).unwrap_or((bytes, &[]));
        self.keep(passed);
        match passed.last() {
            Some(b'"') => {
                self.string = InString::No;
                self.is_id_ended = self.stage == Stage::Id;
            }
            _ => self.string = InString::Escaped,
        }
        rest
    }

    /// Takes a byte outside of strings.
    fn pass(&mut self, byte: u8) {
        match byte {
            b'"' => self.begin_string(),
            b'{' | b'[' => {
                self.leave_value();
                if self.depth == 0 {
                    self.is_in_object = byte == b'{';
                    self.stage = Stage::Name;
                }
                self.depth = self.depth.saturating_add(1);
            }
            b'}' | b']' => {
                self.end_member();
                self.is_closed |= self.is_on_top();
                self.depth = self.depth.saturating_sub(1);
                self.stage = Stage::Rest;
            }
            b',' if self.is_on_top() => {
                self.end_member();
                self.stage = Stage::Name;
            }
            b':' if self.is_on_top() && self.stage == Stage::Named => self.end_name(),
            b' ' | b'\n' | b'\r' | b'\t' => self.is_id_ended |= self.stage == Stage::Id,
            _ => self.pass_scalar(byte),
        }
    }

    fn begin_string(&mut self) {
        self.string = InString::Yes;
        if !self.is_on_top() {
            return;
        }
        match self.stage {
            Stage::Name => self.begin_keeping(Stage::Named, b'"'),
            Stage::Value => self.begin_keeping(Stage::Id, b'"'),
            _ => self.leave_value(),
        }
    }

    fn pass_scalar(&mut self, byte: u8) {
        if !self.is_on_top() {
            return;
        }
        match self.stage {
            Stage::Value => self.begin_keeping(Stage::Id, byte),
            Stage::Id if !self.is_id_ended => self.keep(&[byte]),
            _ => self.leave_value(),
        }
    }

    /// Notes bytes that cannot continue a name or an id: neither can be read then.
    fn leave_value(&mut self) {
        if self.is_on_top() {
            self.stage = Stage::Rest;
            self.kept.clear();
        }
    }

    fn begin_keeping(&mut self, stage: Stage, first: u8) {
        self.stage = stage;
        self.kept.clear();
        self.is_kept_whole = true;
        self.is_id_ended = false;
        self.keep(&[first]);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let bytes_max = match self.stage {
            _ if !self.is_on_top() => return,
            Stage::Named => NAME_BYTES_MAX,
            Stage::Id => ID_BYTES_MAX,
            _ => return,
        };
        if self.kept.len() + bytes.len() <= bytes_max {
            self.kept.extend_from_slice(bytes)
        } else {
            self.is_kept_whole = false
        }
    }

    /// Takes the colon that follows a name.
    fn end_name(&mut self) {
        let is_whole = self.is_kept_whole;
        let name = serde_json::from_slice::<String>(&self.kept).ok();
        self.stage = Stage::Rest;
        match name.as_deref().filter(|_| is_whole) {
            Some("id") => {
                self.ids = self.ids.saturating_add(1);
                self.stage = Stage::Value;
            }
            Some("method") => self.has_method = true,
            Some("result" | "error") => self.has_outcome = true,
            _ => {}
        }
    }

    /// Takes the comma or bracket that ends a member.
    fn end_member(&mut self) {
        if self.is_on_top() && self.stage == Stage::Id {
            self.end_id();
        }
    }

    fn end_id(&mut self) {
        self.stage = Stage::Rest;
        let token = std::mem::take(&mut self.kept);
        if !self.is_kept_whole || !is_id(&token) {
            return;
        }
        self.id = String::from_utf8(token).ok().map(String::into_boxed_str);
    }
}

/// Whether a token is an id: a text, or a whole number that a double can hold.
fn is_id(token: &[u8]) -> bool {
    match serde_json::from_slice(token) {
        Ok(serde_json::Value::String(_)) => true,
        Ok(serde_json::Value::Number(number)) => number.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(message: &[u8]) -> (Option<String>, Shape) {
        let whole = Outline::of(message);
        // In pieces of one byte, and of every two.
        let mut bytewise = OutlineScanner::default();
        message.chunks(1).for_each(|piece| bytewise.feed(piece));
        assert_eq!(bytewise.finish(), whole, "{}", message.escape_ascii());
        for cut in 0..message.len().min(200) {
            let mut halves = OutlineScanner::default();
            halves.feed(&message[..cut]);
            halves.feed(&message[cut..]);
            assert_eq!(halves.finish(), whole, "{} at {cut}", message.escape_ascii());
        }
        (whole.id.map(String::from), whole.shape)
    }

    #[test]
    fn ids_are_read_wherever_they_stand() {
        for (message, id) in [
            (r#"{"id":7,"method":"ping","x":1e999}"#, "7"),
            (r#"{"method":"ping","x":"\ud83d","id":"a b"}"#, r#""a b""#),
            (r#"{"method":"ping", "id" : -7 , "x":tru}"#, "-7"),
            (r#"{"params":{"id":1,"x":[{"id":2}]},"id":3,"method":"m"}"#, "3"),
            (r#"{"params":{"a":"}\"{"},"\u0069d":"x","method":"m"}"#, r#""x""#),
            (r#"{"id":1.0,"method":"m","#, "1.0"),
            (
                r#"{"id":18446744073709551616,"method":"m"}"#,
                "18446744073709551616",
            ),
            (r#"{"id":"q\"\\é\u00e9","method":"#, r#""q\"\\é\u00e9""#),
            (r#"{"method":"m","params":[1,,tru],"id":5}"#, "5"),
            (r#"{"method":"m","id":"cut here""#, r#""cut here""#),
            (r#"{"id":6,"method":"m"}} trailing"#, "6"),
            ("\u{feff}{\"id\":6,\"method\":\"m\"}", "6"),
        ] {
            let (found, shape) = outline(message.as_bytes());
            assert_eq!(found.as_deref(), Some(id), "{message}");
            assert_eq!(shape, Shape::Request, "{message}");
        }
        let mut broken = br#"{"id":7,"method":"ping","x":""#.to_vec();
        broken.extend_from_slice(b"\xff\xfe\"}");
        assert_eq!(outline(&broken).0.as_deref(), Some("7"));
    }

    #[test]
    fn what_is_not_one_readable_id_is_none() {
        for message in [
            r#"{"id":7,"id":8,"method":"m"}"#,
            r#"{"id":7,"id":7,"method":"m"}"#,
            r#"{"id":7,"\u0069d":7,"method":"m"}"#,
            r#"{"id":7,"method":"m"}{"id":8,"method":"m"}"#,
            r#"{"id":null,"method":"m"}"#,
            r#"{"id":1.5,"method":"m"}"#,
            r#"{"id":1e999,"method":"m"}"#,
            r#"{"id":[7],"method":"m"}"#,
            r#"{"id":{"id":7},"method":"m"}"#,
            r#"{"id":true,"method":"m"}"#,
            r#"{"id":7 8,"method":"m"}"#,
            r#"{"id":"7"8,"method":"m"}"#,
            r#"{"id":"7" "8","method":"m"}"#,
            r#"{"id":07,"method":"m"}"#,
            r#"{"id":"\ud83d","method":"m"}"#,
            r#"{"id":"\x","method":"m"}"#,
            r#"{"method":"m","id":7"#,
            r#"{"method":"m","id":"7"#,
            r#"{"method":"m","id""#,
            r#"{"method":"m","params":{"id":7}}"#,
            r#"{"method":"m","params":["id",{"id":7}"#,
            r#"{"method":"m","x":"\"id\":7,"}"#,
            r#"[{"id":7,"method":"m"}]"#,
            r#"["id",7]"#,
            "\"id\":7",
            "id:7",
            "",
            "{",
            "}",
            "]]]]",
        ] {
            assert_eq!(outline(message.as_bytes()).0, None, "{message}");
        }
        let long = format!(r#"{{"id":"{}","method":"m"}}"#, "x".repeat(ID_BYTES_MAX));
        assert_eq!(Outline::of(long.as_bytes()).id(), None);
        let fits = format!(r#"{{"id":"{}","method":"m"}}"#, "x".repeat(ID_BYTES_MAX - 2));
        assert!(Outline::of(fits.as_bytes()).id().is_some());
    }

    #[test]
    fn shapes() {
        for (message, shape) in [
            (r#"{"method":"m","params":{"x":1e999}}"#, Shape::Notification),
            (r#"{"id":null,"error":{"x":"\ud83d"}}"#, Shape::Answer),
            (r#"{"id":"q","result":{"x":tru"#, Shape::Answer),
            (r#"{"result":1"#, Shape::Answer),
            // The id may have been in what is missing.
            (r#"{"method":"m","params":{"x"#, Shape::Unknown),
            (r#"{"id":1,"method":"m","result":{}}"#, Shape::Request),
            (r#"{"id":1}"#, Shape::Unknown),
            (
                r#"{"params":{"method":"m","result":1},"x":{"error":1}}"#,
                Shape::Unknown,
            ),
            ("[]", Shape::Unknown),
            ("nonsense", Shape::Unknown),
        ] {
            assert_eq!(outline(message.as_bytes()).1, shape, "{message}");
        }
    }

    #[test]
    fn depth_and_length_cost_no_memory() {
        let mut scanner = OutlineScanner::default();
        scanner.feed(br#"{"x":"#);
        for _ in 0..100 {
            scanner.feed(&[b'['; 10_000]);
            scanner.feed(&[b'"'; 10_000]);
        }
        for _ in 0..100 {
            scanner.feed(&[b']'; 10_000]);
        }
        scanner.feed(br#","method":"m","id":"far behind"}"#);
        assert!(scanner.kept.capacity() <= ID_BYTES_MAX);
        let found = scanner.finish();
        assert_eq!(found.id_text().as_deref(), Some("far behind"));
        assert_eq!(found.shape, Shape::Request);
    }

    /// Seeded: for requests as they should be it says what a parser says.
    #[test]
    fn agrees_with_a_parser() {
        let mut rng = fastrand::Rng::with_seed(5);
        for _ in 0..2_000 {
            let text = |rng: &mut fastrand::Rng| -> String {
                (0..rng.usize(..6))
                    .map(|_| {
                        *rng.choice(&['"', '\\', '{', ']', ',', ':', 'é', 'i', 'd'])
                            .unwrap()
                    })
                    .collect()
            };
            let mut members = vec![
                ("jsonrpc".to_owned(), serde_json::json!("2.0")),
                ("method".to_owned(), serde_json::json!(text(&mut rng))),
                (
                    "params".to_owned(),
                    serde_json::json!({"id": text(&mut rng), text(&mut rng): [text(&mut rng)]}),
                ),
            ];
            let id = if rng.bool() {
                serde_json::json!(rng.i64(..))
            } else {
                serde_json::json!(text(&mut rng))
            };
            members.push(("id".to_owned(), id.clone()));
            rng.shuffle(&mut members);
            let message = serde_json::Value::Object(members.into_iter().collect());
            let pretty = serde_json::to_string_pretty(&message).unwrap();
            let found = Outline::of(pretty.as_bytes());
            assert_eq!(found.id.as_deref(), Some(&*id.to_string()), "{pretty}");
            assert_eq!(found.shape, Shape::Request);
        }
    }
}
