//! Results that are read while they are sent: in pieces, to readers that stop, given up midway, and read as a whole.

use std::time::Duration;

use serde_json::json;

use super::client::{Client, Era, Expected, Request, batch, call, post};
use super::rig::{Rig, Sizes, TIMEOUTS};
use super::tools::poured_bytes;
use super::websocket::WebSocket;
use crate::metrics::Eviction;
use crate::ring::simulated::{PeerView, SimulatedPeer};

const SIZES: Sizes = Sizes {
    handler_buffer_bytes: 2048,
    assembly_buffer_bytes: 4096,
    heap_bytes_max: 64 << 20,
    ..Sizes::DEFAULT
};

/// A call whose answer has a text of so many bytes, which is read.
fn pour(id: u64, secret: &str, bytes: usize) -> Request {
    stream("pour", id, secret, bytes)
}

fn stream(tool: &str, id: u64, secret: &str, bytes: usize) -> Request {
    let message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {"name": tool, "arguments": {"secret": secret, "bytes": bytes}}});
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
        client.request(stream("spill", 1, "s1.", bytes));
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

/// How a client leaves.
const ENDS: [fn(&SimulatedPeer); 3] = [SimulatedPeer::finish, SimulatedPeer::close, SimulatedPeer::reset];

#[test]
fn a_client_that_leaves_before_the_first_piece_is_noticed_at_once() {
    for era in [Era::Legacy, Era::Modern] {
        for (number, leave) in ENDS.iter().enumerate() {
            for is_pipelined in [false, true] {
                let mut rig = Rig::new(1, SIZES);
                rig.occupy_worker();
                let mut client = Client::new(rig.connect());
                client.request(call(era, "pour", 1, "early"));
                if is_pipelined {
                    client.request(call(era, "echo", 2, "behind"));
                }
                rig.run();
                assert_eq!((rig.shard.calls.busy(), rig.queued_jobs()), (1, 1));
                leave(&client.peer);
                rig.run();
                // A client that has finished sending looks the same as one that has closed its end.
                let may_read = era == Era::Legacy && number < 2;
                let expected = if may_read { (1, 1) } else { (0, 0) };
                let left = (rig.shard.calls.busy(), rig.queued_jobs());
                assert_eq!(left, expected, "{era:?} {number} {is_pipelined}");
                assert_eq!(rig.shard.writer.heap_bytes_used() > 0, may_read);
                rig.barrier.open();
                if may_read && number == 0 {
                    read_on(&mut rig, &mut client);
                    assert!(client.results()[0].starts_with("early"));
                }
                rig.leave(&[]);
            }
        }
    }
}

#[test]
fn a_client_that_leaves_while_its_source_is_silent_is_noticed_at_once() {
    for era in [Era::Legacy, Era::Modern] {
        for (number, leave) in ENDS.iter().enumerate() {
            let mut rig = Rig::new(1, SIZES);
            let mut client = Client::new(rig.connect());
            let secret = format!("silent {era:?} {number}");
            client.request(call(era, "drip", 1, &secret));
            rig.run();
            rig.barrier.let_one_pass();
            rig.run();
            assert_eq!(rig.shard.calls.busy(), 0);
            leave(&client.peer);
            rig.run();
            // A client that has finished sending looks the same as one that has closed its end.
            let may_read = era == Era::Legacy && number < 2;
            assert_eq!(rig.shard.writer.has_no_pieces(), !may_read, "{era:?} {number}");
            rig.barrier.open();
            if may_read && number == 0 {
                read_on(&mut rig, &mut client);
                assert_eq!(client.results(), [secret.as_str()]);
            }
            rig.leave(&[]);
            assert_eq!(poured_bytes(&secret), 0, "the source is dropped");
        }
    }
}

#[test]
fn the_first_piece_has_a_place_in_the_queue_of_the_workers_or_is_refused() {
    let sizes = Sizes {
        worker_queue_depth_max: 2,
        ..SIZES
    };
    let mut rig = Rig::new(1, sizes);
    rig.occupy_worker();
    let mut clients: Vec<Client> = (1..=5)
        .map(|id| {
            let mut client = Client::new(rig.connect());
            client.request(pour(id, &format!("place {id}"), 10));
            rig.run();
            client.read();
            client
        })
        .collect();
    assert_eq!(rig.queued_jobs(), 2);
    for client in &mut clients[2..] {
        let refused = String::from_utf8_lossy(&client.answers[0].body).into_owned();
        assert!(refused.contains("\"reason\":\"workers\""), "{refused}");
        assert_eq!(client.results(), ["-31503"]);
    }
    rig.barrier.open();
    for (client, id) in clients[..2].iter_mut().zip(1..) {
        read_on(&mut rig, client);
        assert_eq!(client.results(), [format!("place {id}xxxxxxxxxx")]);
    }
    rig.leave(&clients);
}

