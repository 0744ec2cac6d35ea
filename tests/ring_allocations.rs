//! In steady state the data ring does not allocate: receive, send, flush, completions, buffers.
//!
//! This is a binary of its own, because it counts every allocation of its thread.
#![allow(unsafe_code, reason = "an allocator is unsafe to implement")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;
use weir::internals::ring::listener::{ListenerOptions, listen, local_address};
use weir::internals::ring::{
    Completion, ConnectionKey, DataRing, KernelRing, Received, RingOptions, SendMode, Socket,
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator; counting a `const` thread-local without
// destructor neither allocates nor fails.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const KEY: ConnectionKey = ConnectionKey {
    slot: 0,
    generation: 0,
};

fn next(ring: &mut KernelRing) -> Completion {
    loop {
        if let Some(completion) = ring.next_completion() {
            return completion;
        }
        ring.flush_and_wait(Duration::from_millis(100)).unwrap();
    }
}

fn round_trip(ring: &mut KernelRing, socket: &Socket, peer: &mut TcpStream, response: Vec<u8>) -> Vec<u8> {
    peer.write_all(b"request").unwrap();
    let Completion::Received {
        outcome: Received::Bytes(bytes),
        ..
    } = next(ring)
    else {
        panic!("nothing received");
    };
    assert_eq!(&*bytes, b"request");
    drop(bytes);
    let all = 0..response.len();
    ring.send(KEY, socket, response, all, SendMode::Attempt);
    ring.receive(KEY, socket);
    let Completion::Sent { buffer, result, .. } = next(ring) else {
        panic!("nothing sent");
    };
    assert_eq!(result.unwrap(), buffer.len());
    let mut answer = [0; 8];
    peer.read_exact(&mut answer).unwrap();
    buffer
}

#[test]
fn a_warm_round_trip_allocates_nothing() {
    let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), ListenerOptions::default()).unwrap();
    let address = local_address(&listener).unwrap();
    let mut ring = KernelRing::new(RingOptions::default()).unwrap();
    ring.listen(listener);
    let mut peer = TcpStream::connect(address).unwrap();
    let socket = ring.accept_now().unwrap().unwrap();
    ring.receive(KEY, &socket);
    let mut response = round_trip(&mut ring, &socket, &mut peer, b"response".to_vec());
    let before = ALLOCATIONS.get();
    assert!(before > 0, "setting up is counted");
    for _ in 0..1000 {
        response = round_trip(&mut ring, &socket, &mut peer, response);
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
}
