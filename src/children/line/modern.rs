//! A legacy child's answer as a modern client has to have it.
//!
//! Members that a result of 2026-07-28 must have are put in where they are missing, a resource that is not found has
//! the code of that revision, and every other byte stays as the child wrote it.

use crate::jsonrpc::{Id, Span, members, write_string};
use crate::mcp::SERVER_INFO_KEY;
use crate::metrics::Outcome;

use super::message::{Kind, Message};
use super::outcome::outcome_of;
use super::splice::write_without_breaks;

/// The code for a resource that is not found since 2026-07-28; before it was -32002.
const INVALID_PARAMS: &[u8] = b"-32602";

/// What an answer to a modern client gets.
#[derive(Clone, Copy, Debug)]
pub struct ModernTerms<'t> {
    /// The client's id of the request.
    pub id: Id<'t>,
    /// The object `_meta` of our own results, which says which server it is.
    pub meta: &'t [u8],
    /// The URI, if the request reads a resource: then the result says how long it may be kept.
    pub uri: Option<&'t str>,
}

/// Appends a legacy child's answer for a modern client, and says what it is counted as then.
pub fn write_modern_answer(
    out: &mut Vec<u8>,
    line: &[u8],
    message: &Message,
    terms: &ModernTerms<'_>,
) -> Outcome {
    let mut splice = Splice { out, line, at: 0 };
    let (id, outcome) = (message.id, message.outcome);
    let is_id_first = match (id, outcome) {
        (Some(id), Some(outcome)) => id.start < outcome.start,
        _ => true,
    };
    if is_id_first {
        splice.replace_id(id, terms.id);
    }
    let mut counted = outcome_of(line, message);
    match (message.kind, outcome) {
        (Kind::Result, Some(result)) => splice.edit_result(result, message, terms),
        (Kind::Error, Some(error)) if counted == Outcome::ResourceNotFound => {
            counted = splice.edit_not_found(error, terms);
        }
        _ => {}
    }
    if !is_id_first {
        splice.replace_id(id, terms.id);
    }
    splice.copy_to(line.len());
    counted
}

/// A text that is copied with edits.
struct Splice<'s> {
    out: &'s mut Vec<u8>,
    line: &'s [u8],
    /// Up to here the text is copied or replaced.
    at: usize,
}

