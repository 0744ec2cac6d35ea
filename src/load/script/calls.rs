//! The calls of a run: which tools, how often each, with which arguments and ids.

use std::sync::Arc;

use serde_json::Value;

use super::message::{About, Speaker};
use super::param_fields::param_fields;
use super::template::{Filling, Template};
use crate::load::peer::{Expectation, Framing, ResultSchema};
use crate::mcp::Era;
use crate::registry::ParamHeader;

/// Ids have ten digits, so that all requests of a kind are equally long and one can be made of another.
pub(super) const ID_FIRST: u64 = 1_000_000_000;
const ID_LAST: u64 = 9_999_999_999;

/// Calls of one tool.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) tool: String,
    /// How often, compared with the others.
    pub(crate) weight: f64,
    pub(crate) arguments: Template,
    pub(crate) expectation: Expectation,
    /// What its structured results must fit, if the server promises that.
    pub(crate) output: Option<Arc<ResultSchema>>,
    /// The arguments that go into the head of requests, too.
    pub(crate) params: Vec<ParamHeader>,
}

/// What a call says, but for its id.
struct Ready {
    params: String,
    /// Header lines that repeat arguments.
    fields: String,
}

/// Chooses calls and writes them, for the clients of one thread.
pub(crate) struct Calls {
    speaker: Speaker,
    calls: Vec<Call>,
    weights: f64,
    /// Constant arguments, ready.
    ready: Vec<Option<Ready>>,
    filling: Filling,
    next_id: u64,
}

impl Calls {
    /// For one of several threads. Nothing of theirs is the same but for constants.
    pub(crate) fn new(
        speaker: Speaker,
        calls: Vec<Call>,
        seed: u64,
        (thread, threads): (usize, usize),
        id_first: u64,
    ) -> Calls {
        let mut filling = Filling::new(seed, thread as u64, threads as u64);
        let ready = calls.iter().map(|call| {
            let is_constant = call.arguments.is_constant();
            is_constant.then(|| filled(&speaker, call, &mut filling))
        });
        Calls {
            ready: ready.collect(),
            weights: calls.iter().map(|call| call.weight).sum(),
            speaker,
            calls,
            filling,
            next_id: id_first + (ID_LAST - id_first) / threads as u64 * thread as u64,
        }
    }

    pub(crate) fn speaker(&self) -> &Speaker {
        &self.speaker
    }

    pub(crate) fn next_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    /// The kind of the next call.
    pub(crate) fn choose(&mut self) -> usize {
        if self.calls.len() < 2 {
            return 0;
        }
        let mut left = self.filling.below(self.weights);
        let found = self.calls.iter().position(|call| {
            left -= call.weight;
            left < 0.0
        });
        found.unwrap_or(self.calls.len() - 1)
    }

    /// Whether all calls of a kind are the same but for their ids.
    pub(crate) fn is_constant(&self, kind: usize) -> bool {
        self.ready.get(kind).is_some_and(Option::is_some)
    }

    /// Appends a call. Returns where its id is.
    pub(crate) fn write(&mut self, kind: usize, id: u64, session: Option<&str>, out: &mut Vec<u8>) -> usize {
        let Some(call) = self.calls.get(kind) else {
            return 0;
        };
        let made;
        let ready = match &self.ready[kind] {
            Some(ready) => ready,
            None => {
                made = filled(&self.speaker, call, &mut self.filling);
                &made
            }
        };
        let about = About {
            method: "tools/call",
            name: Some(&call.tool),
            fields: &ready.fields,
        };
        self.speaker.request(&about, id, &ready.params, session, out) + Speaker::id_offset()
    }
}

