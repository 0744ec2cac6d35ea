//! The decision whether a request runs, waits, moves to another shard or is refused.
//!
//! A request that asks for a handler gets a *permit* if one is free, and waits in a bounded queue otherwise. A permit
//! that falls free goes to a call that comes back from waiting for its client, then to the oldest waiter of any shard,
//! as far as the hop allows, then to anybody. Waiters that are old enough are offered to shards with slack.
//!
//! Admission decides and keeps the order; it knows no socket and no byte. Connections are keys to it, and the shard
//! carries out what it returns ([`Decision`], [`Next`], [`Move`]).
//!
//! Invariant: a handler that falls free while somebody waits is the oldest waiter's, here or on the shard that it was
//! handed to; a permit that another shard gives back meanwhile is claimed for the oldest here.
//!
//! | file | its part |
//! |---|---|
//! | `waiter` | an entry of the wait queue |
//! | `limited`, `tool_permits` | calls of tools that may run only so many at once, and their permits |
//! | `offers` | when the next offer to other shards is due |
//! | `peers` | what shards know of each other, and the permits they take |

mod limited;
mod offers;
mod peers;
mod tool_permits;
mod waiter;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::jsonrpc::RequestId;
use crate::mcp::{Overload, OverloadReason, SessionToken};
use crate::pool::{DrainRate, HandlerKey, PermitListener, WaitKey, WaitQueue};
use crate::ring::ConnectionKey;

use super::inbox::ShardEvent;
use offers::OfferTimer;
use peers::MOVE_AGE_MIN;
pub use peers::Mesh;
pub(super) use peers::Peers;
use tool_permits::ToolPermits;
use waiter::Limited;
pub(super) use waiter::Waiter;

/// How a request comes to ask for a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// It has just arrived.
    New,
    /// It has waited, and a permit is in hand for it.
    Granted,
    /// It has waited in vain.
    Refused(OverloadReason),
    /// Its client wants no answer any more.
    Cancelled,
}

/// What becomes of a request that asks for a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// It runs: a permit is in hand.
    Run,
    /// It may wait: no handler is free.
    Wait,
    /// It is refused.
    Refuse(OverloadReason),
    /// It gets no answer, because its client cancelled it.
    Cancel,
}

/// The one that a permit is for, which is then in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// A call that gave up this handler while it waited for its client.
    Returning(HandlerKey),
    /// The oldest waiter.
    Waiter(WaitKey, ConnectionKey),
}

/// A waiter that is to move to another shard, whose permit was taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Move {
    pub wait: WaitKey,
    pub connection: ConnectionKey,
    pub target: usize,
}

/// A request that has joined the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Queued {
    pub wait: WaitKey,
    /// The queue is full, so the oldest waiter moves to this shard at once.
    pub target: Option<usize>,
}

/// The admission of one shard, whose sockets are `S`.
pub(super) struct Admission<S> {
    /// Requests that wait for a handler, oldest first.
    queue: WaitQueue<Waiter>,
    queue_depth_max: usize,
    /// Calls that gave their handler up while they waited for their client, and want one again, oldest first.
    returning: VecDeque<HandlerKey>,
    peers: Peers<S>,
    /// Permits that fell free while somebody waited.
    grants: u32,
    /// A permit was taken for the request that is being decoded.
    has_permit_in_hand: bool,
    tool_permits: ToolPermits,
    offers: OfferTimer,
    drain_rate: DrainRate,
}

impl<S> Admission<S> {
    /// Permits of limited tools come to `listener`.
    pub(super) fn new(
        peers: Peers<S>,
        handlers: u32,
        queue_depth_max: u32,
        listener: Arc<dyn PermitListener>,
    ) -> Self {
        Admission {
            // One place more, for a request that goes straight on to another shard.
            queue: WaitQueue::new(queue_depth_max.saturating_add(1)),
            queue_depth_max: queue_depth_max as usize,
            returning: VecDeque::new(),
            peers,
            grants: 0,
            has_permit_in_hand: false,
            tool_permits: ToolPermits::new(listener),
            offers: OfferTimer::default(),
            drain_rate: DrainRate::new(handlers),
        }
    }

