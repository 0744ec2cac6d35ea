//! Admitted requests, and the order of the rules.

mod content;
mod hosts_and_origins;
mod methods;
mod preflights;
mod sse_legacy;

use super::{
    AdmissionPolicy, AdmissionPolicyError, Endpoint, HostRulesError, Probe, Refusal, sse_messages_reference,
    sse_stream_name, takes_json, write_preflight_answer,
};
use crate::transport::http::parse_head;
use crate::units::ViewId;
use crate::wire::http1::{Connection, Field, HeadLimits, Status};

const BODY_BYTES_MAX: u64 = 1000;

fn loopback() -> AdmissionPolicy {
    AdmissionPolicy::new(
        "/mcp",
        AdmissionPolicy::LOOPBACK_HOSTS,
        AdmissionPolicy::LOOPBACK_ORIGINS,
        BODY_BYTES_MAX,
    )
    .unwrap()
}

fn policy(hosts: &[&str], origins: &[&str]) -> AdmissionPolicy {
    AdmissionPolicy::new("/mcp", hosts, origins, BODY_BYTES_MAX).unwrap()
}

/// A complete, admissible POST whose fields can be replaced (`None` leaves one out) or added.
fn request(line: &str, changes: &[(&str, Option<&str>)]) -> String {
    let usual = [
        ("Host", "localhost:8080"),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("Content-Length", "5"),
    ];
    let is_changed = |name: &str| changes.iter().any(|(changed, _)| *changed == name);
    let mut text = format!("{line}\r\n");
    for (name, value) in usual.into_iter().filter(|(name, _)| !is_changed(name)) {
        text += &format!("{name}: {value}\r\n");
    }
    for (name, value) in changes {
        text += &value
            .map(|value| format!("{name}: {value}\r\n"))
            .unwrap_or_default();
    }
    text + "\r\n"
}

fn admit(
    policy: &AdmissionPolicy,
    line: &str,
    changes: &[(&str, Option<&str>)],
) -> Result<Endpoint, Refusal> {
    let text = request(line, changes);
    let head = parse_head(text.as_bytes(), &HeadLimits::default());
    policy.admit(&head.unwrap_or_else(|error| panic!("{error}: {text:?}")))
}

fn post(changes: &[(&str, Option<&str>)]) -> Result<Endpoint, Refusal> {
    admit(&loopback(), "POST /mcp HTTP/1.1", changes)
}

fn post_with(name: &str, value: &str) -> Result<Endpoint, Refusal> {
    post(&[(name, Some(value))])
}
