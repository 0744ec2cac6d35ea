//! A peer that sends requests with secrets of its own and holds the answers to them.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::ring::simulated::{PeerView, SimulatedPeer};
use crate::wire::http1::{BodyLimits, ChunkDecoder};

/// Which era a request speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    Legacy,
    Modern,
}

/// What must come back for a request, if anything does.
#[derive(Debug, Clone)]
pub(super) enum Expected {
    /// A JSON-RPC answer to this id; a result has this secret in it.
    Answer { id: u64, secret: String },
    /// An array with one answer for each of these.
    Answers(Vec<(u64, String)>),
    /// This status and no JSON.
    Status(u16),
}

/// A request and what must come back.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub bytes: Vec<u8>,
    pub expected: Expected,
}

const FIELDS: &str = "Host: localhost\r\nAccept: application/json, text/event-stream\r\n\
    Content-Type: application/json\r\n";

fn params(tool: &str, secret: &str) -> Value {
    match tool {
        "blob" | "haul" | "pour" => json!({"name": tool, "arguments": {"secret": secret, "bytes": 150_000}}),
        "speak" => json!({"name": tool, "arguments": {"secret": secret, "lines": 3, "bytes": 3000}}),
        _ => json!({"name": tool, "arguments": {"secret": secret}}),
    }
}

fn modern_meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/logLevel": "debug",
    })
}

pub(super) fn post(fields: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST /mcp HTTP/1.1\r\n{FIELDS}{fields}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// A call of `tool`.
pub(super) fn call(era: Era, tool: &str, id: u64, secret: &str) -> Request {
    let mut message =
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params(tool, secret)});
    let fields = match era {
        Era::Legacy => String::new(),
        Era::Modern => {
            message["params"]["_meta"] = modern_meta();
            format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n")
        }
    };
    let expected = Expected::Answer {
        id,
        secret: secret.to_owned(),
    };
    Request {
        bytes: post(&fields, message.to_string().as_bytes()),
        expected,
    }
}

/// The same request with its body in chunks of `chunk_bytes`.
pub(super) fn chunked(request: Request, chunk_bytes: usize) -> Request {
    let text = String::from_utf8(request.bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let (head, _) = head.rsplit_once("Content-Length").unwrap();
    let mut bytes = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.as_bytes().chunks(chunk_bytes) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    Request {
        bytes,
        expected: request.expected,
    }
}

/// The same request, asking to go on before its body.
pub(super) fn expecting_continue(request: Request) -> Request {
    let text = String::from_utf8(request.bytes).unwrap();
    Request {
        bytes: text
            .replacen("Content-Length", "Expect: 100-continue\r\nContent-Length", 1)
            .into_bytes(),
        expected: request.expected,
    }
}

/// The same request, as a browser would send it.
pub(super) fn with_origin(request: Request) -> Request {
    let text = String::from_utf8(request.bytes).unwrap();
    Request {
        bytes: text
            .replacen(
                "Content-Length",
                "Origin: http://localhost:8080\r\nContent-Length",
                1,
            )
            .into_bytes(),
        expected: request.expected,
    }
}

/// The same request with a field more.
pub(super) fn with_field(request: Request, name: &str, value: &str) -> Request {
    let text = String::from_utf8(request.bytes).unwrap();
    let field = format!("{name}: {value}\r\nContent-Length");
    Request {
        bytes: text.replacen("Content-Length", &field, 1).into_bytes(),
        expected: request.expected,
    }
}

/// A batch of calls, in the one revision that has them.
pub(super) fn batch(calls: &[(&str, u64, &str)]) -> Request {
    let messages: Vec<Value> = calls
        .iter()
        .map(|(tool, id, secret)| {
            json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params(tool, secret)})
        })
        .collect();
    let expected = calls
        .iter()
        .map(|(_, id, secret)| (*id, (*secret).to_owned()))
        .collect();
    Request {
        bytes: post("", Value::from(messages).to_string().as_bytes()),
        expected: Expected::Answers(expected),
    }
}

