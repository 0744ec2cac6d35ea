//! The one table from kinds of MCP's answers to HTTP's statuses (2025-11-25 and 2026-07-28, transports, Streamable
//! HTTP).

use crate::mcp::{Reply, ReplyKind};
use crate::metrics::Era;
use crate::wire::http1::Status;

/// The status with which an answer goes out.
pub fn status_of(reply: &Reply) -> Status {
    match reply.kind {
        ReplyKind::Answered | ReplyKind::SessionEnded => Status::Ok,
        ReplyKind::Accepted => Status::Accepted,
        ReplyKind::Invalid => Status::BadRequest,
        ReplyKind::MethodNotFound if reply.labels.era == Era::Modern => Status::NotFound,
        ReplyKind::MethodNotFound => Status::Ok,
        ReplyKind::Gone => Status::NotFound,
        ReplyKind::NotOffered => Status::MethodNotAllowed,
        ReplyKind::StreamTaken => Status::Conflict,
        ReplyKind::Unavailable => Status::ServiceUnavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::Labels;
    use crate::metrics::{Method, Outcome};

    fn status(kind: ReplyKind, era: Era) -> u16 {
        let labels = Labels {
            era,
            method: Method::Other,
            outcome: Outcome::Ok,
        };
        let reply = Reply {
            kind,
            ..Reply::of_control(labels)
        };
        status_of(&reply).code()
    }

    #[test]
    fn each_kind_has_its_status() {
        for era in [Era::Legacy, Era::Modern, Era::Unknown] {
            for (kind, code) in [
                (ReplyKind::Answered, 200),
                (ReplyKind::Accepted, 202),
                (ReplyKind::SessionEnded, 200),
                (ReplyKind::Invalid, 400),
                (ReplyKind::Gone, 404),
                (ReplyKind::NotOffered, 405),
                (ReplyKind::StreamTaken, 409),
                (ReplyKind::Unavailable, 503),
            ] {
                assert_eq!(status(kind, era), code, "{kind:?}");
            }
        }
        assert_eq!(status(ReplyKind::MethodNotFound, Era::Modern), 404);
        assert_eq!(status(ReplyKind::MethodNotFound, Era::Legacy), 200);
    }
}
