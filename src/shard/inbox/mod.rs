//! The one way into a shard from other threads: a lock-free queue of events and one waker.
//!
//! ```text
//! any thread:  push the event ─► swap(is_announced, 1) ─ was 0 ─► wake
//! the shard:   swap(is_announced, 0) ─► take events until there are none
//! ```
//!
//! The waker is written only when the shard may be asleep, so a burst of events costs one system call. The order of the
//! steps is what keeps a wake-up from being lost, and `models` checks it: an event pushed before the shard's swap is
//! taken in that run, one pushed after it is announced again.
//!
//! A poster never waits and an event that matters is never refused, because the number of unread events is bounded by
//! what they are about. The queue takes memory as it needs it and gives it back.
//!
//! | event | at most so many unread | held down by |
//! |---|---|---|
//! | [`ShardEvent::Finished`] | jobs that the workers queue, run or have abandoned | the workers' queue |
//! | [`ShardEvent::Begun`] | 1 for each call whose answer has a source | the read, in whose place it comes |
//! | [`ShardEvent::PieceRead`] | 1 for each connection whose answer has a source | the read, which is the only one |
//! | [`ShardEvent::Stolen`], [`ShardEvent::StolenMessage`] | handlers of the shard | the permit that was taken for each |
//! | [`ShardEvent::Relayed`] | for each message that is served elsewhere, its end, its open questions, and 256 KiB of what else it says; 1 for each task | the entry, the count of unheard bytes, the task |
//! | [`ShardEvent::ToolPermit`] | 1 for each request that waits or has left, of a tool with a limit | the permit |
//! | [`ShardEvent::Recalled`] | 1 for each message served for another shard | the entry |
//! | [`ShardEvent::AnswerTaken`] | 1 for each large answer that was sent to another shard | what is charged for it |
//! | [`ShardEvent::Accepted`] | connections that the process may have | the place at the connection cap that each has |
//! | [`ShardEvent::Slack`] | 1 | the flag in the shard's published line |
//! | [`ShardEvent::PlaceFree`] | 1 for each time the shard began to wait for a place | the flag at the connection cap |
//! | [`ShardEvent::Spoke`] | 1 for each running or shelved call, and 1 for each poll since the last look | the link's flag |
//! | [`LiveEvent::Ready`] | 1 for each open stream, and 1 for each send that ended since the last look | the stream's flag |
//! | [`LiveEvent::Displaced`] | 1 for each connection whose stream another one took up | the connection |
//! | [`LiveEvent::Message`] | `backlog_messages_max` for each HTTP+SSE connection | the connection's count |
//! | [`LiveEvent::Answer`], [`LiveEvent::TaskAnswer`], [`LiveEvent::ChildAnswer`] | 1 for each open question | the question, which is removed |
//! | [`LiveEvent::CancelTask`] | 1 for each task | the task's status |
//! | [`ShardEvent::Open`], [`ShardEvent::Drain`], [`ShardEvent::Abort`] | 1 each | the server, which says each once |
//! | [`ShardEvent::Children`] | 1 for each step of each child's life | the supervisor |
//! | [`ShardEvent::Forwarded`], [`ShardEvent::Withdrawn`] | the room that children here have, and the calls of clients whose child is here | the room that was taken for each, the call |
//! | [`ShardEvent::ForwardedWord`] | for each call that is elsewhere, its end; 32 questions of each child; of progress 1,024 words in all | the call, the child's open questions, a count |
//! | [`ShardEvent::Resumed`] | 1 for each call without a handler of any shard | the call |
//! | [`ShardEvent::Unheard`] | 32 for each child here | the child's open questions |
//! | [`ShardEvent::ChildRoom`] | 1 for each server | the flag that says that calls wait |
//! | [`LiveEvent::Cancel`], [`ShardEvent::Report`] | [`DROPPABLE_MAX`] together | a count; more are dropped |
//!
//! What adds to these while the shard does not look (polls, sends that end) is the shard's own doing, and it looks at
//! least once in each turn of its pump.

mod moved;
mod relayed;

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use crate::children::ChildOrder;
use crate::metrics::ShardHistograms;
use crate::pool::{Granted, HandlerKey, PermitListener, Word};
use crate::registry::{LinkListener, Outcome, PanicFacts, ServerIndex};
use crate::ring::{ConnectionKey, RingWaker};
use crate::session::live::{LiveEvent, ShardInbox};

