//! The request in progress, as far as it is the same for a connection and for a message of a channel.

use std::time::Instant;

use crate::pool::Assembly;
use crate::shard::streams::OpenStream;
use crate::units::ViewId;

/// A request from its first byte until it is answered, and the bytes behind it.
#[derive(Debug)]
pub(in crate::shard) struct Request {
    /// Bytes that could not be served when they came: a piece of a request, one that waits for a handler, those
    /// pipelined behind one in progress.
    pub assembly: Option<Box<Assembly>>,
    /// The stream that answers it; for a channel itself, what its session hears without asking.
    pub stream: Option<Box<OpenStream>>,
    /// It has an `Origin`; a message has what its channel has.
    pub is_browser: bool,
    /// What it is for; a message has what its channel has.
    pub view: ViewId,
    /// How long it has waited for a handler and a worker.
    pub waited_micros: u32,
    /// When the current phase (head, body, wait, write) began.
    pub phase_began: Instant,
    /// When its first byte came.
    pub began: Instant,
}

impl Request {
    pub(super) fn new(now: Instant) -> Request {
        Request {
            assembly: None,
            stream: None,
            is_browser: false,
            view: ViewId::MAIN,
            waited_micros: 0,
            phase_began: now,
            began: now,
        }
    }
}
