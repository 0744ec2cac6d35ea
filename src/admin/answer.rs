//! What the admin listener answers: a request head in, a whole response out.
//!
//! This module has no sockets. Every answer closes its connection, so a body that may follow the head does not matter.
#![allow(clippy::disallowed_methods, reason = "the admin thread is no shard")]

use std::time::{SystemTime, UNIX_EPOCH};

use super::view::{AdminView, Lifecycle};
use crate::config::{HEALTH_PATH, READINESS_PATH};
use crate::metrics::Scrape;
use crate::transport::http::HealthSource;
use crate::transport::http::admission::{HostRules, Probe};
use crate::wire::http1::{
    BodyLength, Connection, DateCache, HEAD_RESERVE, Head, HeadError, HeadLimits, Method, ResponseHead,
    Status, parse_head, write_head_before,
};

const ALLOW: &str = "GET, HEAD";
const TEXT: &str = "text/plain; charset=utf-8";

/// A response before it is bytes.
#[derive(Debug)]
struct Answer {
    status: Status,
    content_type: &'static str,
    body: String,
}

impl Answer {
    fn text(status: Status, text: &str) -> Self {
        Self {
            status,
            content_type: TEXT,
            body: format!("{text}\n"),
        }
    }
}

/// Answers a complete head.
pub(super) fn answer(head: &[u8], limits: &HeadLimits, view: &AdminView, hosts: &HostRules) -> Vec<u8> {
    match parse_head(head, limits) {
        Ok(head) => {
            let body = if head.method == Method::Head {
                Body::Omit
            } else {
                Body::Send
            };
            write(&choose(&head, view, hosts), body)
        }
        Err(error) => refuse(error),
    }
}

/// Answers bytes that are not a request head.
pub(super) fn refuse(error: HeadError) -> Vec<u8> {
    write(&Answer::text(error.status(), &error.to_string()), Body::Send)
}

/// Answers a head that did not come in time.
pub(super) fn refuse_slow() -> Vec<u8> {
    write(&Answer::text(Status::RequestTimeout, "too slow"), Body::Send)
}

fn choose(head: &Head<'_>, view: &AdminView, hosts: &HostRules) -> Answer {
    if !hosts.allows(head.authority) {
        return Answer::text(Status::Forbidden, "this host is not allowed; see --allow-host");
    }
    let known = match head.path {
        HEALTH_PATH => health,
        READINESS_PATH => readiness,
        "/metrics" => metrics,
        _ => return Answer::text(Status::NotFound, "no such path"),
    };
    match head.method {
        Method::Get | Method::Head => known(view),
        _ => Answer::text(Status::MethodNotAllowed, "method not allowed here"),
    }
}

/// Answers probers on the port of MCP in the same way.
impl HealthSource for AdminView {
    fn answer(&self, probe: Probe) -> (Status, String) {
        let answer = match probe {
            Probe::Health => health(self),
            Probe::Readiness => readiness(self),
        };
        (answer.status, answer.body)
    }
}

fn health(view: &AdminView) -> Answer {
    match view.ailment() {
        None => Answer::text(Status::Ok, "ok"),
        Some(ailment) => Answer::text(Status::ServiceUnavailable, &ailment),
    }
}

fn readiness(view: &AdminView) -> Answer {
    let lifecycle = view.lifecycle();
    let refuse = |reason: &str| Answer::text(Status::ServiceUnavailable, reason);
    if let Some(ailment) = view.ailment() {
        return refuse(&ailment);
    }
    if lifecycle != Lifecycle::Serving {
        return refuse(lifecycle.as_str());
    }
    match view.not_ready() {
        Some(reason) => refuse(&reason),
        None => Answer::text(Status::Ok, lifecycle.as_str()),
    }
}

fn metrics(view: &AdminView) -> Answer {
    match view.render_metrics() {
        Some(body) => Answer {
            status: Status::Ok,
            content_type: Scrape::CONTENT_TYPE,
            body,
        },
        None => Answer::text(Status::InternalServerError, "metrics could not be rendered"),
    }
}

/// Whether the body follows its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Send,
    Omit,
}

fn write(answer: &Answer, body: Body) -> Vec<u8> {
    let mut bytes = vec![0; HEAD_RESERVE];
    bytes.extend_from_slice(answer.body.as_bytes());
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let date = DateCache::new(since_1970.as_secs());
    let head = ResponseHead {
        content_type: Some(answer.content_type),
        body: BodyLength::Length(answer.body.len() as u64),
        connection: Connection::Close,
        allow: (answer.status == Status::MethodNotAllowed).then_some(ALLOW),
        ..ResponseHead::empty(answer.status, date.text())
    };
    let start = write_head_before(&mut bytes, HEAD_RESERVE, &head);
    if body == Body::Omit {
        bytes.truncate(HEAD_RESERVE);
    }
    bytes.drain(..start);
    bytes
}
