//! Receives into buffers of the caller's, required of every backend.

use std::io;
use std::net::Shutdown;

use super::{
    BUFFER_BYTES, BUFFERS, Backend, KEY, Kernel, KernelUnix, Peer, Simulated, bytes, connected, next,
};
use crate::ring::{Completion, DataRing, Operation};

fn filled<B: Backend>(backend: &mut B) -> (Vec<u8>, io::Result<usize>) {
    match next(backend) {
        Completion::Filled { key, buffer, result } => {
            assert_eq!(key, KEY);
            (buffer, result)
        }
        _ => panic!("not a receive into a buffer"),
    }
}

/// A buffer with a beginning in it, and room for so many bytes more.
fn begun(room: usize) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(5 + room);
    buffer.extend_from_slice(b"begun");
    buffer
}

fn a_buffer_is_filled_behind_what_is_in_it_and_no_further<B: Backend>(backend: &mut B) {
    let (mut peer, socket) = connected(backend);
    let buffer = begun(100);
    let address = buffer.as_ptr();
    backend.ring().receive_into(KEY, &socket, buffer, 6);
    backend.turn();
    assert!(backend.ring().next_completion().is_none(), "nothing has come");
    peer.write(b" ended and the next");
    let (buffer, result) = filled(backend);
    assert_eq!((&buffer[..], result.unwrap()), (&b"begun ended"[..], 6));
    assert_eq!(buffer.as_ptr(), address);
    backend.ring().receive(KEY, &socket);
    assert_eq!(bytes(backend), b" and the next");
    assert_eq!(backend.ring().counters().in_flight, 0);
}

fn a_fill_takes_more_than_a_ring_buffer_and_needs_none<B: Backend>(backend: &mut B) {
    let (mut peer, socket) = connected(backend);
    let long: Vec<u8> = (0..10 * BUFFER_BYTES + 7).map(|at| at as u8).collect();
    let mut buffer = Vec::with_capacity(long.len());
    let mut completions = 0;
    peer.write(&long);
    while buffer.len() < long.len() {
        let missing = long.len() - buffer.len();
        backend
            .ring()
            .receive_into(KEY, &socket, std::mem::take(&mut buffer), missing);
        buffer = filled(backend).0;
        completions += 1;
    }
    assert_eq!(buffer, long);
    assert!(completions < 10, "{completions} receives");
    assert_eq!(backend.ring().counters().buffers_free, usize::from(BUFFERS));
}

fn a_fin_ends_a_fill<B: Backend>(backend: &mut B) {
    let (mut peer, socket) = connected(backend);
    backend.ring().receive_into(KEY, &socket, begun(9), 9);
    backend.turn();
    peer.finish();
    let (buffer, result) = filled(backend);
    assert_eq!((&buffer[..], result.unwrap()), (&b"begun"[..], 0));
}

fn a_reset_fails_a_fill<B: Backend>(backend: &mut B) {
    let (peer, socket) = connected(backend);
    backend.ring().receive_into(KEY, &socket, begun(9), 9);
    backend.turn();
    peer.reset();
    let (buffer, result) = filled(backend);
    assert_eq!(buffer, b"begun");
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

fn cancel_ends_a_fill<B: Backend>(backend: &mut B) {
    let (_peer, socket) = connected(backend);
    backend.ring().receive_into(KEY, &socket, begun(9), 9);
    backend.turn();
    backend.ring().cancel(KEY, Operation::Receive);
    let mut ends = [next(backend), next(backend)].into_iter();
    assert!(ends.any(|end| matches!(
        end,
        Completion::Filled { result: Err(error), .. } if error.raw_os_error() == Some(libc::ECANCELED)
    )));
    assert_eq!(backend.ring().counters().in_flight, 0);
}

fn shutdown_ends_a_fill<B: Backend>(backend: &mut B) {
    let (_peer, socket) = connected(backend);
    backend.ring().receive_into(KEY, &socket, begun(9), 9);
    backend.turn();
    backend.ring().shutdown(&socket, Shutdown::Both);
    assert_eq!(filled(backend).1.unwrap(), 0);
    backend.ring().close(KEY, socket);
    assert!(matches!(next(backend), Completion::Closed { .. }));
}

on_every_backend! {
    a_buffer_is_filled_behind_what_is_in_it_and_no_further,
    a_fill_takes_more_than_a_ring_buffer_and_needs_none,
    a_fin_ends_a_fill,
    cancel_ends_a_fill,
    shutdown_ends_a_fill,
}

on_backend!(kernel_internet, Kernel, a_reset_fails_a_fill,);
on_backend!(simulated_internet, Simulated, a_reset_fails_a_fill,);
