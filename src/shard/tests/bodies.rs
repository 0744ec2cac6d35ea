//! Large bodies and large answers: cut anywhere, given up midway, and what they cost while they last.

use std::time::Duration;

use super::client::{Client, Era, call, chunked, with_origin};
use super::rig::{Rig, Sizes, TIMEOUTS};
use crate::ring::simulated::PeerView;

/// A body is many ring buffers long, and its answer larger than a response buffer.
const SIZES: Sizes = Sizes {
    ring_buffer_bytes: 128,
    assembly_buffer_bytes: 512,
    handler_buffer_bytes: 2048,
    ..Sizes::DEFAULT
};

fn secret(seed: &str, bytes: usize) -> String {
    seed.chars().cycle().take(bytes).collect()
}

#[test]
fn a_body_arrives_in_every_two_pieces_with_another_behind_it() {
    let mut rig = Rig::new(1, SIZES);
    let (first, second) = (secret("first \"\n", 900), secret("second", 700));
    let requests = || {
        [
            call(Era::Modern, "echo", 1, &first),
            call(Era::Legacy, "echo", 2, &second),
        ]
    };
    let bytes: usize = requests().iter().map(|request| request.bytes.len()).sum();
    for cut in 1..bytes {
        let mut client = Client::new(rig.connect());
        requests().into_iter().for_each(|request| client.ask(request));
        client.send(cut);
        rig.turn();
        client.send(usize::MAX);
        (0..6).for_each(|_| rig.turn());
        client.read();
        assert_eq!(client.results(), [&*first, &*second], "cut at {cut}");
        client.peer.finish();
        (0..2).for_each(|_| rig.turn());
    }
    let direct = rig.shard.ring.filled_bytes();
    assert!(
        direct > bytes / 2 * bytes,
        "only {direct} bytes went straight into their buffers"
    );
    rig.leave(&[]);
}

#[test]
fn a_body_arrives_in_pieces_of_any_size() {
    let mut rig = Rig::new(1, SIZES);
    let mut clients = Vec::new();
    for piece in [1, 2, 3, 7, 100, 127, 128, 129, 255, 300, 511, 512, 513, 900] {
        let mut client = Client::new(rig.connect());
        let text = secret("abcdefg\u{e9}", 1500);
        client.ask(call(Era::Modern, "echo", 1, &text));
        client.ask(chunked(call(Era::Modern, "echo", 2, &text), 333));
        client.ask(call(Era::Modern, "echo", 3, "behind"));
        while !client.unsent.is_empty() {
            client.send(piece);
            rig.turn();
        }
        (0..6).for_each(|_| rig.turn());
        client.read();
        assert_eq!(
            client.results(),
            [&*text, &*text, "behind"],
            "in pieces of {piece}"
        );
        clients.push(client);
    }
    rig.leave(&clients);
}

/// The ring has the buffer when its client goes, in whichever way.
#[test]
fn a_client_that_goes_in_the_middle_of_its_body_leaves_nothing() {
    let mut rig = Rig::new(1, SIZES);
    for sent in (300..2000).step_by(170) {
        for end in 0..4 {
            let mut client = Client::new(rig.connect());
            client.ask(call(Era::Modern, "echo", 1, &secret("never", 2000)));
            client.send(sent);
            rig.turn();
            match end {
                0 => client.peer.finish(),
                1 => client.peer.close(),
                2 => client.peer.reset(),
                _ => client.peer.vanish(),
            }
            (0..4).for_each(|_| rig.turn());
            client.read();
            assert_eq!(client.answers.len(), 0);
        }
    }
    rig.run();
    rig.leave(&[]);
}

