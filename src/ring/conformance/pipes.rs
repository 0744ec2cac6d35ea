//! Ends of pipes, required of every backend.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;

use super::{BUFFER_BYTES, Backend, KEY, Kernel, Simulated, next};
use crate::ring::simulated::{PeerView, SimulatedPeer};
use crate::ring::{Completion, ConnectionKey, DataRing, Received, SendMode, Socket};

/// Far more than a pipe takes.
const MUCH: usize = 2 << 20;

const OTHER_KEY: ConnectionKey = ConnectionKey {
    slot: 4,
    generation: 0,
};

/// A backend that has pipes.
trait Pipes: Backend {
    type Far: Far;
    /// A pipe to be read on the ring.
    fn readable(&mut self) -> (Self::Socket, Self::Far);
    /// A pipe to be written on the ring.
    fn writable(&mut self) -> (Self::Socket, Self::Far);
}

/// The other end of a pipe.
trait Far {
    fn write(&mut self, bytes: &[u8]);
    /// The bytes that are there, without waiting; and whether more may come.
    fn read(&mut self) -> (Vec<u8>, bool);
    fn close(self);
}

impl Pipes for Kernel {
    type Far = File;

    fn readable(&mut self) -> (Socket, File) {
        let (near, far) = io::pipe().unwrap();
        (Socket::pipe_end(near.into()).unwrap(), OwnedFd::from(far).into())
    }

    fn writable(&mut self) -> (Socket, File) {
        let (far, near) = io::pipe().unwrap();
        rustix::fs::fcntl_setfl(&far, rustix::fs::OFlags::NONBLOCK).unwrap();
        (Socket::pipe_end(near.into()).unwrap(), OwnedFd::from(far).into())
    }
}

impl Far for File {
    fn write(&mut self, bytes: &[u8]) {
        self.write_all(bytes).unwrap();
    }

    fn read(&mut self) -> (Vec<u8>, bool) {
        let mut all = Vec::new();
        let result = self.read_to_end(&mut all);
        (all, result.is_err())
    }

    fn close(self) {}
}

impl Pipes for Simulated {
    type Far = SimulatedPeer;

    fn readable(&mut self) -> (Self::Socket, SimulatedPeer) {
        self.network.pipe()
    }

    fn writable(&mut self) -> (Self::Socket, SimulatedPeer) {
        self.network.pipe()
    }
}

impl Far for SimulatedPeer {
    fn write(&mut self, bytes: &[u8]) {
        SimulatedPeer::write(self, bytes);
    }

    fn read(&mut self) -> (Vec<u8>, bool) {
        (SimulatedPeer::read(self), self.view() == PeerView::Open)
    }

    fn close(self) {
        SimulatedPeer::close(&self);
    }
}

fn received<B: Backend>(backend: &mut B) -> Received {
    match next(backend) {
        Completion::Received { key: KEY, outcome } => outcome,
        _ => panic!("not a receive"),
    }
}

fn sent<B: Backend>(backend: &mut B) -> (Vec<u8>, io::Result<usize>) {
    match next(backend) {
        Completion::Sent { buffer, result, .. } => (buffer, result),
        _ => panic!("not a send"),
    }
}

/// Fills a pipe; returns what it took.
fn fill<B: Pipes>(backend: &mut B, socket: &B::Socket) -> usize {
    backend
        .ring()
        .send(KEY, socket, vec![b'y'; MUCH], 0..MUCH, SendMode::All);
    let (buffer, result) = sent(backend);
    assert_eq!(buffer.len(), MUCH);
    let taken = result.unwrap();
    assert!(taken > 0 && taken < MUCH, "{taken}");
    taken
}

fn bytes_come_through_and_the_end_behind_them<B: Pipes>(backend: &mut B) {
    let (socket, mut far) = backend.readable();
    let long: Vec<u8> = (0..3 * BUFFER_BYTES + 1).map(|at| at as u8).collect();
    far.write(&long);
    far.close();
    let mut seen = Vec::new();
    loop {
        backend.ring().receive(KEY, &socket);
        match received(backend) {
            Received::Bytes(bytes) => seen.extend_from_slice(&bytes),
            Received::End => break,
            _ => panic!("neither bytes nor their end"),
        }
    }
    assert_eq!(seen, long);
    backend.ring().close(KEY, socket);
    assert!(matches!(next(backend), Completion::Closed { key: KEY }));
    assert_eq!(backend.ring().counters().in_flight, 0);
}

