//! The events by which the live store tells a shard that its streams have messages to send, that questions of its calls
//! are answered, and that requests are cancelled. Each shard gives the store a way into its inbox when it starts.
//!
//! An event names a connection, call or task of a shard, and a shard joins before it has any of them. Cancellations go
//! to every shard. A shard that has not joined has nothing to cancel, so events for it are dropped.

use std::sync::OnceLock;

use serde_json::Value;

use super::places::{ChildAsker, StreamPlace};
use super::sse_inbox::SseMessage;
use crate::jsonrpc::RequestId;
use crate::mcp::SessionToken;
use crate::registry::AnswerError;
use crate::ring::ConnectionKey;

/// Something that has happened in the live store and concerns a shard.
#[derive(Debug)]
pub enum LiveEvent {
    /// The stream that is attached to this connection has messages to take.
    Ready(ConnectionKey),
    /// The stream that was attached to this connection is now attached to another one; this connection is to be closed.
    Displaced(ConnectionKey),
    /// A client cancels one of its requests. Every shard gets this event.
    Cancel {
        /// The client's session.
        session: SessionToken,
        /// The request's id.
        request: RequestId,
    },
    /// A task of this shard is to stop: its client cancelled it, or its time is over.
    CancelTask(ConnectionKey),
    /// A client answered a question of a task.
    TaskAnswer {
        /// The shard's entry for the task.
        connection: ConnectionKey,
        /// The question's number within the call.
        number: u32,
        /// What it said.
        answer: Result<Value, AnswerError>,
    },
    /// A client answered a question.
    Answer {
        /// The call that asked, in the shard's own numbering.
        call: u64,
        /// The question's number within the call.
        number: u32,
        /// What it said.
        answer: Result<Value, AnswerError>,
    },
    /// A client answered a question of another program.
    ChildAnswer {
        /// Who asked.
        asker: ChildAsker,
        /// The question's number with whoever asked.
        number: u32,
        /// The client's whole answer as it wrote it.
        answer: Result<Box<[u8]>, AnswerError>,
    },
    /// A message for the channel on this connection.
    SseMessage {
        /// The connection that is the channel.
        connection: ConnectionKey,
        /// The message, which counts as waiting until it is dropped.
        message: SseMessage,
    },
}

/// The way into one shard's inbox. Any thread may post, and none is made to wait.
pub trait ShardInbox: Send + Sync {
    /// Posts an event, and wakes the shard if it may be asleep.
    fn post(&self, event: LiveEvent);

    /// Posts several events with at most one wake-up.
    fn post_all(&self, events: &mut dyn Iterator<Item = LiveEvent>);

    /// Takes all events out, for a test that stands in for the shard.
    #[cfg(test)]
    fn take_all(&self) -> Vec<LiveEvent> {
        Vec::new()
    }
}

/// The ways into all shards' inboxes.
pub(super) struct ShardInboxes(Box<[OnceLock<Box<dyn ShardInbox>>]>);

impl ShardInboxes {
    pub(super) fn new(shards: usize) -> Self {
        Self((0..shards).map(|_| OnceLock::new()).collect())
    }

    /// From now on, events for the shard go into this inbox. Only the first inbox of a shard counts.
    pub(super) fn join(&self, shard: u16, inbox: Box<dyn ShardInbox>) {
        if let Some(place) = self.0.get(usize::from(shard)) {
            let _ = place.set(inbox);
        }
    }

    pub(super) fn of(&self, shard: u16) -> Option<&dyn ShardInbox> {
        self.0.get(usize::from(shard))?.get().map(Box::as_ref)
    }

    pub(super) fn post(&self, shard: u16, event: LiveEvent) {
        if let Some(inbox) = self.of(shard) {
            inbox.post(event);
        }
    }

    /// Posts several events with at most one wake-up.
    pub(super) fn post_all(&self, shard: u16, events: &mut dyn Iterator<Item = LiveEvent>) {
        if let Some(inbox) = self.of(shard) {
            inbox.post_all(events);
        }
    }

    pub(super) fn cancel(&self, session: SessionToken, request: &RequestId) {
        for inbox in self.0.iter().filter_map(OnceLock::get) {
            let request = request.clone();
            inbox.post(LiveEvent::Cancel { session, request });
        }
    }

    pub(super) fn ready(&self, place: StreamPlace) {
        self.post(place.shard, LiveEvent::Ready(place.connection));
    }
}

/// An inbox that a test empties.
#[cfg(test)]
#[derive(Default)]
pub(in crate::session) struct Collected {
    events: std::sync::Mutex<Vec<LiveEvent>>,
    waker: Option<std::sync::mpsc::Sender<()>>,
}

#[cfg(test)]
impl Collected {
    /// An inbox that sends a signal when it has stopped being empty.
    pub(in crate::session) fn waking(waker: std::sync::mpsc::Sender<()>) -> Self {
        Self {
            waker: Some(waker),
            ..Self::default()
        }
    }
}

#[cfg(test)]
impl ShardInbox for Collected {
    fn post(&self, event: LiveEvent) {
        self.post_all(&mut std::iter::once(event));
    }

    fn post_all(&self, events: &mut dyn Iterator<Item = LiveEvent>) {
        let mut unread = self.events.lock().unwrap();
        let was_empty = unread.is_empty();
        unread.extend(events);
        let is_dirty = was_empty && !unread.is_empty();
        drop(unread);
        if let Some(waker) = self.waker.as_ref().filter(|_| is_dirty) {
            let _ = waker.send(());
        }
    }

    fn take_all(&self) -> Vec<LiveEvent> {
        std::mem::take(&mut *self.events.lock().unwrap())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::Id;

    #[test]
    fn cancellations_reach_every_shard_that_has_joined() {
        let inboxes = ShardInboxes::new(3);
        for shard in [0, 2, 3] {
            inboxes.join(shard, Box::new(Collected::default()));
        }
        let session = SessionToken([1; 16]);
        inboxes.cancel(session, &Id::Signed(7).into());
        for shard in [0, 2] {
            let events = inboxes.of(shard).unwrap().take_all();
            let is_it = |event: &LiveEvent| {
                matches!(event, LiveEvent::Cancel { session: of, request }
                    if *of == session && *request == Id::Signed(7).into())
            };
            assert!(
                matches!(&events[..], [event] if is_it(event)),
                "{shard}: {events:?}"
            );
        }
    }

    #[test]
    fn a_shard_is_told_by_its_first_inbox_and_in_order() {
        let inboxes = ShardInboxes::new(2);
        let key = |slot| ConnectionKey { slot, generation: 0 };
        inboxes.post(1, LiveEvent::Ready(key(9)));
        inboxes.join(1, Box::new(Collected::default()));
        inboxes.join(1, Box::new(Collected::default()));
        inboxes.post(1, LiveEvent::Ready(key(0)));
        inboxes.post_all(
            1,
            &mut [1, 2].map(|slot| LiveEvent::Displaced(key(slot))).into_iter(),
        );
        inboxes.post(5, LiveEvent::Ready(key(9)));
        let slots: Vec<u32> = inboxes
            .of(1)
            .unwrap()
            .take_all()
            .iter()
            .map(|event| match event {
                LiveEvent::Ready(key) | LiveEvent::Displaced(key) => key.slot,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(slots, [0, 1, 2]);
    }
}
