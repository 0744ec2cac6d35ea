//! What a modern child asks by its answer, and its call made again with the answers (2026-07-28, patterns/mrtr).

use crate::jsonrpc::{Member, Span, members, places_without, plain_text, write_string};

use super::message::Message;

/// Questions of one answer that are looked at.
const QUESTIONS_MAX: usize = 32;

/// A question in an answer, in pieces of JSON as the child wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRequest<'l> {
    /// The string by which its answer is named.
    pub key: &'l [u8],
    /// What the client is asked for.
    pub method: String,
    /// The object `params`.
    pub params: &'l [u8],
}

/// What an answer asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputRequired<'l> {
    /// The questions, in order.
    pub requests: Vec<InputRequest<'l>>,
    /// The string `requestState`, with its quotes.
    pub state: Option<&'l [u8]>,
}

impl<'l> InputRequired<'l> {
    /// Reads a result that [asks](Message::asks). `None` if it has questions that are none, or too many.
    pub fn read(line: &'l [u8], message: &Message) -> Option<InputRequired<'l>> {
        let result = message.outcome?.of(line);
        let mut found = InputRequired::default();
        for member in members(result) {
            let value = member.value.of(result);
            match &*member.name(result) {
                "requestState" if value.first() == Some(&b'"') => found.state = Some(value),
                "inputRequests" if value.first() == Some(&b'{') => {
                    found.requests = members(value)
                        .take(QUESTIONS_MAX + 1)
                        .map(|member| request(value, &member))
                        .collect::<Option<Vec<_>>>()?;
                }
                "requestState" | "inputRequests" => return None,
                _ => {}
            }
        }
        let is_something = found.state.is_some() || !found.requests.is_empty();
        (is_something && found.requests.len() <= QUESTIONS_MAX).then_some(found)
    }
}

fn request<'l>(requests: &'l [u8], member: &Member) -> Option<InputRequest<'l>> {
    let value = member.value.of(requests);
    let (mut method, mut params) = (None, &b"{}"[..]);
    for member in members(value) {
        match &*member.name(value) {
            "method" => method = Some(plain_text(member.value.of(value)).into_owned()),
            "params" => params = member.value.of(value),
            _ => {}
        }
    }
    Some(InputRequest {
        key: member.name.of(requests),
        method: method?,
        params,
    })
}

