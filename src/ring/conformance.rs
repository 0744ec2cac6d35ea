//! One set of behaviours, required of every backend: each test runs on the kernel and on the simulator.

use super::simulated::{PeerView, SimulatedNetwork, SimulatedPeer, SimulatedRing};
use super::{
    Completion, ConnectionKey, DataRing, HangUp, KernelRing, Operation, Received, RingOptions, SendMode,
    listener,
    unix_listener::{UnixListenerOptions, listen_unix},
};
use crate::config::UnixName;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const BUFFERS: u16 = 2;
const BUFFER_BYTES: usize = 4096;
/// Far more than any behaviour needs; a ring that hangs fails instead of hanging the test.
const TURNS_MAX: usize = 200;

const OPTIONS: RingOptions = RingOptions {
    submission_entries: 8,
    completion_entries: 32,
    buffers: BUFFERS,
    buffer_bytes: BUFFER_BYTES,
    is_fixed: false,
    is_prefaulted: false,
};

const KEY: ConnectionKey = ConnectionKey {
    slot: 3,
    generation: 5,
};

const UNIX_OPTIONS: UnixListenerOptions = UnixListenerOptions {
    backlog: 4096,
    mode: 0o600,
    uid: None,
    gid: None,
    takes_over: false,
};

/// A ring and the far side of its network.
trait Backend {
    type Ring: DataRing<Socket = Self::Socket>;
    type Socket;
    type Peer: Peer;
    fn new() -> Self;
    fn ring(&mut self) -> &mut Self::Ring;
    fn connect(&mut self) -> Self::Peer;
    /// Lets things happen; may wait a little for them.
    fn turn(&mut self);
}

trait Peer {
    fn write(&mut self, bytes: &[u8]);
    /// The bytes that are there, without waiting.
    fn read(&mut self) -> Vec<u8>;
    fn finish(&mut self);
    fn reset(self);
    fn view(&mut self) -> PeerView;
}

struct Kernel {
    ring: KernelRing,
    address: SocketAddr,
}

impl Backend for Kernel {
    type Ring = KernelRing;
    type Socket = super::Socket;
    type Peer = TcpStream;

    fn new() -> Self {
        let loopback = (Ipv4Addr::LOCALHOST, 0).into();
        let listening = listener::listen(loopback, listener::ListenerOptions::default()).unwrap();
        let address = listener::local_address(&listening).unwrap();
        let mut ring = KernelRing::new(OPTIONS).unwrap();
        ring.listen(listening);
        Kernel { ring, address }
    }

    fn ring(&mut self) -> &mut KernelRing {
        &mut self.ring
    }

    fn connect(&mut self) -> TcpStream {
        let peer = TcpStream::connect(self.address).unwrap();
        peer.set_nonblocking(true).unwrap();
        peer
    }

    fn turn(&mut self) {
        self.ring.flush_and_wait(Duration::from_millis(20)).unwrap();
    }
}

impl Peer for TcpStream {
    fn write(&mut self, bytes: &[u8]) {
        self.write_all(bytes).unwrap();
    }

    fn read(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        // It ends with WouldBlock, FIN or RST; what came before is in `all` in any case.
        let _ = self.read_to_end(&mut all);
        all
    }

    fn finish(&mut self) {
        self.shutdown(Shutdown::Write).unwrap();
    }

    fn reset(self) {
        socket2::SockRef::from(&self)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    fn view(&mut self) -> PeerView {
        let mut byte = [0];
        match self.peek(&mut byte) {
            Ok(0) => PeerView::Ended,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => PeerView::Reset,
            _ => PeerView::Open,
        }
    }
}

/// The kernel again, over a Unix socket.
struct KernelUnix {
    ring: KernelRing,
    name: UnixName,
}

impl Backend for KernelUnix {
    type Ring = KernelRing;
    type Socket = super::Socket;
    type Peer = UnixStream;

    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = UnixName::Abstract(format!("weir-conformance-{}-{number}", std::process::id()));
        let (listening, file) = listen_unix(&name, &UNIX_OPTIONS).unwrap();
        assert!(file.is_none());
        let mut ring = KernelRing::new(OPTIONS).unwrap();
        ring.listen(listening);
        KernelUnix { ring, name }
    }

