//! The demo toolset's `echo` by hand: the checks and the answer of a server that was written for this one call.
//!
//! It parses the head once, and the body once into borrowed structs, and gives the answer that Weir gives. It has no
//! schemas, limits, deadlines, pool or metrics: the difference to Weir shows what they cost.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::http::Front;

/// The end of an answer of revision 2026-07-28, behind its text.
const MODERN_END: &[u8] =
    br#"}],"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"weir","version":"0.1.0","title":"Weir"}}}}"#;
const MODERN: &str = "2026-07-28";
const LEGACY: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];

/// The fields that matter, as they came.
#[derive(Default)]
struct Head<'a> {
    host: Option<&'a [u8]>,
    origin: Option<&'a [u8]>,
    content_type: Option<&'a [u8]>,
    accept: Option<&'a [u8]>,
    version: Option<&'a [u8]>,
    method: Option<&'a [u8]>,
    name: Option<&'a [u8]>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    id: u64,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    params: Params<'a>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    arguments: Arguments<'a>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<Meta<'a>>,
}

#[derive(Deserialize)]
struct Arguments<'a> {
    #[serde(borrow)]
    message: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    version: Cow<'a, str>,
    #[serde(rename = "io.modelcontextprotocol/clientCapabilities")]
    capabilities: Option<IgnoredAny>,
}

/// Answers echoes.
#[derive(Default)]
pub(crate) struct Echo {
    date: String,
    date_second: u64,
    body: Vec<u8>,
}

impl Echo {
    /// Answers the request at the front of `bytes` into `out`, if it is whole.
    pub(crate) fn serve(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Front {
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut request = httparse::Request::new(&mut fields);
        let head_bytes = match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Front::Incomplete,
            Err(_) => return Front::Invalid,
        };
        let (mut head, mut length) = (Head::default(), 0);
        for field in request.headers.iter() {
            match field.name.len() {
                14 if field.name.eq_ignore_ascii_case("content-length") => {
                    let text = std::str::from_utf8(field.value).ok();
                    match text.and_then(|text| text.parse::<usize>().ok()) {
                        Some(bytes) => length = bytes,
                        None => return Front::Invalid,
                    }
                }
                17 if field.name.eq_ignore_ascii_case("transfer-encoding") => return Front::Invalid,
                _ => head.take(field.name, field.value),
            }
        }
        let Some(end) = head_bytes.checked_add(length) else {
            return Front::Invalid;
        };
        let Some(body) = bytes.get(head_bytes..end) else {
            return Front::Incomplete;
        };
        let is_here = request.method == Some("POST") && request.path == Some("/mcp");
        self.body.clear();
        let status = if is_here && head.is_let_in() {
            self.answer(&head, body).map_or("400 Bad Request", |()| "200 OK")
        } else {
            "403 Forbidden"
        };
        self.write(status, out);
        Front::Request(end)
    }

    /// The answer's body; `None` if the request is no echo.
    fn answer(&mut self, head: &Head<'_>, body: &[u8]) -> Option<()> {
        let call: Call<'_> = serde_json::from_slice(body).ok()?;
        let is_echo = call.jsonrpc == "2.0" && call.method == "tools/call" && call.params.name == "echo";
        let version = head.version?;
        let is_modern = version == MODERN.as_bytes();
        let is_known = if is_modern {
            let meta = call.params.meta.as_ref()?;
            meta.version == MODERN
                && meta.capabilities.is_some()
                && head.method == Some(b"tools/call")
                && head.name == Some(call.params.name.as_bytes())
        } else {
            LEGACY.iter().any(|known| known.as_bytes() == version)
        };
        if !is_echo || !is_known {
            return None;
        }
        let out = &mut self.body;
        out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
        out.extend_from_slice(itoa::Buffer::new().format(call.id).as_bytes());
        out.extend_from_slice(if is_modern {
            br#","result":{"resultType":"complete","content":[{"type":"text","text":"#.as_slice()
        } else {
            br#","result":{"content":[{"type":"text","text":"#
        });
        serde_json::to_writer(&mut *out, &call.params.arguments.message).ok()?;
        out.extend_from_slice(if is_modern { MODERN_END } else { br#"}]}}"# });
        Some(())
    }

    fn write(&mut self, status: &str, out: &mut Vec<u8>) {
        self.refresh_date();
        for part in [
            "HTTP/1.1 ",
            status,
            "\r\nDate: ",
            &self.date,
            "\r\nContent-Type: application/json\r\nContent-Length: ",
            itoa::Buffer::new().format(self.body.len()),
            "\r\n\r\n",
        ] {
            out.extend_from_slice(part.as_bytes());
        }
        out.extend_from_slice(&self.body);
    }

    fn refresh_date(&mut self) {
        let now = SystemTime::now();
        let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if second != self.date_second {
            self.date_second = second;
            self.date = httpdate::fmt_http_date(now);
        }
    }
}

impl<'a> Head<'a> {
    fn take(&mut self, name: &str, value: &'a [u8]) {
        let field = match name.len() {
            4 if name.eq_ignore_ascii_case("host") => &mut self.host,
            6 if name.eq_ignore_ascii_case("origin") => &mut self.origin,
            6 if name.eq_ignore_ascii_case("accept") => &mut self.accept,
            8 if name.eq_ignore_ascii_case("mcp-name") => &mut self.name,
            10 if name.eq_ignore_ascii_case("mcp-method") => &mut self.method,
            12 if name.eq_ignore_ascii_case("content-type") => &mut self.content_type,
            20 if name.eq_ignore_ascii_case("mcp-protocol-version") => &mut self.version,
            _ => return,
        };
        *field = Some(value);
    }

    /// The checks that a server on loopback has to do before it accepts a request.
    fn is_let_in(&self) -> bool {
        let is_from_here = self.origin.is_none_or(|origin| {
            let authority = origin
                .strip_prefix(b"http://")
                .or(origin.strip_prefix(b"https://"));
            authority.is_some_and(is_loopback)
        });
        let takes_both = self.accept.is_some_and(|accept| {
            contains(accept, b"application/json") && contains(accept, b"text/event-stream")
        });
        let is_json = self
            .content_type
            .is_some_and(|value| value.starts_with(b"application/json"));
        self.host.is_some_and(is_loopback) && is_from_here && takes_both && is_json
    }
}

fn is_loopback(authority: &[u8]) -> bool {
    let host = authority.split(|byte| *byte == b':').next().unwrap_or_default();
    host == b"127.0.0.1" || host.eq_ignore_ascii_case(b"localhost")
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let mut windows = haystack.windows(needle.len());
    windows.any(|window| window.eq_ignore_ascii_case(needle))
}