/// Appends a request once more, with these answers by the keys of their questions, and with the state that the child
/// gave. All are JSON.
pub fn write_next_round<'a>(
    out: &mut Vec<u8>,
    text: &[u8],
    message: &Message,
    answers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    state: Option<&[u8]>,
) {
    let Some(params) = message.params else {
        return out.extend_from_slice(text);
    };
    let object = params.of(text);
    let all: Vec<Member> = members(object).collect();
    let is_old = |member: &Member| matches!(&*member.name(object), "inputResponses" | "requestState");
    out.extend_from_slice(text.get(..params.start).unwrap_or_default());
    let mut at = 0;
    for place in places_without(&all, is_old) {
        out.extend_from_slice(object.get(at..place.start).unwrap_or_default());
        at = place.end;
    }
    let end = object.len().saturating_sub(1);
    out.extend_from_slice(object.get(at..end).unwrap_or_default());
    let mut separator = if all.iter().all(is_old) { "" } else { "," };
    let mut answers = answers.peekable();
    if answers.peek().is_some() {
        out.extend_from_slice(separator.as_bytes());
        out.extend_from_slice(br#""inputResponses":{"#);
        for (at, (key, answer)) in answers.enumerate() {
            out.extend_from_slice(if at == 0 { b"" } else { b"," });
            out.extend_from_slice(key);
            out.push(b':');
            out.extend_from_slice(answer);
        }
        out.push(b'}');
        separator = ",";
    }
    if let Some(state) = state {
        out.extend_from_slice(separator.as_bytes());
        out.extend_from_slice(br#""requestState":"#);
        out.extend_from_slice(state);
    }
    out.extend_from_slice(text.get(params.end - 1..).unwrap_or_default());
}

/// The place of `requestState` in the object at `whole`: parameters, or a result.
pub fn place_of_state(text: &[u8], whole: Span) -> Option<Span> {
    let object = whole.of(text);
    let found = members(object)
        .filter(|member| member.name(object) == "requestState")
        .last()?;
    Some(found.value.within(whole))
}

/// The text with this `requestState` at this place.
pub fn with_state(text: &[u8], place: Span, state: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + state.len());
    out.extend_from_slice(text.get(..place.start).unwrap_or_default());
    write_string(&mut out, state);
    out.extend_from_slice(text.get(place.end..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(result: &str) -> Option<(Vec<String>, Option<String>)> {
        let line = format!(r#"{{"id":7,"result":{result}}}"#);
        let message = Message::read(line.as_bytes()).unwrap();
        let found = InputRequired::read(line.as_bytes(), &message)?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let shown = |request: &InputRequest<'_>| {
            format!(
                "{} {} {}",
                text(request.key),
                request.method,
                text(request.params)
            )
        };
        Some((found.requests.iter().map(shown).collect(), found.state.map(text)))
    }

    #[test]
    fn questions_are_found_as_they_were_written() {
        let two = r#"{"resultType":"input_required","inputRequests":{"a\u00e9":{"method":"roots\/list"},"b":{"params":{"n":1.10},"method":"elicitation/create"}},"requestState":"s\n"}"#;
        assert_eq!(
            read(two).unwrap(),
            (
                vec![
                    r#""a\u00e9" roots/list {}"#.to_owned(),
                    r#""b" elicitation/create {"n":1.10}"#.to_owned(),
                ],
                Some(r#""s\n""#.to_owned())
            )
        );
        assert_eq!(read(r#"{"requestState":"s"}"#).unwrap().0, [""; 0]);
        for none in [
            "{}",
            r#"{"inputRequests":{}}"#,
            r#"{"inputRequests":{"a":{}}}"#,
            r#"{"inputRequests":[],"requestState":"s"}"#,
            r#"{"inputRequests":{"a":7},"requestState":"s"}"#,
            r#"{"requestState":7}"#,
        ] {
            assert_eq!(read(none), None, "{none}");
        }
        let many: Vec<String> = (0..33)
            .map(|at| format!(r#""{at}":{{"method":"roots/list"}}"#))
            .collect();
        assert_eq!(
            read(&format!(r#"{{"inputRequests":{{{}}}}}"#, many.join(","))),
            None
        );
    }

    #[test]
    fn a_call_is_made_again_with_what_was_answered() {
        let answers = [(&br#""k""#[..], &br#"{"a":1.10}"#[..]), (br#""l""#, b"{}")];
        for (params, state, expected) in [
            (
                r#"{"name":"n","x":1.0}"#,
                Some(r#""s""#),
                r#"{"name":"n","x":1.0,"inputResponses":{"k":{"a":1.10},"l":{}},"requestState":"s"}"#,
            ),
            (
                r#"{"requestState":"old","name":"n","inputResponses":{}}"#,
                None,
                r#"{"name":"n","inputResponses":{"k":{"a":1.10},"l":{}}}"#,
            ),
            (
                r#"{"requestState":"old"}"#,
                Some(r#""s""#),
                r#"{"inputResponses":{"k":{"a":1.10},"l":{}},"requestState":"s"}"#,
            ),
        ] {
            let text = format!(r#"{{"id":1,"method":"m","params":{params} }}"#);
            let message = Message::read(text.as_bytes()).unwrap();
            let mut out = Vec::new();
            let state = state.map(str::as_bytes);
            write_next_round(&mut out, text.as_bytes(), &message, answers.into_iter(), state);
            let expected = format!(r#"{{"id":1,"method":"m","params":{expected} }}"#);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        let text = br#"{"method":"m","params":{"a":1},"id":1}"#;
        let message = Message::read(text).unwrap();
        let mut out = Vec::new();
        write_next_round(&mut out, text, &message, std::iter::empty(), Some(br#""s""#));
        assert_eq!(
            out,
            br#"{"method":"m","params":{"a":1,"requestState":"s"},"id":1}"#
        );
    }
}