#[test]
fn a_call_whose_first_piece_does_not_come_in_time_is_answered() {
    for is_queued in [false, true] {
        let mut rig = Rig::new(1, SIZES);
        if is_queued {
            rig.occupy_worker();
        }
        let mut client = Client::new(rig.connect());
        client.request(call(Era::Modern, "drip", 1, "in time"));
        rig.live(TIMEOUTS.call - Duration::from_secs(1));
        client.read();
        assert_eq!((rig.shard.calls.busy(), client.unanswered()), (1, 1));
        rig.live(Duration::from_secs(2));
        client.read();
        let [answer] = &client.answers[..] else {
            panic!("{} answers", client.answers.len());
        };
        let body = String::from_utf8_lossy(&answer.body);
        assert!(body.contains("timed out"), "{body}");
        assert_eq!((rig.shard.calls.busy(), rig.queued_jobs()), (0, 0));
        rig.barrier.open();
        client.request(call(Era::Modern, "echo", 2, "goes on"));
        read_on(&mut rig, &mut client);
        rig.leave(&[client]);
    }
}

#[test]
fn a_source_that_gives_little_at_a_time_is_not_cut_off() {
    let mut rig = Rig::new(1, SIZES);
    let mut client = Client::new(rig.connect());
    let secret = "dr\u{e9}p by dr\u{1f980}p";
    client.request(call(Era::Modern, "drip", 1, secret));
    rig.run();
    for byte in 1..=secret.len() {
        assert_eq!(poured_bytes(secret), byte - 1);
        rig.barrier.let_one_pass();
        rig.live(TIMEOUTS.write - Duration::from_secs(1));
        assert!(client.is_open(), "{byte}");
    }
    rig.barrier.let_one_pass();
    read_on(&mut rig, &mut client);
    assert_eq!(client.results(), [secret]);
    rig.leave(&[client]);
}

#[test]
fn a_source_that_gives_nothing_is_cut_off() {
    let mut rig = Rig::new(1, SIZES);
    let mut client = Client::new(rig.connect());
    client.request(call(Era::Modern, "drip", 1, "nothing"));
    rig.run();
    rig.barrier.let_one_pass();
    rig.live(TIMEOUTS.write - Duration::from_secs(1));
    assert!(client.is_open());
    rig.live(Duration::from_secs(2));
    client.read();
    assert_eq!(client.answers.len(), 0);
    assert_ne!(client.peer.view(), PeerView::Open);
    assert_eq!(rig.metrics.evictions.of(Eviction::WriteStall).value(), 1);
    rig.barrier.open();
    rig.leave(&[]);
    assert_eq!(poured_bytes("nothing"), 0, "the source is dropped");
}

#[test]
fn a_large_piece_of_a_source_is_charged_while_it_is_held() {
    let sizes = Sizes {
        heap_bytes_max: 3 << 20,
        ..SIZES
    };
    let mut rig = Rig::new(1, sizes);
    let mut clients: Vec<Client> = (0..3).map(|_| Client::new(rig.connect())).collect();
    clients[0].peer.set_window(10_000);
    clients[0].request(stream("gush", 1, "first", 600_000));
    rig.run();
    let held = rig.shard.writer.collecting().used();
    assert!((600_000..700_000).contains(&held), "{held} bytes are charged");
    clients[1].request(stream("gush", 2, "second", 600_000));
    clients[2].request(stream("gush", 3, "third", 2_000_000));
    for (number, expected) in [(1, "-31503"), (2, "-32603")] {
        read_on(&mut rig, &mut clients[number]);
        assert_eq!(clients[number].results(), [expected]);
    }
    clients[0].peer.set_window(1 << 20);
    read_on(&mut rig, &mut clients[0]);
    assert_eq!(clients[0].results()[0].len(), 600_005);
    assert_eq!(rig.shard.writer.collecting().used(), 0);
    rig.leave(&clients);
}