    // Requests.

    /// What becomes of a request; `holds_permit` if its connection has a handler that nobody else may take.
    pub(super) fn decide(&mut self, claim: Claim, holds_permit: bool) -> Decision {
        match claim {
            Claim::Granted => Decision::Run,
            Claim::Refused(reason) => Decision::Refuse(reason),
            Claim::Cancelled => Decision::Cancel,
            Claim::New if holds_permit => Decision::Run,
            Claim::New if self.try_take_permit() => {
                self.has_permit_in_hand = true;
                Decision::Run
            }
            Claim::New => Decision::Wait,
        }
    }

    /// Puts a request behind all that wait, with the permit of its tool that is in hand.
    ///
    /// # Errors
    /// Why it cannot wait.
    pub(super) fn enqueue(&mut self, mut waiter: Waiter) -> Result<Queued, OverloadReason> {
        if let Some(permit) = self.tool_permits.take() {
            waiter.limited = Limited::Passed(permit);
        }
        let target = if !self.is_queue_full() {
            None
        } else {
            // The oldest goes at once to where a handler is free, whatever its age, or this one itself.
            Some(self.peers.take_any_permit().ok_or(OverloadReason::Handlers)?)
        };
        match self.queue.push(waiter) {
            Ok(wait) => Ok(Queued { wait, target }),
            Err(_) => {
                target
                    .into_iter()
                    .for_each(|shard| self.peers.give_back_to(shard));
                Err(OverloadReason::Handlers)
            }
        }
    }

    /// Whether as many wait as may, for whatever.
    fn is_queue_full(&self) -> bool {
        self.queue.len() + self.queue.aside() >= self.queue_depth_max
    }

    /// Notes by what the client of a waiting request can cancel it.
    pub(super) fn note_request(&mut self, wait: WaitKey, conversation: SessionToken, id: RequestId) {
        if let Some(waiter) = self.queue.get_mut(wait) {
            waiter.request = Some(Box::new((conversation, id)));
        }
    }

    /// The waiting request that is known by `conversation` and `id`.
    pub(super) fn find(
        &self,
        conversation: SessionToken,
        id: &RequestId,
    ) -> Option<(WaitKey, ConnectionKey)> {
        let mut waiters = self.queue.all();
        let (wait, waiter) = waiters.find(|(_, waiter)| waiter.is_request(conversation, id))?;
        Some((wait, waiter.connection))
    }

    /// A request that waits.
    pub(super) fn waiter(&self, wait: WaitKey) -> Option<&Waiter> {
        self.queue.get(wait)
    }

    /// All requests that wait, for whatever.
    pub(super) fn waiters(&self) -> impl Iterator<Item = &Waiter> {
        self.queue.all().map(|(_, waiter)| waiter)
    }

    /// Whether any request waits for a handler.
    pub(super) fn has_waiters(&self) -> bool {
        !self.queue.is_empty()
    }

    /// How long the oldest waiter has waited; zero when nobody waits.
    pub(super) fn oldest_wait(&self, now: Instant) -> Duration {
        let oldest = self.queue.front();
        oldest.map_or(Duration::ZERO, |(_, waiter)| waiter.waited(now))
    }

    /// Takes a waiter out of the queue, wherever it stands.
    pub(super) fn leave(&mut self, wait: WaitKey) -> Option<Waiter> {
        let waiter = self.queue.remove(wait)?;
        if self.peers.is_waiting() {
            match self.oldest() {
                Some((_, _, since)) => self.peers.publish_oldest(since),
                None => self.peers.stop_waiting(),
            }
        }
        Some(waiter)
    }

    /// What a refused request is told.
    pub(super) fn overload(&mut self, reason: OverloadReason, now: Instant) -> Overload {
        let queue_depth = self.queue.len();
        let retry_after = match reason {
            // Not what the queue drains: a moment may do.
            OverloadReason::Memory | OverloadReason::Tasks => DrainRate::RETRY_AFTER_MIN,
            // The next call waits for the workers as long as those that have handlers do now.
            OverloadReason::Workers => self.drain_rate.retry_after_workers(),
            _ => self.drain_rate.retry_after(queue_depth, now),
        };
        Overload {
            reason,
            retry_after,
            queue_depth,
        }
    }

