//! Requests of a child's that its client is to answer: what the client must be able to do, and how they and their
//! answers are put into other words.

use crate::jsonrpc::{Id, Member, element_spans, members, plain_text, write_string};
use crate::mcp::{ClientCapabilities, Revision, older_question};

use super::message::{Kind, Message};
use super::splice::{write_replaced, write_without, write_without_breaks};

/// What the client must have declared that is asked so; `None` if it is no question that a client answers.
///
/// Of members that stand more than once each counts, because nobody knows which of them the client takes.
pub fn capability_needed(method: &str, params: &[u8]) -> Option<ClientCapabilities> {
    let mut needed = match method {
        "roots/list" => return Some(ClientCapabilities::ROOTS),
        "sampling/createMessage" => ClientCapabilities::SAMPLING,
        "elicitation/create" => ClientCapabilities::NONE,
        _ => return None,
    };
    for member in members(params) {
        let value = || plain_text(member.value.of(params));
        needed = needed.with(match &*member.name(params) {
            "tools" | "toolChoice" if method == "sampling/createMessage" => {
                ClientCapabilities::SAMPLING_TOOLS
            }
            "mode" if method == "elicitation/create" && value() == "url" => {
                ClientCapabilities::ELICITATION_URL
            }
            "mode" if method == "elicitation/create" => ClientCapabilities::ELICITATION_FORM,
            _ => continue,
        });
    }
    if needed.is_empty() {
        // There were only forms before there were modes.
        needed = ClientCapabilities::ELICITATION_FORM;
    }
    Some(needed)
}

/// The parameters of a child's request; an empty object if it has none.
pub fn params_of<'l>(line: &'l [u8], message: &Message) -> &'l [u8] {
    message.params.map_or(&b"{}"[..], |params| params.of(line))
}

/// Appends a child's question under an id of ours, as a client of this revision knows it: as the child wrote it, but
/// for what the revision lacks.
pub fn write_question(out: &mut Vec<u8>, line: &[u8], message: &Message, id: &str, revision: Revision) {
    let method = message.method(line);
    match older_question(&method, params_of(line, message), revision) {
        None => write_replaced(out, line, message.id, |out| write_string(out, id)),
        Some(params) => write_request_of(out, id, &method, &params),
    }
}