    fn ring(&mut self) -> &mut KernelRing {
        &mut self.ring
    }

    fn connect(&mut self) -> UnixStream {
        let UnixName::Abstract(name) = &self.name else {
            panic!("it has a file")
        };
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        let address = socket2::SockAddr::unix(format!("\0{name}")).unwrap();
        socket.connect(&address).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.into()
    }

    fn turn(&mut self) {
        self.ring.flush_and_wait(Duration::from_millis(20)).unwrap();
    }
}

impl Peer for UnixStream {
    fn write(&mut self, bytes: &[u8]) {
        self.write_all(bytes).unwrap();
    }

    fn read(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let _ = self.read_to_end(&mut all);
        all
    }

    fn finish(&mut self) {
        self.shutdown(Shutdown::Write).unwrap();
    }

    /// A Unix socket has no resets.
    fn reset(self) {}

    fn view(&mut self) -> PeerView {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        match socket2::SockRef::from(&*self).peek(&mut byte) {
            Ok(0) => PeerView::Ended,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => PeerView::Reset,
            _ => PeerView::Open,
        }
    }
}

struct Simulated {
    network: SimulatedNetwork,
    ring: SimulatedRing,
}

impl Backend for Simulated {
    type Ring = SimulatedRing;
    type Socket = super::simulated::SimulatedSocket;
    type Peer = SimulatedPeer;

    fn new() -> Self {
        let network = SimulatedNetwork::new(1);
        let ring = network.ring(OPTIONS);
        Simulated { network, ring }
    }

    fn ring(&mut self) -> &mut SimulatedRing {
        &mut self.ring
    }

    fn connect(&mut self) -> SimulatedPeer {
        self.network.connect(0)
    }

    fn turn(&mut self) {
        self.ring.flush().unwrap();
    }
}

impl Peer for SimulatedPeer {
    fn write(&mut self, bytes: &[u8]) {
        SimulatedPeer::write(self, bytes);
    }

    fn read(&mut self) -> Vec<u8> {
        SimulatedPeer::read(self)
    }

    fn finish(&mut self) {
        SimulatedPeer::finish(self);
    }

    fn reset(self) {
        SimulatedPeer::reset(&self);
    }

    fn view(&mut self) -> PeerView {
        SimulatedPeer::view(self)
    }
}

/// The next completion, letting things happen until there is one.
fn next<B: Backend>(backend: &mut B) -> Completion {
    for _ in 0..TURNS_MAX {
        backend.turn();
        if let Some(completion) = backend.ring().next_completion() {
            return completion;
        }
    }
    panic!("no completion");
}

fn until(what: &str, mut happened: impl FnMut() -> bool) {
    for _ in 0..TURNS_MAX {
        if happened() {
            return;
        }
    }
    panic!("never: {what}");
}

/// A connection through the whole of accept.
fn connected<B: Backend>(backend: &mut B) -> (B::Peer, B::Socket) {
    let peer = backend.connect();
    (peer, accepted(backend))
}

fn accepted<B: Backend>(backend: &mut B) -> B::Socket {
    backend.ring().watch_listener();
    match next(backend) {
        Completion::AcceptReady => backend.ring().accept_now().unwrap().unwrap(),
        _ => panic!("nobody to accept"),
    }
}

fn received<B: Backend>(backend: &mut B) -> Received {
    match next(backend) {
        Completion::Received { key, outcome } => {
            assert_eq!(key, KEY);
            outcome
        }
        _ => panic!("not a receive"),
    }
}

fn bytes<B: Backend>(backend: &mut B) -> Vec<u8> {
    match received(backend) {
        Received::Bytes(buffer) => buffer.to_vec(),
        other => panic!("no bytes: {other:?}"),
    }
}

fn sent<B: Backend>(backend: &mut B) -> (Vec<u8>, io::Result<usize>) {
    match next(backend) {
        Completion::Sent { key, buffer, result } => {
            assert_eq!(key, KEY);
            (buffer, result)
        }
        _ => panic!("not a send"),
    }
}

fn hung_up<B: Backend>(backend: &mut B) -> HangUp {
    match next(backend) {
        Completion::HungUp { key, outcome } => {
            assert_eq!(key, KEY);
            outcome
        }
        _ => panic!("not a hang-up"),
    }
}