    // Permits.

    /// Whether a handler is free.
    pub(super) fn has_free_handler(&self) -> bool {
        self.peers.credit().free() > 0
    }

    /// Takes a permit that nobody waits for.
    pub(super) fn try_take_permit(&mut self) -> bool {
        self.queue.is_empty() && self.peers.credit().try_take_own()
    }

    /// The one that the oldest permit that fell free is for. It is in hand then, and what is not used of it goes back
    /// by [`Admission::return_permit`].
    #[inline]
    pub(super) fn next(&mut self) -> Option<Next> {
        // After most completions there is none.
        if self.grants == 0 {
            return None;
        }
        self.next_granted()
    }

    fn next_granted(&mut self) -> Option<Next> {
        while self.grants > 0 {
            self.grants -= 1;
            // Calls that have begun go before requests that have not.
            let next = match self.returning.pop_front() {
                Some(handler) => Some(Next::Returning(handler)),
                None => self
                    .queue
                    .front()
                    .map(|(wait, waiter)| Next::Waiter(wait, waiter.connection)),
            };
            if next.is_some() {
                self.has_permit_in_hand = true;
                return next;
            }
            self.peers.give_back();
        }
        None
    }

    /// A call that gave up `handler` wants one again.
    pub(super) fn want_back(&mut self, handler: HandlerKey) {
        self.returning.push_back(handler);
        if self.peers.credit().try_take_own() {
            self.grants += 1;
        }
    }

    /// A request has come whose permit was taken by the shard it comes from.
    pub(super) fn receive_permit(&mut self) {
        self.has_permit_in_hand = true;
    }

    /// A permit that was in hand and not used goes on to whoever is next; so does that of a tool.
    pub(super) fn return_permit(&mut self, now: Instant) {
        drop(self.tool_permits.take());
        if std::mem::take(&mut self.has_permit_in_hand) {
            self.release_permit(now);
        }
    }

    /// A permit is free: the oldest waiter's, here or elsewhere, or anybody's.
    pub(super) fn release_permit(&mut self, now: Instant) {
        if (self.grants as usize) >= self.permits_wanted() {
            self.peers.give_back();
        } else if !self.hand_over(now) {
            self.grants += 1;
        }
    }

    /// Leaves a permit for another shard's waiter if that is older than all here. Calls that have begun come first.
    fn hand_over(&self, now: Instant) -> bool {
        let oldest = self.queue.front().filter(|_| self.returning.is_empty());
        oldest.is_some_and(|(_, waiter)| self.peers.hand_over(waiter.since, now))
    }

    fn permits_wanted(&self) -> usize {
        self.queue.len() + self.returning.len()
    }

    /// The permit in hand was used, or one that the connection held: this handler works.
    pub(super) fn on_began(&mut self, handler: HandlerKey, now: Instant) {
        self.has_permit_in_hand = false;
        self.drain_rate.on_began(handler.index, now);
    }

    /// A handler's call has run to its end, which tells how long calls take.
    pub(super) fn on_ended(&mut self, handler: HandlerKey, now: Instant) {
        self.drain_rate.on_ended(handler.index, now);
    }

    /// A handler is free whose call was refused before it began, or waits for its client.
    pub(super) fn on_given_back(&mut self, handler: HandlerKey) {
        self.drain_rate.on_given_back(handler.index);
    }

    // Other shards.

    /// Whether a request that has just joined the queue is to be offered at once. If other shards know that requests
    /// wait here, they tell when they have slack.
    pub(super) fn is_offer_due(&self) -> bool {
        self.peers.can_steal() && !self.peers.is_waiting()
    }

    /// A shard has slack: permits of this shard that fell free elsewhere are its own waiters' first. The offers come
    /// next, then [`Admission::pass_on_slack`].
    pub(super) fn begin_looking(&mut self) {
        self.peers.begin_looking();
        while (self.grants as usize) < self.permits_wanted() && self.peers.credit().try_take_own() {
            self.grants += 1;
        }
    }

