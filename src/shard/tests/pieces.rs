//! Large answers piece by piece: cut anywhere, to readers that stop, beside others, given up midway, and their cost.

use std::time::Duration;

use serde_json::json;

use super::client::{Client, Era, Expected, Request, call, post, with_origin};
use super::rig::{Rig, Sizes, TIMEOUTS};
use super::websocket::WebSocket;
use crate::metrics::Eviction;
use crate::ring::simulated::{Fault, PeerView, SimulatedPeer};

/// The bytes of a piece, as the writer has them.
const PIECE_BYTES: usize = 64 << 10;

/// What may go out in one pass: one piece, and the answers of others.
const PASS_BYTES_MAX: usize = PIECE_BYTES + 4096;

const SIZES: Sizes = Sizes {
    handler_buffer_bytes: 2048,
    assembly_buffer_bytes: 4096,
    ..Sizes::DEFAULT
};

/// Room for many large answers.
const ROOMY: Sizes = Sizes {
    heap_bytes_max: 64 << 20,
    ..SIZES
};

fn secret(seed: &str, bytes: usize) -> String {
    seed.chars().cycle().take(bytes).collect()
}

/// A call whose answer has a text of so many bytes.
fn large(id: u64, bytes: usize) -> Request {
    let message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": {"name": "blob", "arguments": {"secret": "", "bytes": bytes}}});
    Request {
        bytes: post("", message.to_string().as_bytes()),
        expected: Expected::Answer {
            id,
            secret: String::new(),
        },
    }
}

fn rig_of_pieces(piece_bytes: usize, sizes: Sizes) -> Rig {
    let mut rig = Rig::new(1, sizes);
    rig.shard.writer.set_piece_bytes(piece_bytes);
    rig
}

fn turns(rig: &mut Rig, count: usize) {
    (0..count).for_each(|_| rig.turn());
}

/// Takes all that comes, as it comes.
fn read_on(rig: &mut Rig, client: &mut Client) {
    while client.unanswered() > 0 {
        rig.turn();
        client.read();
    }
}

#[test]
fn a_text_leaves_in_pieces_of_any_size() {
    let text = secret("piece \"\n\u{1}\u{e9}", 700);
    let mut clients = Vec::new();
    let mut rig = Rig::new(1, SIZES);
    for piece_bytes in (1..=350).chain([1000, 2000]) {
        rig.shard.writer.set_piece_bytes(piece_bytes);
        let mut client = Client::new(rig.connect());
        client.request(call(Era::Modern, "echo", 1, &text));
        // What fails is written at once, and sent in pieces all the same.
        client.request(call(Era::Legacy, "fail", 2, &text));
        client.request(call(Era::Legacy, "block", 3, &text));
        read_on(&mut rig, &mut client);
        assert_eq!(client.results(), [&*text, &*text, &*text], "by {piece_bytes}");
        client.peer.finish();
        clients.push(client);
    }
    rig.leave(&clients);
}

#[test]
fn a_text_is_cut_at_every_point() {
    let mut rig = rig_of_pieces(64, SIZES);
    let text = secret("cut \"\n", 300);
    let mut client = Client::new(rig.connect());
    client.peer.set_window(1 << 20);
    client.request(call(Era::Modern, "echo", 1, &text));
    turns(&mut rig, 2);
    let whole = client.peer.read().len();
    for first in 0..=whole {
        let mut client = Client::new(rig.connect());
        client.peer.set_window(first);
        client.request(call(Era::Modern, "echo", 1, &text));
        turns(&mut rig, 3);
        client.read();
        client.peer.set_window(1 << 20);
        turns(&mut rig, 3);
        client.read();
        assert_eq!(client.results(), [&*text], "cut at {first} of {whole}");
        client.peer.finish();
        turns(&mut rig, 2);
    }
    client.peer.finish();
    rig.leave(&[]);
}