/// Appends a child's question as a member of `inputRequests` (2026-07-28): method and parameters, without the id by
/// which an older client would be told that a URL was opened.
pub fn write_modern_question(out: &mut Vec<u8>, method: &str, params: &[u8]) {
    out.extend_from_slice(br#"{"method":"#);
    write_string(out, method);
    out.extend_from_slice(br#","params":"#);
    let all: Vec<Member> = members(params).collect();
    let is_lost = |member: &Member| member.name(params) == "elicitationId";
    write_without(out, params, &all, is_lost);
    out.push(b'}');
}

/// Appends a request of ours with these parameters.
pub fn write_request_of(out: &mut Vec<u8>, id: &str, method: &str, params: &[u8]) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    write_string(out, id);
    out.extend_from_slice(br#","method":"#);
    write_string(out, method);
    out.extend_from_slice(br#","params":"#);
    write_without_breaks(out, params);
    out.push(b'}');
}

/// Appends the line by which a child gets an answer: what the client wrote, under the child's own id.
pub fn write_question_answer(out: &mut Vec<u8>, id: Id<'_>, kind: Kind, outcome: &[u8]) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    id.write(out);
    out.extend_from_slice(match kind {
        Kind::Error => br#","error":"#,
        _ => br#","result":"#.as_slice(),
    });
    write_without_breaks(out, outcome);
    out.extend_from_slice(b"}\n");
}

/// The URLs that an error of an older child's wants opened before it is called again (-32042, 2025-11-25 only), as the
/// object `inputRequests` of a modern client; `None` if it is no such error.
pub(in crate::children) fn urls_required(line: &[u8], message: &Message) -> Option<Vec<u8>> {
    const URLS_MAX: usize = 32;
    let error = message.outcome.filter(|_| message.kind == Kind::Error)?.of(line);
    if sole_member(error, "code")? != b"-32042" {
        return None;
    }
    let places = sole_member(sole_member(error, "data")?, "elicitations")?;
    if places.first() != Some(&b'[') {
        return None;
    }
    let mut requests = vec![b'{'];
    let spans = element_spans(places);
    for (number, span) in (1..).zip(spans.iter().take(URLS_MAX)) {
        let place = places.get(span.clone())?;
        capability_needed("elicitation/create", place)
            .filter(|needed| *needed == ClientCapabilities::ELICITATION_URL)?;
        requests.extend_from_slice(if number > 1 { b",\"url_" } else { b"\"url_" });
        requests.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        requests.extend_from_slice(b"\":");
        write_modern_question(&mut requests, "elicitation/create", place);
    }
    requests.push(b'}');
    (!spans.is_empty()).then_some(requests)
}

/// The resource that a notification says was updated.
pub(in crate::children) fn updated_uri(line: &[u8], message: &Message) -> Option<String> {
    let uri = sole_member(params_of(line, message), "uri")?;
    serde_json::from_slice(uri).ok()
}

/// The value of the member of an object that has this name, if it is there once.
pub fn sole_member<'t>(object: &'t [u8], name: &str) -> Option<&'t [u8]> {
    let mut found = members(object).filter(|member: &Member| member.name(object) == name);
    let member = found.next()?;
    found.next().is_none().then(|| member.value.of(object))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_must_be_able_to_do() {
        type Can = ClientCapabilities;
        for (method, params, needed) in [
            ("roots/list", "{}", Some(Can::ROOTS)),
            (
                "elicitation/create",
                r#"{"message":"x"}"#,
                Some(Can::ELICITATION_FORM),
            ),
            (
                "elicitation/create",
                r#"{"mode":"form"}"#,
                Some(Can::ELICITATION_FORM),
            ),
            (
                "elicitation/create",
                r#"{"mode":"\u0075rl"}"#,
                Some(Can::ELICITATION_URL),
            ),
            (
                "elicitation/create",
                r#"{"mode":"url","mode":"form"}"#,
                Some(Can::ELICITATION_URL.with(Can::ELICITATION_FORM)),
            ),
            (
                "sampling/createMessage",
                r#"{"messages":[]}"#,
                Some(Can::SAMPLING),
            ),
            (
                "sampling/createMessage",
                r#"{"tools":[]}"#,
                Some(Can::SAMPLING.with(Can::SAMPLING_TOOLS)),
            ),
            ("tasks/list", "{}", None),
            ("ping", "{}", None),
        ] {
            assert_eq!(
                capability_needed(method, params.as_bytes()),
                needed,
                "{method} {params}"
            );
        }
    }

    #[test]
    fn a_question_keeps_everything_but_its_id() {
        let line = br#"{"id":{"a":1}, "x":1.10,"method":"roots/list","jsonrpc":"2.0"}"#;
        assert!(Message::read(line).is_err());
        let line = br#"{"id" : "mine","x":1.10,"method":"elicitation/create","params":{"n":1e400}}"#;
        let message = Message::read(line).unwrap();
        let mut out = Vec::new();
        write_question(&mut out, line, &message, "q1", Revision::V2025_11_25);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"id" : "q1","x":1.10,"method":"elicitation/create","params":{"n":1e400}}"#
        );
    }

    #[test]
    fn an_older_client_gets_a_question_that_it_knows() {
        let line = br#"{"id":7,"method":"elicitation/create","params":{"mode":"form","message":"m","requestedSchema":{"type":"object","properties":{"a":{"type":"string","default":"x"}}}}}"#;
        let message = Message::read(line).unwrap();
        let mut out = Vec::new();
        write_question(&mut out, line, &message, "q1", Revision::V2025_06_18);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"jsonrpc":"2.0","id":"q1","method":"elicitation/create","params":{"message":"m","requestedSchema":{"type":"object","properties":{"a":{"type":"string"}}}}}"#
        );
    }

    #[test]
    fn an_answer_has_the_childs_id_whatever_it_is() {
        let mut out = Vec::new();
        write_question_answer(&mut out, Id::Verbatim("-1.50"), Kind::Result, b"{\"a\":\n1.10}");
        write_question_answer(&mut out, Id::Verbatim("\"x\""), Kind::Error, b"{\"code\":-1}");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"jsonrpc\":\"2.0\",\"id\":-1.50,\"result\":{\"a\": 1.10}}\n{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"error\":{\"code\":-1}}\n"
        );
    }

    #[test]
    fn a_modern_client_gets_no_id_of_an_elicitation() {
        for (params, written) in [
            (
                r#"{"elicitationId":"e","mode":"url","n":1.10}"#,
                r#"{"mode":"url","n":1.10}"#,
            ),
            (r#"{"mode":"url","elicitationId":"e"}"#, r#"{"mode":"url"}"#),
            (r#"{"message":"m"}"#, r#"{"message":"m"}"#),
        ] {
            let mut out = Vec::new();
            write_modern_question(&mut out, "elicitation/create", params.as_bytes());
            let expected = format!(r#"{{"method":"elicitation/create","params":{written}}}"#);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn urls_that_are_to_be_opened_first_are_questions_of_a_modern_client() {
        let error = |code: &str, places: &str| {
            let line = format!(
                r#"{{"id":1,"error":{{"code":{code},"message":"m","data":{{"elicitations":{places}}}}}}}"#
            );
            let message = Message::read(line.as_bytes()).unwrap();
            urls_required(line.as_bytes(), &message).map(|text| String::from_utf8(text).unwrap())
        };
        let one = r#"{"mode":"url","elicitationId":"e","url":"https://a","message":"x","n":1.10}"#;
        let asked = r#"{"method":"elicitation/create","params":{"mode":"url","url":"https://a","message":"x","n":1.10}}"#;
        let both = format!(r#"{{"url_1":{asked},"url_2":{asked}}}"#);
        assert_eq!(error("-32042", &format!("[{one}, {one}]")), Some(both));
        for (code, places) in [
            ("-32041", one),
            ("-32042", "[]"),
            ("-32042", "{}"),
            ("-32042", "[{}]"),
            ("-32042", "[1]"),
        ] {
            assert_eq!(
                error(code, &format!("[{places}]").replace("[[", "[").replace("]]", "]")),
                None,
                "{code} {places}"
            );
        }
    }

    #[test]
    fn a_member_that_stands_twice_is_none() {
        assert_eq!(sole_member(br#"{"a":1,"b":2}"#, "b"), Some(&b"2"[..]));
        assert_eq!(sole_member(br#"{"a":1,"\u0061":2}"#, "a"), None);
        assert_eq!(sole_member(b"[]", "a"), None);
    }
}