    /// The move of the oldest waiter to a shard that left a permit for it. The permit goes back if nobody here is old
    /// enough to move.
    pub(super) fn next_left(&mut self, now: Instant) -> Option<Move> {
        while let Some(target) = self.peers.take_left() {
            if let Some((wait, connection, _)) = self.oldest_ripe(now) {
                return Some(Move {
                    wait,
                    connection,
                    target,
                });
            }
            // First, so that it does not come back here.
            self.peers.stop_waiting();
            self.peers.give_back_to(target);
        }
        None
    }

    /// Permits that were left for shards which do not look are free again.
    pub(super) fn take_back(&mut self, now: Instant) {
        for _ in 0..self.peers.take_back() {
            self.release_permit(now);
        }
    }

    /// What is left of the slack is for other shards' waiters.
    pub(super) fn pass_on_slack(&self) {
        self.peers.pass_on_slack();
    }

    /// The next waiter that moves: the oldest, once it is old enough and a shard has slack.
    pub(super) fn next_move(&mut self, now: Instant) -> Option<Move> {
        if !self.peers.can_steal() {
            return None;
        }
        let ripe = self.oldest_ripe(now);
        let target = self.peers.seek(ripe.map(|(_, _, since)| since))?;
        let (wait, connection, _) = ripe?;
        Some(Move {
            wait,
            connection,
            target,
        })
    }

    /// The move of the oldest waiter, whatever its age. The permit goes back if there is none.
    pub(super) fn move_oldest(&mut self, target: usize) -> Option<Move> {
        let Some((wait, connection, _)) = self.oldest() else {
            self.peers.give_back_to(target);
            return None;
        };
        Some(Move {
            wait,
            connection,
            target,
        })
    }

    /// The oldest waiter.
    fn oldest(&self) -> Option<(WaitKey, ConnectionKey, Instant)> {
        let (wait, waiter) = self.queue.front()?;
        Some((wait, waiter.connection, waiter.since))
    }

    /// The same, if it is old enough to move; if it is not, the next offer is for when it will be.
    fn oldest_ripe(&mut self, now: Instant) -> Option<(WaitKey, ConnectionKey, Instant)> {
        let (wait, connection, since) = self.oldest()?;
        let ripe_at = since + MOVE_AGE_MIN;
        if now < ripe_at {
            self.offers.set(ripe_at);
            return None;
        }
        Some((wait, connection, since))
    }

    /// When waiters are next to be offered, if that is sooner than something else comes.
    pub(super) fn next_offer(&mut self) -> Option<Instant> {
        self.offers.next()
    }

    /// Whether that has come nearer since it was asked.
    pub(super) fn has_offer_news(&self) -> bool {
        self.offers.has_news()
    }

    /// Whether it is time to offer waiters.
    pub(super) fn take_offer_due(&mut self, now: Instant) -> bool {
        self.offers.take_due(now)
    }

    /// A waiter that was to move to `shard` has left: its permit goes back.
    pub(super) fn give_back_to(&self, shard: usize) {
        self.peers.give_back_to(shard);
    }

    /// Posts an event to another shard.
    pub(super) fn post(&self, shard: usize, event: ShardEvent<S>) {
        self.peers.post(shard, event);
    }

    /// Gives no permit to other shards any more; whether none of this shard's is out, so that nothing is on its way
    /// here for which one was taken, and no permit of a tool.
    pub(super) fn retire(&self, handlers: u32) -> bool {
        self.peers.retire(handlers) && self.tool_permits.awaits_none()
    }

    /// Panics unless nobody waits and all `handlers` permits are free.
    #[cfg(test)]
    pub(super) fn assert_at_rest(&self, handlers: u32) {
        assert_eq!(self.peers.credit().free(), handlers, "permits");
        assert_eq!(
            (self.grants, self.has_permit_in_hand),
            (0, false),
            "permits in hand"
        );
        assert_eq!((self.queue.len(), self.queue.aside()), (0, 0), "waiters");
        assert!(self.tool_permits.is_empty(), "permits of tools");
        assert!(!self.peers.is_waiting(), "word of waiters");
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Inbox, Waker};
    use super::*;
    use crate::config::QueueOptions;
    use crate::jsonrpc::Id;
    use crate::units::ShardId;