impl Splice<'_> {
    fn copy_to(&mut self, end: usize) {
        write_without_breaks(self.out, self.line.get(self.at..end).unwrap_or_default());
        self.at = end;
    }

    fn replace_id(&mut self, place: Option<Span>, id: Id<'_>) {
        if let Some(place) = place {
            self.copy_to(place.start);
            id.write(self.out);
            self.at = place.end;
        }
    }

    /// Writes what comes first in the object at `object`, and then the comma that it needs.
    fn open(&mut self, object: Span, write: impl FnOnce(&mut Vec<u8>)) {
        self.copy_to(object.start + 1);
        write(self.out);
        if !is_empty(object.of(self.line)) {
            self.out.push(b',');
        }
    }

    fn edit_result(&mut self, result: Span, message: &Message, terms: &ModernTerms<'_>) {
        if !is_object(result.of(self.line)) {
            return;
        }
        let found = &message.result;
        if found.kind.is_none() {
            self.open(result, |out| out.extend_from_slice(br#""resultType":"complete""#));
        }
        if let Some(meta) = found.meta.filter(|meta| is_object(meta.of(self.line))) {
            let value = meta.of(self.line);
            if !members(value).any(|member| member.name(value) == SERVER_INFO_KEY) {
                let ours = terms.meta.get(1..terms.meta.len().saturating_sub(1));
                self.open(meta, |out| out.extend_from_slice(ours.unwrap_or_default()));
            }
        }
        // Behind these there is another member: at least `resultType`.
        self.copy_to(result.end - 1);
        if terms.uri.is_some() && !found.has_ttl {
            self.out.extend_from_slice(br#","ttlMs":0"#);
        }
        if terms.uri.is_some() && !found.has_scope {
            self.out.extend_from_slice(br#","cacheScope":"private""#);
        }
        if found.meta.is_none() {
            self.out.extend_from_slice(br#","_meta":"#);
            self.out.extend_from_slice(terms.meta);
        }
    }

    /// A resource that is not found has another code, if it is known which resource. Returns what it is counted as.
    fn edit_not_found(&mut self, error: Span, terms: &ModernTerms<'_>) -> Outcome {
        let value = error.of(self.line);
        let (mut code, mut data) = (None, None);
        for member in members(value) {
            match &*member.name(value) {
                "code" => code = Some(member.value.within(error)),
                "data" => data = Some(member.value.within(error)),
                _ => {}
            }
        }
        let named = data.is_some_and(|data| names_uri(data.of(self.line)));
        let (Some(code), Some(uri)) = (code, terms.uri.or(named.then_some(""))) else {
            return Outcome::ResourceNotFound;
        };
        let is_code_first = data.is_none_or(|data| code.start < data.start);
        if is_code_first {
            self.replace_code(code);
        }
        match data {
            _ if named => {}
            Some(data) if is_object(data.of(self.line)) => self.open(data, |out| write_uri(out, uri)),
            Some(data) if data.of(self.line) == b"null" => {
                self.copy_to(data.start);
                write_data(self.out, uri);
                self.at = data.end;
            }
            Some(_) => {}
            None => {
                self.copy_to(error.end - 1);
                self.out.extend_from_slice(br#","data":"#);
                write_data(self.out, uri);
            }
        }
        if !is_code_first {
            self.replace_code(code);
        }
        Outcome::InvalidParams
    }

    fn replace_code(&mut self, code: Span) {
        self.copy_to(code.start);
        self.out.extend_from_slice(INVALID_PARAMS);
        self.at = code.end;
    }
}

fn is_object(value: &[u8]) -> bool {
    value.first() == Some(&b'{')
}

/// Whether an object has no members.
fn is_empty(object: &[u8]) -> bool {
    let mut inside = object.iter().skip(1);
    inside.find(|byte| !byte.is_ascii_whitespace()) == Some(&b'}')
}

/// Whether an error's data says which resource it is about.
pub(super) fn names_uri(data: &[u8]) -> bool {
    let is_text = |value: &[u8]| value.first() == Some(&b'"');
    members(data).any(|member| member.name(data) == "uri" && is_text(member.value.of(data)))
}

fn write_uri(out: &mut Vec<u8>, uri: &str) {
    out.extend_from_slice(br#""uri":"#);
    write_string(out, uri);
}

fn write_data(out: &mut Vec<u8>, uri: &str) {
    out.push(b'{');
    write_uri(out, uri);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const META: &str = r#"{"io.modelcontextprotocol/serverInfo":{"name":"n", "version":"1.0"}}"#;

    fn written(line: &str, uri: Option<&str>) -> (String, Outcome) {
        let message = Message::read(line.as_bytes()).unwrap();
        let terms = ModernTerms {
            id: Id::Text("c"),
            meta: META.as_bytes(),
            uri,
        };
        let mut out = b"before".to_vec();
        let outcome = write_modern_answer(&mut out, line.as_bytes(), &message, &terms);
        let text = String::from_utf8(out).unwrap();
        (text.strip_prefix("before").unwrap().to_owned(), outcome)
    }

    /// Where `INFO` and `META` stand for what is put in.
    fn assert_written(line: &str, uri: Option<&str>, expected: &str) {
        let inside = META
            .strip_prefix('{')
            .and_then(|meta| meta.strip_suffix('}'))
            .unwrap();
        let expected = expected.replace("META", META).replace("INFO", inside);
        assert_eq!(written(line, uri).0, expected, "{line}");
    }

    #[test]
    fn results_get_what_the_revision_wants() {
        for (line, expected) in [
            (
                r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"n":1.10}],"x":1e400,"big":12345678901234567890}}"#,
                r#"{"jsonrpc":"2.0","id":"c","result":{"resultType":"complete","content":[{"n":1.10}],"x":1e400,"big":12345678901234567890,"_meta":META}}"#,
            ),
            (
                r#"{"result":{},"id":7}"#,
                r#"{"result":{"resultType":"complete","_meta":META},"id":"c"}"#,
            ),
            (
                r#"{"result" : { } , "id" : 7 }"#,
                r#"{"result" : {"resultType":"complete" ,"_meta":META} , "id" : "c" }"#,
            ),
            (
                r#"{"id":7,"result":{"_meta":{"a":1.0},"content":[]}}"#,
                r#"{"id":"c","result":{"resultType":"complete","_meta":{INFO,"a":1.0},"content":[]}}"#,
            ),
            (
                r#"{"id":7,"result":{"content":[],"_meta":{ }}}"#,
                r#"{"id":"c","result":{"resultType":"complete","content":[],"_meta":{INFO }}}"#,
            ),
            (
                r#"{"id":7,"result":{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"own"}},"resultType":"complete"}}"#,
                r#"{"id":"c","result":{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"own"}},"resultType":"complete"}}"#,
            ),
            (
                r#"{"id":7,"result":{"result\u0054ype":"x","_meta":null}}"#,
                r#"{"id":"c","result":{"result\u0054ype":"x","_meta":null}}"#,
            ),
            (
                r#"{"id":7,"result":{"_meta":{"a":1},"_meta":{"b":2}}}"#,
                r#"{"id":"c","result":{"resultType":"complete","_meta":{"a":1},"_meta":{INFO,"b":2}}}"#,
            ),
            // What is no result is left as it is.
            (r#"{"id":7,"result":[1]}"#, r#"{"id":"c","result":[1]}"#),
            (r#"{"id":7,"result":null}"#, r#"{"id":"c","result":null}"#),
        ] {
            assert_written(line, None, expected);
        }
    }

    #[test]
    fn reads_say_how_long_they_may_be_kept() {
        for (line, expected) in [
            (
                r#"{"id":7,"result":{"contents":[]}}"#,
                r#"{"id":"c","result":{"resultType":"complete","contents":[],"ttlMs":0,"cacheScope":"private","_meta":META}}"#,
            ),
            (
                r#"{"id":7,"result":{"ttlMs":5.0,"contents":[],"_meta":{}}}"#,
                r#"{"id":"c","result":{"resultType":"complete","ttlMs":5.0,"contents":[],"_meta":{INFO},"cacheScope":"private"}}"#,
            ),
            (
                r#"{"id":7,"result":{"cacheScope":"public","ttlMs":1}}"#,
                r#"{"id":"c","result":{"resultType":"complete","cacheScope":"public","ttlMs":1,"_meta":META}}"#,
            ),
        ] {
            assert_written(line, Some("a:b"), expected);
        }
    }

    #[test]
    fn a_resource_that_is_not_found_has_the_code_of_the_revision() {
        for (uri, line, expected) in [
            (
                Some("a:\"b"),
                r#"{"id":7,"error":{"code":-32002,"message":"gone"}}"#,
                r#"{"id":"c","error":{"code":-32602,"message":"gone","data":{"uri":"a:\"b"}}}"#,
            ),
            (
                Some("a:b"),
                r#"{"id":7,"error":{"code":-32002,"message":"gone","data":{"uri":"c:d"}}}"#,
                r#"{"id":"c","error":{"code":-32602,"message":"gone","data":{"uri":"c:d"}}}"#,
            ),
            (
                Some("a:b"),
                r#"{"error":{"data":{"x":1.0},"code" : -32002},"id":7}"#,
                r#"{"error":{"data":{"uri":"a:b","x":1.0},"code" : -32602},"id":"c"}"#,
            ),
            (
                Some("a:b"),
                r#"{"id":7,"error":{"data":{ },"code":-32002}}"#,
                r#"{"id":"c","error":{"data":{"uri":"a:b" },"code":-32602}}"#,
            ),
            (
                Some("a:b"),
                r#"{"id":7,"error":{"data":null,"code":-32002}}"#,
                r#"{"id":"c","error":{"data":{"uri":"a:b"},"code":-32602}}"#,
            ),
            (
                Some("a:b"),
                r#"{"id":7,"error":{"code":-32002,"data":"text"}}"#,
                r#"{"id":"c","error":{"code":-32602,"data":"text"}}"#,
            ),
            (
                None,
                r#"{"id":7,"error":{"code":-32002,"data":{"uri":"c:d"}}}"#,
                r#"{"id":"c","error":{"code":-32602,"data":{"uri":"c:d"}}}"#,
            ),
        ] {
            assert_written(line, uri, expected);
            assert_eq!(written(line, uri).1, Outcome::InvalidParams, "{line}");
        }
    }

    #[test]
    fn other_errors_are_passed_on_as_they_are() {
        for (uri, code, outcome) in [
            (None, "-32002", Outcome::ResourceNotFound),
            (Some("a:b"), "-32601", Outcome::MethodNotFound),
            (Some("a:b"), "-32020", Outcome::HeaderMismatch),
            (Some("a:b"), "-32042", Outcome::Other),
            (Some("a:b"), "1.50", Outcome::Other),
        ] {
            let line = format!(r#"{{"id":7,"error":{{"code":{code},"message":"m","data":[1.10]}}}}"#);
            let (text, counted) = written(&line, uri);
            assert_eq!(text, line.replace(":7", ":\"c\""));
            assert_eq!(counted, outcome, "{line}");
        }
        assert_written(r#"{"error":7,"id":7}"#, None, r#"{"error":7,"id":"c"}"#);
    }

    #[test]
    fn there_are_no_line_breaks() {
        let (text, _) = written("{\"id\":7,\r\"result\":{\r\n\"a\":\n1}\r}", None);
        assert!(!text.contains(['\r', '\n']), "{text}");
    }

    /// Seeded: whatever a child answers, the client gets JSON with all that was there, and what its revision wants.
    #[test]
    fn splicing_gives_json() {
        const MEMBERS: [&str; 8] = [
            r#""content":[]"#,
            r#""_meta":{"a":1}"#,
            r#""_meta" : { }"#,
            r#""_meta":7"#,
            r#""resultType":"complete""#,
            r#""ttlMs":0"#,
            r#""is\u0045rror":true"#,
            r#""x":{"_meta":{},"resultType":1}"#,
        ];
        let seed = fastrand::u64(..);
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..5_000 {
            let mut chosen: Vec<&str> = MEMBERS.to_vec();
            rng.shuffle(&mut chosen);
            chosen.truncate(rng.usize(..6));
            let separator = [",", " , "][rng.usize(..2)];
            let object = format!("{{{}}}", chosen.join(separator));
            let outcome = match rng.u8(..3) {
                0 => format!(r#""error":{{"code":-32002,"data":{object}}}"#),
                1 => format!(r#""error":{object}"#),
                _ => format!(r#""result":{object}"#),
            };
            let mut parts = [r#""jsonrpc":"2.0""#.to_owned(), r#""id":7"#.to_owned(), outcome];
            rng.shuffle(&mut parts);
            let line = format!("{{{}}}", parts.join(separator));
            let uri = rng.bool().then_some("a:b");
            let (text, _) = written(&line, uri);
            let value: Value =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("seed {seed}: {line}: {error}"));
            assert_eq!(value["id"], "c", "seed {seed}: {line}: {text}");
            if let Some(result) = value.get("result") {
                assert!(result["resultType"] == "complete", "seed {seed}: {line}: {text}");
                assert!(
                    uri.is_none() || result["ttlMs"] == 0,
                    "seed {seed}: {line}: {text}"
                );
                assert_eq!(
                    result.get("x").is_some(),
                    chosen.iter().any(|member| member.starts_with(r#""x""#))
                );
            }
        }
    }
}
