//! Frames that keep the rules, and the close codes for frames that do not.

use serde_json::{Value, json};

use crate::harness::{
    BINARY, CLOSE, CONTINUATION, Dialect, FIN, Incoming, PING, PONG, Revision, Server, Shared, TEXT, case,
    echo, frame, frame_header,
};

const MIB: usize = 1 << 20;

#[test]
fn rules_that_are_broken_close_with_1002() {
    let server = Shared::usual();
    let mut faults: Vec<(&str, Vec<u8>)> = vec![
        ("unmasked", b"\x81\x02{}".to_vec()),
        ("unmasked ping", b"\x89\x00".to_vec()),
        ("reserved bit 1", frame(FIN | 0x40 | TEXT, b"{}")),
        ("reserved bit 2", frame(FIN | 0x20 | TEXT, b"{}")),
        ("reserved bit 3", frame(FIN | 0x10 | PING, b"")),
        ("long ping", frame(FIN | PING, &[b'x'; 126])),
        ("long close", frame(FIN | CLOSE, &[3, 0xE8].repeat(63))),
        ("fragmented ping", frame(PING, b"x")),
        ("fragmented close", frame(CLOSE, &1000u16.to_be_bytes())),
        ("continuation of nothing", frame(CONTINUATION, b"x")),
        ("last continuation of nothing", frame(FIN | CONTINUATION, b"x")),
        (
            "message in a message",
            [frame(TEXT, b"{"), frame(FIN | TEXT, b"}")].concat(),
        ),
        ("half a close code", frame(FIN | CLOSE, b"\x03")),
        (
            "length in two bytes for one",
            [&[0x81, 0xFE, 0, 2][..], b"mask{}"].concat(),
        ),
        (
            "length in eight bytes for two",
            [&[0x81, 0xFF, 0, 0, 0, 0, 0, 0, 1, 0][..], b"mask"].concat(),
        ),
    ];
    for opcode in [3, 7, 0xB, 0xF] {
        faults.push(("unknown opcode", frame(FIN | opcode, b"")));
    }
    for code in [0u16, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
        faults.push(("close code", frame(FIN | CLOSE, &code.to_be_bytes())));
    }
    for (name, bytes) in faults {
        let _case = case(format!("{name}: {bytes:02x?}"));
        let mut socket = server.open_websocket();
        socket.ask(&echo("good", "x"));
        socket.send_bytes(&bytes);
        socket.assert_closed(1002);
    }
}

#[test]
fn text_that_is_not_utf_8_closes_with_1007() {
    let server = Shared::usual();
    for bytes in [
        frame(FIN | TEXT, b"\xFF"),
        frame(FIN | TEXT, b"{\"jsonrpc\":\"\xED\xA0\x80\"}"),
        frame(FIN | TEXT, b"\xC0\x80"),
        [frame(TEXT, b"\xE2\x82"), frame(FIN | CONTINUATION, b"")].concat(),
        frame(FIN | CLOSE, b"\x03\xE8\xFF"),
    ] {
        let _case = case(format!("{bytes:02x?}"));
        let mut socket = server.open_websocket();
        socket.send_bytes(&bytes);
        socket.assert_closed(1007);
    }
}

#[test]
fn messages_are_text() {
    let server = Shared::usual();
    let mut socket = server.open_websocket();
    socket.send_frame(FIN | BINARY, &echo(1, "x").body);
    socket.assert_closed(1003);
}

