//! The readers of peers' bytes, as functions that must never panic. Each also asserts what holds for any bytes: the
//! result does not depend on how they were cut, and fast ways agree with plain ones.
//!
//! `cargo fuzz run --fuzz-dir tests/fuzz TARGET` lets libFuzzer look for inputs; it needs a nightly compiler.
//! `tests/fuzz_seeds.rs` replays what lies in `corpus/`, with any compiler.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use weir::internals::children::{
    LegacyTerms, Message as Line, ModernTerms, write_legacy_answer, write_modern_answer,
    write_modern_request, write_request,
};
use weir::internals::jsonrpc::{Id, Message, Outline, OutlineScanner, ParseError, Scratch, Shape};
use weir::internals::mcp::{Era, Revision};
use weir::internals::wire::http1::{
    BodyLimits, ChunkDecoder, HeadError, HeadLimits, HeadScanner, parse_head,
};
use weir::internals::wire::websocket::{Control, Intake, Limits, MessageKind, Progress, Violation};
use weir::{CallContext, Registry, ResourceTemplate};

/// The limits are small, so that they are met.
const HEAD_LIMITS: HeadLimits = HeadLimits {
    head_bytes_max: 2 << 10,
    request_line_bytes_max: 256,
    fields_max: 16,
};
const BODY_LIMITS: BodyLimits = BodyLimits {
    body_bytes_max: 1 << 10,
    framing_bytes_max: 128,
};
const MESSAGE_LIMITS: Limits = Limits {
    message_bytes_max: 1 << 10,
    overhead_bytes_max: 128,
};

/// A request's head: found and parsed alike whether it comes whole or byte by byte.
pub fn head(bytes: &[u8]) {
    let whole = scan(bytes, [bytes.len()]);
    assert_eq!(scan(bytes, 0..=bytes.len()), whole, "byte by byte");
    let Ok(Some(length)) = whole else { return };
    let head = bytes.get(..length).expect("a head within its window");
    if let Ok(parsed) = parse_head(head, &HEAD_LIMITS) {
        parsed.values("accept").for_each(drop);
        // A head that is accepted fits the limits, and is no longer a beginning.
        assert!(length <= HEAD_LIMITS.head_bytes_max && head.ends_with(b"\n"));
    }
}

/// The first definite answer to a window that grows to these lengths.
fn scan(bytes: &[u8], lengths: impl IntoIterator<Item = usize>) -> Result<Option<usize>, HeadError> {
    let mut scanner = HeadScanner::default();
    for length in lengths {
        let window = bytes.get(..length).expect("a length within the input");
        let outcome = scanner.scan(window, &HEAD_LIMITS);
        if outcome != Ok(None) {
            return outcome;
        }
    }
    Ok(None)
}

/// A body in chunks: the same data, the same end or the same error, however it is cut.
pub fn chunked(bytes: &[u8]) {
    let whole = unchunk(bytes, bytes.len().max(1));
    for piece_bytes in [1, 3] {
        assert_eq!(unchunk(bytes, piece_bytes), whole, "pieces of {piece_bytes}");
    }
    if let Ok((body, consumed, _)) = &whole {
        assert!(body.len() <= BODY_LIMITS.body_bytes_max && *consumed <= bytes.len());
    }
}

/// The data, how many bytes were consumed, and whether the body is complete.
fn unchunk(bytes: &[u8], piece_bytes: usize) -> Result<(Vec<u8>, usize, bool), String> {
    let (mut decoder, mut body, mut taken) = (ChunkDecoder::default(), Vec::new(), 0);
    for piece in bytes.chunks(piece_bytes) {
        let progress = decoder
            .decode(piece, &mut body, &BODY_LIMITS)
            .map_err(|error| error.to_string())?;
        taken += progress.consumed;
        if progress.is_done {
            return Ok((body, taken, true));
        }
    }
    Ok((body, taken, false))
}

/// A client's frames: the same messages, controls and violation, however they are cut.
pub fn websocket(bytes: &[u8]) {
    let whole = converse(bytes, bytes.len().max(1));
    assert_eq!(converse(bytes, 1), whole, "byte by byte");
}

/// Of a WebSocket client.
#[derive(Debug, PartialEq)]
enum Said {
    Message(MessageKind, Vec<u8>),
    Control(Control),
    Nonsense(Violation),
}

fn converse(bytes: &[u8], piece_bytes: usize) -> Vec<Said> {
    let (mut intake, mut begin, mut said) = (Intake::default(), 0, Vec::new());
    let ends = (0..bytes.len()).step_by(piece_bytes).skip(1);
    for end in ends.chain([bytes.len()]) {
        loop {
            let window = bytes.get(begin..end).expect("a window within the input");
            let mut message = Vec::new();
            match intake.advance(window, &mut message, &MESSAGE_LIMITS) {
                Ok(Progress::Incomplete) => break,
                Ok(Progress::Control { control, consumed }) => {
                    begin += consumed;
                    said.push(Said::Control(control));
                }
                Ok(Progress::Message { kind, consumed }) => {
                    begin += consumed;
                    assert!(message.len() <= MESSAGE_LIMITS.message_bytes_max);
                    said.push(Said::Message(kind, message));
                }
                Err(violation) => {
                    said.push(Said::Nonsense(violation));
                    return said;
                }
            }
        }
        assert!(
            end - begin <= MESSAGE_LIMITS.window_bytes_max(),
            "a limit came too late"
        );
    }
    said
}

/// A body with so much blank space behind it that it is prescanned before it is parsed.
const LARGE_BYTES: usize = 40 << 10;

