//! GET, which opens the stream of a legacy session.

use super::*;

const LEGACY: Revision = Revision::V2025_11_25;

fn refusal(server: &Server, headers: &[(&str, &str)]) -> (u16, i64) {
    let mut out = b"HEAD".to_vec();
    match server
        .protocol
        .get(&request_context(headers), &server.state, &mut out)
    {
        Opening::Refused(reply) => {
            let answer = answer(&reply, &out);
            spec::validate(LEGACY, b"{}", &answer.body);
            answer.refusal()
        }
        Opening::Stream(request) => panic!("{request:?}"),
    }
}

#[test]
fn a_session_gets_its_stream() {
    let mut server = Server::new();
    let session = server.open_session(LEGACY);
    let token = server.state.open.borrow()[session.as_bytes()].token;
    for (more, last) in [
        (vec![], None),
        (vec![("mcp-protocol-version", "2025-11-25")], None),
        // The session decides, not the header.
        (vec![("mcp-protocol-version", "2025-06-18")], None),
        (vec![("last-event-id", "")], None),
        (vec![("last-event-id", "s3-17")], Some(&b"s3-17"[..])),
        (vec![("last-event-id", "\u{e9}")], Some("\u{e9}".as_bytes())),
    ] {
        let mut headers = vec![("mcp-session-id", session.as_str())];
        headers.extend(more);
        let mut out = Vec::new();
        match server
            .protocol
            .get(&request_context(&headers), &server.state, &mut out)
        {
            Opening::Stream(request) => {
                assert_eq!(request.session.token, token);
                assert_eq!(request.session.session.revision, LEGACY);
                assert_eq!(request.last_event_id, last, "{headers:?}");
            }
            Opening::Refused(reply) => panic!("{reply:?}"),
        }
        assert_eq!(out, b"");
    }
}

#[test]
fn nobody_else_does() {
    let mut server = Server::new();
    let session = server.open_session(LEGACY);
    let named = |more: &[(&'static str, &'static str)]| {
        let mut headers = vec![("mcp-session-id", session.as_str())];
        headers.extend_from_slice(more);
        refusal(&server, &headers)
    };
    let long: &'static str = "x".repeat(129).leak();
    assert_eq!(named(&[("mcp-protocol-version", MODERN)]), (405, -32600));
    assert_eq!(named(&[("mcp-protocol-version", "1999-01-01")]), (400, -32600));
    assert_eq!(named(&[("last-event-id", long)]), (400, -32600));
    assert_eq!(
        named(&[("last-event-id", "a"), ("last-event-id", "a")]),
        (400, -32600)
    );
    assert_eq!(refusal(&server, &[("mcp-session-id", "no-such")]), (404, -32600));
    assert_eq!(refusal(&server, &[]), (405, -32600));
    let strict = Options {
        require_session: true,
    };
    assert_eq!(refusal(&Server::with(tools(), strict), &[]), (400, -32600));
    let stranger = RequestContext {
        principal: Principal([1; 16]),
        ..request_context(&[("mcp-session-id", session.as_str())])
    };
    let opening = server.protocol.get(&stranger, &server.state, &mut Vec::new());
    assert!(matches!(opening, Opening::Refused(reply) if reply.kind == ReplyKind::Gone));
}