#[test]
fn a_body_that_does_not_come_is_refused_and_its_late_bytes_are_dropped() {
    let mut rig = Rig::new(1, SIZES);
    let mut client = Client::new(rig.connect());
    client.ask(with_origin(call(Era::Modern, "echo", 1, &secret("late", 2000))));
    client.send(1000);
    rig.run();
    rig.live(TIMEOUTS.read + Duration::from_secs(1));
    client.read();
    let refused = &client.answers[0];
    assert_eq!(refused.status, 408);
    let is_readable = refused
        .head
        .to_lowercase()
        .contains("access-control-allow-origin: http://localhost:8080");
    assert!(
        is_readable,
        "the page that sent it may read why: {}",
        refused.head
    );
    assert_eq!(client.peer.view(), PeerView::Ended);
    client.send(300);
    rig.run();
    client.send(usize::MAX);
    rig.run();
    rig.leave(&[client]);
}

#[test]
fn an_abort_in_the_middle_of_a_body_waits_for_the_ring() {
    let mut rig = Rig::new(1, SIZES);
    let mut client = Client::new(rig.connect());
    client.ask(call(Era::Modern, "echo", 1, &secret("aborted", 2000)));
    client.send(1000);
    rig.run();
    rig.abort();
    rig.run();
    assert!(rig.is_finished());
    rig.assert_nothing_left();
}

/// Whatever comes at once, what is used and what is in reserve stay within the budget, and all of it is given back.
#[test]
fn large_bodies_and_answers_stay_within_the_budget_and_give_it_back() {
    let sizes = Sizes {
        heap_bytes_max: 100_000,
        handlers: 4,
        ..SIZES
    };
    let mut rig = Rig::new(1, sizes);
    let mut clients: Vec<Client> = (0..12).map(|_| Client::new(rig.connect())).collect();
    for round in 0..6 {
        for (client, number) in clients.iter_mut().zip(0..) {
            if client.is_open() {
                let text = secret("budget ", 3_000 * (1 + (number + round) % 8));
                client.ask(call(Era::Modern, "echo", 1, &text));
            }
        }
        while clients.iter().any(|client| !client.unsent.is_empty()) {
            for client in &mut clients {
                client.send(2_000);
            }
            rig.turn();
            let used = rig.shard.writer.heap_bytes_used();
            let reserved = rig.shard.writer.heap_bytes_reserved();
            assert!(
                used + reserved <= sizes.heap_bytes_max,
                "{used} used, {reserved} in reserve"
            );
        }
        (0..8).for_each(|_| rig.turn());
        clients.iter_mut().for_each(Client::read);
    }
    let answered = clients.iter().map(|client| client.answers.len()).sum::<usize>();
    assert!(answered >= clients.len(), "{answered} answers");
    assert!(
        rig.shard.writer.heap_bytes_reserved() > 0,
        "buffers are kept for the next"
    );
    rig.leave(&clients);
}

#[test]
fn a_large_answer_is_cut_anywhere() {
    let mut rig = Rig::new(1, SIZES);
    let text = secret("answer \"\n", 3_000);
    let mut client = Client::new(rig.connect());
    for first in (0..4_400).step_by(3) {
        client.answers.clear();
        client.peer.set_window(first);
        client.request(call(Era::Modern, "echo", 1, &text));
        (0..3).for_each(|_| rig.turn());
        client.read();
        client.peer.set_window(1 << 20);
        (0..3).for_each(|_| rig.turn());
        client.read();
        assert_eq!(client.results(), [&*text], "cut at {first}");
    }
    rig.leave(&[client]);
}

#[test]
fn a_reader_that_stops_after_each_piece_gets_all_of_it() {
    let mut rig = Rig::new(1, SIZES);
    let text = secret("answer \"\n", 3_000);
    let mut clients = Vec::new();
    for window in [1, 2, 3, 50, 127, 1000, 2047, 2048, 2049, 3000] {
        let mut client = Client::new(rig.connect());
        client.peer.set_window(window);
        client.request(call(Era::Modern, "echo", 1, &text));
        for _ in 0..=5_000 / window {
            rig.turn();
            client.read();
        }
        (0..3).for_each(|_| rig.turn());
        client.read();
        assert_eq!(client.results(), [&*text], "{window} bytes at a time");
        clients.push(client);
    }
    rig.leave(&clients);
}
