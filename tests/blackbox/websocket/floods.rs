//! Clients that flood the server: memory stays bounded, they are cut off, and others are served.

use std::io::Write;

use crate::harness::{
    CONTINUATION, Client, FIN, PING, PONG, Server, Shared, TEXT, WebSocket, assert_at_rest, case, echo,
    eventually, frame, frame_header,
};

/// Enough bytes to show any that are not bounded.
const FLOOD_BYTES: usize = 48 << 20;
const GROWTH_KIB_MAX: u64 = 12 << 10;

#[test]
fn framing_without_a_message_closes_with_1008() {
    let server = Shared::usual();
    let floods = [
        ("empty continuations", frame(CONTINUATION, b"")),
        ("continuations of a byte", frame(CONTINUATION, b"x")),
        ("pongs inside a message", frame(FIN | PONG, &[b'x'; 125])),
    ];
    for (name, flood) in floods {
        let _case = case(name);
        let mut socket = server.open_websocket();
        socket.send_frame(TEXT, b"");
        let bytes = flood.repeat((64 << 10) / flood.len());
        // The connection may end before all of it is sent.
        let _ = socket.client().try_send_bytes(&bytes);
        socket.expect_close(1008);
    }
}

/// Sends `flood` without reading anything until the server closes the connection.
#[track_caller]
fn flood_until_cut_off(server: &Server, flood: &[u8]) {
    let mut client = Client::with_small_window(server.address);
    client.send(&WebSocket::handshake());
    let mut socket = WebSocket::accepted(client);
    let before_kib = server.resident_kib();
    let piece = flood.repeat((64 << 10) / flood.len());
    let pieces = FLOOD_BYTES / piece.len();
    let is_cut_off = (0..pieces).any(|_| socket.client().try_send_bytes(&piece).is_err());
    assert!(is_cut_off, "{FLOOD_BYTES} bytes were taken for nothing");
    let grown_kib = server.resident_kib().saturating_sub(before_kib);
    assert!(grown_kib < GROWTH_KIB_MAX, "{grown_kib} KiB");
    // Others never noticed.
    server.ask(&echo(1, "x")).assert_echo(1, "x");
    assert_eq!(server.open_websocket().ask(&echo(2, "x"))["id"], 2);
}

#[test]
fn who_takes_no_pongs_is_not_listened_to() {
    let server = Server::start(&["--write-timeout", "1s"]);
    flood_until_cut_off(&server, &frame(FIN | PING, &[b'x'; 125]));
}

#[test]
fn who_takes_no_answers_is_not_listened_to() {
    let server = Server::start(&["--write-timeout", "1s"]);
    let call = echo("flood", &"x".repeat(500));
    flood_until_cut_off(&server, &frame(FIN | TEXT, &call.body));
    let nonsense = frame(FIN | TEXT, b"");
    flood_until_cut_off(&server, &nonsense);
    eventually("no handler is held", || server.busy_handlers() == 0);
}

#[test]
fn control_frames_that_mean_nothing_are_only_read() {
    let server = Shared::usual();
    let mut socket = server.open_websocket();
    let before_kib = server.resident_kib();
    let pongs = frame(FIN | PONG, b"unasked").repeat(1_000);
    for _ in 0..100 {
        socket.send_bytes(&pongs);
    }
    assert_eq!(socket.ask(&echo(1, "x"))["id"], 1);
    let grown_kib = server.resident_kib().saturating_sub(before_kib);
    assert!(grown_kib < GROWTH_KIB_MAX, "{grown_kib} KiB");
    socket.close(1000);
}

#[test]
fn tiny_frames_are_served_as_one_message() {
    let server = Shared::usual();
    let call = echo("tiny", &"x".repeat(1_000));
    let mut socket = server.open_websocket();
    let mut bytes = Vec::new();
    for (number, byte) in call.body.iter().enumerate() {
        let opcode = if number == 0 { TEXT } else { CONTINUATION };
        let fin = if number + 1 == call.body.len() { FIN } else { 0 };
        bytes.write_all(&frame(fin | opcode, &[*byte])).unwrap();
    }
    socket.note(&call);
    socket.send_bytes(&bytes);
    assert_eq!(socket.answer("tiny")["id"], "tiny");
    socket.close(1000);
}

#[test]
fn halves_of_large_messages_take_no_more_than_the_budget() {
    const SOCKETS: usize = 64;
    const HALF_BYTES: usize = 3 << 20;
    let flags = ["--memory-max", "96MiB", "--pool-size", "8", "--body-max", "4MiB"];
    let server = Server::start(&flags);
    let half = [frame_header(FIN | TEXT, 4 << 20), vec![b' '; HALF_BYTES]].concat();
    let mut sockets: Vec<WebSocket> = (0..SOCKETS).map(|_| server.open_websocket()).collect();
    for socket in &mut sockets {
        // The flood may be refused before all of it is sent.
        let _ = socket.client().try_send_bytes(&half);
    }
    // Nothing is sent to the others.
    eventually("192 MiB are refused in part", || {
        sockets.iter_mut().any(|socket| !socket.client().is_silent())
    });
    let resident_kib = server.resident_kib();
    assert!(resident_kib < 120 << 10, "{resident_kib} KiB");
    // Other clients need little, and get it.
    server.ask(&echo(1, "x")).assert_echo(1, "x");
    assert_eq!(server.open_websocket().ask(&echo(2, "x"))["id"], 2);
    drop(sockets);
    assert_at_rest(&server);
}