use super::acceptor::{Deliver, Newcomer};
use super::children::{Caller, ForwardedCall, ForwardedWord, QuestionName, Resumption};
use super::clients::Clients;
use super::sync::{Queue, StdSync, SyncTypes};
use super::writer::{Beginning, PieceRead, SourceFailure};
pub use moved::{Moved, MovedMessage};
pub use relayed::{MessageEnd, Relayed};

/// Unread events of those kinds that may be dropped. A cancellation is a hint, and whoever asks for a report can do
/// without one.
const DROPPABLE_MAX: u32 = 1024;

/// What wakes a sleeping shard: a write to the descriptor that its ring reads.
pub trait Waker: Send + Sync + 'static {
    /// Makes the shard look into its inbox soon. Called by any thread; must not block.
    fn wake(&self);
}

impl Waker for RingWaker {
    fn wake(&self) {
        RingWaker::wake(self);
    }
}

/// What other threads tell a shard, whose sockets are `S`.
pub enum ShardEvent<S> {
    /// A worker has finished the call of this handler.
    Finished {
        /// Whose.
        handler: HandlerKey,
        /// When the worker took it up; `None` if it did not get that far.
        began: Option<Instant>,
        /// What came of it.
        outcome: Outcome,
        /// The bytes of its text as JSON, if it is nothing but a text.
        escaped_bytes: Option<usize>,
        /// What was said if it panicked.
        panic: Option<Box<PanicFacts>>,
    },
    /// A worker has read the first piece of the answer to this handler's call, or could not.
    Begun {
        /// Whose.
        handler: HandlerKey,
        /// The piece, and the answer that it is of.
        read: Result<Box<Beginning>, SourceFailure>,
    },
    /// A worker has read the next piece of a connection's answer from its source, or could not.
    PieceRead {
        /// Whose.
        key: ConnectionKey,
        /// The piece.
        piece: PieceRead,
    },
    /// A connection whose request waited elsewhere.
    Stolen(Box<Moved<S>>),
    /// A message of another shard's channel, which waited there.
    StolenMessage(Box<MovedMessage>),
    /// A request may run that has waited for other calls of its tool.
    ToolPermit(Granted),
    /// What has come of a message of this shard's channel, from the shard that serves it.
    Relayed(Box<Relayed>),
    /// Nobody waits for the answer to a message any more that this shard serves for another.
    Recalled {
        /// The shard of its channel.
        home: u16,
        /// Its entry there.
        exchange: ConnectionKey,
        /// Its call ends in every era; otherwise a legacy call finishes unheard.
        ends_call: bool,
    },
    /// The shard of a channel has taken an answer from its inbox for which so many bytes are charged here.
    AnswerTaken(usize),
    /// A connection that another shard accepted.
    Accepted(Box<Newcomer<S>>),
    /// Another shard has handlers to spare.
    Slack,
    /// A place at the connection cap is free, which this shard waited for.
    PlaceFree,
    /// The call of this handler has said something outside a poll.
    Spoke(HandlerKey),
    /// Something has happened in the live store.
    Live(LiveEvent),
    /// Take clients in from now on, who come from there.
    Open(Clients<S>),
    /// What the supervisor orders about children.
    Children(ChildOrder<S>),
    /// A call for the children of this shard.
    Forwarded(Box<ForwardedCall>),
    /// What a child of another shard says of a call of this one.
    ForwardedWord(Box<ForwardedWord>),
    /// Nobody waits any more for the answer to a call that was sent here.
    Withdrawn {
        /// The server.
        server: ServerIndex,
        /// Who sent it.
        caller: Caller,
    },
    /// Nobody hears the question of a child here, which was sent to the shard of its client.
    Unheard(QuestionName),
    /// A client has come back with answers for a call that a child here has.
    Resumed(Box<Resumption>),
    /// Another shard's children of this server have room.
    ChildRoom(ServerIndex),
    /// Stop accepting, finish what is in flight, end. The process ends at this time, finished or not.
    Drain(Instant),
    /// End now: nothing more is accepted, answered or finished.
    Abort,
    /// Send a copy of the histograms.
    Report(SyncSender<ShardHistograms>),
}

impl<S> ShardEvent<S> {
    /// Whether nothing is owed to whoever posts it.
    fn is_droppable(&self) -> bool {
        matches!(
            self,
            ShardEvent::Report(_) | ShardEvent::Live(LiveEvent::Cancel { .. })
        )
    }
}

struct Shared<S, X: SyncTypes> {
    events: X::Queue<ShardEvent<S>>,
    /// Unread events that are droppable.
    droppable: X::Word,
    /// Whether the shard was woken and has not looked yet: the next poster need not wake it.
    is_announced: X::Word,
    waker: Box<dyn Waker>,
}

