//! The two endpoints of HTTP+SSE (MCP 2024-11-05, *HTTP with SSE*; deprecated since 2025-03-26).
//!
//! A client opens an event stream by GET and learns there where to POST its messages; everything that the server sends
//! comes on the stream. So a POST's `Accept` does not matter: its answer is its status.

use super::endpoint::Endpoint;
use super::refusal::Refusal;
use crate::config::{SSE_MESSAGES_PATH, SSE_PATH};
use crate::transport::http::Head;
use crate::wire::http1::Method;

/// The query's parameter with the stream's name.
pub const SSE_NAME_PARAMETER: &str = "sessionId";

/// The purpose of a request for one of the two endpoints; `None` for any other path. The path of one server's is what
/// is behind that server's own.
pub(super) fn choose_endpoint(asked: Method, path: &str) -> Option<Result<Endpoint, Refusal>> {
    let (method, endpoint, allow) = match without_slash(path) {
        SSE_PATH => (Method::Get, Endpoint::SseOpen, "GET"),
        SSE_MESSAGES_PATH => (Method::Post, Endpoint::SsePost, "POST"),
        _ => return None,
    };
    Some(match asked {
        asked if asked == method => Ok(endpoint),
        Method::Other => Err(Refusal::MethodUnknown),
        _ => Err(Refusal::Method { allow }),
    })
}

/// The place to which the client of a GET is to POST, as a reference relative to that GET's URL, so that a proxy that
/// removes a prefix need not put it back into the event: `messages`, and from `/sse/` one step up.
pub fn sse_messages_reference(head: &Head<'_>) -> &'static str {
    if head.path.ends_with('/') {
        "../messages"
    } else {
        "messages"
    }
}

/// A path is the same with one slash behind it.
fn without_slash(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

/// The name of the stream that a POST's query is for, undecoded: names need no escapes. `None` if there is none, or
/// more than one.
pub fn sse_stream_name<'a>(head: &Head<'a>) -> Option<&'a str> {
    let mut names = head
        .query
        .split('&')
        .filter_map(|parameter| parameter.split_once('='))
        .filter_map(|(name, value)| (name == SSE_NAME_PARAMETER).then_some(value));
    names.next().filter(|_| names.next().is_none())
}
