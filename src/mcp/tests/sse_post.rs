//! POSTs whose messages are answered on a channel.

use super::*;
use crate::jsonrpc::{Id, RequestId};

#[test]
fn what_can_be_a_message_passes_and_nothing_else() {
    let server = Server::new();
    let mut scratch = Scratch::new();
    let mut check = |body: &str| {
        let mut out = Vec::new();
        match server
            .protocol
            .check_sse_post(body.as_bytes(), &mut scratch, &mut out)
        {
            SsePost::Message(id) => Ok(id),
            SsePost::Refused { reply, .. } => Err(answer(&reply, &[b"HEAD", &out[..]].concat()).refusal()),
        }
    };
    let id = |id: Id<'_>| Some(RequestId::from(id));
    for (body, expected) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, id(Id::Signed(1))),
        (
            r#"{"jsonrpc":"2.0","id":"a","method":"no/such","params":{}}"#,
            id(Id::Text("a")),
        ),
        (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, None),
        (r#"{"jsonrpc":"2.0","id":"q1","result":{}}"#, None),
        // The channel's revision says whether there are batches.
        ("[]", None),
    ] {
        assert_eq!(check(body), Ok(expected), "{body}");
    }
    for (body, code) in [
        ("", -32700),
        ("{", -32700),
        ("\u{feff}{}", -32700),
        ("1", -32600),
        ("{}", -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, -32600),
    ] {
        assert_eq!(check(body), Err((400, code)), "{body}");
    }
}

#[test]
fn a_post_is_for_a_channel_that_is_there() {
    let server = Server::new();
    for (why, status) in [(NoChannel::Unnamed, 400), (NoChannel::Unknown, 404)] {
        let mut out = b"HEAD".to_vec();
        let reply = server.protocol.refuse_sse_post(why, &mut out);
        assert_eq!(answer(&reply, &out).refusal(), (status, -32600));
    }
}
