//! Drains: what is finished, and what they do not wait for.

use std::time::Duration;

use super::client::{Client, Era, call, ping};
use super::rig::{Rig, Sizes};
use super::websocket::WebSocket;
use crate::ring::simulated::PeerView;

#[test]
fn a_drain_finishes_what_is_in_flight_and_says_so() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut busy = Client::new(rig.connect());
    busy.request(call(Era::Legacy, "hold", 1, "busy"));
    let mut parked = Client::new(rig.connect());
    parked.request(ping(1));
    let mut fresh = Client::new(rig.connect());
    rig.run();
    parked.read();
    rig.drain();
    rig.turn();
    let mut queued = Client::new(rig.connect());
    queued.request(call(Era::Legacy, "echo", 1, "queued"));
    fresh.request(call(Era::Legacy, "echo", 1, "fresh"));
    rig.pass(Duration::from_millis(100));
    rig.run();
    rig.pass(Duration::from_millis(300));
    rig.run();
    rig.release("busy");
    rig.run();
    for client in [&mut busy, &mut queued, &mut fresh] {
        client.read();
        assert_eq!(client.answers.len(), 1);
        assert!(client.answers[0].head.contains("connection: close"));
        assert_eq!(client.peer.view(), PeerView::Ended);
    }
    rig.live(Duration::from_secs(3));
    assert!(rig.shard.is_finished());
    rig.assert_nothing_left();
}

#[test]
fn a_drain_answers_what_is_on_its_way_between_two_requests() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut clients: Vec<Client> = (0..3).map(|_| Client::new(rig.connect())).collect();
    for client in &mut clients {
        client.request(ping(1));
    }
    rig.run();
    // One has sent its request before the drain, one sends it right behind, one sends none.
    clients[0].request(call(Era::Legacy, "echo", 2, "before"));
    rig.drain();
    rig.turn();
    clients[1].request(call(Era::Legacy, "echo", 2, "behind"));
    rig.run();
    rig.live(Duration::from_millis(70));
    for (client, answers) in clients.iter_mut().zip([2, 2, 1]) {
        client.read();
        assert_eq!(client.answers.len(), answers);
        assert_eq!(client.peer.view(), PeerView::Ended);
    }
    assert!(clients[1].answers[1].head.contains("connection: close"));
    rig.live(Duration::from_secs(1));
    assert!(rig.shard.is_finished());
    rig.assert_nothing_left();
}

#[test]
fn a_drain_does_not_wait_for_requests_that_stay_half_sent() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut clients: Vec<Client> = (0..3).map(|_| Client::new(rig.connect())).collect();
    // Amid the head, amid the body, and one that goes on in time.
    for (client, bytes) in clients.iter_mut().zip([40, 200, 60]) {
        client.ask(call(Era::Legacy, "echo", 1, "s"));
        client.send(bytes);
    }
    rig.run();
    rig.drain();
    rig.live(Duration::from_millis(500));
    clients[2].send(usize::MAX);
    rig.live(Duration::from_secs(2));
    let statuses = clients.iter_mut().map(|client| {
        client.read();
        client.answers.last().map(|answer| answer.status)
    });
    assert_eq!(statuses.collect::<Vec<_>>(), [Some(408), Some(408), Some(200)]);
    clients.iter().for_each(|client| client.peer.finish());
    rig.live(Duration::from_secs(1));
    assert!(rig.shard.is_finished());
    rig.assert_nothing_left();
}

#[test]
fn a_drain_does_not_wait_long_for_who_was_closing_before_it() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut closing = Client::new(rig.connect());
    closing.rave(b"rubbish\r\n\r\n");
    closing.send(usize::MAX);
    rig.run();
    rig.drain();
    rig.turn();
    for _ in 0..8 {
        rig.pass(Duration::from_millis(100));
        rig.run();
    }
    assert!(rig.shard.is_finished());
    rig.assert_nothing_left();
}

#[test]
fn a_websocket_that_is_asked_for_during_a_drain_is_refused() {
    let mut rig = Rig::new(1, Sizes::default());
    let mut socket = WebSocket::new(rig.connect());
    socket.send(10);
    rig.run();
    rig.drain();
    rig.turn();
    socket.send(usize::MAX);
    rig.run();
    socket.read();
    let refused = socket.refused.as_deref().unwrap_or_default();
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    socket.peer.finish();
    rig.live(Duration::from_secs(2));
    assert!(rig.is_finished());
    rig.assert_nothing_left();
}
