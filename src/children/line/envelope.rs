//! What a request says of itself in `_meta` since 2026-07-28, and clients' requests for children of that era.
//!
//! A modern client's envelope is passed on as it is, but for tasks: those of a call are ours, so no child is told that
//! its client knows them. A legacy client's request gets an envelope that says what its session says.

use memchr::memmem;

use crate::jsonrpc::{Member, Span, members, places_without, write_string};
use crate::mcp::{ClientCapabilities, Revision};
use crate::registry::LogLevel;

use super::message::{Message, is_of_envelope};
use super::splice::{place_of_task, write_without_breaks};

const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
const CLIENT_INFO_KEY: &str = "io.modelcontextprotocol/clientInfo";
const LOG_LEVEL_KEY: &str = "io.modelcontextprotocol/logLevel";
const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// Appends the member `_meta` of requests of our own.
pub fn write_own_meta(out: &mut Vec<u8>) {
    out.extend_from_slice(br#""_meta":{"#);
    write_envelope(out, &EnvelopeTerms::default());
    out.push(b'}');
}

/// What is known of a legacy client.
#[derive(Clone, Copy, Debug, Default)]
pub struct EnvelopeTerms {
    /// What its session says that it can.
    pub capabilities: ClientCapabilities,
    /// The least severe message that it wants of the call.
    pub log_level: Option<LogLevel>,
}

/// Appends the members by which a request says what it is. The client is this server, which is all that is known of a
/// legacy client's name behind its session.
fn write_envelope(out: &mut Vec<u8>, terms: &EnvelopeTerms) {
    write_string(out, VERSION_KEY);
    out.push(b':');
    write_string(out, Revision::V2026_07_28.as_str());
    out.push(b',');
    write_string(out, CLIENT_INFO_KEY);
    out.extend_from_slice(br#":{"name":"weir","version":"#);
    write_string(out, env!("CARGO_PKG_VERSION"));
    out.extend_from_slice(b"},");
    write_string(out, CAPABILITIES_KEY);
    out.push(b':');
    out.extend_from_slice(terms.capabilities.to_json().to_string().as_bytes());
    if let Some(level) = terms.log_level {
        out.push(b',');
        write_string(out, LOG_LEVEL_KEY);
        out.push(b':');
        write_string(out, level.as_str());
    }
}

/// Appends a legacy client's request as a modern one would have sent it. All but `_meta` stays as it was written.
pub fn write_as_modern(out: &mut Vec<u8>, text: &[u8], message: &Message, terms: &EnvelopeTerms) {
    let Some(params) = message
        .params
        .filter(|params| params.of(text).first() == Some(&b'{'))
    else {
        return out.extend_from_slice(text);
    };
    let object = params.of(text);
    let meta = members(object).find(|member| member.name(object) == "_meta");
    let place = match &meta {
        Some(meta) => meta.value.within(params),
        None => Span {
            start: params.start + 1,
            end: params.start + 1,
        },
    };
    out.extend_from_slice(text.get(..place.start).unwrap_or_default());
    if meta.is_none() {
        out.extend_from_slice(br#""_meta":"#);
    }
    out.push(b'{');
    write_envelope(out, terms);
    let old = place.of(text);
    for member in members(old).filter(|member| !is_of_envelope(&member.name(old))) {
        out.push(b',');
        out.extend_from_slice(member.whole().of(old));
    }
    out.push(b'}');
    if meta.is_none() && members(object).next().is_some() {
        out.push(b',');
    }
    out.extend_from_slice(text.get(place.end..).unwrap_or_default());
}

/// Appends a client's request as a line for a modern child: under an id of ours, which is the progress token too if the
/// client follows the progress.
pub fn write_modern_request(out: &mut Vec<u8>, text: &[u8], message: &Message, id: u64) {
    if !message.has_envelope {
        // Its client, or the child that had it before, is of the other era.
        let mut modern = Vec::with_capacity(text.len() + 256);
        write_as_modern(&mut modern, text, message, &EnvelopeTerms::default());
        return match Message::read_checked(&modern) {
            Ok(message) if message.has_envelope => write_modern_request(out, &modern, &message, id),
            _ => super::write_request(out, text, message, id),
        };
    }
    let mut digits = itoa::Buffer::new();
    let id = digits.format(id).as_bytes();
    let mut edits = [
        message.id.map(|place| (place, id)),
        message.progress_token.map(|place| (place, id)),
        place_of_task(text, message).map(|place| (place, &b""[..])),
        place_of_extension(text, message).map(|place| (place, &b""[..])),
    ];
    edits.sort_unstable_by_key(|edit| edit.map(|(place, _)| place.start));
    let mut at = 0;
    for (place, written) in edits.into_iter().flatten() {
        write_without_breaks(out, text.get(at..place.start).unwrap_or_default());
        out.extend_from_slice(written);
        at = place.end;
    }
    write_without_breaks(out, text.get(at..).unwrap_or_default());
    out.push(b'\n');
}

/// The place where a request says that its client knows tasks, with the comma that goes with it.
fn place_of_extension(text: &[u8], message: &Message) -> Option<Span> {
    let meta = message.meta?;
    memmem::find(meta.of(text), TASKS_EXTENSION.as_bytes())?;
    let capabilities = member_in(text, meta, CAPABILITIES_KEY)?;
    let extensions = member_in(text, capabilities, "extensions")?;
    let object = extensions.of(text);
    let all: Vec<Member> = members(object).collect();
    let place = places_without(&all, |member| member.name(object) == TASKS_EXTENSION).next()?;
    Some(place.within(extensions))
}

/// The place of the value of a member of the object at `whole`.
fn member_in(text: &[u8], whole: Span, name: &str) -> Option<Span> {
    let object = whole.of(text);
    let found = members(object)
        .filter(|member| member.name(object) == name)
        .last()?;
    Some(found.value.within(whole))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn as_modern(text: &str) -> String {
        let message = Message::read(text.as_bytes()).unwrap();
        let mut out = Vec::new();
        let terms = EnvelopeTerms {
            capabilities: ClientCapabilities::SAMPLING,
            log_level: Some(LogLevel::Warning),
        };
        write_as_modern(&mut out, text.as_bytes(), &message, &terms);
        String::from_utf8(out).unwrap()
    }

    fn line(text: &str) -> String {
        let message = Message::read(text.as_bytes()).unwrap();
        let mut out = Vec::new();
        write_modern_request(&mut out, text.as_bytes(), &message, 65537);
        let line = String::from_utf8(out).unwrap();
        let line = line.strip_suffix('\n').unwrap();
        assert!(!line.contains(['\n', '\r']), "{line}");
        line.to_owned()
    }

    /// The envelope, without its braces.
    fn envelope(capabilities: &str) -> String {
        let version = env!("CARGO_PKG_VERSION");
        format!(
            r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{{"name":"weir","version":"{version}"}},"io.modelcontextprotocol/clientCapabilities":{capabilities}"#
        )
    }

    #[test]
    fn a_legacy_request_gets_an_envelope_and_keeps_its_bytes() {
        for (text, expected) in [
            (
                r#"{"id":"c","method":"tools/call","params":{"name":"a","n":1.10}}"#,
                r#"{"id":"c","method":"tools/call","params":{"_meta":{ENV},"name":"a","n":1.10}}"#,
            ),
            (
                r#"{"id":1,"method":"m","params":{ "_meta" : {"progressToken":7, "a/b":1e400} ,"x":1}}"#,
                r#"{"id":1,"method":"m","params":{ "_meta" : {ENV,"progressToken":7,"a/b":1e400} ,"x":1}}"#,
            ),
            (
                r#"{"id":1,"method":"m","params":{"_meta":null}}"#,
                r#"{"id":1,"method":"m","params":{"_meta":{ENV}}}"#,
            ),
            (
                r#"{"id":1,"method":"m","params":{ }}"#,
                r#"{"id":1,"method":"m","params":{"_meta":{ENV} }}"#,
            ),
            (
                r#"{"id":1,"method":"m","params":{"_meta":{"io.modelcontextprotocol/logLevel":"debug","io.modelcontextprotocol/clientCapabilities":{"roots":{}}}}}"#,
                r#"{"id":1,"method":"m","params":{"_meta":{ENV}}}"#,
            ),
            (r#"{"id":1,"method":"m"}"#, r#"{"id":1,"method":"m"}"#),
        ] {
            let all = format!(
                "{},\"io.modelcontextprotocol/logLevel\":\"warning\"",
                envelope(r#"{"sampling":{}}"#)
            );
            assert_eq!(as_modern(text), expected.replace("ENV", &all), "{text}");
        }
    }

    #[test]
    fn a_modern_child_reads_our_id_and_token_and_all_else_as_it_was() {
        for (text, expected) in [
            (
                r#"{"id":"c","method":"m","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","progressToken":"t"},"n":1.10}}"#,
                r#"{"id":65537,"method":"m","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","progressToken":65537},"n":1.10}}"#,
            ),
            (
                r#"{"params":{"_meta":{"io.modelcontextprotocol/clientCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{},"x":{}},"roots":{}}},"task":{"ttl":1},"name":"a"},"method":"tools/call","id":1}"#,
                r#"{"params":{"_meta":{"io.modelcontextprotocol/clientCapabilities":{"extensions":{"x":{}},"roots":{}}},"name":"a"},"method":"tools/call","id":65537}"#,
            ),
        ] {
            assert_eq!(line(text), expected);
        }
        let bare = line(r#"{"id":1,"method":"m","params":{"_meta":{"progressToken":3}}}"#);
        let bare: Value = serde_json::from_str(&bare).unwrap();
        let meta = &bare["params"]["_meta"];
        assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], json!({}));
        assert_eq!(
            (&bare["id"], &meta["progressToken"]),
            (&json!(65537), &json!(65537))
        );
        assert_eq!(line(r#"{"id":1,"method":"m"}"#), r#"{"id":65537,"method":"m"}"#);
    }

    #[test]
    fn our_own_requests_say_what_they_are() {
        let mut out = b"{".to_vec();
        write_own_meta(&mut out);
        assert_eq!(out, format!(r#"{{"_meta":{{{}}}"#, envelope("{}")).into_bytes());
    }
}
