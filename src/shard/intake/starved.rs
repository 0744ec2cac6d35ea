//! Connections that are to receive when there is a ring buffer, in the order in which they get one.

use std::collections::VecDeque;

use crate::ring::ConnectionKey;

/// Two queues. Each connection is in one of them at most once, and knows it.
#[derive(Debug, Default)]
pub(super) struct Starved {
    /// Those that wait for their turn, whoever waits longest first.
    first: VecDeque<ConnectionKey>,
    /// Those that found no buffer when it was their turn: they go before the others.
    again: VecDeque<ConnectionKey>,
}

impl Starved {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.again.is_empty()
    }

    /// Lets a connection wait. Of those passed over together, and of those passed over again, the first to come stays
    /// first.
    pub(super) fn join(&mut self, key: ConnectionKey, was_passed_over: bool) {
        if was_passed_over {
            self.again.push_back(key);
        } else {
            self.first.push_back(key);
        }
    }

    /// Takes the connection whose turn it is.
    pub(super) fn pop(&mut self) -> Option<ConnectionKey> {
        self.again.pop_front().or_else(|| self.first.pop_front())
    }
}