fn bytes_travel_both_ways_and_buffers_come_back<B: Backend>(backend: &mut B) {
    let (mut peer, socket) = connected(backend);
    for round in 0..10 * u32::from(BUFFERS) {
        let question = round.to_be_bytes();
        peer.write(&question);
        backend.ring().receive(KEY, &socket);
        let answer = bytes(backend);
        assert_eq!(answer, question);
        backend
            .ring()
            .send(KEY, &socket, b"<<answer>>".to_vec(), 2..8, SendMode::Attempt);
        let (buffer, result) = sent(backend);
        assert_eq!((buffer.as_slice(), result.unwrap()), (&b"<<answer>>"[..], 6));
        let mut all = Vec::new();
        until("the answer arrives", || {
            all.extend(peer.read());
            all == b"answer"
        });
    }
    assert_eq!(backend.ring().counters().buffers_free, usize::from(BUFFERS));
    assert_eq!(backend.ring().counters().in_flight, 0);
}

fn more_than_a_buffer_comes_in_pieces<B: Backend>(backend: &mut B) {
    let (mut peer, socket) = connected(backend);
    let long: Vec<u8> = (0..3 * BUFFER_BYTES + 7).map(|at| at as u8).collect();
    peer.write(&long);
    let mut all = Vec::new();
    while all.len() < long.len() {
        backend.ring().receive(KEY, &socket);
        let piece = bytes(backend);
        assert!(piece.len() <= BUFFER_BYTES);
        all.extend(piece);
    }
    assert_eq!(all, long);
}

fn a_fin_ends_receiving_after_the_bytes<B: Backend>(backend: &mut B) {
    let (mut peer, socket) = connected(backend);
    peer.write(b"last words");
    peer.finish();
    backend.ring().receive(KEY, &socket);
    assert_eq!(bytes(backend), b"last words");
    backend.ring().receive(KEY, &socket);
    assert!(matches!(received(backend), Received::End));
    backend
        .ring()
        .send(KEY, &socket, b"still".to_vec(), 0..5, SendMode::Attempt);
    assert_eq!(sent(backend).1.unwrap(), 5);
}

fn a_reset_fails_the_receive<B: Backend>(backend: &mut B) {
    let (peer, socket) = connected(backend);
    backend.ring().receive(KEY, &socket);
    backend.turn();
    peer.reset();
    let outcome = received(backend);
    let reset = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionReset;
    assert!(
        matches!(&outcome, Received::Failed(error) if reset(error)),
        "{outcome:?}"
    );
}

