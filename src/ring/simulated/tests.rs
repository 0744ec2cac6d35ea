//! The simulator itself: repeatable, obedient to orders, and strict with its callers.

use super::{Fault, Faults, PeerView, SimulatedNetwork, SimulatedPeer, SimulatedRing, SimulatedSocket};
use crate::ring::{Completion, ConnectionKey, DataRing, Operation, Received, RingOptions, SendMode};
use std::collections::{HashMap, VecDeque};
use std::io;

const KEY: ConnectionKey = ConnectionKey {
    slot: 0,
    generation: 0,
};

fn options() -> RingOptions {
    RingOptions {
        buffers: 4,
        buffer_bytes: 64,
        ..RingOptions::default()
    }
}

fn connected() -> (SimulatedNetwork, SimulatedRing, SimulatedPeer, SimulatedSocket) {
    let network = SimulatedNetwork::new(1);
    let mut ring = network.ring(options());
    let peer = network.connect(0);
    let socket = ring.accept_now().unwrap().unwrap();
    (network, ring, peer, socket)
}

fn next(ring: &mut SimulatedRing) -> Completion {
    ring.flush().unwrap();
    ring.next_completion().expect("a completion in this flush")
}

fn next_outcome(ring: &mut SimulatedRing) -> Received {
    match next(ring) {
        Completion::Received { outcome, .. } => outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn ordered_faults_strike_the_next_operation() {
    let (network, mut ring, peer, socket) = connected();
    peer.write(b"abcdef");
    network.order(Fault::ReceiveShort(2));
    network.order(Fault::ReceiveStarved);
    network.order(Fault::ReceiveCancelled);
    network.order(Fault::ReceiveReset);
    ring.receive(KEY, &socket);
    assert!(matches!(next_outcome(&mut ring), Received::Bytes(bytes) if *bytes == *b"ab"));
    ring.receive(KEY, &socket);
    assert!(matches!(next_outcome(&mut ring), Received::Starved));
    ring.receive(KEY, &socket);
    assert!(matches!(next_outcome(&mut ring), Received::Cancelled));
    ring.receive(KEY, &socket);
    assert!(matches!(next_outcome(&mut ring), Received::Failed(_)));
    assert_eq!(peer.view(), PeerView::Reset);
    ring.close(KEY, socket);
    assert!(matches!(next(&mut ring), Completion::Closed { .. }));
    ring.assert_settled();
    assert_eq!(network.connections_open(), 0);
}

#[test]
fn ordered_faults_strike_sends_and_accepts() {
    let (network, mut ring, peer, socket) = connected();
    network.order(Fault::SendShort(3));
    network.order(Fault::SendRefused);
    let mut results = Vec::new();
    for _ in 0..2 {
        ring.send(KEY, &socket, b"abcdef".to_vec(), 0..6, SendMode::Attempt);
        let Completion::Sent { result, .. } = next(&mut ring) else {
            panic!("not a send");
        };
        results.push(result.map_err(|error| error.kind()));
    }
    assert_eq!(results, [Ok(3), Err(io::ErrorKind::WouldBlock)]);
    assert_eq!(peer.read(), b"abc");
    network.order(Fault::AcceptExhausted);
    network.order(Fault::AcceptNothing);
    network.connect(0);
    let failed = ring.accept_now().unwrap_err();
    assert_eq!(failed.raw_os_error(), Some(libc::EMFILE));
    assert!(ring.accept_now().unwrap().is_none());
    assert!(ring.accept_now().unwrap().is_some());
}

#[test]
fn closing_with_unread_bytes_resets_the_peer() {
    let (_network, mut ring, peer, socket) = connected();
    peer.write(b"never read");
    ring.close(KEY, socket);
    assert!(matches!(next(&mut ring), Completion::Closed { .. }));
    assert_eq!(peer.view(), PeerView::Reset);
}

#[test]
#[should_panic(expected = "Receive is in flight twice")]
fn a_second_receive_is_noticed() {
    let (_network, mut ring, _peer, socket) = connected();
    ring.receive(KEY, &socket);
    ring.receive(KEY, &socket);
}

#[test]
#[should_panic(expected = "Send is in flight twice")]
fn a_second_send_is_noticed() {
    let (_network, mut ring, _peer, socket) = connected();
    for _ in 0..2 {
        ring.send(KEY, &socket, vec![0], 0..1, SendMode::All);
    }
}

#[test]
#[should_panic(expected = "reuses a slot with 1 operations in flight")]
fn early_reuse_of_a_slot_is_noticed() {
    let (network, mut ring, _peer, socket) = connected();
    ring.receive(KEY, &socket);
    network.connect(0);
    let second = ring.accept_now().unwrap().unwrap();
    ring.receive(KEY.next_generation(), &second);
}

#[test]
#[should_panic(expected = "used after its close")]
fn use_after_close_is_noticed() {
    let (network, mut ring, _peer, socket) = connected();
    ring.receive(KEY, &socket);
    ring.cancel(KEY, Operation::Receive);
    ring.flush().unwrap();
    while ring.next_completion().is_some() {}
    ring.close(KEY, socket);
    network.connect(0);
    let second = ring.accept_now().unwrap().unwrap();
    ring.receive(KEY, &second);
}

#[test]
#[should_panic(expected = "closed under its receive")]
fn closing_under_a_receive_is_noticed() {
    let (_network, mut ring, _peer, socket) = connected();
    ring.receive(KEY, &socket);
    ring.close(KEY, socket);
}

#[test]
#[should_panic(expected = "dropped under 1 operations")]
fn dropping_a_socket_under_an_operation_is_noticed() {
    let (_network, mut ring, _peer, socket) = connected();
    ring.receive(KEY, &socket);
    drop(socket);
}

#[test]
#[should_panic(expected = "1 ring buffers outlive their ring")]
fn a_leaked_buffer_is_noticed() {
    let (_network, mut ring, peer, socket) = connected();
    peer.write(b"x");
    ring.receive(KEY, &socket);
    let outcome = next_outcome(&mut ring);
    drop(ring);
    drop(outcome);
}

/// The smallest connection table that keeps every promise: it echoes.
struct Echo {
    ring: SimulatedRing,
    connections: HashMap<ConnectionKey, Connection>,
    slots: u32,
    trace: Vec<String>,
}

struct Connection {
    socket: Option<SimulatedSocket>,
    outbox: VecDeque<u8>,
    is_receiving: bool,
    is_sending: bool,
    is_over: bool,
}

impl Echo {
    fn turn(&mut self) {
        self.ring.flush().unwrap();
        while let Some(completion) = self.ring.next_completion() {
            self.trace.push(format!("{completion:?}"));
            self.handle(completion);
        }
    }

    fn handle(&mut self, completion: Completion) {
        match completion {
            Completion::AcceptReady => {
                self.ring.watch_listener();
                let Ok(Some(socket)) = self.ring.accept_now() else {
                    return;
                };
                let key = ConnectionKey {
                    slot: self.slots,
                    generation: 0,
                };
                self.slots += 1;
                let connection = Connection {
                    socket: Some(socket),
                    outbox: VecDeque::new(),
                    is_receiving: false,
                    is_sending: false,
                    is_over: false,
                };
                self.connections.insert(key, connection);
                self.advance(key);
            }
            Completion::Received { key, outcome } => {
                let connection = self.connections.get_mut(&key).unwrap();
                connection.is_receiving = false;
                match outcome {
                    Received::Bytes(bytes) => connection.outbox.extend(bytes.iter()),
                    Received::End => connection.is_over = true,
                    Received::Failed(_) => {
                        connection.is_over = true;
                        connection.outbox.clear();
                    }
                    Received::Starved | Received::Cancelled => {}
                }
                self.advance(key);
            }
            Completion::Sent { key, result, .. } => {
                let connection = self.connections.get_mut(&key).unwrap();
                connection.is_sending = false;
                match result {
                    // A failed receive may have cleared it meanwhile.
                    Ok(sent) => drop(connection.outbox.drain(..sent.min(connection.outbox.len()))),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => {
                        connection.is_over = true;
                        connection.outbox.clear();
                    }
                }
                self.advance(key);
            }
            Completion::Closed { key } => drop(self.connections.remove(&key)),
            other => panic!("{other:?}"),
        }
    }

    fn advance(&mut self, key: ConnectionKey) {
        let connection = self.connections.get_mut(&key).unwrap();
        let Some(socket) = &connection.socket else { return };
        if !connection.is_sending && !connection.outbox.is_empty() {
            connection.is_sending = true;
            let bytes: Vec<u8> = connection.outbox.iter().copied().collect();
            let mode = [SendMode::Attempt, SendMode::All][bytes.len() % 2];
            let all = 0..bytes.len();
            self.ring.send(key, socket, bytes, all, mode);
        }
        if !connection.is_over && !connection.is_receiving {
            connection.is_receiving = true;
            self.ring.receive(key, socket);
        }
        if connection.is_over && !connection.is_receiving && !connection.is_sending {
            let socket = connection.socket.take().unwrap();
            self.ring.close(key, socket);
        }
    }
}

/// Peers write through faults, which then stop; returns what every peer saw and the whole trace.
fn rough_echo(seed: u64) -> (Vec<(Vec<u8>, PeerView)>, Vec<String>) {
    const PEERS: usize = 12;
    const WRITES: u8 = 20;
    let network = SimulatedNetwork::new(seed);
    let mut ring = network.ring(options());
    ring.watch_listener();
    let mut echo = Echo {
        ring,
        connections: HashMap::new(),
        slots: 0,
        trace: Vec::new(),
    };
    network.set_faults(Faults::ROUGH);
    let peers: Vec<SimulatedPeer> = (0..PEERS).map(|_| network.connect(0)).collect();
    let mut seen = vec![Vec::new(); PEERS];
    for write in 0..WRITES {
        for (peer, seen) in peers.iter().zip(&mut seen) {
            peer.write(&[write; 10]);
            echo.turn();
            seen.extend(peer.read());
        }
    }
    network.calm();
    peers.iter().for_each(SimulatedPeer::finish);
    // Late completions are due within `delay_flushes_max`; starved and short ones take a few turns.
    for _ in 0..1000 {
        echo.turn();
        for (peer, seen) in peers.iter().zip(&mut seen) {
            seen.extend(peer.read());
        }
    }
    echo.ring.assert_settled();
    assert_eq!(network.connections_open(), 0, "seed {seed}");
    let views = peers.iter().map(SimulatedPeer::view);
    (seen.into_iter().zip(views).collect(), echo.trace)
}

#[test]
fn a_careful_caller_gets_through_any_faults() {
    let whole: Vec<u8> = (0..20).flat_map(|write| [write; 10]).collect();
    let (mut ended, mut reset) = (0, 0);
    for seed in 0..200 {
        for (seen, view) in rough_echo(seed).0 {
            match view {
                PeerView::Ended => {
                    assert!(seen == whole, "seed {seed}: echoed wrongly");
                    ended += 1;
                }
                PeerView::Reset => {
                    assert!(
                        whole.starts_with(&seen),
                        "seed {seed}: echoed wrongly before the reset"
                    );
                    reset += 1;
                }
                PeerView::Open => panic!("seed {seed}: a connection is left open"),
            }
        }
    }
    assert!(ended > 100 && reset > 100, "{ended} ended, {reset} were reset");
}

#[test]
fn the_same_seed_is_the_same_run() {
    assert_eq!(rough_echo(7), rough_echo(7));
    assert_ne!(rough_echo(7).1, rough_echo(8).1);
}
