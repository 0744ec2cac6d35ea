//! Behaviour of the real ring that the simulator cannot show: full queues, descriptors, and dying with work in flight.

use super::listener::{ListenerOptions, listen, local_address};
use super::{
    Completion, ConnectionKey, DataRing, KernelRing, Received, RingCounters, RingError, RingOptions,
    SendMode, Socket,
};
use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

const SMALL: RingOptions = RingOptions {
    submission_entries: 4,
    completion_entries: 8,
    buffers: 64,
    buffer_bytes: 4096,
    is_fixed: false,
    is_prefaulted: false,
};

/// Far more than any test needs; a ring that hangs fails instead of hanging the test.
const TURNS_MAX: usize = 500;
const TURN: Duration = Duration::from_millis(20);

fn listening(options: RingOptions) -> (KernelRing, SocketAddr) {
    let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), ListenerOptions::default()).unwrap();
    let address = local_address(&listener).unwrap();
    let mut ring = KernelRing::new(options).unwrap();
    ring.listen(listener);
    (ring, address)
}

fn next(ring: &mut KernelRing) -> Completion {
    for _ in 0..TURNS_MAX {
        if let Some(completion) = ring.next_completion() {
            return completion;
        }
        ring.flush_and_wait(TURN).unwrap();
    }
    panic!("no completion");
}

