//! Results that are read while they are sent: in pieces, to readers that stop, given up midway, and read as a whole.

use std::time::Duration;

use serde_json::json;

use super::client::{Client, Era, Expected, Request, batch, call, post};
use super::rig::{Rig, Sizes, TIMEOUTS};
use super::tools::poured_bytes;
use super::websocket::WebSocket;
use crate::metrics::Eviction;
use crate::ring::simulated::PeerView;

const SIZES: Sizes = Sizes {
    handler_buffer_bytes: 2048,
    assembly_buffer_bytes: 4096,
    heap_bytes_max: 64 << 20,
    ..Sizes::DEFAULT
};

/// A call whose answer has a text of so many bytes, which is read.
fn pour(id: u64, secret: &str, bytes: usize) -> Request {
    let message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {"name": "pour", "arguments": {"secret": secret, "bytes": bytes}}});
    Request {
        bytes: post("", message.to_string().as_bytes()),
        expected: Expected::Answer {
            id,
            secret: secret.to_owned(),
        },
    }
}

/// Takes all that comes, as it comes.
fn read_on(rig: &mut Rig, client: &mut Client) {
    for _ in 0..100_000 {
        if client.unanswered() == 0 {
            return;
        }
        rig.turn();
        client.read();
    }
    panic!("{} answers are missing", client.unanswered());
}

#[test]
fn a_source_leaves_in_pieces_of_any_size() {
    let secret = "piece \"\n\u{1}\u{e9}";
    let mut clients = Vec::new();
    let mut rig = Rig::new(1, SIZES);
    for piece_bytes in (1..=100).chain([1000, 3000, 64 << 10]) {
        rig.shard.writer.set_piece_bytes(piece_bytes);
        let mut client = Client::new(rig.connect());
        client.request(pour(1, secret, 0));
        client.request(pour(2, secret, 2500));
        client.request(call(Era::Modern, "echo", 3, "behind"));
        read_on(&mut rig, &mut client);
        let whole = secret.to_owned() + &"x".repeat(2500);
        assert_eq!(client.results(), [secret, &whole, "behind"], "by {piece_bytes}");
        client.peer.finish();
        clients.push(client);
    }
    rig.leave(&clients);
}

#[test]
fn a_reader_may_stop_anywhere_and_nothing_is_read_ahead_of_it() {
    let mut rig = Rig::new(1, SIZES);
    let mut client = Client::new(rig.connect());
    client.peer.set_window(100_000);
    client.request(pour(1, "ahead", 2_000_000));
    rig.run();
    // A piece that is sent, one that is ready, and what a source holds.
    let read = poured_bytes("ahead");
    assert!(
        read <= 100_000 + 3 * (64 << 10) + (32 << 10),
        "{read} bytes were read"
    );
    let used = rig.shard.writer.heap_bytes_used();
    assert!((64 << 10..256 << 10).contains(&used), "{used} bytes are charged");
    read_on(&mut rig, &mut client);
    assert_eq!(client.results()[0].len(), 2_000_005);
    assert_eq!(rig.shard.writer.heap_bytes_used(), 0);
    for window in [1, 7, 1000] {
        rig.shard.writer.set_piece_bytes(300);
        client.peer.set_window(window);
        client.request(pour(2, "stop", 3000));
        read_on(&mut rig, &mut client);
    }
    rig.leave(&[client]);
}

#[test]
fn an_answer_whose_source_fails_is_not_taken_for_whole() {
    for (bytes, piece_bytes, has_begun) in [
        (0, 64 << 10, false),
        (500, 64 << 10, false),
        (500, 100, true),
        (200_000, 64 << 10, true),
    ] {
        let mut rig = Rig::new(1, SIZES);
        rig.shard.writer.set_piece_bytes(piece_bytes);
        let mut client = Client::new(rig.connect());
        client.peer.set_window(1 << 20);
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "spill", "arguments": {"secret": "s1.", "bytes": bytes}}});
        client.request(Request {
            bytes: post("", message.to_string().as_bytes()),
            expected: Expected::Answer {
                id: 1,
                secret: "s1.".to_owned(),
            },
        });
        rig.run();
        client.read();
        if has_begun {
            assert_eq!(client.answers.len(), 0, "{bytes} by {piece_bytes}");
            assert_ne!(client.peer.view(), PeerView::Open, "{bytes} by {piece_bytes}");
            rig.leave(&[]);
        } else {
            client.request(call(Era::Modern, "echo", 2, "goes on"));
            read_on(&mut rig, &mut client);
            assert_eq!(
                client.results(),
                ["-32603", "goes on"],
                "{bytes} by {piece_bytes}"
            );
            rig.leave(&[client]);
        }
    }
}

