//! The fields that a page of another origin may send and read (Fetch Standard, section 3.2, *CORS protocol*).
//!
//! Before a page sends something that no form could, its browser asks by an `OPTIONS` request, a preflight. The answer
//! is the same for every path: a page of an allowed origin may send everything that MCP uses, and the answer to its
//! request tells it what there is at a path. Credentials of the browser's own (cookies) are not asked for and not
//! allowed: MCP's clients send theirs themselves. `wire` writes the fields of all other answers.

use crate::transport::http::Head;
use crate::wire::http1::{self, Connection, Cors, Method, ResponseHead, Status, is_token, split_list};

/// The methods that pages may use.
const METHODS: &str = "GET, POST, DELETE";
/// How long a browser need not ask again: the longest time that Chromium remembers.
const MAX_AGE_SECONDS: &str = "7200";
/// The fields that a page may send beyond those that need no permission: MCP's own fields, credentials, and the trace's
/// context (W3C). `Accept`, `Content-Type` and languages need one when their values are unusual.
const FIELDS: [&str; 13] = [
    "accept",
    "accept-language",
    "authorization",
    "baggage",
    "content-language",
    "content-type",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "traceparent",
    "tracestate",
];
/// The prefix of fields that carry arguments of calls.
const PARAMETER_PREFIX: &str = "mcp-param-";

/// Whether a browser asks for permission to send something: `OPTIONS` with both fields that only browsers set.
pub(super) fn is_preflight(head: &Head<'_>) -> bool {
    head.method == Method::Options
        && head.fields.origin.is_present()
        && head.lines().field("access-control-request-method").is_present()
}

/// Appends the whole answer to a preflight. Allocates only if `out` lacks the capacity: for
/// [`HEAD_RESERVE`](http1::HEAD_RESERVE) bytes and as many as the request's list of fields has.
///
/// `readable_by`: see [`AdmissionPolicy::readable_by`](super::AdmissionPolicy::readable_by).
pub fn write_preflight_answer(
    out: &mut Vec<u8>,
    head: &Head<'_>,
    readable_by: Option<&str>,
    connection: Connection,
    date: &[u8; 29],
) {
    let common = ResponseHead {
        connection,
        cors: Cors::Varies,
        ..ResponseHead::empty(Status::NoContent, date)
    };
    http1::write_bodyless(out, &common);
    // More fields go in front of the empty line.
    out.truncate(out.len() - b"\r\n".len());
    if let Some(origin) = readable_by {
        write_field(out, "Access-Control-Allow-Origin", origin);
        write_field(out, "Access-Control-Allow-Methods", METHODS);
        write_allowed_fields(out, head);
        let wants_private = head.lines().field("access-control-request-private-network");
        if wants_private.value() == Some(b"true") {
            write_field(out, "Access-Control-Allow-Private-Network", "true");
        }
        write_field(out, "Access-Control-Max-Age", MAX_AGE_SECONDS);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends those of the requested fields that a page may send, as they were written; no field if there are none.
fn write_allowed_fields(out: &mut Vec<u8>, head: &Head<'_>) {
    let mut separator: &[u8] = b"Access-Control-Allow-Headers: ";
    let requested = head.values("access-control-request-headers");
    for name in requested.flat_map(|list| split_list(list, b',')) {
        if is_allowed(name) {
            out.extend_from_slice(separator);
            out.extend_from_slice(name);
            separator = b", ";
        }
    }
    if separator == b", " {
        out.extend_from_slice(b"\r\n");
    }
}

fn is_allowed(name: &[u8]) -> bool {
    let is_parameter = || {
        name.split_at_checked(PARAMETER_PREFIX.len())
            .is_some_and(|(prefix, rest)| {
                prefix.eq_ignore_ascii_case(PARAMETER_PREFIX.as_bytes()) && is_token(rest)
            })
    };
    FIELDS
        .iter()
        .any(|field| name.eq_ignore_ascii_case(field.as_bytes()))
        || is_parameter()
}

fn write_field(out: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}