/// The prescan of a large body before its parse: it refuses nothing that the parser accepts, and accepts nothing
/// deeper.
pub fn prescan(bytes: &[u8]) {
    let mut large = bytes.to_vec();
    large.resize(bytes.len() + LARGE_BYTES, b' ');
    let mut scratch = Scratch::new();
    let small = scratch.parse(bytes).map(|document| document.root().to_json());
    let large = scratch.parse(&large).map(|document| document.root().to_json());
    match (&small, &large) {
        (Ok(small), Ok(large)) => assert_eq!(small, large),
        (Err(_), Err(_)) => {}
        _ if bytes.is_empty() => {}
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => panic!("{small:?} and, large, {large:?}"),
    }
}

/// A message's envelope: agrees with a plain parser on what is JSON, and with the outline on the id of an answer.
pub fn envelope(bytes: &[u8]) {
    let outline = Outline::of(bytes);
    let mut pieces = OutlineScanner::default();
    bytes.chunks(1).for_each(|piece| pieces.feed(piece));
    assert_eq!(pieces.finish(), outline, "byte by byte");
    let mut scratch = Scratch::new();
    let plain = serde_json::from_slice::<serde_json::Value>(bytes);
    match scratch.parse(bytes) {
        Ok(document) => read(document.root(), document.text(), &outline.shape),
        Err(ParseError::Syntax) => assert!(plain.is_err(), "refused {}", bytes.escape_ascii()),
        Err(_) => {}
    }
}

/// Two texts, one in each line: whoever has read the first reads the second as anybody does.
pub fn known_structures(bytes: &[u8]) {
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
    let (first, second) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let read = |scratch: &mut Scratch, text: &[u8]| {
        let document = scratch.parse(text);
        document.map(|document| format!("{:?}", document.root()))
    };
    let mut knowing = Scratch::new();
    for text in [first, second, first, second] {
        assert_eq!(read(&mut knowing, text), read(&mut Scratch::new(), text));
    }
}

fn read(root: weir::internals::jsonrpc::Value<'_, '_>, text: &[u8], expected: &Shape) {
    let shape = match Message::read(root, text) {
        Ok(Message::Request(request)) => {
            let mut id = Vec::new();
            request.id.write(&mut id);
            assert!(serde_json::from_slice::<serde_json::Value>(&id).is_ok());
            Shape::Request
        }
        Ok(Message::Notification(_)) => Shape::Notification,
        Ok(Message::Response(_)) => Shape::Answer,
        Err(_) => return,
    };
    assert_eq!(*expected, shape, "{}", text.escape_ascii());
}

/// A line of another program: what is made of it for clients of any revision is JSON if the line is, and is the line
/// again where nothing has to change.
pub fn foreign_line(bytes: &[u8]) {
    let Ok(message) = Line::read(bytes) else { return };
    let terms = ModernTerms {
        id: Id::Text("c"),
        meta: br#"{"io.modelcontextprotocol/serverInfo":{"name":"n"}}"#,
        uri: Some("a:b"),
    };
    let is_json = |text: &[u8]| serde_json::from_slice::<IgnoredAny>(text).is_ok();
    let mut out = Vec::new();
    write_modern_answer(&mut out, bytes, &message, &terms);
    assert!(is_json(&out), "{}", out.escape_ascii());
    for revision in Revision::ALL {
        for era in [Era::Legacy, Era::Modern] {
            out.clear();
            let terms = LegacyTerms {
                id: terms.id,
                revision,
                reads: true,
                era,
            };
            write_legacy_answer(&mut out, bytes, &message, &terms);
            assert!(is_json(&out), "{}", out.escape_ascii());
            let again = Line::read(&out).expect("the message is one still");
            assert_eq!(
                (again.kind, again.id.is_some()),
                (message.kind, message.id.is_some())
            );
        }
    }
    out.clear();
    write_modern_request(&mut out, bytes, &message, 7);
    assert!(is_json(&out), "{}", out.escape_ascii());
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1, "one line");
    out.clear();
    write_request(&mut out, bytes, &message, 7);
    assert!(is_json(&out), "{}", out.escape_ascii());
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1, "one line");
}

/// Of a template with any variables.
#[derive(Deserialize)]
struct Nothing {}

/// A line with a template and one with a URI: the template's expansion of plain values matches it.
pub fn uri_template(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (template, uri) = text.split_once('\n').unwrap_or((text, ""));
    let resource = ResourceTemplate::new(template, "fuzzed");
    let resource = resource.read(|_: CallContext, _: Nothing| async { Ok("") });
    let mut registry = Registry::builder();
    if registry.add(resource).is_err() {
        return;
    }
    let registry = registry.build();
    let first = template.split('{').next().unwrap_or_default();
    let last = template.rsplit('}').next().unwrap_or_default();
    if registry.find_template(uri).is_some() {
        assert!(
            uri.starts_with(first) && uri.ends_with(last),
            "{uri} matches {template}"
        );
    }
    let made = expand(template, "v");
    assert!(
        registry.find_template(&made).is_some(),
        "{made} does not match {template}"
    );
}

/// The template with this value for every variable.
fn expand(template: &str, value: &str) -> String {
    let mut parts = template.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |uri, part| {
        let behind = part.split_once('}').map_or("", |(_, behind)| behind);
        uri + value + behind
    })
}

/// A function that takes one input, and panics at a fault.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub fn targets() -> HashMap<&'static str, Target> {
    let targets: [(&'static str, Target); 8] = [
        ("head", head),
        ("chunked", chunked),
        ("websocket", websocket),
        ("prescan", prescan),
        ("envelope", envelope),
        ("foreign_line", foreign_line),
        ("known_structures", known_structures),
        ("uri_template", uri_template),
    ];
    targets.into()
}