fn accepted(ring: &mut KernelRing) -> Socket {
    ring.watch_listener();
    match next(ring) {
        Completion::AcceptReady => ring.accept_now().unwrap().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn key(slot: usize) -> ConnectionKey {
    ConnectionKey {
        slot: slot as u32,
        generation: 0,
    }
}

/// Connected pairs in the same order.
fn pairs(ring: &mut KernelRing, address: SocketAddr, count: usize) -> (Vec<TcpStream>, Vec<Socket>) {
    (0..count)
        .map(|_| (TcpStream::connect(address).unwrap(), accepted(ring)))
        .unzip()
}

#[test]
fn full_queues_lose_nothing() {
    let (mut ring, address) = listening(SMALL);
    let (mut peers, sockets) = pairs(&mut ring, address, 40);
    // Ten times what the submission queue holds, without a flush between.
    for (slot, socket) in sockets.iter().enumerate() {
        ring.receive(key(slot), socket);
    }
    ring.flush().unwrap();
    for (slot, peer) in peers.iter_mut().enumerate() {
        peer.write_all(&[slot as u8]).unwrap();
    }
    // Five times what the completion queue holds.
    let mut seen = vec![false; sockets.len()];
    for _ in &sockets {
        let Completion::Received {
            key,
            outcome: Received::Bytes(bytes),
        } = next(&mut ring)
        else {
            panic!("a receive is lost");
        };
        assert_eq!(&*bytes, [key.slot as u8]);
        seen[key.slot as usize] = true;
    }
    assert!(seen.into_iter().all(|seen| seen));
    assert!(
        ring.counters().overflows > 0,
        "the completion queue was to overflow"
    );
    assert_eq!(ring.counters().in_flight, 0);
    assert_eq!(ring.counters().buffers_free, usize::from(SMALL.buffers));
}

#[test]
fn exhausted_buffers_serve_everybody_in_turn() {
    let options = RingOptions { buffers: 3, ..SMALL };
    let (mut ring, address) = listening(options);
    let (mut peers, sockets) = pairs(&mut ring, address, 30);
    for (slot, socket) in sockets.iter().enumerate() {
        peers[slot].write_all(b"please").unwrap();
        ring.receive(key(slot), socket);
    }
    let (mut served, mut starved) = (0, 0);
    let mut waiting = VecDeque::new();
    while served < sockets.len() {
        // There are as many as buffers without bytes: more would find none, and hear so before anybody is served.
        for _ in 0..ring.counters().buffers_free {
            let Some(key): Option<ConnectionKey> = waiting.pop_front() else {
                break;
            };
            ring.receive_ready(key, &sockets[key.slot as usize]);
        }
        match next(&mut ring) {
            Completion::Received {
                outcome: Received::Bytes(_),
                ..
            } => served += 1,
            Completion::Received {
                key,
                outcome: Received::Starved,
            } => {
                starved += 1;
                waiting.push_back(key);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(starved > 0, "three buffers cannot be enough for thirty at once");
    assert_eq!(ring.counters().starvations, starved);
}

/// Receives on so many connections at once, each of which has bytes; how many buffers the ring was given at most.
fn burst(ring: &mut KernelRing, peers: &mut [TcpStream], sockets: &[Socket]) -> usize {
    for (slot, (peer, socket)) in peers.iter_mut().zip(sockets).enumerate() {
        peer.write_all(&[slot as u8; 4096]).unwrap();
        ring.receive(key(slot), socket);
    }
    let (mut served, mut provided_max) = (0, 0);
    while served < sockets.len() {
        match next(ring) {
            Completion::Received {
                outcome: Received::Bytes(bytes),
                key,
            } => {
                assert!(bytes.iter().all(|byte| *byte == key.slot as u8));
                served += 1;
            }
            Completion::Received {
                outcome: Received::Starved,
                key,
            } => ring.receive_ready(key, &sockets[key.slot as usize]),
            other => panic!("{other:?}"),
        }
        provided_max = provided_max.max(ring.provided().provided());
    }
    provided_max
}

#[test]
fn buffers_that_are_not_needed_any_more_go_back_to_the_kernel() {
    const BUFFERS: u16 = 200;
    let options = RingOptions {
        buffers: BUFFERS,
        ..SMALL
    };
    let (mut ring, address) = listening(options);
    let (mut peers, sockets) = pairs(&mut ring, address, usize::from(BUFFERS));
    // All are with the reader at once, so that each is used.
    for (slot, (peer, socket)) in peers.iter_mut().zip(&sockets).enumerate() {
        peer.write_all(&[1; 4096]).unwrap();
        ring.receive(key(slot), socket);
    }
    let mut lent = Vec::new();
    while lent.len() < sockets.len() {
        match next(&mut ring) {
            Completion::Received {
                outcome: Received::Bytes(bytes),
                ..
            } => lent.push(bytes),
            Completion::Received { key, .. } => ring.receive_ready(key, &sockets[key.slot as usize]),
            other => panic!("{other:?}"),
        }
    }
    assert!(ring.provided().pool().resident_bytes() >= 4096 * lent.len());
    lent.clear();
    ring.flush().unwrap();
    for _ in 0..12 {
        // Those that the kernel still holds are used before it is given others.
        burst(&mut ring, &mut peers[..20], &sockets[..20]);
        ring.flush().unwrap();
        ring.release_unneeded();
    }
    let provided_max = burst(&mut ring, &mut peers[..20], &sockets[..20]);
    assert!(provided_max <= 64, "{provided_max} buffers for 20 connections");
    let resident = ring.provided().pool().resident_bytes();
    assert!(resident <= 130 * 4096, "{resident} bytes are resident");
    assert_eq!(ring.counters().buffers_free, usize::from(BUFFERS));
    burst(&mut ring, &mut peers, &sockets);
}

#[test]
fn a_fixed_number_of_buffers_is_provided_and_kept() {
    let options = RingOptions {
        buffers: 150,
        is_fixed: true,
        ..SMALL
    };
    let (mut ring, address) = listening(options);
    let (mut peers, sockets) = pairs(&mut ring, address, 3);
    assert_eq!(ring.provided().provided(), 150);
    for _ in 0..3 {
        burst(&mut ring, &mut peers, &sockets);
        ring.flush().unwrap();
        ring.release_unneeded();
    }
    ring.flush().unwrap();
    assert_eq!(ring.provided().provided(), 150);
}

/// What has arrived, without waiting.
fn arrived(peer: &mut TcpStream) -> Vec<u8> {
    peer.set_nonblocking(true).unwrap();
    let mut bytes = Vec::new();
    let ended = peer.read_to_end(&mut bytes);
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    peer.set_nonblocking(false).unwrap();
    bytes
}

fn begin_send(ring: &mut KernelRing, slot: usize, socket: &Socket, bytes: &[u8], mode: SendMode) {
    ring.send(key(slot), socket, bytes.to_vec(), 0..bytes.len(), mode);
}

#[test]
fn an_attempt_beside_which_nothing_goes_on_is_sent_at_once_and_over_with_the_next_flush() {
    let (mut ring, address) = listening(SMALL);
    let (mut peers, sockets) = pairs(&mut ring, address, 2);
    let before = ring.counters().in_flight;
    begin_send(&mut ring, 0, &sockets[0], b"first", SendMode::Attempt);
    assert_eq!(arrived(&mut peers[0]), b"first");
    assert_eq!(ring.counters().in_flight, before + 1);
    // The time may be taken with the flush, and what is over is over before that.
    assert!(ring.next_completion().is_none() && ring.next_early().is_none());
    // Beside it, and while anything else is queued, others are the ring's.
    begin_send(&mut ring, 1, &sockets[1], b"second", SendMode::Attempt);
    assert_eq!(arrived(&mut peers[1]), b"");
    ring.flush_before_wait().unwrap();
    for slot in [0, 1] {
        let Some(Completion::Sent {
            key: sent,
            buffer,
            result,
        }) = ring.next_early()
        else {
            panic!("sends that are over come first");
        };
        assert_eq!((sent, result.unwrap()), (key(slot), buffer.len()));
    }
    assert_eq!(arrived(&mut peers[1]), b"second");
    // So is one that is to send everything, however long that takes.
    begin_send(&mut ring, 0, &sockets[0], b"third", SendMode::All);
    assert_eq!(arrived(&mut peers[0]), b"");
    assert!(matches!(next(&mut ring), Completion::Sent { .. }));
    assert_eq!(ring.counters().in_flight, before);
}

#[test]
fn an_attempt_at_once_takes_what_fits_and_the_rest_follows_in_order() {
    let (mut ring, address) = listening(SMALL);
    let (mut peers, sockets) = pairs(&mut ring, address, 1);
    let all: Vec<u8> = (0..16u32 << 20).map(|n| (n % 251) as u8).collect();
    begin_send(&mut ring, 0, &sockets[0], &all, SendMode::Attempt);
    let Completion::Sent { result, .. } = next(&mut ring) else {
        panic!("one send");
    };
    let taken = result.unwrap();
    assert!(taken > 0 && taken < all.len(), "{taken} bytes fit into a socket");
    // Now nothing fits.
    begin_send(&mut ring, 0, &sockets[0], &all[taken..], SendMode::Attempt);
    let Completion::Sent { result, buffer, .. } = next(&mut ring) else {
        panic!("one send");
    };
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    ring.send(key(0), &sockets[0], buffer, 0..all.len() - taken, SendMode::All);
    let mut peer = peers.remove(0);
    let bytes = all.len();
    let reader = std::thread::spawn(move || {
        let mut read = vec![0; bytes];
        peer.read_exact(&mut read).unwrap();
        (peer, read)
    });
    let Completion::Sent { result, .. } = next(&mut ring) else {
        panic!("one send");
    };
    assert_eq!(result.unwrap(), all.len() - taken);
    let (peer, read) = reader.join().unwrap();
    assert!(read == all, "the bytes are in order");
    // A client that is gone is an error, and no signal.
    socket2::SockRef::from(&peer)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(peer);
    begin_send(&mut ring, 0, &sockets[0], b"late", SendMode::Attempt);
    assert!(matches!(next(&mut ring), Completion::Sent { result: Err(_), .. }));
    // One more, which nobody asks for any more.
    begin_send(&mut ring, 0, &sockets[0], b"later", SendMode::Attempt);
}

#[test]
fn receives_are_left_to_the_call_that_waits_unless_there_is_more_to_begin() {
    let (mut ring, address) = listening(SMALL);
    let (mut peers, sockets) = pairs(&mut ring, address, 2);
    peers[0].write_all(b"one").unwrap();
    ring.receive(key(0), &sockets[0]);
    for _ in 0..3 {
        ring.flush_before_wait().unwrap();
        assert!(ring.next_completion().is_none(), "it has not been begun");
    }
    ring.flush_and_wait(TURN).unwrap();
    assert!(matches!(next(&mut ring), Completion::Received { .. }));
    // A receive for bytes that are there is begun, with those that wait.
    peers[0].write_all(b"two").unwrap();
    peers[1].write_all(b"three").unwrap();
    ring.receive(key(0), &sockets[0]);
    ring.receive_ready(key(1), &sockets[1]);
    ring.flush_before_wait().unwrap();
    for _ in 0..2 {
        let Some(Completion::Received { .. }) = ring.next_completion() else {
            panic!("both were begun");
        };
    }
    // So are those that found the queue full.
    for slot in 2..20 {
        ring.receive(key(slot), &sockets[0]);
    }
    ring.flush_before_wait().unwrap();
    peers[0].write_all(b"f").unwrap();
    assert!(matches!(next(&mut ring), Completion::Received { .. }));
}

#[test]
fn a_ring_dies_with_everything_in_flight() {
    let (mut ring, address) = listening(SMALL);
    let (mut peers, mut sockets) = pairs(&mut ring, address, 4);
    let mut not_taken = TcpStream::connect(address).unwrap();
    let unclosed = sockets.remove(2);
    ring.receive(key(0), &sockets[0]);
    ring.receive_into(key(3), &sockets[2], Vec::with_capacity(100), 100);
    ring.send(key(1), &sockets[1], vec![1; 16 << 20], 0..16 << 20, SendMode::All);
    ring.flush_and_wait(TURN).unwrap();
    ring.close(key(2), unclosed);
    drop(ring);
    let mut byte = [0];
    assert_eq!(
        peers[2].read(&mut byte).unwrap(),
        0,
        "the queued close is carried out"
    );
    assert_ends(&mut not_taken);
    drop(sockets);
    peers.remove(2);
    for peer in &mut peers {
        assert_ends(peer);
    }
}

/// FIN or RST, after whatever was sent.
fn assert_ends(peer: &mut TcpStream) {
    peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let ended = io::copy(peer, &mut io::sink());
    assert!(
        !ended
            .as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock),
        "the descriptor is still open"
    );
}

#[test]
fn impossible_sizes_are_refused() {
    for (buffers, buffer_bytes) in [(0, 4096), (32769, 4096), (1, 0), (1, 1 << 33)] {
        let options = RingOptions {
            buffers,
            buffer_bytes,
            ..SMALL
        };
        let refused = KernelRing::new(options).err();
        assert!(
            matches!(refused, Some(RingError::BufferSizes { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn ten_thousand_connections_leave_no_descriptor() {
    if !is_alone("ten_thousand_connections_leave_no_descriptor") {
        return;
    }
    const CONNECTIONS: usize = 10_000;
    let (mut ring, address) = listening(RingOptions::default());
    ring.flush().unwrap();
    let before = descriptors();
    let client = std::thread::spawn(move || {
        for _ in 0..CONNECTIONS {
            let mut peer = TcpStream::connect(address).unwrap();
            peer.write_all(b"x").unwrap();
            // An RST frees the port at once.
            socket2::SockRef::from(&peer)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        }
    });
    let mut sockets: Vec<Option<Socket>> = Vec::new();
    let mut closed = 0;
    ring.watch_listener();
    while closed < CONNECTIONS {
        match next(&mut ring) {
            Completion::AcceptReady => {
                while let Some(socket) = ring.accept_now().unwrap() {
                    ring.receive(key(sockets.len()), &socket);
                    sockets.push(Some(socket));
                }
                ring.watch_listener();
            }
            Completion::Received {
                key,
                outcome: Received::Bytes(_),
            } => {
                let socket = sockets[key.slot as usize].as_ref().unwrap();
                ring.receive(key, socket);
            }
            Completion::Received { key, .. } => ring.close(key, sockets[key.slot as usize].take().unwrap()),
            Completion::Closed { .. } => closed += 1,
            other => panic!("{other:?}"),
        }
    }
    client.join().unwrap();
    assert_eq!(descriptors(), before);
    assert_eq!(ring.counters().in_flight, 1);
    let RingCounters {
        buffers_free,
        buffers_total,
        ..
    } = ring.counters();
    assert_eq!(buffers_free, buffers_total);
}

#[test]
fn accepting_survives_used_up_descriptors() {
    if !is_alone("accepting_survives_used_up_descriptors") {
        return;
    }
    let (mut ring, address) = listening(SMALL);
    let previous = set_descriptor_limit(64);
    ring.flush().unwrap();
    let mut fillers: Vec<_> = std::iter::from_fn(|| fs::File::open("/dev/null").ok()).collect();
    // The peer takes the last descriptor, so that none is left for the accepted end.
    fillers.pop();
    let _peer = TcpStream::connect(address).unwrap();
    ring.watch_listener();
    assert!(matches!(next(&mut ring), Completion::AcceptReady));
    let error = ring.accept_now().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
    fillers.clear();
    set_descriptor_limit(previous);
    accepted(&mut ring);
}

/// Whether this process runs nothing but the test; if not, it is run in one that does.
fn is_alone(test: &str) -> bool {
    const ALONE: &str = "WEIR_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            &format!("{}::{test}", module_path!().split_once("::").unwrap().1),
            "--exact",
        ])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    false
}

fn descriptors() -> usize {
    // The listing's own descriptor is among them, every time.
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[allow(unsafe_code, reason = "the limit is set for this process by a system call")]
fn set_descriptor_limit(limit: u64) -> u64 {
    let mut limits = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limits` is valid for both calls.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limits), 0);
        let previous = limits.rlim_cur;
        limits.rlim_cur = limit;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limits), 0);
        previous
    }
}