fn filled(speaker: &Speaker, call: &Call, filling: &mut Filling) -> Ready {
    let mut members = format!(r#""name":{},"arguments":"#, Value::from(call.tool.as_str()));
    let start = members.len();
    call.arguments.fill(filling, &mut members);
    let has_fields =
        speaker.endpoint.framing == Framing::Http && speaker.dialect.revision.era() == Era::Modern;
    let fields = if has_fields {
        param_fields(&call.params, &members[start..])
    } else {
        String::new()
    };
    members.push(',');
    Ready {
        params: speaker.params(&members),
        fields,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::load::peer::{Address, Endpoint, Framing};
    use crate::load::script::Dialect;
    use crate::mcp::Revision;

    pub(in crate::load::script) fn call(tool: &str, weight: f64, arguments: &str) -> Call {
        Call {
            tool: tool.to_owned(),
            weight,
            arguments: arguments.parse().unwrap(),
            expectation: Expectation::Result,
            output: None,
            params: Vec::new(),
        }
    }

    pub(in crate::load::script) fn speaker(revision: Revision, framing: Framing) -> Speaker {
        let endpoint = Endpoint {
            address: Address::Internet(([127, 0, 0, 1], 80).into()),
            framing,
            path: "/mcp".to_owned(),
            host: "127.0.0.1".to_owned(),
            headers: Vec::new(),
        };
        let dialect = Dialect { revision };
        Speaker { endpoint, dialect }
    }

    #[test]
    fn kinds_come_as_often_as_their_weights_say() {
        let calls = vec![call("a", 3.0, "{}"), call("b", 0.0, "{}"), call("c", 1.0, "{}")];
        let speaker = speaker(Revision::V2026_07_28, Framing::Http);
        let mut calls = Calls::new(speaker, calls, 5, (0, 1), ID_FIRST);
        let mut counts = [0_u32; 3];
        (0..10_000).for_each(|_| counts[calls.choose()] += 1);
        // Five standard deviations of a fixed seed.
        assert!(counts[0].abs_diff(7_500) < 217 && counts[1] == 0, "{counts:?}");
    }

    #[test]
    fn each_thread_has_ids_of_its_own() {
        let ids = |thread| {
            let speaker = speaker(Revision::V2026_07_28, Framing::Http);
            let mut calls = Calls::new(speaker, vec![call("a", 1.0, "{}")], 5, (thread, 3), ID_FIRST);
            [calls.next_id(), calls.next_id()]
        };
        assert_eq!(ids(0), [1_000_000_000, 1_000_000_001]);
        assert_eq!(ids(2), [6_999_999_998, 6_999_999_999]);
    }

    #[test]
    fn arguments_that_go_into_the_head_are_those_of_the_body() {
        let schema = serde_json::json!({"properties": {
            "n": {"type": "integer", "x-mcp-header": "Count"},
            "where": {"type": "string", "x-mcp-header": "Where"},
        }});
        for (arguments, ids) in [
            (r#"{"n":7,"where":"Bern"}"#, 1),
            (r#"{"n":{{counter}},"where":"Zürich"}"#, 2),
        ] {
            let mut call = call("a", 1.0, arguments);
            call.params = crate::registry::param_headers(&schema).unwrap();
            let write = |revision, framing| {
                let speaker = speaker(revision, framing);
                let mut calls = Calls::new(speaker, vec![call.clone()], 5, (0, 1), ID_FIRST);
                let mut last = String::new();
                for _ in 0..ids {
                    let mut out = Vec::new();
                    let at = calls.write(0, 1_234_567_890, None, &mut out);
                    assert_eq!(&out[at..at + 10], b"1234567890");
                    last = String::from_utf8(out).unwrap();
                }
                last
            };
            let text = write(Revision::V2026_07_28, Framing::Http);
            let expected = match ids {
                1 => "\r\nmcp-param-Count: 7\r\nmcp-param-Where: Bern\r\n",
                _ => "\r\nmcp-param-Count: 2\r\nmcp-param-Where: =?base64?WsO8cmljaA==?=\r\n",
            };
            assert!(text.contains(expected), "{text}");
            for (revision, framing) in [
                (Revision::V2025_11_25, Framing::Http),
                (Revision::V2026_07_28, Framing::Lines),
            ] {
                assert!(!write(revision, framing).contains("mcp-param"));
            }
        }
    }

    #[test]
    fn a_call_has_its_id_where_it_says() {
        let calls = vec![call("a", 1.0, r#"{"n":{{counter}}}"#), call("b", 1.0, "{}")];
        let speaker = speaker(Revision::V2026_07_28, Framing::Lines);
        let mut calls = Calls::new(speaker, calls, 5, (0, 1), ID_FIRST);
        assert!(!calls.is_constant(0) && calls.is_constant(1));
        for number in 1..=2 {
            let mut out = Vec::new();
            let at = calls.write(0, 1_234_567_890, None, &mut out);
            assert_eq!(&out[at..at + 10], b"1234567890");
            let message: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(message["params"]["arguments"], serde_json::json!({"n": number}));
            assert_eq!(message["params"]["name"], "a");
        }
    }
}
