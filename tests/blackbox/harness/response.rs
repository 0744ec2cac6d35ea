//! Responses: they are framed strictly, and checked before any test sees them.
//!
//! Invariant: a [`Response`] that exists has sound framing, the fields its status demands, and a body that the
//! specification's schemas accept if it is JSON.

use serde_json::Value;

use super::message::Revision;
use super::specification;

/// The body with which HTTP+SSE answers a POST.
const ACCEPTED: &str = "Accepted";

/// One response, its body unframed.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    json: Option<Value>,
}

impl Response {
    /// The response at the front of `bytes` and its length, if it is complete.
    ///
    /// # Panics
    /// Panics if it is an event stream, which is read in another way.
    pub(crate) fn take(bytes: &[u8], is_to_head: bool, revision: Revision) -> Option<(Self, usize)> {
        let (mut response, head_bytes) = Self::take_head(bytes)?;
        assert_ne!(
            response.field("content-type"),
            Some("text/event-stream"),
            "an event stream where a whole answer is expected: {}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(600)])
        );
        let status = response.status;
        let has_body = !(is_to_head || status == 204 || (100..200).contains(&status));
        let announced = response.field("content-length").map(|text| text.parse().unwrap());
        let body_bytes = if has_body { announced.unwrap_or(0) } else { 0 };
        let body = bytes.get(head_bytes..head_bytes + body_bytes)?;
        response.body = body.to_vec();
        response.judge(is_to_head, revision);
        Some((response, head_bytes + body_bytes))
    }

    /// The head at the front of `bytes`, no body yet, and its length.
    pub(crate) fn take_head(bytes: &[u8]) -> Option<(Self, usize)> {
        let head_bytes = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&bytes[..head_bytes - 4]).expect("the head is ASCII");
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap();
        let status = status_line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .unwrap_or_else(|| panic!("no status line: {status_line:?}"));
        let fields: Vec<(String, String)> = lines
            .map(|line| {
                line.split_once(": ")
                    .unwrap_or_else(|| panic!("no field: {line:?}"))
            })
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let response = Self {
            status,
            fields,
            body: Vec::new(),
            json: None,
        };
        Some((response, head_bytes))
    }

    /// The value of a field that occurs once.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(known, _)| known == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} occurs twice: {self:?}");
        value
    }

    /// Whether the server closes the connection behind it.
    pub(crate) fn closes(&self) -> bool {
        self.field("connection") == Some("close")
    }

    /// The JSON body.
    #[track_caller]
    pub(crate) fn json(&self) -> &Value {
        let json = self.json.as_ref();
        json.unwrap_or_else(|| panic!("no JSON: {} {:?}", self.status, self.text()))
    }

    pub(crate) fn has_json(&self) -> bool {
        self.json.is_some()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body[..self.body.len().min(400)]).into_owned()
    }

    /// The result of a request that succeeded with status 200.
    #[track_caller]
    pub(crate) fn result(&self) -> &Value {
        assert_eq!(self.status, 200, "{}", self.text());
        let result = self.json().get("result");
        result.unwrap_or_else(|| panic!("no result: {}", self.text()))
    }

    /// The text of the only content block of a tool's result, which must not be an error.
    #[track_caller]
    pub(crate) fn tool_text(&self) -> &str {
        let result = self.result();
        assert!(!self.is_tool_error(), "{}", self.text());
        assert_eq!(
            result["content"].as_array().map(Vec::len),
            Some(1),
            "{}",
            self.text()
        );
        result["content"][0]["text"].as_str().unwrap()
    }

    #[track_caller]
    pub(crate) fn is_tool_error(&self) -> bool {
        self.result()["isError"] == true
    }

    /// Fails unless this is the answer with `id` of an `echo` of `message`.
    #[track_caller]
    pub(crate) fn assert_echo(&self, id: impl Into<Value>, message: &str) {
        assert_eq!(self.tool_text(), message);
        assert_eq!(self.json()["id"], id.into());
    }

    /// Fails unless this is a JSON-RPC error with this status, code and id; no id is `Value::Null`.
    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, code: i64, id: impl Into<Value>) -> &Value {
        assert_eq!(self.status, status, "{}", self.text());
        let error = self.json();
        assert_eq!(error["error"]["code"], code, "{}", self.text());
        assert_eq!(error["id"], id.into(), "{}", self.text());
        &error["error"]
    }

    /// Fails unless the response has this status; an accepting one must have no body.
    #[track_caller]
    pub(crate) fn assert_status(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}", self.text());
        assert!(status != 202 || self.body.is_empty(), "{self:?}");
        self
    }

    /// Fails unless this accepts a message as HTTP+SSE does, with one word.
    #[track_caller]
    pub(crate) fn assert_accepted(&self) {
        assert_eq!(self.status, 202, "{}", self.text());
        assert_eq!(self.text(), ACCEPTED);
        assert!(!self.closes(), "{self:?}");
    }

    /// Checks the body of an answer with status 202.
    fn is_acceptance(&self) -> bool {
        let is_text = || self.field("content-type") == Some("text/plain; charset=utf-8");
        self.body.is_empty() || (self.body == ACCEPTED.as_bytes() && is_text())
    }

    fn judge(&mut self, is_to_head: bool, revision: Revision) {
        if self.status < 200 {
            assert!(self.fields.is_empty() && self.body.is_empty(), "{self:?}");
            return;
        }
        assert_ne!(self.status, 500, "{self:?}");
        let date = self.field("date").unwrap_or_else(|| panic!("no Date: {self:?}"));
        assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
        assert!(self.field("transfer-encoding").is_none(), "{self:?}");
        let has_length = self.field("content-length").is_some();
        assert_eq!(has_length, self.status != 204, "{self:?}");
        assert!(self.status != 202 || self.is_acceptance(), "{self:?}");
        assert!(self.status != 405 || self.field("allow").is_some(), "{self:?}");
        if self.field("content-type") == Some("application/json") && !is_to_head {
            self.json = Some(specification::read(&self.body, revision));
        }
        // The status alone is the answer to a prober.
        if self.status == 503 && self.has_json() {
            let seconds = self
                .field("retry-after")
                .and_then(|text| text.parse::<u32>().ok());
            assert!(seconds.is_some_and(|seconds| seconds >= 1), "{self:?}");
        }
    }
}