#[test]
fn a_client_that_goes_at_any_piece_leaves_nothing() {
    let mut rig = Rig::new(1, SIZES);
    rig.shard.writer.set_piece_bytes(2_000);
    for passes in 1..25 {
        for end in 0..4 {
            let client = &mut Client::new(rig.connect());
            client
                .peer
                .set_window(if passes % 2 == 0 { 1 << 20 } else { 5_000 });
            client.request(pour(1, "gone", 30_000));
            (0..passes).for_each(|_| rig.pass_once(256));
            match end {
                0 => client.peer.finish(),
                1 => client.peer.close(),
                2 => client.peer.reset(),
                _ => client.peer.vanish(),
            }
            (0..4).for_each(|_| rig.turn());
            client.peer.set_window(1 << 20);
        }
    }
    rig.run();
    rig.leave(&[]);
}

#[test]
fn without_memory_for_its_pieces_a_call_is_refused() {
    let sizes = Sizes {
        heap_bytes_max: 200_000,
        ..SIZES
    };
    let mut rig = Rig::new(1, sizes);
    let (mut first, mut second) = (Client::new(rig.connect()), Client::new(rig.connect()));
    first.peer.set_window(10);
    first.request(pour(1, "first", 500_000));
    rig.run();
    second.request(pour(1, "second", 10));
    read_on(&mut rig, &mut second);
    assert_eq!(second.results(), ["-31503"]);
    first.peer.set_window(1 << 20);
    read_on(&mut rig, &mut first);
    assert_eq!(first.results()[0].len(), 500_005);
    rig.leave(&[first, second]);
}

#[test]
fn a_client_that_takes_nothing_misses_its_deadline() {
    let mut rig = Rig::new(1, SIZES);
    let mut slow = Client::new(rig.connect());
    slow.peer.set_window(70_000);
    slow.request(pour(1, "slow", 1_000_000));
    for _ in 0..8 {
        rig.live(TIMEOUTS.write / 2);
        assert!(slow.is_open());
        slow.read();
    }
    rig.live(TIMEOUTS.write * 2);
    assert_eq!(rig.metrics.evictions.of(Eviction::WriteStall).value(), 1);
    rig.leave(&[slow]);
}

#[test]
fn a_drain_waits_for_a_source_and_an_abort_does_not() {
    let mut rig = Rig::new(1, SIZES);
    let mut client = Client::new(rig.connect());
    client.peer.set_window(64 << 20);
    client.request(pour(1, "drain", 1_000_000));
    (0..4).for_each(|_| rig.pass_once(256));
    rig.drain();
    rig.run();
    client.read();
    assert_eq!(client.results()[0].len(), 1_000_005);
    client.peer.finish();
    rig.live(Duration::from_secs(2));
    assert!(rig.is_finished());
    rig.assert_nothing_left();

    let mut rig = Rig::new(1, SIZES);
    let mut client = Client::new(rig.connect());
    client.peer.set_window(1000);
    client.request(pour(1, "abort", 1_000_000));
    (0..4).for_each(|_| rig.pass_once(256));
    rig.abort();
    rig.run();
    assert!(rig.is_finished());
    rig.assert_nothing_left();
}

/// Events, messages of channels and batches have their answers as a whole.
#[test]
fn a_source_is_read_first_where_it_cannot_be_read_later() {
    let sizes = Sizes {
        heap_bytes_max: 2 << 20,
        ..SIZES
    };
    let mut rig = Rig::new(1, sizes);
    let mut client = Client::new(rig.connect());
    client.request(batch(&[
        ("pour", 1, "s1."),
        ("echo", 2, "s2."),
        ("pour", 3, "s3."),
    ]));
    read_on(&mut rig, &mut client);

    let ask = |bytes: usize| {
        let request = pour(4, "s4.", bytes);
        let text = String::from_utf8(request.bytes).unwrap();
        text.replace("application/json, text/event-stream", "text/event-stream")
    };
    for (bytes, expected) in [
        (150_000, "x".repeat(150_000)),
        (3_000_000, "too large".to_owned()),
    ] {
        let peer = rig.connect();
        peer.set_window(1 << 20);
        peer.write(ask(bytes).as_bytes());
        rig.run();
        let came = String::from_utf8(peer.read()).unwrap();
        assert!(
            came.contains(&expected),
            "{bytes}: {}",
            &came[..came.len().min(500)]
        );
        peer.finish();
    }

    let mut socket = WebSocket::new(rig.connect());
    socket.peer.set_window(1 << 20);
    for id in [1, 2] {
        socket.ask(id % 2 == 1, "pour", id, &format!("s{id}."));
    }
    socket.send(usize::MAX);
    while socket.answers.len() < 2 {
        rig.turn();
        socket.read();
    }
    socket.peer.finish();
    client.peer.finish();
    rig.leave(&[]);
}
