//! Messages on a channel: no heads, one session, cancellation in both eras.

use super::*;
use crate::jsonrpc::{Id, RequestId};
use crate::registry::Asking;

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
const PING: &str = r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#;

const TOKEN: SessionToken = SessionToken([3; 16]);

fn on_channel(session: Option<OpenSession>) -> RequestContext<'static> {
    RequestContext {
        via: Via::Channel(ChannelContext {
            token: session.map_or(TOKEN, |open| open.token),
            session,
        }),
        principal: Principal::ANONYMOUS,
        now: UnixSeconds(1),
    }
}

/// Decodes one message of control.
fn control(server: &mut Server, session: Option<OpenSession>, body: &str) -> (Reply, Value) {
    let mut out = Vec::new();
    let request_context = on_channel(session);
    let step = server.protocol.decode(
        &request_context,
        body.as_bytes(),
        &mut server.scratch,
        &server.state,
        &mut out,
    );
    let Step::Reply(reply) = step else {
        panic!("{step:?}")
    };
    (reply, serde_json::from_slice(&out).unwrap_or(Value::Null))
}

fn initialized(server: &mut Server) -> OpenSession {
    let (reply, _) = control(server, None, INITIALIZE);
    let id = reply.session.expect("a session");
    Sessions::open(&server.state, id.as_bytes(), Principal::ANONYMOUS, UnixSeconds(1)).expect("it is open")
}

#[test]
fn a_channel_is_initialized_once() {
    let mut server = Server::new();
    let session = initialized(&mut server);
    let (_, again) = control(&mut server, Some(session), INITIALIZE);
    assert_eq!(again["error"]["code"], -32600);
    let (_, pong) = control(&mut server, Some(session), PING);
    assert_eq!(pong["result"], json!({}));
}

#[test]
fn a_modern_call_needs_no_headers_and_belongs_to_its_channel() {
    let mut server = Server::new();
    let body = modern_body(
        "tools/call",
        json!({"name": "echo", "arguments": {"message": "hi"}}),
    );
    let request_context = on_channel(None);
    let mut out = Vec::new();
    let step = server.protocol.decode(
        &request_context,
        body.as_bytes(),
        &mut server.scratch,
        &server.state,
        &mut out,
    );
    let Step::Work(work) = step else {
        panic!("{step:?}")
    };
    let ticket = work.ticket();
    assert_eq!((ticket.conversation(), ticket.session()), (Some(TOKEN), None));
    assert!(!ticket.is_resumable() && work.client().asking != Asking::OnStream);
}

#[test]
fn a_request_is_cancelled_under_its_session_or_its_channel() {
    let cancelled =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}});
    let mut server = Server::new();
    let session = initialized(&mut server);
    let (reply, _) = control(&mut server, Some(session), &cancelled.to_string());
    assert_eq!((reply.kind, reply.has_body), (ReplyKind::Accepted, false));
    let _ = control(&mut server, None, &cancelled.to_string());
    let mut modern: Value = cancelled;
    modern["params"]["_meta"] = json!({format!("{META}protocolVersion"): MODERN});
    let _ = control(&mut server, None, &modern.to_string());
    let expected = [session.token, TOKEN, TOKEN].map(|token| (token, RequestId::from(Id::Signed(7))));
    assert_eq!(*server.state.cancelled.borrow(), expected);
}