    struct Silent;

    impl Waker for Silent {
        fn wake(&self) {}
    }

    fn admission(handlers: u32, queue_depth_max: u32, now: Instant) -> Admission<()> {
        let inbox = Inbox::new(Box::new(Silent));
        let queue = QueueOptions {
            steal: true,
            steal_reserve: Some(0),
            ..QueueOptions::default()
        };
        let listener = Arc::new(inbox.clone());
        let peers = Peers::join(Mesh::new(1, handlers, now), ShardId(0), inbox, &queue);
        Admission::new(peers, handlers, queue_depth_max, listener)
    }

    fn key(slot: u32) -> ConnectionKey {
        ConnectionKey { slot, generation: 0 }
    }

    fn waiter(slot: u32, since: Instant) -> Waiter {
        Waiter::new(key(slot), since, Duration::from_secs(1))
    }

    #[test]
    fn a_request_runs_waits_or_is_refused() {
        let now = Instant::now();
        let mut admission = admission(1, 1, now);
        assert_eq!(admission.decide(Claim::New, false), Decision::Run);
        admission.on_began(HandlerKey { index: 0, lease: 0 }, now);
        assert_eq!(admission.decide(Claim::New, false), Decision::Wait);
        let queued = admission.enqueue(waiter(1, now)).unwrap();
        assert_eq!(queued.target, None);
        assert_eq!(
            admission.enqueue(waiter(2, now)),
            Err(OverloadReason::Handlers),
            "the queue is full, and there is no other shard"
        );
        assert_eq!(admission.overload(OverloadReason::Handlers, now).queue_depth, 1);
        admission.release_permit(now);
        assert_eq!(admission.next(), Some(Next::Waiter(queued.wait, key(1))));
        admission.leave(queued.wait);
        admission.return_permit(now);
        admission.assert_at_rest(1);
    }

    #[test]
    fn a_call_that_has_begun_goes_before_requests_that_wait() {
        let now = Instant::now();
        let mut admission = admission(1, 4, now);
        let handler = HandlerKey { index: 0, lease: 3 };
        assert_eq!(admission.decide(Claim::New, false), Decision::Run);
        admission.on_began(handler, now);
        let queued = admission.enqueue(waiter(1, now)).unwrap();
        admission.want_back(handler);
        assert_eq!(admission.next(), None, "no permit is free");
        admission.release_permit(now);
        assert_eq!(admission.next(), Some(Next::Returning(handler)));
        // The call is over meanwhile: its permit is the waiter's.
        admission.return_permit(now);
        assert_eq!(admission.next(), Some(Next::Waiter(queued.wait, key(1))));
    }

    #[test]
    fn a_waiting_request_is_found_by_its_conversation_and_id() {
        let now = Instant::now();
        let mut admission = admission(0, 4, now);
        let [one, other] = [1, 2].map(|token: u128| SessionToken(token.to_be_bytes()));
        for slot in 0..2 {
            let queued = admission.enqueue(waiter(slot, now)).unwrap();
            admission.note_request(queued.wait, one, RequestId::from(Id::Signed(slot.into())));
        }
        let found = admission
            .find(one, &RequestId::from(Id::Signed(1)))
            .map(|(_, key)| key);
        assert_eq!(found, Some(key(1)));
        assert_eq!(admission.find(other, &RequestId::from(Id::Signed(1))), None);
    }

    #[test]
    fn a_wait_ends_with_its_patience_or_before_the_process() {
        let now = Instant::now();
        let waiter = waiter(1, now);
        let own = now + Duration::from_secs(1);
        let (sooner, later) = (now + Duration::from_millis(1), now + Duration::from_secs(2));
        assert_eq!(waiter.deadline(None), (own, OverloadReason::QueueTimeout));
        assert_eq!(waiter.deadline(Some(later)), (own, OverloadReason::QueueTimeout));
        assert_eq!(waiter.deadline(Some(sooner)), (sooner, OverloadReason::Draining));
    }
}