/// Control: answered without a handler.
pub(super) fn ping(id: u64) -> Request {
    let message = json!({"jsonrpc": "2.0", "id": id, "method": "ping"});
    let expected = Expected::Answer {
        id,
        secret: String::new(),
    };
    Request {
        bytes: post("", message.to_string().as_bytes()),
        expected,
    }
}

/// Answered with a status alone.
pub(super) fn notification() -> Request {
    let message = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    Request {
        bytes: post("", message.to_string().as_bytes()),
        expected: Expected::Status(202),
    }
}

/// Not let in, but the connection goes on.
pub(super) fn get() -> Request {
    Request {
        bytes: format!("GET /mcp HTTP/1.1\r\n{FIELDS}\r\n").into_bytes(),
        expected: Expected::Status(405),
    }
}

/// One HTTP answer. Of a stream the body is the last message, and the events are those before it.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    pub events: Vec<Value>,
}

/// A peer, what it has asked, and what it has heard.
#[derive(Debug)]
pub(super) struct Client {
    pub peer: SimulatedPeer,
    /// Bytes still to be sent.
    pub unsent: VecDeque<u8>,
    /// Requests in order, with the byte of the stream each ends at.
    asked: VecDeque<(usize, Expected)>,
    asked_bytes: usize,
    sent_bytes: usize,
    heard: Vec<u8>,
    /// Complete answers, in order.
    pub answers: Vec<Answer>,
    /// Something that is no request was sent behind the requests.
    pub has_sent_rubbish: bool,
}

impl Client {
    pub(super) fn new(peer: SimulatedPeer) -> Client {
        Client {
            peer,
            unsent: VecDeque::new(),
            asked: VecDeque::new(),
            asked_bytes: 0,
            sent_bytes: 0,
            heard: Vec::new(),
            answers: Vec::new(),
            has_sent_rubbish: false,
        }
    }

    /// Queues a request.
    pub(super) fn ask(&mut self, request: Request) {
        self.asked_bytes += request.bytes.len();
        self.unsent.extend(request.bytes);
        self.asked.push_back((self.asked_bytes, request.expected));
    }

    /// Queues what is no request.
    pub(super) fn rave(&mut self, bytes: &[u8]) {
        self.unsent.extend(bytes);
        self.asked_bytes += bytes.len();
        self.has_sent_rubbish = true;
    }

    /// Sends up to `bytes_max` of what is queued.
    pub(super) fn send(&mut self, bytes_max: usize) {
        let count = bytes_max.min(self.unsent.len());
        let piece: Vec<u8> = self.unsent.drain(..count).collect();
        self.sent_bytes += count;
        if count > 0 {
            self.peer.write(&piece);
        }
    }

    /// Asks and sends at once.
    pub(super) fn request(&mut self, request: Request) {
        self.ask(request);
        self.send(usize::MAX);
    }

    /// Requests sent whole and not answered.
    pub(super) fn unanswered(&self) -> usize {
        self.asked
            .iter()
            .filter(|(end, _)| *end <= self.sent_bytes)
            .count()
    }

    /// Whether an answer has begun and not ended.
    pub(super) fn is_amid_answer(&self) -> bool {
        !self.heard.is_empty()
    }

    pub(super) fn is_open(&self) -> bool {
        self.peer.view() == PeerView::Open
    }

    /// Reads what has come and holds every complete answer to what was asked.
    pub(super) fn read(&mut self) {
        self.heard.extend(self.peer.read());
        while let Some((answer, bytes)) = first_answer(&self.heard) {
            self.heard.drain(..bytes);
            if answer.status != 100 {
                self.judge(&answer);
                self.answers.push(answer);
            }
        }
    }