#[test]
fn what_is_no_json_rpc_is_answered_and_the_connection_goes_on() {
    let server = Shared::usual();
    let mut socket = server.open_websocket();
    for (text, code) in [
        (&b"{"[..], -32700),
        (b"", -32700),
        (b"hello", -32700),
        (b"[]", -32600),
        (b"{}", -32600),
        (br#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
        (br#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600),
        (br#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, -32600),
    ] {
        let _case = case(String::from_utf8_lossy(text).into_owned());
        socket.send_text(text);
        let answer = socket.message();
        assert_eq!(answer["error"]["code"], code, "{answer}");
        assert!(answer.get("id").is_none_or(Value::is_null), "{answer}");
    }
    // Ids come back as they were, whatever fits a number.
    for id in [
        json!(9_007_199_254_740_993_u64),
        json!(-1),
        json!("\u{1F980}"),
        json!(""),
    ] {
        assert_eq!(socket.ask(&echo(id.clone(), "x"))["id"], id);
    }
    socket.close(1000);
}

#[test]
fn messages_beyond_the_limit_close_with_1009_before_they_are_there() {
    let server = Server::start(&["--body-max", "64KiB"]);
    let half = vec![b' '; 33 << 10];
    for bytes in [
        frame_header(FIN | TEXT, (64 << 10) + 1),
        frame_header(FIN | TEXT, 1 << 63),
        frame_header(TEXT, u64::MAX),
        [frame(TEXT, &half), frame_header(CONTINUATION, half.len() as u64)].concat(),
    ] {
        let _case = case(format!("{} bytes", bytes.len()));
        let mut socket = server.open_websocket();
        socket.send_bytes(&bytes);
        socket.assert_closed(1009);
    }
    // Messages up to the limit are served, in one frame or two.
    let call = echo("fits", &"x".repeat(65_000));
    assert!(call.body.len() <= 64 << 10);
    let mut socket = server.open_websocket();
    socket.ask(&call);
    let (front, back) = call.body.split_at(40_000);
    socket.note(&call);
    socket.send_frame(TEXT, front);
    socket.send_frame(FIN | CONTINUATION, back);
    socket.answer("fits");
    socket.close(1000);
}

#[test]
fn announced_lengths_take_no_memory() {
    const SOCKETS: usize = 64;
    let server = Server::start(&["--body-max", "16MiB", "--prefault", "on"]);
    server.open_websocket().close(1000);
    let before_kib = server.resident_kib();
    let mut sockets: Vec<_> = (0..SOCKETS)
        .map(|_| {
            let mut socket = server.open_websocket();
            socket.send_bytes(&frame_header(FIN | TEXT, 16 * MIB as u64));
            socket.send_bytes(b"{");
            // This is another message on its own connection's shard: the header has been seen by then.
            socket
        })
        .collect();
    assert_eq!(server.open_websocket().ask(&echo(1, "x"))["id"], 1);
    let grown_kib = server.resident_kib().saturating_sub(before_kib);
    assert!(grown_kib < 8 << 10, "{grown_kib} KiB for {SOCKETS} announcements");
    for socket in sockets.drain(..) {
        socket.reset();
    }
}

#[test]
fn pings_are_answered_between_everything() {
    let server = Shared::usual();
    let mut socket = server.open_websocket();
    socket.ping(b"");
    socket.ping(&[0xFF; 125]);
    let call = echo("in pieces", "x");
    let (front, back) = call.body.split_at(20);
    socket.note(&call);
    socket.send_frame(TEXT, front);
    socket.ping(b"inside");
    socket.send_frame(CONTINUATION, b"");
    // Nobody asked for this pong, so it needs no answer.
    socket.send_frame(FIN | PONG, b"unasked");
    socket.ping(b"again");
    socket.send_frame(FIN | CONTINUATION, back);
    assert_eq!(socket.answer("in pieces")["result"]["content"][0]["text"], "x");
    socket.close(1000);
}

#[test]
fn large_messages_go_both_ways() {
    let server = Shared::usual();
    let mut socket = server.open_websocket();
    for length in [100, 125, 126, 65_535, 65_536, MIB, 3 * MIB] {
        let _case = case(format!("{length} bytes"));
        let text = "x".repeat(length);
        let answer = socket.ask(&echo(length, &text));
        assert_eq!(answer["result"]["content"][0]["text"], text);
    }
    socket.close(1000);
}

#[test]
fn closes_are_answered_with_their_own_code() {
    let server = Shared::usual();
    for code in [1000, 1001, 1011, 3000, 4999] {
        let _case = case(code.to_string());
        server.open_websocket().close(code);
    }
    let mut socket = server.open_websocket();
    socket.send_frame(FIN | CLOSE, b"");
    socket.assert_closed(1000);
    // The server does not look at bytes behind a close.
    let mut socket = server.open_websocket();
    let close = [&1000u16.to_be_bytes()[..], "tsch\u{fc}ss".as_bytes()].concat();
    let behind = frame(FIN | TEXT, &echo("late", "x").body);
    socket.send_bytes(&[frame(FIN | CLOSE, &close), behind, b"garbage".to_vec()].concat());
    assert!(matches!(
        socket.try_receive(),
        Ok(Incoming::Close { code: Some(1000), .. })
    ));
}

#[test]
fn batches_belong_to_their_revision() {
    let server = Shared::usual();
    let batching = Dialect::legacy(Revision::BATCHING);
    let batch = format!(
        "[{},{}]",
        String::from_utf8(batching.echo(1, "a").body).unwrap(),
        String::from_utf8(batching.echo(2, "b").body).unwrap()
    );
    let mut socket = server.open_websocket();
    socket.open_session(&batching);
    socket.send_text(batch.as_bytes());
    let answers = socket.message();
    let ids: Vec<&Value> = answers
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| &answer["id"])
        .collect();
    assert_eq!(ids, [&json!(1), &json!(2)]);
    socket.close(1000);
    let mut socket = server.open_websocket();
    socket.open_session(&Dialect::legacy(Revision::NEWEST_LEGACY));
    socket.send_text(batch.as_bytes());
    // Each of its requests waits for an answer.
    let answers = socket.message();
    let refused: Vec<(&Value, &Value)> = answers
        .as_array()
        .unwrap()
        .iter()
        .map(|answer| (&answer["id"], &answer["error"]["code"]))
        .collect();
    assert_eq!(
        refused,
        [(&json!(1), &json!(-32600)), (&json!(2), &json!(-32600))]
    );
    socket.close(1000);
}