/// A shard's inbox. Any thread posts; the shard alone takes.
pub struct Inbox<S, X: SyncTypes = StdSync>(Arc<Shared<S, X>>);

impl<S, X: SyncTypes> Clone for Inbox<S, X> {
    fn clone(&self) -> Self {
        Inbox(Arc::clone(&self.0))
    }
}

impl<S, X: SyncTypes> std::fmt::Debug for Inbox<S, X> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

impl<S, X: SyncTypes> Inbox<S, X> {
    /// An empty inbox of the shard that `waker` wakes.
    pub fn new(waker: Box<dyn Waker>) -> Inbox<S, X> {
        Inbox(Arc::new(Shared {
            events: X::Queue::default(),
            droppable: X::Word::new(0),
            is_announced: X::Word::new(0),
            waker,
        }))
    }

    /// Leaves an event for the shard. Never waits. False if the event was dropped, which happens only to kinds that
    /// nothing is lost with, when too many of them are unread.
    pub fn post(&self, event: ShardEvent<S>) -> bool {
        let is_kept = self.push(event);
        if is_kept {
            self.announce();
        }
        is_kept
    }

    /// Leaves several events at the price of at most one wake-up.
    pub fn post_all(&self, events: impl Iterator<Item = ShardEvent<S>>) {
        let kept = events.filter_map(|event| self.push(event).then_some(())).count();
        if kept > 0 {
            self.announce();
        }
    }

    /// The first half of posting.
    pub(super) fn push(&self, event: ShardEvent<S>) -> bool {
        if event.is_droppable() && self.0.droppable.fetch_add(1) >= DROPPABLE_MAX {
            self.0.droppable.fetch_sub(1);
            return false;
        }
        self.0.events.push(event);
        true
    }

    /// The second half of posting. It comes after the push: the shard may look between the two.
    pub(super) fn announce(&self) {
        if self.0.is_announced.swap(1) == 0 {
            self.wake();
        }
    }

    /// Tells posters that whatever they post from now on needs a new wake-up. Comes before the taking: an event posted
    /// in between is either taken or announced again.
    pub fn begin(&self) {
        self.0.is_announced.swap(0);
    }

    /// Takes the oldest event out. The shard calls [`Inbox::begin`] once before a run of these.
    pub fn take(&self) -> Option<ShardEvent<S>> {
        let event = self.0.events.pop()?;
        if event.is_droppable() {
            self.0.droppable.fetch_sub(1);
        }
        Some(event)
    }

    /// Whether there is an event to take.
    pub fn has_events(&self) -> bool {
        !self.0.events.is_empty()
    }

    /// Wakes the shard though there is no event.
    pub fn wake(&self) {
        self.0.waker.wake();
    }
}

impl<S: Send + 'static, X: SyncTypes> Inbox<S, X>
where
    X::Queue<ShardEvent<S>>: Send + Sync,
{
    /// What brings this inbox's shard a connection that another one has accepted.
    pub(super) fn on_handed_over(&self) -> Deliver<S> {
        let inbox = self.clone();
        Box::new(move |newcomer| {
            inbox.post(ShardEvent::Accepted(Box::new(newcomer)));
        })
    }

    /// What tells this inbox's shard that a place for a connection is free.
    pub(super) fn on_place_free(&self) -> Box<dyn Fn() + Send + Sync> {
        let inbox = self.clone();
        Box::new(move || {
            inbox.post(ShardEvent::PlaceFree);
        })
    }
}

impl<S: Send + 'static, X: SyncTypes> ShardInbox for Inbox<S, X>
where
    X::Queue<ShardEvent<S>>: Send + Sync,
{
    fn post(&self, event: LiveEvent) {
        Inbox::post(self, ShardEvent::Live(event));
    }

    fn post_all(&self, events: &mut dyn Iterator<Item = LiveEvent>) {
        Inbox::post_all(self, events.map(ShardEvent::Live));
    }
}

impl<S: Send + 'static, X: SyncTypes> LinkListener for Inbox<S, X>
where
    X::Queue<ShardEvent<S>>: Send + Sync,
{
    fn on_emission(&self, call: u64) {
        self.post(ShardEvent::Spoke(handler_of(call)));
    }
}

impl<S: Send + 'static, X: SyncTypes> PermitListener for Inbox<S, X>
where
    X::Queue<ShardEvent<S>>: Send + Sync,
{
    fn on_permit(&self, granted: Granted) {
        self.post(ShardEvent::ToolPermit(granted));
    }
}

/// A handler as the number that its call's link gives to the listener.
pub(super) fn call_number(handler: HandlerKey) -> u64 {
    u64::from(handler.lease) << 32 | u64::from(handler.index)
}

