//! The life of a legacy session, as requests of one connection: open it, say so, call a tool, close it.

use crate::address::Address;
use crate::response::{Outcome, header_value};

const INITIALIZE: &str = concat!(
    r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
    r#""capabilities":{},"clientInfo":{"name":"load","version":"1"}}}"#
);
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hello"}}}"#;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Initialize,
    Initialized,
    Call,
    Delete,
}

/// Where one connection stands.
pub(crate) struct LifeCycle {
    /// What every request begins with, behind its verb.
    start: String,
    step: Step,
    session: String,
    request: Vec<u8>,
}

impl LifeCycle {
    pub(crate) fn new(address: &Address, path: &str) -> LifeCycle {
        let mut cycle = LifeCycle {
            start: format!(
                " {path} HTTP/1.1\r\nhost: {}\r\naccept: application/json, text/event-stream\r\n",
                address.host()
            ),
            step: Step::Initialize,
            session: String::new(),
            request: Vec::new(),
        };
        cycle.begin(Step::Initialize);
        cycle
    }

    /// The request of this step.
    pub(crate) fn request(&self) -> &[u8] {
        &self.request
    }

    /// Takes the answer of this step. Returns the outcome of the whole cycle when it is over: with the last answer, or
    /// with one that is not right. The next request is then the first again.
    pub(crate) fn advance(&mut self, outcome: Outcome, answer: &[u8]) -> Option<Outcome> {
        let is_accepted = |outcome| matches!(outcome, Outcome::Status(200..=204));
        let next = match (self.step, outcome) {
            (Step::Initialize, Outcome::Ok) => header_value(answer, "mcp-session-id").map(|session| {
                self.session = session;
                Step::Initialized
            }),
            (Step::Initialized, outcome) if is_accepted(outcome) => Some(Step::Call),
            (Step::Call, Outcome::Ok) => Some(Step::Delete),
            // An empty answer with 200 is no result.
            (Step::Delete, outcome) if is_accepted(outcome) || outcome == Outcome::Failed => {
                self.begin(Step::Initialize);
                return Some(Outcome::Ok);
            }
            _ => None,
        };
        match next {
            Some(step) => {
                self.begin(step);
                None
            }
            None => {
                self.begin(Step::Initialize);
                Some(if outcome == Outcome::Ok {
                    Outcome::Malformed
                } else {
                    outcome
                })
            }
        }
    }

    fn begin(&mut self, step: Step) {
        self.step = step;
        let (verb, body) = match step {
            Step::Initialize => ("POST", INITIALIZE),
            Step::Initialized => ("POST", INITIALIZED),
            Step::Call => ("POST", CALL),
            Step::Delete => ("DELETE", ""),
        };
        let mut request = format!("{verb}{}", self.start);
        if step != Step::Initialize {
            request += &format!(
                "mcp-session-id: {}\r\nmcp-protocol-version: 2025-11-25\r\n",
                self.session
            );
        }
        if step != Step::Delete {
            request += &format!(
                "content-type: application/json\r\ncontent-length: {}\r\n",
                body.len()
            );
        }
        self.request = (request + "\r\n" + body).into_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPENED: &[u8] = b"HTTP/1.1 200 OK\r\nMcp-Session-Id: abc\r\ncontent-length: 2\r\n\r\n{}";

    fn cycle() -> LifeCycle {
        LifeCycle::new(&Address::Internet(([127, 0, 0, 1], 80).into()), "/mcp")
    }

    #[test]
    fn four_right_answers_are_one_cycle() {
        let mut cycle = cycle();
        for _ in 0..2 {
            assert!(cycle.request().starts_with(b"POST /mcp HTTP/1.1\r\n"));
            assert_eq!(cycle.advance(Outcome::Ok, OPENED), None);
            let request = String::from_utf8(cycle.request().to_vec()).unwrap();
            assert!(request.contains("\r\nmcp-session-id: abc\r\n"), "{request}");
            assert_eq!(cycle.advance(Outcome::Status(202), b""), None);
            assert_eq!(cycle.advance(Outcome::Ok, b""), None);
            assert!(cycle.request().starts_with(b"DELETE "));
            assert_eq!(cycle.advance(Outcome::Status(204), b""), Some(Outcome::Ok));
        }
    }

    #[test]
    fn a_wrong_answer_ends_the_cycle() {
        let mut cycle = cycle();
        let without_session = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(
            cycle.advance(Outcome::Ok, without_session),
            Some(Outcome::Malformed)
        );
        assert_eq!(cycle.advance(Outcome::Ok, OPENED), None);
        let refused = Outcome::Status(404);
        assert_eq!(cycle.advance(refused, b""), Some(refused));
        assert!(
            !cycle.request().windows(7).any(|bytes| bytes == b"session"),
            "it begins anew"
        );
    }
}
