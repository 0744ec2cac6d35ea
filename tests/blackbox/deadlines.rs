//! Slow senders: each has a deadline, and all of them together starve only each other.

use serde_json::json;

use crate::harness::{Client, Response, Server, case, echo, eventually, tool};

/// The part of its request that a slow client has sent: of a head, of a body, of chunks.
fn beginnings() -> [(&'static str, Vec<u8>); 3] {
    let request = echo(1, "x");
    let part = |bytes: Vec<u8>| bytes[..bytes.len() - 20].to_vec();
    [
        (
            "head",
            b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: ".to_vec(),
        ),
        ("body", part(request.encode())),
        ("chunks", part(request.encode_chunked(&[5, 5]))),
    ]
}

#[track_caller]
fn evictions(server: &Server, reason: &str) -> u64 {
    server.metric("weir_evictions_total", &[("reason", reason)])
}

#[track_caller]
fn assert_timed_out(client: &mut Client) -> Response {
    let refused = client.receive();
    assert!(refused.assert_status(408).closes());
    client.assert_closed();
    refused
}

/// Sends a byte now and then until the server closes the connection.
fn trickle(client: &mut Client) {
    eventually("the server has had enough", || {
        let _ = client.try_send_bytes(b"a");
        !client.is_silent()
    });
}

#[test]
fn a_head_has_a_deadline_that_no_trickle_extends() {
    let server = Server::start(&["--head-timeout", "300ms"]);
    for turn in 1..=2 {
        let mut client = server.connect();
        client.send_bytes(&beginnings()[0].1);
        if turn == 1 {
            trickle(&mut client);
        }
        assert_timed_out(&mut client);
        assert_eq!(evictions(&server, "head_timeout"), turn);
    }
    // The same holds behind an answered request.
    let mut client = server.connect();
    client.ask(&echo(1, "x")).assert_echo(1, "x");
    client.send_bytes(b"P");
    assert_timed_out(&mut client);
    assert_eq!(evictions(&server, "head_timeout"), 3);
}

#[test]
fn a_body_has_a_deadline_that_no_trickle_extends() {
    let server = Server::start(&["--body-timeout", "300ms"]);
    let long = echo(1, "x").plus("Content-Length", "100000").head();
    for turn in 1..=2 {
        let mut client = server.connect();
        client.send_bytes(&[&long[..], b"{"].concat());
        if turn == 1 {
            trickle(&mut client);
        }
        assert_timed_out(&mut client);
        assert_eq!(evictions(&server, "body_timeout"), turn);
    }
}

#[test]
fn silence_within_a_request_has_a_deadline() {
    let server = Server::start(&["--read-timeout", "1s"]);
    let mut silent: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for (client, (_, bytes)) in silent.iter_mut().zip(beginnings()) {
        client.send_bytes(&bytes);
    }
    // Clients whose bytes keep coming stay connected, until well past the others' end.
    let mut steady = server.connect();
    let raw = echo(1, "steady").encode();
    let mut pieces = raw[..raw.len() - 1].chunks(1);
    eventually("the silent have had their time", || {
        pieces
            .next()
            .is_some_and(|piece| steady.try_send_bytes(piece).is_err())
            || evictions(&server, "read_timeout") == 3
    });
    for (client, (name, _)) in silent.iter_mut().zip(beginnings()) {
        let _case = case(name);
        assert_timed_out(client);
    }
    for piece in pieces.chain([&raw[raw.len() - 1..]]) {
        steady.send_bytes(piece);
    }
    steady.receive().assert_echo(1, "steady");
}

#[test]
fn silence_between_requests_ends_with_a_fin() {
    let server = Server::start(&["--idle-timeout", "300ms"]);
    let mut fresh = server.connect();
    let mut used = server.connect();
    used.ask(&echo(1, "x")).assert_echo(1, "x");
    fresh.assert_closed();
    used.assert_closed();
    assert_eq!(evictions(&server, "idle"), 2);
}

#[test]
fn no_deadline_of_reading_ends_a_running_call() {
    let timeouts = [
        "--read-timeout",
        "300ms",
        "--idle-timeout",
        "300ms",
        "--head-timeout",
        "300ms",
        "--body-timeout",
        "300ms",
    ];
    let server = Server::start(&timeouts);
    let mut client = server.connect();
    for name in ["sleep", "spin"] {
        // The second request is there in part: its time begins when it is its turn.
        client.send_bytes(&[tool(1, name, json!({"ms": 800})).encode(), echo(2, "x").encode()].concat());
        assert!(client.receive().tool_text().ends_with(" 800 ms"));
        client.receive().assert_echo(2, "x");
    }
}

#[test]
fn two_hundred_slow_senders_keep_nobody_from_a_pool_of_eight() {
    let server = Server::start(&["--pool-size", "8"]);
    for (name, bytes) in beginnings() {
        let _case = case(name);
        let mut slow: Vec<Client> = (0..200).map(|_| server.connect()).collect();
        for client in &mut slow {
            client.send_bytes(&bytes);
        }
        for turn in 0..10 {
            let _case = case(format!("turn {turn}"));
            for client in &mut slow {
                // The clients that were closed in favour of others find out here.
                let _ = client.try_send_bytes(b"a");
            }
            let mut good = server.connect();
            good.ask(&echo(turn, "whole")).assert_echo(turn, "whole");
            good.ask_bytes(&echo(turn, "in chunks").encode_chunked(&[9]))
                .assert_echo(turn, "in chunks");
            let long = "long".repeat(20_000);
            good.ask(&echo(turn, &long)).assert_echo(turn, &long);
            assert_eq!(
                good.ask(&tool(turn, "sleep", json!({"ms": 1}))).tool_text(),
                "slept 1 ms"
            );
        }
        drop(slow);
        eventually("the slow are gone", || {
            server.metric("weir_connections", &[]) == 0
        });
    }
}

#[test]
fn only_the_oldest_incomplete_request_is_given_up_for_room() {
    let server = Server::start(&["--pool-size", "4", "--assembly-buffers", "4"]);
    let mut received = 0;
    let mut begin = |client: &mut Client, bytes: &[u8]| {
        client.send_bytes(bytes);
        received += bytes.len() as u64;
        eventually("it is read", || {
            server.metric("weir_received_bytes_total", &[]) == received
        });
    };
    let raw = echo(1, "patient").encode();
    let half = raw.len() / 2;
    // Its call runs, and the bytes behind it lie in an assembly buffer: nothing of it is incomplete.
    let mut calling = server.connect();
    let pipelined = [tool(0, "sleep", json!({"ms": 60_000})).encode(), raw.clone()].concat();
    begin(&mut calling, &pipelined);
    let mut parked = server.connect();
    let mut slow: Vec<Client> = (0..5).map(|_| server.connect()).collect();
    for client in &mut slow {
        begin(client, &raw[..half]);
    }
    // Three buffers were left for five; nobody is slow yet, so the rest found room elsewhere.
    assert_eq!(evictions(&server, "assembly_pressure"), 0);
    // Newcomers come and go until one finds that the oldest is slow.
    eventually("the oldest makes room", || {
        server.connect().send_bytes(&raw[..half]);
        evictions(&server, "assembly_pressure") > 0
    });
    assert_timed_out(&mut slow[0]);
    let slower = slow.len() as u64 - 1;
    let last = slow.last_mut().unwrap();
    last.send_bytes(&raw[half..]);
    let answer = last.receive();
    // On a machine that stands still for a while it is slow by then, too; but those before it went first.
    match evictions(&server, "assembly_pressure") {
        given_up if given_up > slower => drop(answer),
        _ => answer.assert_echo(1, "patient"),
    }
    assert!(calling.is_silent() && parked.is_silent());
    parked.ask(&echo(2, "parked")).assert_echo(2, "parked");
    drop(calling);
}