/// The handler whose call's link gives this number to the listener.
pub(super) fn handler_of(number: u64) -> HandlerKey {
    HandlerKey {
        index: number as u32,
        lease: (number >> 32) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::Id;
    use crate::mcp::SessionToken;
    use std::sync::mpsc;

    struct Signal(mpsc::Sender<()>);

    impl Waker for Signal {
        fn wake(&self) {
            let _ = self.0.send(());
        }
    }

    fn inbox() -> (Inbox<()>, mpsc::Receiver<()>) {
        let (signal, woken) = mpsc::channel();
        (Inbox::new(Box::new(Signal(signal))), woken)
    }

    /// An event that is told from others by its number.
    fn ready(slot: u32) -> LiveEvent {
        LiveEvent::Ready(ConnectionKey { slot, generation: 0 })
    }

    fn number(event: ShardEvent<()>) -> u32 {
        match event {
            ShardEvent::Live(LiveEvent::Ready(key)) => key.slot,
            _ => panic!("another event"),
        }
    }

    fn take_all(inbox: &Inbox<()>) -> Vec<u32> {
        inbox.begin();
        std::iter::from_fn(|| inbox.take()).map(number).collect()
    }

    #[test]
    fn a_burst_wakes_once_and_the_next_burst_again() {
        let (inbox, woken) = inbox();
        (0..5).for_each(|slot| assert!(inbox.post(ShardEvent::Live(ready(slot)))));
        assert_eq!(woken.try_iter().count(), 1);
        assert_eq!(take_all(&inbox), [0, 1, 2, 3, 4]);
        inbox.post_all([5, 6].map(|slot| ShardEvent::Live(ready(slot))).into_iter());
        assert_eq!(woken.try_iter().count(), 1);
        assert_eq!(take_all(&inbox), [5, 6]);
        inbox.post_all(std::iter::empty());
        assert_eq!(woken.try_iter().count(), 0);
    }

    #[test]
    fn whoever_posts_by_another_name_is_taken_in_the_same_order() {
        let (inbox, woken) = inbox();
        ShardInbox::post(&inbox, ready(1));
        inbox.on_emission(2 << 32 | 1);
        ShardInbox::post_all(&inbox, &mut [ready(3)].into_iter());
        assert_eq!(woken.try_iter().count(), 1);
        inbox.begin();
        assert_eq!(inbox.take().map(number), Some(1));
        let handler = HandlerKey { index: 1, lease: 2 };
        assert!(matches!(inbox.take(), Some(ShardEvent::Spoke(key)) if key == handler));
        assert_eq!(inbox.take().map(number), Some(3));
        assert!(!inbox.has_events());
    }

    #[test]
    fn what_may_be_dropped_is_kept_up_to_a_number_and_all_else_whatever_it_is() {
        let (inbox, _woken) = inbox();
        let cancel = |number| {
            let (session, request) = (SessionToken([1; 16]), Id::Signed(number).into());
            ShardEvent::Live(LiveEvent::Cancel { session, request })
        };
        for number in 0..i64::from(DROPPABLE_MAX) {
            assert!(inbox.post(cancel(number)));
        }
        let (to, _from) = mpsc::sync_channel(1);
        assert!(!inbox.post(cancel(0)) && !inbox.post(ShardEvent::Report(to)));
        (0..2 * DROPPABLE_MAX).for_each(|slot| assert!(inbox.post(ShardEvent::Live(ready(slot)))));
        assert!(inbox.post(ShardEvent::Abort));
        inbox.begin();
        let taken = std::iter::from_fn(|| inbox.take()).count();
        assert_eq!(taken, 3 * DROPPABLE_MAX as usize + 1);
        assert!(inbox.post(cancel(0)));
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        let (inbox, woken) = inbox();
        let posters: Vec<_> = (0..4_u32)
            .map(|poster| {
                let inbox = inbox.clone();
                let post = move |n: u32| assert!(inbox.post(ShardEvent::Live(ready(poster * 1000 + n))));
                std::thread::spawn(move || (0..1000_u32).for_each(post))
            })
            .collect();
        let mut seen = Vec::new();
        while seen.len() < 4000 {
            woken.recv().unwrap();
            seen.extend(take_all(&inbox));
        }
        posters.into_iter().for_each(|poster| poster.join().unwrap());
        for poster in 0..4_u32 {
            let own = seen.iter().filter(|number| **number / 1000 == poster);
            assert!(own.is_sorted(), "poster {poster}");
        }
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..4000));
    }
}