#[test]
fn a_send_that_is_short_or_refused_is_taken_up_where_it_ended() {
    let mut rig = rig_of_pieces(500, SIZES);
    let text = secret("short \"\n", 1800);
    let mut client = Client::new(rig.connect());
    for taken in (1..1000).step_by(7) {
        client.answers.clear();
        rig.network.order(Fault::SendShort(taken));
        client.request(call(Era::Modern, "fail", 1, &text));
        read_on(&mut rig, &mut client);
        rig.network.order(Fault::SendRefused);
        client.request(call(Era::Modern, "fail", 2, &text));
        read_on(&mut rig, &mut client);
        assert_eq!(client.results(), [&*text, &*text], "{taken} bytes taken");
    }
    rig.leave(&[client]);
}

#[test]
fn a_reader_may_stop_after_each_piece() {
    let text = secret("stop \"\n", 2500);
    let mut clients = Vec::new();
    let mut rig = rig_of_pieces(300, SIZES);
    for tool in ["echo", "fail", "block"] {
        for window in [1, 2, 7, 299, 300, 301, 1000] {
            let mut client = Client::new(rig.connect());
            client.peer.set_window(window);
            client.request(call(Era::Modern, tool, 1, &text));
            client.request(call(Era::Legacy, "echo", 2, "behind"));
            read_on(&mut rig, &mut client);
            let came = client.results();
            assert_eq!(came, [&*text, "behind"], "{tool}, {window} bytes at a time");
            clients.push(client);
        }
    }
    rig.leave(&clients);
}

#[test]
fn events_and_messages_of_channels_leave_in_pieces_too() {
    let mut rig = Rig::new(1, SIZES);
    for piece_bytes in [1, 3, 100, 1000, 3000] {
        rig.shard.writer.set_piece_bytes(piece_bytes);
        for window in [1, 50, 1 << 20] {
            let mut client = Client::new(rig.connect());
            client.peer.set_window(window);
            client.request(call(Era::Modern, "speak", 1, "s1."));
            client.request(call(Era::Legacy, "echo", 2, "s2."));
            rig.release("s1.");
            read_on(&mut rig, &mut client);
            assert_eq!(client.answers[0].events.len(), 3);
            assert_eq!(client.results(), ["s1.", "s2."], "{piece_bytes} by {window}");
            let mut socket = WebSocket::new(rig.connect());
            socket.peer.set_window(window);
            for (id, tool) in [(1, "blob"), (2, "speak"), (3, "echo"), (4, "blob")] {
                socket.ask(id % 2 == 1, tool, id, &format!("s{id}."));
            }
            rig.release("s2.");
            socket.send(usize::MAX);
            while socket.answers.len() < 4 {
                rig.turn();
                socket.read();
            }
            assert_eq!(socket.closed, None);
            socket.peer.finish();
            client.peer.finish();
        }
    }
    rig.leave(&[]);
}

/// Bytes that came in a pass.
fn read_raw(peer: &SimulatedPeer) -> usize {
    peer.read().len()
}

#[test]
fn a_large_answer_is_in_nobodys_way() {
    let mut rig = Rig::new(1, ROOMY);
    let (mut greedy, mut other) = (Client::new(rig.connect()), Client::new(rig.connect()));
    greedy.peer.set_window(64 << 20);
    other.request(call(Era::Modern, "echo", 0, "first"));
    rig.run();
    greedy.request(large(1, 3_000_000));
    let (mut passes, mut came, mut asked) = (0, 0, 1);
    while came < 3_000_000 {
        passes += 1;
        if other.answers.len() as u64 == asked {
            other.request(call(Era::Modern, "echo", asked, "other"));
            asked += 1;
        }
        rig.pass_once(256);
        let bytes = read_raw(&greedy.peer);
        assert!(bytes <= PASS_BYTES_MAX, "{bytes} bytes in pass {passes}");
        came += bytes;
        other.read();
        assert!(passes < 1000, "{came} bytes came");
    }
    let answered = other.answers.len();
    assert!(answered >= passes / 3, "{answered} answers in {passes} passes");
    rig.run();
    rig.leave(&[greedy, other]);
}

