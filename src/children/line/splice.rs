//! Messages put together from the bytes they came as, with other ids and tokens.
//!
//! Everything else stays as its sender wrote it, except for line breaks, which JSON allows only between tokens: on a
//! line, and in an event of a stream, a space takes their place.

use crate::jsonrpc::{Id, Member, Span, members, places_without, write_string};

use super::message::{Message, is_of_envelope};

/// Appends a child's answer to a call, with the id under which the client knows it.
pub fn write_answer(out: &mut Vec<u8>, line: &[u8], message: &Message, id: Id<'_>) {
    write_replaced(out, line, message.id, |out| id.write(out));
}

/// Appends a child's word on the progress of a call, with the token under which the client follows it.
pub fn write_progress(out: &mut Vec<u8>, line: &[u8], message: &Message, token: Id<'_>) {
    write_replaced(out, line, message.progress_of, |out| token.write(out));
}

/// Appends a client's request as a line for a legacy child: under an id of ours, which is the progress token too if
/// the client follows the progress, and without the envelope of a modern request. A call is never a task of the
/// child's, because nobody here would follow it.
pub fn write_request(out: &mut Vec<u8>, text: &[u8], message: &Message, id: u64) {
    if message.has_envelope && message.has_rounds {
        let text = without_rounds(text, message);
        if let Ok(message) = Message::read_checked(&text) {
            return write_request(out, &text, &message, id);
        }
    }
    let mut digits = itoa::Buffer::new();
    let id = digits.format(id).as_bytes();
    let meta = match message.meta {
        Some(meta) if message.has_envelope => Some((meta, Edit::Envelope)),
        _ => message.progress_token.map(|token| (token, Edit::Id)),
    };
    let task = place_of_task(text, message).map(|place| (place, Edit::LeftOut));
    let mut edits = [message.id.map(|span| (span, Edit::Id)), meta, task];
    edits.sort_unstable_by_key(|edit| edit.map(|(span, _)| span.start));
    let mut at = 0;
    for (span, edit) in edits.into_iter().flatten() {
        write_without_breaks(out, text.get(at..span.start).unwrap_or_default());
        match edit {
            Edit::Id => out.extend_from_slice(id),
            Edit::Envelope => write_meta(out, span.of(text), id),
            Edit::LeftOut => {}
        }
        at = span.end;
    }
    write_without_breaks(out, text.get(at..).unwrap_or_default());
    out.push(b'\n');
}

/// Appends a client's request as a line for a legacy child whose tool runs as a task of the child's, and in no other
/// way.
pub fn write_task_request(out: &mut Vec<u8>, text: &[u8], message: &Message, id: u64) {
    let mut line = Vec::with_capacity(text.len() + 64);
    write_request(&mut line, text, message, id);
    let params = Message::read_checked(line.trim_ascii_end()).ok();
    let Some(params) = params.and_then(|message| message.params) else {
        return out.extend_from_slice(&line);
    };
    // Behind the opening brace; a call has at least the name of its tool.
    let at = params.start + 1;
    out.extend_from_slice(line.get(..at).unwrap_or_default());
    out.extend_from_slice(br#""task":{},"#);
    out.extend_from_slice(line.get(at..).unwrap_or_default());
}

/// Appends an object without some of its members.
pub(super) fn write_without(
    out: &mut Vec<u8>,
    object: &[u8],
    all: &[Member],
    is_lost: impl Fn(&Member) -> bool,
) {
    let mut at = 0;
    for place in places_without(all, is_lost) {
        write_without_breaks(out, object.get(at..place.start).unwrap_or_default());
        at = place.end;
    }
    write_without_breaks(out, object.get(at..).unwrap_or_default());
}

/// A modern request as if it had brought nothing back, for a call that begins anew.
fn without_rounds(text: &[u8], message: &Message) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let Some(params) = message.params else {
        return text.to_vec();
    };
    let object = params.of(text);
    let all: Vec<Member> = members(object).collect();
    out.extend_from_slice(text.get(..params.start).unwrap_or_default());
    write_without(&mut out, object, &all, |member| {
        matches!(&*member.name(object), "inputResponses" | "requestState")
    });
    out.extend_from_slice(text.get(params.end..).unwrap_or_default());
    out
}