fn a_full_pipe_takes_what_fits_and_then_waits<B: Pipes>(backend: &mut B) {
    let (socket, mut far) = backend.writable();
    let taken = fill(backend, &socket);
    for mode in [SendMode::All, SendMode::Attempt] {
        backend.ring().send(KEY, &socket, b"xmorex".to_vec(), 1..5, mode);
        backend.turn();
        assert!(backend.ring().next_completion().is_none(), "there is no room");
        let (bytes, is_open) = far.read();
        assert!(is_open && !bytes.is_empty() && bytes.len() <= taken);
        assert_eq!(sent(backend).1.unwrap(), 4);
        let (bytes, _) = far.read();
        assert_eq!(bytes, b"more");
        fill(backend, &socket);
    }
}

fn a_close_is_the_end_of_input_for_the_reader<B: Pipes>(backend: &mut B) {
    let (socket, mut far) = backend.writable();
    backend
        .ring()
        .send(KEY, &socket, b"last".to_vec(), 0..4, SendMode::All);
    assert_eq!(sent(backend).1.unwrap(), 4);
    backend.ring().close(KEY, socket);
    assert!(matches!(next(backend), Completion::Closed { key: KEY }));
    assert_eq!(far.read(), (b"last".to_vec(), false));
}

fn a_reader_that_is_gone_is_an_error_and_no_signal<B: Pipes>(backend: &mut B) {
    let (socket, far) = backend.writable();
    far.close();
    for mode in [SendMode::All, SendMode::Attempt] {
        backend.ring().send(KEY, &socket, b"lost".to_vec(), 0..4, mode);
        let (buffer, result) = sent(backend);
        assert_eq!(buffer, b"lost");
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}

fn reading_goes_on_while_a_write_waits<B: Pipes>(backend: &mut B) {
    let (output, mut said) = backend.readable();
    let (input, _far) = backend.writable();
    fill_other(backend, &input);
    backend
        .ring()
        .send(OTHER_KEY, &input, b"stuck".to_vec(), 0..5, SendMode::All);
    for _ in 0..3 {
        backend.ring().receive(KEY, &output);
        said.write(b"on and on");
        assert!(matches!(received(backend), Received::Bytes(bytes) if &*bytes == b"on and on"));
    }
    backend.ring().shutdown(&input, Shutdown::Both);
    assert!(sent(backend).1.is_err());
}

fn a_shutdown_ends_what_is_under_way<B: Pipes>(backend: &mut B) {
    let (output, _said) = backend.readable();
    backend.ring().receive(KEY, &output);
    backend.turn();
    backend.ring().shutdown(&output, Shutdown::Write);
    backend.turn();
    assert!(backend.ring().next_completion().is_none());
    backend.ring().shutdown(&output, Shutdown::Both);
    assert!(matches!(received(backend), Received::Cancelled));
    backend.ring().close(KEY, output);
    assert!(matches!(next(backend), Completion::Closed { .. }));
    let (input, _far) = backend.writable();
    fill_other(backend, &input);
    backend
        .ring()
        .send(OTHER_KEY, &input, b"stuck".to_vec(), 0..5, SendMode::All);
    backend.turn();
    backend.ring().shutdown(&input, Shutdown::Both);
    let (buffer, result) = sent(backend);
    assert_eq!(buffer, b"stuck");
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    while backend.ring().counters().in_flight > 0 {
        backend.turn();
        assert!(backend.ring().next_completion().is_none());
    }
}

/// As [`fill`], for the other key.
fn fill_other<B: Pipes>(backend: &mut B, socket: &B::Socket) {
    backend
        .ring()
        .send(OTHER_KEY, socket, vec![b'y'; MUCH], 0..MUCH, SendMode::All);
    assert!(sent(backend).1.is_ok());
}

macro_rules! on_every_backend_with_pipes {
    ($($behaviour:ident,)+) => {
        on_backend!(kernel, Kernel, $($behaviour,)+);
        on_backend!(simulated, Simulated, $($behaviour,)+);
    };
}

on_every_backend_with_pipes! {
    bytes_come_through_and_the_end_behind_them,
    a_full_pipe_takes_what_fits_and_then_waits,
    a_close_is_the_end_of_input_for_the_reader,
    a_reader_that_is_gone_is_an_error_and_no_signal,
    reading_goes_on_while_a_write_waits,
    a_shutdown_ends_what_is_under_way,
}
