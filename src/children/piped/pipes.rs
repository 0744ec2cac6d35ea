//! The three pipes of a child: what is under way on each, and how far its closing has come.
//!
//! ```text
//! Open ─ close ─► (under way: cancelled, then) Closing ─ closed ─► Closed
//! ```
//!
//! Nothing is done to the ring but by [`Pipes::flush`] and [`Pipes::write`]: whoever looks at what a child said
//! needs no ring.

use std::net::Shutdown;

use crate::children::child::PipeWrite;
use crate::ring::{ConnectionKey, DataRing, SendMode};

/// One of a child's pipes, by the child's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PipeEnd {
    /// Its stdin, which we write.
    Input,
    /// Its stdout.
    Output,
    /// Its stderr.
    Errors,
}

impl PipeEnd {
    /// All of them.
    pub const ALL: [PipeEnd; 3] = [PipeEnd::Input, PipeEnd::Output, PipeEnd::Errors];
}

/// Our ends of a child's pipes.
#[derive(Debug)]
pub struct PipeSockets<S> {
    /// The one to write to.
    pub input: S,
    /// The one to read answers from.
    pub output: S,
    /// The one to read its log from.
    pub errors: S,
}

/// The names of a child's pipes in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PipeKeys {
    /// Its stdin's.
    pub input: ConnectionKey,
    /// Its stdout's.
    pub output: ConnectionKey,
    /// Its stderr's.
    pub errors: ConnectionKey,
}

/// The three pipes.
#[derive(Debug)]
pub(super) struct Pipes<S>([Pipe<S>; 3]);

#[derive(Debug)]
struct Pipe<S> {
    key: ConnectionKey,
    /// Until its close is with the ring.
    socket: Option<S>,
    /// Whether an operation is under way.
    is_busy: bool,
    /// Whether it is to be closed once that is over.
    is_closing: bool,
    /// Whether what is under way was told to end.
    is_cut: bool,
    is_closed: bool,
}

impl<S> Pipe<S> {
    fn new(key: ConnectionKey, socket: S) -> Pipe<S> {
        Pipe {
            key,
            socket: Some(socket),
            is_busy: false,
            is_closing: false,
            is_cut: false,
            is_closed: false,
        }
    }

    fn is_usable(&self) -> bool {
        self.socket.is_some() && !self.is_busy && !self.is_closing
    }

    /// Closes it if that is wanted; what is under way is told to end first.
    fn close_if_due<R: DataRing<Socket = S>>(&mut self, ring: &mut R) {
        if !self.is_closing {
            return;
        }
        if !self.is_busy {
            if let Some(socket) = self.socket.take() {
                ring.close(self.key, socket);
            }
        } else if !self.is_cut
            && let Some(socket) = &self.socket
        {
            self.is_cut = true;
            ring.shutdown(socket, Shutdown::Both);
        }
    }
}

impl<S> Pipes<S> {
    pub(super) fn new(sockets: PipeSockets<S>, keys: PipeKeys) -> Pipes<S> {
        Pipes([
            Pipe::new(keys.input, sockets.input),
            Pipe::new(keys.output, sockets.output),
            Pipe::new(keys.errors, sockets.errors),
        ])
    }

    pub(super) fn end_of(&self, key: ConnectionKey) -> Option<PipeEnd> {
        PipeEnd::ALL.into_iter().find(|end| self.pipe(*end).key == key)
    }

    /// Closes the pipes that are to be closed, and reads on those that are not being read.
    pub(super) fn flush<R: DataRing<Socket = S>>(&mut self, ring: &mut R) {
        for pipe in &mut self.0 {
            pipe.close_if_due(ring);
        }
        for end in [PipeEnd::Output, PipeEnd::Errors] {
            let pipe = self.pipe_mut(end);
            if pipe.is_usable()
                && let Some(socket) = &pipe.socket
            {
                ring.receive(pipe.key, socket);
                pipe.is_busy = true;
            }
        }
    }

    /// Whether a write can be begun.
    pub(super) fn can_write(&self) -> bool {
        self.pipe(PipeEnd::Input).is_usable()
    }

    pub(super) fn write<R: DataRing<Socket = S>>(&mut self, ring: &mut R, write: PipeWrite) {
        let pipe = self.pipe_mut(PipeEnd::Input);
        if let Some(socket) = &pipe.socket {
            ring.send(pipe.key, socket, write.buffer, write.range, SendMode::All);
            pipe.is_busy = true;
        }
    }

    /// What was under way on a pipe is over.
    pub(super) fn on_over(&mut self, end: PipeEnd) {
        self.pipe_mut(end).is_busy = false;
    }

    /// From now on a pipe is to be closed, as soon as what is under way on it is over; that is cancelled.
    pub(super) fn close(&mut self, end: PipeEnd) {
        self.pipe_mut(end).is_closing = true;
    }

    pub(super) fn on_closed(&mut self, key: ConnectionKey) {
        if let Some(end) = self.end_of(key) {
            self.pipe_mut(end).is_closed = true;
        }
    }

    /// Whether all are closed.
    pub(super) fn is_closed(&self) -> bool {
        self.0.iter().all(|pipe| pipe.is_closed)
    }

    /// Whether nothing is being written, and nothing will be.
    pub(super) fn is_input_over(&self) -> bool {
        let input = self.pipe(PipeEnd::Input);
        input.is_closing && !input.is_busy
    }

    fn pipe(&self, end: PipeEnd) -> &Pipe<S> {
        &self.0[end as usize]
    }

    fn pipe_mut(&mut self, end: PipeEnd) -> &mut Pipe<S> {
        &mut self.0[end as usize]
    }
}
