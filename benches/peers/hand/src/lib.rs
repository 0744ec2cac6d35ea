//! The MCP part of the servers by hand: what an expert writes once for this job and mounts on any HTTP stack.
//!
//! The tools `echo` and `blob`, in revision 2026-07-28 and in the ones before it, and sessions with their life cycle.
//! A message is parsed once, into borrowed structs. The checks of headers and members, and the answers, are Weir's;
//! there are no schemas, limits, deadlines, pools or metrics, so that the difference to Weir shows what they cost.

#![allow(clippy::disallowed_methods, reason = "no shard runs here")]

pub mod http;
mod message;

use std::cell::RefCell;
use std::collections::HashSet;

use message::{Arguments, Call, Message};

const MODERN: &str = "2026-07-28";
const LEGACY: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];

/// The result of `initialize`.
const INITIALIZED: &str = concat!(
    r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"resources":{"subscribe":true},"prompts":{},"#,
    r#""completions":{},"logging":{},"tasks":{"list":{},"cancel":{},"requests":{"tools":{"call":{}}}}},"#,
    r#""serverInfo":{"name":"weir","version":"0.1.0","title":"Weir"}}"#
);
const TOOLS: &str = concat!(
    r#"{"tools":[{"name":"echo","inputSchema":{"type":"object","properties":{"message":{"type":"string"}}}},"#,
    r#"{"name":"blob","inputSchema":{"type":"object","properties":{"bytes":{"type":"integer"}}}}]}"#
);
/// The end of a call's answer, behind its text.
const MODERN_END: &[u8] =
    br#"}],"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"weir","version":"0.1.0","title":"Weir"}}}}"#;
const LEGACY_END: &[u8] = br#"}]}}"#;
const ALPHABET: &str = "abcdefghijklmnopqrstuvwxyz";

/// The header fields that matter, as they came.
#[derive(Default)]
pub struct Head<'a> {
    pub host: Option<&'a [u8]>,
    pub origin: Option<&'a [u8]>,
    pub content_type: Option<&'a [u8]>,
    pub accept: Option<&'a [u8]>,
    pub version: Option<&'a [u8]>,
    pub method: Option<&'a [u8]>,
    pub name: Option<&'a [u8]>,
    pub session: Option<&'a [u8]>,
}

/// The answer to a request, besides its body.
pub struct Answer {
    pub status: u16,
    /// The id of the session that was opened.
    pub session: Option<String>,
}

impl Answer {
    fn status(status: u16) -> Answer {
        Answer {
            status,
            session: None,
        }
    }
}

/// The open sessions.
#[derive(Default)]
pub struct Server {
    sessions: RefCell<HashSet<u128>>,
}

