//! A connection as a channel: its framing, its messages that are not answered yet, and what it still has to send.

use std::sync::Arc;
use std::time::Instant;

use crate::mcp::{ChannelContext, OpenSession, SessionToken};
use crate::registry::Origin;
use crate::ring::ConnectionKey;

use super::ending::Ending;
use super::events::Events;
use super::framing::Framing;
use super::outbox::Outbox;

/// What a connection has more when it is a channel.
#[derive(Debug)]
pub(in crate::shard) struct Channel {
    pub framing: Framing,
    /// What the calls of its messages are told of its client.
    pub origin: Arc<Origin>,
    /// The conversation that its requests are cancelled by.
    pub token: SessionToken,
    /// The session that was initialized on it.
    pub session: Option<OpenSession>,
    /// Its messages that are not answered yet.
    pub exchanges: Vec<ConnectionKey>,
    /// Calls of it that go on as tasks.
    pub tasks: ChannelTasks,
    pub outbox: Option<Outbox>,
    pub ending: Option<Ending>,
    /// The one client of a process has closed its input, and all of it was read.
    pub is_input_over: bool,
    /// Nothing is read until the client has taken what there is for it.
    pub is_stalled: bool,
    /// Nothing is read until the calls that have begun were run; messages that were read wait for that.
    pub is_interrupted: bool,
    /// The other end of a process's input is closed, though not all of it may have been read.
    pub is_hung_up: bool,
    /// A stream has more than there was room for.
    pub has_more: bool,
    /// A ping is out that was not answered by anything.
    pub is_pinged: bool,
}

/// Tasks that were asked for on one channel.
#[derive(Debug, Default)]
pub(in crate::shard) struct ChannelTasks {
    running: u32,
    /// Until when the client may be expected to look at the last that has ended.
    result_until: Option<Instant>,
}

impl ChannelTasks {
    pub(in crate::shard) fn begin(&mut self) {
        self.running += 1;
    }

    pub(in crate::shard) fn end(&mut self, result_until: Instant) {
        self.running = self.running.saturating_sub(1);
        self.result_until = Some(result_until);
    }

    /// Whether the client may still come for one of them, though not after `cutoff`.
    pub(in crate::shard) fn are_awaited(&self, now: Instant, cutoff: Option<Instant>) -> bool {
        let is_awaited = self.running > 0 || self.result_until.is_some_and(|until| now < until);
        is_awaited && cutoff.is_none_or(|cutoff| now < cutoff)
    }
}

impl Channel {
    pub(in crate::shard) fn new(framing: Framing, origin: Origin, token: SessionToken) -> Channel {
        Channel {
            framing,
            origin: Arc::new(origin),
            token,
            session: None,
            exchanges: Vec::new(),
            tasks: ChannelTasks::default(),
            outbox: None,
            ending: None,
            is_input_over: false,
            is_stalled: false,
            is_interrupted: false,
            is_hung_up: false,
            has_more: false,
            is_pinged: false,
        }
    }

    /// Whether its bytes are wanted.
    pub(in crate::shard) fn reads_on(&self) -> bool {
        !self.is_stalled
            && !self.is_interrupted
            && !self.is_input_over
            && self.ending.is_none_or(Ending::reads_on)
    }

    /// Whether it is a pipe, whose other end may take its time.
    pub(in crate::shard) fn is_patient(&self) -> bool {
        matches!(self.framing, Framing::Lines(_))
    }

    pub(in crate::shard) fn context(&self) -> ChannelContext {
        ChannelContext {
            token: self.token,
            session: self.session,
        }
    }

    pub(in crate::shard) fn unsent_bytes(&self) -> usize {
        self.outbox.as_ref().map_or(0, Outbox::len)
    }

    pub(in crate::shard) fn forget(&mut self, exchange: ConnectionKey) {
        if let Some(at) = self.exchanges.iter().position(|key| *key == exchange) {
            self.exchanges.swap_remove(at);
        }
    }

    pub(in crate::shard) fn events(&mut self) -> Option<&mut Events> {
        match &mut self.framing {
            Framing::Events(events) => Some(events),
            _ => None,
        }
    }

    /// Whether its messages are taken.
    pub(in crate::shard) fn is_open(&self) -> bool {
        self.ending.is_none_or(Ending::takes_messages)
    }
}
