//! Messages of channels that are served on another shard than their channel's, and what the two shards keep of each
//! other.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::jsonrpc::RequestId;
use crate::mcp::{ChannelContext, SessionToken};
use crate::registry::Origin;
use crate::ring::ConnectionKey;

use super::OUTBOX_FULL_BYTES;

/// A channel of any shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) struct ChannelPlace {
    pub shard: u16,
    pub channel: ConnectionKey,
}

/// What a shard knows of a message that it serves for a channel of another shard.
#[derive(Debug)]
pub(in crate::shard) struct Home {
    pub channel: ChannelPlace,
    /// The message's entry on the channel's shard, which waits for the answer.
    pub exchange: ConnectionKey,
    /// What the message is decoded with.
    pub context: ChannelContext,
    /// What the call is told of its client.
    pub origin: Arc<Origin>,
    pub unheard: Unheard,
}

/// What a channel's shard knows of a message that another shard serves, or is about to.
#[derive(Debug)]
pub(in crate::shard) struct Away {
    pub shard: u16,
    pub unheard: Unheard,
    /// The conversation and the id of the request, if its client can cancel it.
    pub request: Option<Box<(SessionToken, RequestId)>>,
}

impl Away {
    pub(in crate::shard) fn new(shard: u16, request: Option<Box<(SessionToken, RequestId)>>) -> Away {
        Away {
            shard,
            unheard: Unheard::default(),
            request,
        }
    }

    pub(in crate::shard) fn is_request(&self, conversation: SessionToken, id: &RequestId) -> bool {
        let request = self.request.as_deref();
        request.is_some_and(|(own, own_id)| *own == conversation && own_id == id)
    }
}

/// Bytes that a call has said and the channel's shard has not taken from its inbox yet; both shards count.
#[derive(Debug, Clone, Default)]
pub(in crate::shard) struct Unheard(Arc<AtomicUsize>);

impl Unheard {
    /// Counts what is about to be posted. False if it `may_be_dropped` and too much is unheard already.
    pub(in crate::shard) fn add(&self, bytes: usize, may_be_dropped: bool) -> bool {
        // Only the shard that serves the message adds.
        if may_be_dropped && self.0.load(Ordering::Relaxed) + bytes > OUTBOX_FULL_BYTES {
            return false;
        }
        self.0.fetch_add(bytes, Ordering::Relaxed);
        true
    }

    /// It was taken from the inbox.
    pub(in crate::shard) fn remove(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The messages that a shard serves for channels of others, and that these still wait for, by their shards and their
/// entries there.
#[derive(Debug, Default)]
pub(in crate::shard) struct Visitors(HashMap<(u16, ConnectionKey), ConnectionKey>);

impl Visitors {
    pub(in crate::shard) fn insert(&mut self, shard: u16, exchange: ConnectionKey, key: ConnectionKey) {
        self.0.insert((shard, exchange), key);
    }

    /// Forgets a message. The key that it has here, if its channel's shard still waited for it.
    pub(in crate::shard) fn remove(&mut self, shard: u16, exchange: ConnectionKey) -> Option<ConnectionKey> {
        self.0.remove(&(shard, exchange))
    }

    #[cfg(test)]
    pub(in crate::shard) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_dropped_is_while_too_much_is_unheard() {
        let unheard = Unheard::default();
        let other_side = unheard.clone();
        assert!(unheard.add(OUTBOX_FULL_BYTES, true));
        assert!(!unheard.add(1, true), "the other shard has not looked");
        assert!(unheard.add(1, false), "a question is not dropped");
        other_side.remove(2);
        assert!(unheard.add(1, true));
    }
}