impl Server {
    /// Answers a POST; the body goes to the end of `out`.
    pub fn post(&self, head: &Head<'_>, body: &[u8], out: &mut Vec<u8>) -> Answer {
        if let Err(status) = head.admit() {
            return Answer::status(status);
        }
        match serde_json::from_slice::<Call<'_>>(body) {
            Ok(call) if call.is_right() => match self.call(head, call, out) {
                Ok(()) => Answer::status(200),
                Err(status) => Answer::status(status),
            },
            _ => self.other(head, body, out),
        }
    }

    /// Answers a DELETE: the session is closed.
    pub fn delete(&self, head: &Head<'_>) -> Answer {
        let was_open = head
            .session_id()
            .is_some_and(|id| self.sessions.borrow_mut().remove(&id));
        Answer::status(if was_open { 204 } else { 404 })
    }

    /// Runs a tool, or says with which status it is refused.
    fn call(&self, head: &Head<'_>, call: Call<'_>, out: &mut Vec<u8>) -> Result<(), u16> {
        let is_modern = head.version == Some(MODERN.as_bytes());
        if is_modern {
            let meta = call.params.meta.as_ref().ok_or(400_u16)?;
            let fits = meta.version.as_deref() == Some(MODERN)
                && meta.capabilities.is_some()
                && head.method == Some(b"tools/call")
                && head.name == Some(call.params.name.as_bytes());
            fits.then_some(()).ok_or(400_u16)?;
        } else {
            let is_known = |version: &[u8]| LEGACY.iter().any(|known| known.as_bytes() == version);
            head.version.is_some_and(is_known).then_some(()).ok_or(400_u16)?;
            (head.session.is_none() || self.is_open(head))
                .then_some(())
                .ok_or(404_u16)?;
        }
        let start = out.len();
        out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
        out.extend_from_slice(call.id.get().as_bytes());
        out.extend_from_slice(if is_modern {
            br#","result":{"resultType":"complete","content":[{"type":"text","text":"#.as_slice()
        } else {
            br#","result":{"content":[{"type":"text","text":"#
        });
        let written = match (&*call.params.name, call.params.arguments) {
            (
                "echo",
                Arguments {
                    message: Some(message),
                    ..
                },
            ) => serde_json::to_writer(&mut *out, &message),
            (
                "blob",
                Arguments {
                    bytes: Some(bytes), ..
                },
            ) => {
                let mut text = ALPHABET.repeat(bytes / ALPHABET.len() + 1);
                text.truncate(bytes);
                serde_json::to_writer(&mut *out, &text)
            }
            _ => {
                out.truncate(start);
                return Err(400);
            }
        };
        written.map_err(|_| 500_u16)?;
        out.extend_from_slice(if is_modern { MODERN_END } else { LEGACY_END });
        Ok(())
    }

    /// Answers what is no call of a tool.
    fn other(&self, head: &Head<'_>, body: &[u8], out: &mut Vec<u8>) -> Answer {
        let Ok(message) = serde_json::from_slice::<Message<'_>>(body) else {
            return Answer::status(400);
        };
        match (&*message.method, message.id) {
            ("initialize", Some(id)) => {
                write_result(id.get(), INITIALIZED, out);
                let id = fastrand::u128(..);
                self.sessions.borrow_mut().insert(id);
                Answer {
                    status: 200,
                    session: Some(format!("{id:032x}")),
                }
            }
            // `weir bench --life-cycle` asks once, before it begins.
            ("tools/list", Some(id)) if self.is_open(head) => {
                write_result(id.get(), TOOLS, out);
                Answer::status(200)
            }
            (_, None) => Answer::status(if self.is_open(head) { 202 } else { 404 }),
            _ => Answer::status(404),
        }
    }

    fn is_open(&self, head: &Head<'_>) -> bool {
        head.session_id()
            .is_some_and(|id| self.sessions.borrow().contains(&id))
    }
}

impl Head<'_> {
    /// The checks that a server on loopback has to do before it accepts a request, or the status of its refusal.
    fn admit(&self) -> Result<(), u16> {
        let is_from_here = |origin: &[u8]| {
            let authority = origin
                .strip_prefix(b"http://")
                .or(origin.strip_prefix(b"https://"));
            authority.is_some_and(is_loopback)
        };
        let takes_both =
            |accept: &[u8]| contains(accept, b"application/json") && contains(accept, b"text/event-stream");
        let is_json = |content_type: &[u8]| content_type.starts_with(b"application/json");
        if !self.host.is_some_and(is_loopback) || !self.origin.is_none_or(is_from_here) {
            Err(403)
        } else if !self.content_type.is_some_and(is_json) {
            Err(415)
        } else if !self.accept.is_some_and(takes_both) {
            Err(406)
        } else {
            Ok(())
        }
    }

    fn session_id(&self) -> Option<u128> {
        u128::from_str_radix(std::str::from_utf8(self.session?).ok()?, 16).ok()
    }
}

fn write_result(id: &str, result: &str, out: &mut Vec<u8>) {
    for part in [r#"{"jsonrpc":"2.0","id":"#, id, r#","result":"#, result, "}"] {
        out.extend_from_slice(part.as_bytes());
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