#[test]
fn large_answers_share_what_they_get() {
    let mut rig = Rig::new(1, ROOMY);
    let mut clients: Vec<(Client, usize)> = (0..7).map(|_| (Client::new(rig.connect()), 0)).collect();
    for (client, _) in &mut clients {
        client.peer.set_window(64 << 20);
        client.request(large(1, 1_000_000));
    }
    while clients.iter().any(|(_, came)| *came < 1_000_000) {
        rig.pass_once(256);
        let mut bytes = 0;
        for (client, came) in &mut clients {
            let read = read_raw(&client.peer);
            (*came, bytes) = (*came + read, bytes + read);
        }
        assert!(bytes <= PASS_BYTES_MAX, "{bytes} bytes in one pass");
        let least = clients.iter().map(|(_, came)| *came).min().unwrap();
        let most = clients.iter().map(|(_, came)| *came).max().unwrap();
        assert!(
            most - least <= 2 * PIECE_BYTES,
            "{most} for one, {least} for another"
        );
    }
    let clients: Vec<Client> = clients.into_iter().map(|(client, _)| client).collect();
    rig.leave(&clients);
}

#[test]
fn a_text_of_a_worker_leaves_in_pieces_and_another_answer_follows() {
    let mut rig = Rig::new(1, ROOMY);
    let mut client = Client::new(rig.connect());
    for era in [Era::Legacy, Era::Modern] {
        client.request(call(era, "haul", 1, "s1."));
        client.request(with_origin(call(era, "blob", 2, "s2.")));
        client.request(call(era, "haul", 3, "s3."));
    }
    read_on(&mut rig, &mut client);
    let lengths: Vec<usize> = client.results().iter().map(String::len).collect();
    assert_eq!(lengths, [150_003; 6]);
    rig.leave(&[client]);
}

/// What is before the text is long, too.
#[test]
fn a_large_text_may_answer_a_request_with_a_long_id() {
    for heap_bytes_max in [64 << 20, 300_000, 250_000, 150_000] {
        let mut rig = Rig::new(
            1,
            Sizes {
                heap_bytes_max,
                ..SIZES
            },
        );
        let id = secret("id \" ", 50_000);
        let message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": "blob", "arguments": {"secret": "", "bytes": 140_000}}});
        let client = Client::new(rig.connect());
        client.peer.write(&post("", message.to_string().as_bytes()));
        client.peer.set_window(1 << 20);
        rig.run();
        let came = client.peer.read();
        let body = memchr::memmem::find(&came, b"\r\n\r\n").unwrap() + 4;
        let answer: serde_json::Value = serde_json::from_slice(&came[body..]).unwrap();
        let text = answer["result"]["content"][0]["text"].as_str();
        match text.map(str::len) {
            Some(bytes) => assert_eq!((bytes, &answer["id"]), (140_000, &json!(id))),
            None => assert!(heap_bytes_max < 1 << 20 && answer["error"]["code"] == -31503),
        }
        rig.leave(&[client]);
    }
}

#[test]
fn who_takes_only_events_gets_a_large_text_as_one() {
    let mut rig = Rig::new(1, ROOMY);
    let client = Client::new(rig.connect());
    let request = call(Era::Modern, "blob", 1, "s1.");
    let text = String::from_utf8(request.bytes).unwrap();
    let bytes = text.replace("application/json, text/event-stream", "text/event-stream");
    client.peer.write(bytes.as_bytes());
    client.peer.set_window(1 << 20);
    rig.run();
    let came = String::from_utf8(client.peer.read()).unwrap();
    let (head, body) = came.split_once("\r\n\r\n").unwrap();
    assert!(
        head.to_lowercase().contains("content-type: text/event-stream"),
        "{head}"
    );
    assert!(body.contains("data: {"));
    assert!(came.contains(&"x".repeat(150_000)));
    rig.leave(&[client]);
}

