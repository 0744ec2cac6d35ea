//! What the admin listener answers: a request head in, a whole response out.
//!
//! This module has no sockets, and `transport::http` writes its responses. Each of them closes its connection, so a
//! body that may follow the request's head does not matter.
#![allow(clippy::disallowed_methods, reason = "the admin thread is no shard")]

use std::time::{SystemTime, UNIX_EPOCH};

use super::view::{AdminView, Lifecycle};
use crate::config::{HEALTH_PATH, READINESS_PATH};
use crate::transport::http::admission::{self, HostRules, Probe};
use crate::transport::http::{HEAD_RESERVE, HealthSource, Refusal, Response, ResponseContext};
use crate::wire::http1::{DateCache, Head, HeadError, HeadLimits, Method, Status, parse_head};

/// The methods of every path.
const ALLOW: &str = "GET, HEAD";

/// What a request is for.
enum Target {
    Probe(Probe),
    Metrics,
}

/// Answers a complete head.
pub(super) fn answer(head: &[u8], limits: &HeadLimits, view: &AdminView, hosts: &HostRules) -> Vec<u8> {
    let head = match parse_head(head, limits) {
        Ok(head) => head,
        Err(error) => return refuse(error),
    };
    let is_head = head.method == Method::Head;
    match choose(&head, hosts) {
        Ok(Target::Probe(probe)) => {
            let (status, text) = view.answer(probe);
            write(&Response::Probe {
                status,
                text: &text,
                is_head,
            })
        }
        Ok(Target::Metrics) => write(&Response::Metrics {
            exposition: view.render_metrics().as_deref(),
            is_head,
        }),
        Err(refusal) => write(&Response::Refusal {
            refusal: refusal.into(),
            is_head,
        }),
    }
}

/// Answers bytes that are not a request head.
pub(super) fn refuse(error: HeadError) -> Vec<u8> {
    write(&Response::Refusal {
        refusal: error.into(),
        is_head: false,
    })
}

/// Answers a head that did not come in time.
pub(super) fn refuse_slow() -> Vec<u8> {
    write(&Response::Refusal {
        refusal: Refusal::Timeout,
        is_head: false,
    })
}

fn choose(head: &Head<'_>, hosts: &HostRules) -> Result<Target, admission::Refusal> {
    if !hosts.allows(head.authority) {
        return Err(admission::Refusal::Host);
    }
    let target = match head.path {
        HEALTH_PATH => Target::Probe(Probe::Health),
        READINESS_PATH => Target::Probe(Probe::Readiness),
        "/metrics" => Target::Metrics,
        _ => return Err(admission::Refusal::Path),
    };
    match head.method {
        Method::Get | Method::Head => Ok(target),
        _ => Err(admission::Refusal::Method { allow: ALLOW }),
    }
}

/// Answers probers here and on the port of MCP in the same way.
impl HealthSource for AdminView {
    fn answer(&self, probe: Probe) -> (Status, String) {
        let result = match probe {
            Probe::Health => self.ailment().map_or(Ok("ok"), Err),
            Probe::Readiness => readiness(self),
        };
        match result {
            Ok(text) => (Status::Ok, format!("{text}\n")),
            Err(reason) => (Status::ServiceUnavailable, format!("{reason}\n")),
        }
    }
}

/// The server's state if it is ready, otherwise why it is not.
fn readiness(view: &AdminView) -> Result<&'static str, String> {
    let lifecycle = view.lifecycle();
    if let Some(ailment) = view.ailment() {
        return Err(ailment);
    }
    if lifecycle != Lifecycle::Serving {
        return Err(lifecycle.as_str().to_owned());
    }
    view.not_ready().map_or(Ok(lifecycle.as_str()), Err)
}

fn write(response: &Response<'_>) -> Vec<u8> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let date = DateCache::new(since_1970.as_secs());
    let mut bytes = vec![0; HEAD_RESERVE];
    let written = response.write(&mut bytes, &ResponseContext::closing(), date.text());
    bytes.truncate(written.end);
    bytes.drain(..written.start);
    bytes
}
