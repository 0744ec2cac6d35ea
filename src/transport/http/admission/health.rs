//! Health beside MCP, for platforms that give a process one port.
//!
//! This tells that there is such a path, and what the request asks; the answer is that of the admin listener. Metrics
//! are not here: they tell more than a stranger should know.

use super::endpoint::{Endpoint, Probe};
use super::refusal::Refusal;
use crate::config::{HEALTH_PATH, READINESS_PATH};
use crate::transport::http::Head;
use crate::wire::http1::Method;

const ALLOW: &str = "GET, HEAD";

/// The purpose of a request for one of the two paths; `None` for any other path.
pub(super) fn choose_endpoint(head: &Head<'_>) -> Option<Result<Endpoint, Refusal>> {
    let probe = match head.path {
        HEALTH_PATH => Probe::Health,
        READINESS_PATH => Probe::Readiness,
        _ => return None,
    };
    Some(match head.method {
        Method::Get | Method::Head => Ok(Endpoint::Health(probe)),
        Method::Other => Err(Refusal::MethodUnknown),
        _ => Err(Refusal::Method { allow: ALLOW }),
    })
}