#[test]
fn a_client_that_goes_at_any_piece_leaves_nothing() {
    let mut rig = rig_of_pieces(2_000, ROOMY);
    for passes in 1..30 {
        for tool in ["blob", "fail"] {
            for end in 0..4 {
                let client = &mut Client::new(rig.connect());
                client
                    .peer
                    .set_window(if passes % 2 == 0 { 1 << 20 } else { 5_000 });
                client.request(call(Era::Modern, tool, 1, &secret("gone", 9_000)));
                (0..passes).for_each(|_| rig.pass_once(256));
                match end {
                    0 => client.peer.finish(),
                    1 => client.peer.close(),
                    2 => client.peer.reset(),
                    _ => client.peer.vanish(),
                }
                turns(&mut rig, 4);
                client.peer.set_window(1 << 20);
            }
        }
    }
    rig.run();
    rig.leave(&[]);
}

#[test]
fn a_drain_waits_for_pieces_and_an_abort_does_not() {
    let mut rig = Rig::new(1, ROOMY);
    let mut client = Client::new(rig.connect());
    client.peer.set_window(64 << 20);
    client.request(large(1, 2_000_000));
    (0..6).for_each(|_| rig.pass_once(256));
    rig.drain();
    rig.run();
    client.read();
    assert_eq!(client.results()[0].len(), 2_000_000);
    rig.live(Duration::from_secs(2));
    assert_eq!(client.peer.view(), PeerView::Ended);
    client.peer.finish();
    rig.live(Duration::from_secs(2));
    assert!(rig.is_finished());
    rig.assert_nothing_left();

    let mut rig = Rig::new(1, ROOMY);
    let mut client = Client::new(rig.connect());
    client.peer.set_window(64 << 20);
    client.request(large(1, 2_000_000));
    (0..20).for_each(|_| rig.pass_once(256));
    rig.abort();
    rig.run();
    assert!(rig.is_finished());
    rig.assert_nothing_left();
}

#[test]
fn a_client_that_takes_nothing_misses_the_deadline_of_its_next_piece() {
    let mut rig = Rig::new(1, ROOMY);
    let mut slow = Client::new(rig.connect());
    slow.peer.set_window(70_000);
    slow.request(large(1, 1_000_000));
    // Each time it takes some, it may take as long again.
    for _ in 0..8 {
        rig.live(TIMEOUTS.write / 2);
        assert!(slow.is_open());
        slow.read();
    }
    rig.live(TIMEOUTS.write * 2);
    assert_eq!(rig.metrics.evictions.of(Eviction::WriteStall).value(), 1);
    rig.leave(&[slow]);
}

/// Whatever comes at once and however slowly it is taken, what is used and what is in reserve stay within the budget,
/// and all of it is given back.
#[test]
fn texts_and_their_pieces_stay_within_the_budget() {
    let sizes = Sizes {
        heap_bytes_max: 3_000_000,
        handlers: 6,
        ..SIZES
    };
    let mut rig = Rig::new(1, sizes);
    let mut clients: Vec<Client> = (0..12).map(|_| Client::new(rig.connect())).collect();
    let mut highest = 0;
    for round in 0..6_usize {
        for (client, number) in clients.iter_mut().zip(0..) {
            client.peer.set_window(if (number + round) % 3 == 0 {
                1 << 22
            } else {
                50_000
            });
            if client.is_open() {
                client.request(large(1, 100_000 * (1 + (number + round) % 9)));
            }
        }
        for _ in 0..60 {
            rig.turn();
            let used = rig.shard.writer.heap_bytes_used();
            let reserved = rig.shard.writer.heap_bytes_reserved();
            highest = highest.max(used);
            assert!(
                used + reserved <= sizes.heap_bytes_max,
                "{used} used, {reserved} in reserve"
            );
            clients.iter_mut().for_each(Client::read);
        }
    }
    assert!(highest > sizes.heap_bytes_max / 2, "{highest} bytes at most");
    let results: Vec<String> = clients.iter().flat_map(Client::results).collect();
    let whole = results.iter().filter(|text| text.len() >= 100_000).count();
    assert!(
        whole >= clients.len(),
        "{whole} large answers of {}",
        results.len()
    );
    rig.leave(&clients);
}