    fn judge(&mut self, answer: &Answer) {
        let (sent_bytes, Some((end, expected))) = (self.sent_bytes, self.asked.pop_front()) else {
            assert!(
                self.has_sent_rubbish || answer.status == 408,
                "an answer nobody asked for: {answer:?}"
            );
            return;
        };
        // Refused before it was decoded: in HTTP's words, or as overload without an id.
        let is_json = answer.head.contains("application/json") || !answer.events.is_empty();
        let is_undecoded = match answer.status {
            400 | 408 => !is_json,
            503 => is_json && !String::from_utf8_lossy(&answer.body).contains(r#""id":"#),
            _ => false,
        };
        if is_undecoded {
            assert!(answer.head.contains("connection: close"), "{answer:?}");
            return;
        }
        assert!(end <= sent_bytes, "an answer before its request: {answer:?}");
        let json = || -> Value { serde_json::from_slice(&answer.body).unwrap() };
        match expected {
            Expected::Answer { id, secret } => {
                judge_one(&json(), id, &secret);
                for event in &answer.events {
                    let said = event["params"]["data"].as_str().unwrap_or_default();
                    assert!(said.starts_with(&secret), "{secret} was asked, {said:?} was said");
                }
            }
            Expected::Answers(all) => {
                let elements = json();
                let elements = elements.as_array().unwrap();
                assert_eq!(elements.len(), all.len(), "{answer:?}");
                for (element, (id, secret)) in elements.iter().zip(&all) {
                    judge_one(element, *id, secret);
                }
            }
            Expected::Status(status) => assert_eq!(answer.status, status, "{answer:?}"),
        }
    }

    /// Reads what has come; the results so far.
    pub(super) fn heard_results(&mut self) -> Vec<String> {
        self.read();
        self.results()
    }

    /// The whole texts of the results so far; errors as their code.
    pub(super) fn results(&self) -> Vec<String> {
        let texts = self.answers.iter().map(|answer| {
            let Ok(json) = serde_json::from_slice::<Value>(&answer.body) else {
                return answer.status.to_string();
            };
            match (
                &json["error"]["code"],
                json["result"]["content"][0]["text"].as_str(),
            ) {
                (code, None) if code.is_number() => code.to_string(),
                (_, Some(text)) => text.to_owned(),
                _ => json["result"].to_string(),
            }
        });
        texts.collect()
    }
}

/// An error is no crossing; a result must be this request's own.
fn judge_one(json: &Value, id: u64, secret: &str) {
    assert_eq!(json["id"], id, "another's answer, or out of order: {json}");
    if let Some(result) = json.get("result").filter(|result| result["isError"] != true) {
        let text = result["content"][0]["text"].as_str().unwrap_or_default();
        let is_own = text
            .strip_prefix(secret)
            .is_some_and(|rest| rest.bytes().all(|b| b == b'x'));
        assert!(
            is_own,
            "{secret} was asked, {:?} came",
            &text[..text.len().min(80)]
        );
    }
}

/// The first complete answer and its length. Panics on bytes that are none.
fn first_answer(bytes: &[u8]) -> Option<(Answer, usize)> {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end])
        .expect("a head is text")
        .to_lowercase();
    let status = head
        .strip_prefix("http/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|code| code.parse().ok())
        .unwrap_or_else(|| panic!("no status line: {head}"));
    if head.contains("transfer-encoding: chunked") {
        let mut text = Vec::new();
        let decoded = ChunkDecoder::default().decode(&bytes[end..], &mut text, &BodyLimits::default());
        let decoded = decoded.expect("chunks");
        if !decoded.is_done {
            return None;
        }
        if head.contains("content-type: application/json") {
            let answer = Answer {
                status,
                head,
                body: text,
                events: Vec::new(),
            };
            return Some((answer, end + decoded.consumed));
        }
        let mut events = events(&text);
        let last = events.pop().map(|last| last.to_string().into_bytes());
        let answer = Answer {
            status,
            head,
            body: last.unwrap_or_default(),
            events,
        };
        return Some((answer, end + decoded.consumed));
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    let body = bytes.get(end..end + length)?.to_vec();
    let events = Vec::new();
    let answer = Answer {
        status,
        head,
        body,
        events,
    };
    Some((answer, end + length))
}

/// The messages of an event stream; comments, ids and primings aside.
pub(super) fn events(text: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(text).expect("events are text");
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).expect("an event's data is JSON"))
        .collect()
}
