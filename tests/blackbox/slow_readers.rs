//! Clients that do not read their streams: the bytes that wait for them are bounded, they are cut off, and others do
//! not notice.

use serde_json::json;

use crate::harness::{
    Client, Dialect, Request, Revision, Server, Watched, assert_updated, echo, eventually, listen_to,
    subscribe, uri_of,
};

/// The bytes that the server may keep for one stream, with those of the call itself.
const KEPT_KIB_MAX: u64 = 256;
/// Allocators round up; the first streams make what later ones use again.
const SLACK_KIB: u64 = 4 << 10;
const READERS: u64 = 20;

/// A call that sends messages without end, of a client that takes next to nothing.
fn unread(server: &Server, request: &Request) -> Client {
    let mut client = Client::with_small_window(server.address);
    client.send(request);
    client
}

#[track_caller]
fn slow_reader_evictions(server: &Server) -> u64 {
    server.metric("weir_evictions_total", &[("reason", "slow_reader")])
}

#[test]
fn unread_streams_are_bounded_and_then_cut() {
    let server = Server::start(&["--pool-size", "64", "--prefault", "on"]);
    // Everything that the server makes on first use exists now.
    server.open(&Dialect::modern().progress(1, 1_000, 0)).rest();
    let before = server.resident_kib();
    let flood = Dialect::modern().progress("flood", 1_000_000, 0);
    let clients: Vec<Client> = (0..READERS).map(|_| unread(&server, &flood)).collect();
    let mut bystander = server.connect();
    eventually("all are cut", || {
        bystander.ask(&echo(1, "x")).assert_echo(1, "x");
        let grown = server.resident_kib().saturating_sub(before);
        assert!(grown <= READERS * KEPT_KIB_MAX + SLACK_KIB, "{grown} KiB more");
        slow_reader_evictions(&server) == READERS
    });
    eventually("their handlers are free", || server.busy_handlers() == 0);
    // A client that reads on finds its stream broken off, not ended.
    for client in clients {
        let mut stream = client.receive_stream();
        let ending = loop {
            match stream.try_frame() {
                Ok(Some(_)) => {}
                other => break other,
            }
        };
        assert!(ending.is_err(), "a cut stream has no order at its end");
    }
}

#[test]
fn a_legacy_call_outlives_the_stream_that_was_cut() {
    let server = Server::start(&["--pool-size", "8"]);
    let session = server.open_session(&Dialect::legacy(Revision::NEWEST_LEGACY));
    let client = unread(&server, &session.progress("flood", 100_000, 0));
    eventually("it is cut", || slow_reader_evictions(&server) == 1);
    server.ask(&session.echo(1, "x")).assert_echo(1, "x");
    drop(client);
    eventually("the call is over", || server.busy_handlers() == 0);
}

#[test]
fn one_that_reads_late_but_in_time_misses_nothing() {
    let server = Server::start(&[]);
    // Less than is kept for a stream, more than a small window takes.
    let steps = 600;
    for dialect in [
        Dialect::modern(),
        server.open_session(&Dialect::legacy(Revision::NEWEST_LEGACY)),
    ] {
        let client = unread(&server, &dialect.progress(1, steps, 0));
        eventually("all is said", || {
            server.ask(&echo(2, "x")).assert_echo(2, "x");
            server.busy_handlers() == 0
        });
        let rest = client.receive_stream().rest();
        assert_eq!(rest.len() as u64, steps + 1);
        assert_eq!(rest.last().unwrap()["id"], 1);
    }
    assert_eq!(slow_reader_evictions(&server), 0);
}

#[test]
fn get_streams_and_subscriptions_nobody_reads_are_cut_alone() {
    let server = Watched::start(&["--prefault", "on"]);
    let session = server.open_session(&Dialect::legacy(Revision::NEWEST_LEGACY));
    // Many at once, in long messages: more than any kernel keeps for a client.
    let names: Vec<String> = (0..200)
        .map(|number| format!("{}{number}.txt", "long-name-".repeat(20)))
        .collect();
    for name in &names {
        server.change(name);
        subscribe(&mut server.connect(), &session, name);
    }
    let get_stream = unread(&server, &session.get_stream());
    let uris: Vec<String> = names.iter().map(|name| uri_of(name)).collect();
    let params = json!({"notifications": {"resourceSubscriptions": uris}});
    let request = Dialect::modern().request("x".repeat(2_000), "subscriptions/listen", params);
    let listening = unread(&server, &request);
    let mut reader = listen_to(server.connect(), 1, &["a.txt"]);
    let before = server.resident_kib();
    eventually("both are cut", || {
        names.iter().for_each(|name| server.change(name));
        server.change("a.txt");
        assert_updated(&mut reader, "a.txt", Some("a.txt"));
        let grown = server.resident_kib().saturating_sub(before);
        assert!(grown <= 2 * KEPT_KIB_MAX + SLACK_KIB, "{grown} KiB more");
        slow_reader_evictions(&server) == 2
    });
    server.change("a.txt");
    assert_updated(&mut reader, "a.txt", Some("a.txt"));
    drop((get_stream, listening));
}
