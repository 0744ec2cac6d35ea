//! A whole shard: reading, admission, decoding, the lease, the call, encoding, sending and the deadlines.
//!
//! The ring is simulated, and the simulator's allocations do not count: the real ring allocates nothing in steady
//! state, by contract.

use weir::internals::ring::simulated::SimulatedPeer;

use crate::counting::allocations_of;
use crate::rig::requests::{
    LEGACY_ECHO, MODERN_ECHO, frame, legacy_echo, modern_echo, new_session, open_websocket,
};
use crate::rig::{PASSES, Rig};

/// Sends one request, and counts what the shard allocates until it is parked again.
fn exchange(rig: &mut Rig, peer: &SimulatedPeer, bytes: &[u8]) -> (usize, Vec<u8>) {
    peer.write(bytes);
    let allocations = allocations_of(|| (0..PASSES).for_each(|_| rig.pass()));
    (allocations, peer.read())
}

/// The same, answered in text.
fn ask(rig: &mut Rig, peer: &SimulatedPeer, request: &[u8]) -> (usize, String) {
    let (allocations, answer) = exchange(rig, peer, request);
    (allocations, String::from_utf8(answer).unwrap())
}

/// A cold request may allocate; a warm one allocates only the tool's `String`.
fn assert_warm_costs_one(rig: &mut Rig, peer: &SimulatedPeer, request: &[u8]) {
    assert!(ask(rig, peer, request).0 >= 1, "nothing is counted");
    assert_warm_costs(rig, peer, request, 1);
}

fn assert_warm_costs(rig: &mut Rig, peer: &SimulatedPeer, request: &[u8], expected: usize) {
    for _ in 0..100 {
        let (allocations, answer) = ask(rig, peer, request);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(
            answer.contains(r#"{"type":"text","text":"hello \"world\"\n"}"#),
            "{answer}"
        );
        assert_eq!(allocations, expected);
    }
}

#[test]
fn a_warm_echo_of_a_child_allocates_nothing() {
    for request in [legacy_echo(""), modern_echo()] {
        let mut rig = Rig::with_child();
        let peer = rig.connect();
        assert!(ask(&mut rig, &peer, &request).0 >= 1, "nothing is counted");
        // The numbers by which a child knows calls get longer at first.
        (0..200).for_each(|_| drop(ask(&mut rig, &peer, &request)));
        assert_warm_costs(&mut rig, &peer, &request, 0);
    }
}

#[test]
fn a_warm_modern_echo_allocates_its_own_string_and_nothing_else() {
    let mut rig = Rig::new();
    let peer = rig.connect();
    assert_warm_costs_one(&mut rig, &peer, &modern_echo());
}

#[test]
fn a_warm_legacy_echo_allocates_its_own_string_with_and_without_a_session() {
    let mut rig = Rig::new();
    let peer = rig.connect();
    assert_warm_costs_one(&mut rig, &peer, &legacy_echo(""));
    let session = new_session(&mut rig, &peer);
    assert_warm_costs_one(&mut rig, &peer, &legacy_echo(&session));
}

#[test]
fn a_warm_echo_that_looks_at_its_caller_allocates_no_more() {
    let tenant = |request: Vec<u8>| {
        let text = String::from_utf8(request).unwrap();
        text.replacen("\r\n", "\r\nX-Tenant: acme\r\n", 1).into_bytes()
    };
    for new in [Rig::with_caller, Rig::with_header] {
        let mut rig = new();
        let peer = rig.connect();
        assert_warm_costs_one(&mut rig, &peer, &modern_echo());
        assert_warm_costs_one(&mut rig, &peer, &tenant(modern_echo()));
        let mut rig = new();
        let peer = rig.connect();
        assert_warm_costs_one(&mut rig, &peer, &legacy_echo(""));
        let session = new_session(&mut rig, &peer);
        assert_warm_costs_one(&mut rig, &peer, &tenant(legacy_echo(&session)));
    }
}

#[test]
fn a_warm_echo_of_a_page_costs_no_more_on_any_of_its_connections() {
    let from = |origin: &str, echo: &[u8]| {
        let head = b"POST /mcp HTTP/1.1\r\n";
        let rest = echo.strip_prefix(head).unwrap();
        [&head[..], format!("Origin: {origin}\r\n").as_bytes(), rest].concat()
    };
    let mut rig = Rig::new();
    let request = from("http://localhost:5173", &modern_echo());
    for _ in 0..3 {
        let peer = rig.connect();
        assert_warm_costs_one(&mut rig, &peer, &request);
        let (_, answer) = ask(&mut rig, &peer, &request);
        assert!(
            answer.contains("\r\nAccess-Control-Allow-Origin: http://localhost:5173\r\n"),
            "{answer}"
        );
    }
    // A preflight costs no more either: it is written where answers are.
    let preflight = from(
        "http://localhost:5173",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n\
        Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n",
    );
    let preflight = [b"OPTIONS", preflight.strip_prefix(b"POST").unwrap()].concat();
    let peer = rig.connect();
    ask(&mut rig, &peer, &preflight);
    for _ in 0..100 {
        let (allocations, answer) = ask(&mut rig, &peer, &preflight);
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
        assert_eq!(allocations, 0);
    }
}

#[test]
fn warm_pipelined_echoes_allocate_one_string_each() {
    const DEPTH: usize = 4;
    const WARM_UP_TURNS: usize = 20;
    let mut rig = Rig::new();
    let peer = rig.connect();
    let requests = modern_echo().repeat(DEPTH);
    for turn in 0..100 {
        peer.write(&requests);
        let allocations = allocations_of(|| (0..PASSES * DEPTH).for_each(|_| rig.pass()));
        let answers = String::from_utf8(peer.read()).unwrap();
        assert_eq!(answers.matches("HTTP/1.1 200 ").count(), DEPTH);
        assert!(turn < WARM_UP_TURNS || allocations <= DEPTH, "{allocations}");
    }
}

#[test]
fn a_warm_echo_over_websocket_allocates_its_own_string_and_nothing_else() {
    const WARM_UP_TURNS: usize = 20;
    let mut rig = Rig::new();
    let peer = open_websocket(&mut rig);
    for echo in [frame(0x81, MODERN_ECHO), frame(0x81, LEGACY_ECHO)] {
        for turn in 0..100 {
            let (allocations, answer) = exchange(&mut rig, &peer, &echo);
            // Its length comes in two bytes, which need not be UTF-8.
            let text = String::from_utf8_lossy(&answer);
            assert!(
                text.contains(r#"{"type":"text","text":"hello \"world\"\n"}"#),
                "{text}"
            );
            assert!(turn < WARM_UP_TURNS || allocations == 1, "{allocations}");
        }
    }
}

#[test]
fn a_warm_ping_allocates_nothing() {
    const WARM_UP_TURNS: usize = 20;
    let mut rig = Rig::new();
    let peer = open_websocket(&mut rig);
    for turn in 0..100 {
        let (allocations, pong) = exchange(&mut rig, &peer, &frame(0x89, "well?"));
        assert_eq!(pong, b"\x8a\x05well?");
        assert!(turn < WARM_UP_TURNS || allocations == 0, "{allocations}");
    }
}