/// What takes the place of a part of a request.
#[derive(Clone, Copy)]
enum Edit {
    /// The id of ours.
    Id,
    /// `_meta` without the envelope.
    Envelope,
    /// Nothing.
    LeftOut,
}

/// The place of `params.task` in a call, with the comma that goes with it.
pub(super) fn place_of_task(text: &[u8], message: &Message) -> Option<Span> {
    let params = message.params.filter(|_| message.task.is_some())?;
    if message.method(text) != "tools/call" {
        return None;
    }
    let object = params.of(text);
    let all: Vec<Member> = members(object).collect();
    let place = places_without(&all, |member| member.name(object) == "task").next()?;
    Some(Span {
        start: params.start + place.start,
        end: params.start + place.end,
    })
}

/// Appends the line that tells a child that nobody waits for this call any more.
pub fn write_cancelled(out: &mut Vec<u8>, id: u64, reason: &str) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"#);
    out.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
    out.extend_from_slice(br#","reason":"#);
    write_string(out, reason);
    out.extend_from_slice(b"}}\n");
}

/// `_meta` without the members that only a modern server knows.
fn write_meta(out: &mut Vec<u8>, meta: &[u8], id: &[u8]) {
    out.push(b'{');
    let mut is_first = true;
    for member in members(meta) {
        let name = member.name(meta);
        if is_of_envelope(&name) {
            continue;
        }
        if !is_first {
            out.push(b',');
        }
        is_first = false;
        if name == "progressToken" {
            out.extend_from_slice(br#""progressToken":"#);
            out.extend_from_slice(id);
        } else {
            write_without_breaks(out, member.whole().of(meta));
        }
    }
    out.push(b'}');
}

/// A text in which one value is replaced; all of it as it is if there is none.
pub(super) fn write_replaced(
    out: &mut Vec<u8>,
    line: &[u8],
    span: Option<Span>,
    write: impl FnOnce(&mut Vec<u8>),
) {
    let span = span.unwrap_or(Span { start: 0, end: 0 });
    let is_there = span.end > span.start;
    write_without_breaks(out, line.get(..span.start).unwrap_or_default());
    if is_there {
        write(out);
    }
    write_without_breaks(out, line.get(span.end..).unwrap_or_default());
}

/// Appends a piece of JSON without line breaks.
pub fn write_without_breaks(out: &mut Vec<u8>, piece: &[u8]) {
    let mut rest = piece;
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
        let (before, behind) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(before);
        out.push(b' ');
        rest = behind.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::children::line::message::Unreadable;

    fn request(text: &str) -> String {
        let mut out = b"before".to_vec();
        let message = Message::read(text.as_bytes()).unwrap();
        write_request(&mut out, text.as_bytes(), &message, 65537);
        let line = String::from_utf8(out).unwrap();
        let line = line.strip_prefix("before").unwrap().strip_suffix('\n').unwrap();
        assert!(!line.contains(['\n', '\r']), "{line}");
        line.to_owned()
    }

    #[test]
    fn a_request_gets_our_id_and_our_token_and_nothing_else_changes() {
        for (text, expected) in [
            (
                r#"{"jsonrpc":"2.0","id":"a\n","method":"tools/call","params":{"name":"x","arguments":{"n":1.10,"big":12345678901234567890,"e":1e400,"a":1,"a":2}}}"#,
                r#"{"jsonrpc":"2.0","id":65537,"method":"tools/call","params":{"name":"x","arguments":{"n":1.10,"big":12345678901234567890,"e":1e400,"a":1,"a":2}}}"#,
            ),
            (
                r#"{"params":{"_meta":{"progressToken":"secret","trace":"1"}},"method":"m","id":9007199254740993}"#,
                r#"{"params":{"_meta":{"progressToken":65537,"trace":"1"}},"method":"m","id":65537}"#,
            ),
            (
                r#"{"id":1,"method":"m","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","traceparent":"00-1", "progressToken" : 5,"io.modelcontextprotocol/clientInfo":{"name":"c"},"example.com/x":[1,{}]}}}"#,
                r#"{"id":65537,"method":"m","params":{"_meta":{"traceparent":"00-1","progressToken":65537,"example.com/x":[1,{}]}}}"#,
            ),
            (
                r#"{"id":1,"method":"m","params":{"inputResponses":{"a":{}},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"},"x":1.10,"requestState":"s"}}"#,
                r#"{"id":65537,"method":"m","params":{"_meta":{},"x":1.10}}"#,
            ),
            (
                r#"{"id":1,"method":"m","params":{"requestState":"s"}}"#,
                r#"{"id":65537,"method":"m","params":{"requestState":"s"}}"#,
            ),
            (
                r#"{"id":1,"method":"m","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
                r#"{"id":65537,"method":"m","params":{"_meta":{}}}"#,
            ),
            (
                "{\r\n  \"id\": 1,\r\n  \"method\": \"m\"\n}",
                "{    \"id\": 65537,    \"method\": \"m\" }",
            ),
        ] {
            assert_eq!(request(text), expected);
        }
    }

    #[test]
    fn no_call_is_a_task_of_the_childs() {
        for (text, expected) in [
            (
                r#"{"id":1,"method":"tools/call","params":{"name":"x","task":{"ttl":1},"arguments":{"task":1}}}"#,
                r#"{"id":65537,"method":"tools/call","params":{"name":"x","arguments":{"task":1}}}"#,
            ),
            (
                r#"{"params":{"_meta":{"progressToken":1},"t\u0061sk" : {}},"method":"tools/call","id":1}"#,
                r#"{"params":{"_meta":{"progressToken":65537}},"method":"tools/call","id":65537}"#,
            ),
            (
                r#"{"id":1,"method":"tools/call","params":{"task":{}}}"#,
                r#"{"id":65537,"method":"tools/call","params":{}}"#,
            ),
            (
                r#"{"id":1,"method":"prompts/get","params":{"task":{}}}"#,
                r#"{"id":65537,"method":"prompts/get","params":{"task":{}}}"#,
            ),
        ] {
            assert_eq!(request(text), expected);
        }
        let twice = br#"{"id":1,"method":"tools/call","params":{"task":{},"task":{}}}"#;
        assert_eq!(Message::read(twice), Err(Unreadable::Ambiguous));
    }

    /// A call whose bytes never left us goes to another child from the line that was written for the first one.
    #[test]
    fn a_written_request_can_be_written_again_for_another_child() {
        let text = r#"{"id":"x","method":"m","params":{"_meta":{"progressToken":"t"},"a":1}}"#;
        let first = request(text);
        assert_eq!(request(&first.replace("65537", "77")), first);
    }

    #[test]
    fn an_answer_gets_the_clients_id_and_nothing_else_changes() {
        let line = br#"{"jsonrpc":"2.0", "id" : 65537 ,"result":{"content":[],"x":1.10,"y":1e400,"z":12345678901234567890,"id":65537}}"#;
        let message = Message::read(line).unwrap();
        for (id, written) in [
            (Id::Text("a\"b"), r#""a\"b""#),
            (Id::Signed(9_007_199_254_740_993), "9007199254740993"),
            (Id::Verbatim("1.0"), "1.0"),
        ] {
            let mut out = Vec::new();
            write_answer(&mut out, line, &message, id);
            let expected = String::from_utf8(line.to_vec()).unwrap();
            let expected = expected.replacen("\"id\" : 65537", &format!("\"id\" : {written}"), 1);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn an_answer_has_no_line_breaks() {
        let line = b"{\"id\":1,\r\"error\":{\"code\":-32002,\"message\":\"\\r\\n\"}\r}";
        let message = Message::read(line).unwrap();
        let mut out = Vec::new();
        write_answer(&mut out, line, &message, Id::Text("a"));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"id":"a", "error":{"code":-32002,"message":"\r\n"} }"#
        );
    }

    #[test]
    fn progress_gets_the_clients_token() {
        let line = br#"{"method":"notifications/progress","params":{"progress":1.50,"progressToken":65537,"total":3}}"#;
        let message = Message::read(line).unwrap();
        let mut out = Vec::new();
        write_progress(&mut out, line, &message, Id::Text("t"));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"method":"notifications/progress","params":{"progress":1.50,"progressToken":"t","total":3}}"#
        );
    }

    #[test]
    fn a_cancellation_is_a_line() {
        let mut out = Vec::new();
        write_cancelled(&mut out, 7, "the client \"left\"");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":7,\"reason\":\"the client \\\"left\\\"\"}}\n"
        );
    }
}
