//! The fields by which MCP repeats parts of a message's body: they are found with HTTP's own, in one pass over the
//! head.
//!
//! (2025-11-25 and 2026-07-28, transports, Streamable HTTP)

use crate::mcp::{HttpHead, ParamHeaders, Principal, RequestContext, UnixSeconds, Via};
use crate::wire::http1::{self, Field, FieldSet, HeadError, HeadLimits, LOWER_CASE_BIT, is_name};

/// A request's head with MCP's fields.
pub type Head<'a> = http1::Head<'a, HttpHead<'a>>;

/// The fields of an answer that a page may read, beyond those that any page may.
pub(super) const EXPOSED: &str = "Mcp-Session-Id, Retry-After, WWW-Authenticate";
/// The name of the field with a new session's id, as it stands in front of the value.
pub(super) const SESSION_ID: &str = "Mcp-Session-Id: ";

/// Parses a whole head; see [`http1::parse_head_with`].
///
/// # Errors
/// Fails for everything that breaks RFC 9112 or leaves the body's end or the addressed host in doubt.
pub fn parse_head<'a>(head: &'a [u8], limits: &HeadLimits) -> Result<Head<'a>, HeadError> {
    http1::parse_head_with(head, limits)
}

/// The context of a request, for the protocol.
pub fn request_context<'a>(head: &Head<'a>, principal: Principal, now: UnixSeconds) -> RequestContext<'a> {
    let via = Via::Http(HttpHead {
        params: ParamHeaders::new(head.lines()),
        ..head.extra
    });
    RequestContext { via, principal, now }
}

impl<'a> FieldSet<'a> for HttpHead<'a> {
    #[inline]
    fn slot(&mut self, name: &[u8]) -> Option<&mut Field<'a>> {
        Some(match (name.len(), name.first()? | LOWER_CASE_BIT) {
            (8, b'm') if is_name(name, b"mcp-name") => &mut self.name,
            (10, b'm') if is_name(name, b"mcp-method") => &mut self.method,
            (13, b'l') if is_name(name, b"last-event-id") => &mut self.last_event_id,
            (14, b'm') if is_name(name, b"mcp-session-id") => &mut self.session_id,
            (20, b'm') if is_name(name, b"mcp-protocol-version") => &mut self.protocol_version,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 5] = [
        "mcp-name",
        "mcp-method",
        "last-event-id",
        "mcp-session-id",
        "mcp-protocol-version",
    ];

    fn found(lines: &str) -> [Field<'static>; 5] {
        let text = format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n").leak();
        let extra = parse_head(text.as_bytes(), &HeadLimits::default()).unwrap().extra;
        [
            extra.name,
            extra.method,
            extra.last_event_id,
            extra.session_id,
            extra.protocol_version,
        ]
    }

    #[test]
    fn each_field_is_found_in_any_case_and_counted() {
        for (at, name) in NAMES.into_iter().enumerate() {
            for name in [name.to_owned(), name.to_uppercase(), name.replace("mcp", "McP")] {
                let mut expected = [Field::Absent; 5];
                expected[at] = Field::One(b"a b");
                assert_eq!(found(&format!("{name}:\t a b \r\n")), expected, "{name}");
                expected[at] = Field::Repeated;
                assert_eq!(found(&format!("{name}: a\r\n{name}: a\r\n")), expected, "{name}");
            }
        }
    }

    #[test]
    fn names_that_are_nearly_one_are_none() {
        for name in NAMES {
            for other in [
                format!("{name}s"),
                format!("x{name}"),
                name.replacen('-', "_", 1),
                name.replacen('-', "~", 1),
                name[1..].to_owned(),
                format!("{}~", &name[..name.len() - 1]),
            ] {
                assert_eq!(found(&format!("{other}: a\r\n")), [Field::Absent; 5], "{other}");
            }
        }
        assert_eq!(found("mcp-param-x: a\r\n"), [Field::Absent; 5]);
    }

    #[test]
    fn the_protocol_is_told_all_of_them() {
        let text = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nMcp-Method: ping\r\n\r\n";
        let head = parse_head(text, &HeadLimits::default()).unwrap();
        let request_context = request_context(&head, Principal::ANONYMOUS, UnixSeconds(7));
        let Via::Http(told) = request_context.via else {
            panic!("{request_context:?}");
        };
        assert_eq!(told.method, Field::One(b"ping"));
        assert_eq!(told.session_id, Field::Absent);
        assert_eq!(request_context.now, UnixSeconds(7));
    }
}