fn a_full_window_refuses_attempts_and_delays_all<B: Backend>(backend: &mut B) {
    let (mut peer, socket) = connected(backend);
    let chunk: Vec<u8> = (0..1 << 16).map(|at| at as u8).collect();
    let mut expected: Vec<u8> = Vec::new();
    let refused = loop {
        let all = 0..chunk.len();
        backend
            .ring()
            .send(KEY, &socket, chunk.clone(), all, SendMode::Attempt);
        let (buffer, result) = sent(backend);
        assert_eq!(buffer, chunk);
        match result {
            Ok(taken) => expected.extend(&chunk[..taken]),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
    let all = 0..chunk.len();
    backend
        .ring()
        .send(KEY, &socket, chunk.clone(), all, SendMode::All);
    backend.turn();
    assert!(backend.ring().next_completion().is_none(), "there is no room yet");
    expected.extend(&chunk);
    let mut arrived = Vec::new();
    let mut finished = None;
    until("everything is read", || {
        arrived.extend(peer.read());
        backend.turn();
        if let Some(Completion::Sent { result, .. }) = backend.ring().next_completion() {
            finished = Some(result.unwrap());
        }
        arrived.len() == expected.len()
    });
    assert_eq!(finished, Some(chunk.len()));
    assert!(arrived == expected);
}

fn cancel_ends_a_receive_and_says_so<B: Backend>(backend: &mut B) {
    let (mut peer, socket) = connected(backend);
    backend.ring().receive(KEY, &socket);
    backend.turn();
    backend.ring().cancel(KEY, Operation::Receive);
    let (mut ended, mut cancelled) = (0, 0);
    for _ in 0..2 {
        match next(backend) {
            Completion::Received {
                outcome: Received::Cancelled,
                ..
            } => ended += 1,
            Completion::Cancelled { key, operation } => {
                assert_eq!((key, operation), (KEY, Operation::Receive));
                cancelled += 1;
            }
            _ => panic!("something else completed"),
        }
    }
    assert_eq!((ended, cancelled), (1, 1));
    peer.write(b"kept");
    backend.ring().receive(KEY, &socket);
    assert_eq!(bytes(backend), b"kept");
}

fn cancel_of_something_finished_is_only_acknowledged<B: Backend>(backend: &mut B) {
    let (mut peer, socket) = connected(backend);
    peer.write(b"early");
    backend.ring().receive(KEY, &socket);
    assert_eq!(bytes(backend), b"early");
    backend.ring().cancel(KEY, Operation::Receive);
    assert!(matches!(next(backend), Completion::Cancelled { .. }));
    backend.turn();
    assert!(backend.ring().next_completion().is_none());
}

fn cancel_ends_a_stuck_send_and_gives_its_buffer_back<B: Backend>(backend: &mut B) {
    let (_peer, socket) = connected(backend);
    let chunk = vec![7; 1 << 16];
    loop {
        let all = 0..chunk.len();
        backend
            .ring()
            .send(KEY, &socket, chunk.clone(), all, SendMode::Attempt);
        if sent(backend).1.is_err() {
            break;
        }
    }
    let all = 0..chunk.len();
    backend
        .ring()
        .send(KEY, &socket, chunk.clone(), all, SendMode::All);
    backend.turn();
    backend.ring().cancel(KEY, Operation::Send);
    let (mut back, mut cancelled) = (0, 0);
    for _ in 0..2 {
        match next(backend) {
            Completion::Sent { buffer, result, .. } => {
                assert_eq!(buffer, chunk);
                assert!(result.is_err_and(|error| error.raw_os_error() == Some(libc::ECANCELED)));
                back += 1;
            }
            Completion::Cancelled { .. } => cancelled += 1,
            _ => panic!("something else completed"),
        }
    }
    assert_eq!((back, cancelled), (1, 1));
}

fn a_watch_sees_the_fin_behind_unread_bytes<B: Backend>(backend: &mut B) {
    let (mut peer, socket) = connected(backend);
    backend.ring().watch_hang_up(KEY, &socket);
    peer.write(b"unread");
    backend.turn();
    assert!(backend.ring().next_completion().is_none(), "bytes are no hang-up");
    peer.finish();
    assert!(matches!(hung_up(backend), HangUp::ReadClosed));
    assert_eq!(backend.ring().unread_bytes(&socket), 6);
    backend.ring().receive(KEY, &socket);
    assert_eq!(bytes(backend), b"unread");
    assert_eq!(backend.ring().unread_bytes(&socket), 0);
}

fn a_watch_sees_the_reset_and_can_be_cancelled<B: Backend>(backend: &mut B) {
    let (peer, socket) = connected(backend);
    backend.ring().watch_hang_up(KEY, &socket);
    backend.turn();
    backend.ring().cancel(KEY, Operation::Watch);
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.push(match next(backend) {
            Completion::HungUp {
                outcome: HangUp::Cancelled,
                ..
            } => "ended",
            Completion::Cancelled {
                operation: Operation::Watch,
                ..
            } => "acknowledged",
            _ => panic!("something else completed"),
        });
    }
    seen.sort_unstable();
    assert_eq!(seen, ["acknowledged", "ended"]);
    backend.ring().watch_hang_up(KEY, &socket);
    peer.reset();
    assert!(matches!(hung_up(backend), HangUp::Closed));
}

fn receives_starve_and_recover<B: Backend>(backend: &mut B) {
    let (mut peer, socket) = connected(backend);
    let mut lent = Vec::new();
    for _ in 0..BUFFERS {
        peer.write(b"x");
        backend.ring().receive(KEY, &socket);
        match received(backend) {
            Received::Bytes(buffer) => lent.push(buffer),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(backend.ring().counters().buffers_free, 0);
    peer.write(b"late");
    backend.ring().receive(KEY, &socket);
    assert!(matches!(received(backend), Received::Starved));
    assert_eq!(backend.ring().counters().starvations, 1);
    lent.pop();
    backend.ring().receive(KEY, &socket);
    assert_eq!(bytes(backend), b"late");
    drop(lent);
    assert_eq!(backend.ring().counters().buffers_free, usize::from(BUFFERS));
}

fn close_ends_the_connection_behind_its_answer<B: Backend>(backend: &mut B) {
    let (mut peer, socket) = connected(backend);
    let ring = backend.ring();
    ring.send(KEY, &socket, b"goodbye".to_vec(), 0..7, SendMode::Attempt);
    ring.close(KEY, socket);
    let (mut all_sent, mut closed) = (false, false);
    for _ in 0..2 {
        match next(backend) {
            Completion::Sent { result, .. } => all_sent = result.unwrap() == 7,
            Completion::Closed { key } => closed = key == KEY,
            _ => panic!("something else completed"),
        }
    }
    assert!(all_sent && closed);
    let mut all = Vec::new();
    until("the peer has read everything", || {
        all.extend(peer.read());
        peer.view() == PeerView::Ended
    });
    assert_eq!(all, b"goodbye");
    let mut second = backend.connect();
    let socket = accepted(backend);
    let key = KEY.next_generation();
    second.write(b"next");
    backend.ring().receive(key, &socket);
    let Completion::Received {
        key: theirs,
        outcome: Received::Bytes(_),
    } = next(backend)
    else {
        panic!("the slot's next connection does not work");
    };
    assert_eq!(theirs, key);
}

fn accepting_stops_once_and_starts_again<B: Backend>(backend: &mut B) {
    for is_armed in [true, false, true] {
        if is_armed {
            backend.ring().watch_listener();
            backend.turn();
        }
        backend.ring().unwatch_listener();
        assert!(matches!(next(backend), Completion::AcceptStopped));
        backend.turn();
        assert!(backend.ring().next_completion().is_none());
    }
    let _waiting = backend.connect();
    backend.turn();
    assert!(backend.ring().next_completion().is_none(), "nothing watches");
    drop(accepted(backend));
}

fn a_watch_tells_once_and_takes_nobody<B: Backend>(backend: &mut B) {
    backend.ring().watch_listener();
    backend.turn();
    assert!(backend.ring().next_completion().is_none(), "nobody is there");
    let peers: Vec<_> = (0..20).map(|_| backend.connect()).collect();
    assert!(matches!(next(backend), Completion::AcceptReady));
    backend.turn();
    assert!(backend.ring().next_completion().is_none(), "a second time");
    assert_eq!(backend.ring().counters().in_flight, 0);
    for _ in &peers[..19] {
        assert!(backend.ring().accept_now().unwrap().is_some());
    }
    // A connection that is there already is reported, too.
    drop(accepted(backend));
    assert!(backend.ring().accept_now().unwrap().is_none());
}

fn wake_ups_arrive_from_other_threads_and_merge<B: Backend>(backend: &mut B) {
    backend.ring().arm_wake();
    for _ in 0..3 {
        let waker = backend.ring().waker();
        backend.turn();
        std::thread::spawn(move || {
            waker.wake();
            waker.wake();
        })
        .join()
        .unwrap();
        assert!(matches!(next(backend), Completion::Woken));
        backend.ring().arm_wake();
        // The second wake-up may have come after the ring looked; it is reported at most once.
        backend.turn();
        if let Some(completion) = backend.ring().next_completion() {
            assert!(matches!(completion, Completion::Woken));
            backend.ring().arm_wake();
            backend.turn();
            assert!(backend.ring().next_completion().is_none());
        }
    }
}

fn a_wake_up_before_arming_is_not_lost<B: Backend>(backend: &mut B) {
    backend.ring().waker().wake();
    backend.ring().arm_wake();
    assert!(matches!(next(backend), Completion::Woken));
}

fn half_close_sends_a_fin_and_still_receives<B: Backend>(backend: &mut B) {
    let (mut peer, socket) = connected(backend);
    backend.ring().shutdown(&socket, Shutdown::Write);
    until("the peer sees the FIN", || peer.view() == PeerView::Ended);
    peer.write(b"and you");
    backend.ring().receive(KEY, &socket);
    assert_eq!(bytes(backend), b"and you");
    backend
        .ring()
        .send(KEY, &socket, b"no".to_vec(), 0..2, SendMode::Attempt);
    assert_eq!(sent(backend).1.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

fn shutdown_ends_an_armed_receive<B: Backend>(backend: &mut B) {
    let (_peer, socket) = connected(backend);
    backend.ring().receive(KEY, &socket);
    backend.turn();
    backend.ring().shutdown(&socket, Shutdown::Both);
    assert!(matches!(received(backend), Received::End));
    backend.ring().close(KEY, socket);
    assert!(matches!(next(backend), Completion::Closed { .. }));
}

fn a_stale_completion_is_told_by_its_key_and_returns_its_buffer<B: Backend>(backend: &mut B) {
    let (mut peer, socket) = connected(backend);
    backend.ring().receive(KEY, &socket);
    peer.write(b"for nobody");
    let Completion::Received { key, outcome } = next(backend) else {
        panic!("not a receive");
    };
    assert_ne!(key, KEY.next_generation());
    drop(outcome);
    assert_eq!(backend.ring().counters().buffers_free, usize::from(BUFFERS));
}

fn sends_that_are_over_come_before_what_was_over_before_them<B: Backend>(backend: &mut B) {
    let (mut peer, socket) = connected(backend);
    peer.write(b"first");
    backend.ring().receive(KEY, &socket);
    // Nothing is taken out, whatever is there by then.
    (0..5).for_each(|_| backend.turn());
    assert!(backend.ring().next_early().is_none());
    backend
        .ring()
        .send(KEY, &socket, b"answer".to_vec(), 0..6, SendMode::Attempt);
    backend.turn();
    assert_eq!(sent(backend).1.unwrap(), 6);
    assert_eq!(bytes(backend), b"first");
}

fn a_receive_that_is_known_to_be_ready_takes_what_is_there_or_waits<B: Backend>(backend: &mut B) {
    let (mut peer, socket) = connected(backend);
    peer.write(b"there");
    backend.ring().receive_ready(KEY, &socket);
    assert_eq!(bytes(backend), b"there");
    backend.ring().receive_ready(KEY, &socket);
    backend.turn();
    assert!(backend.ring().next_completion().is_none());
    peer.write(b"later");
    assert_eq!(bytes(backend), b"later");
}

/// Runs each behaviour on each backend as a test of its own.
macro_rules! on_backend {
    ($module:ident, $backend:ident, $($behaviour:ident,)+) => {
        mod $module {
            $(#[test]
            fn $behaviour() {
                super::$behaviour(&mut <super::$backend as super::Backend>::new());
            })+
        }
    };
}

macro_rules! on_every_backend {
    ($($behaviour:ident,)+) => {
        on_backend!(kernel, Kernel, $($behaviour,)+);
        on_backend!(kernel_unix, KernelUnix, $($behaviour,)+);
        on_backend!(simulated, Simulated, $($behaviour,)+);
    };
}

on_every_backend! {
    bytes_travel_both_ways_and_buffers_come_back,
    more_than_a_buffer_comes_in_pieces,
    a_fin_ends_receiving_after_the_bytes,
    a_full_window_refuses_attempts_and_delays_all,
    cancel_ends_a_receive_and_says_so,
    cancel_of_something_finished_is_only_acknowledged,
    cancel_ends_a_stuck_send_and_gives_its_buffer_back,
    a_watch_sees_the_fin_behind_unread_bytes,
    receives_starve_and_recover,
    close_ends_the_connection_behind_its_answer,
    accepting_stops_once_and_starts_again,
    a_watch_tells_once_and_takes_nobody,
    wake_ups_arrive_from_other_threads_and_merge,
    a_wake_up_before_arming_is_not_lost,
    half_close_sends_a_fin_and_still_receives,
    shutdown_ends_an_armed_receive,
    a_stale_completion_is_told_by_its_key_and_returns_its_buffer,
    sends_that_are_over_come_before_what_was_over_before_them,
    a_receive_that_is_known_to_be_ready_takes_what_is_there_or_waits,
}

// A Unix socket whose peer is gone ends; there are no resets.
on_backend!(
    kernel_internet,
    Kernel,
    a_reset_fails_the_receive,
    a_watch_sees_the_reset_and_can_be_cancelled,
);
on_backend!(
    simulated_internet,
    Simulated,
    a_reset_fails_the_receive,
    a_watch_sees_the_reset_and_can_be_cancelled,
);

mod fills;
mod pipes;
