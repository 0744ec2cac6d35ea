//! How shards see each other: published lines, permits, and mail.
//!
//! The one structure all shards share besides the connection cap. A shard reads it only when somebody waits,
//! and writes its own line when a handler is taken or given back. The rules of who takes what are `pool`'s;
//! this is where they meet the inboxes.
//!
//! A permit that falls free goes to whoever has waited longest anywhere, as far as the hop allows: a shard hands it to
//! another whose oldest waiter is older than its own by more than a hop and an eighth of the age. The eighth is what
//! keeps shards that are about as far behind from exchanging clients.
//!
//! Invariant, which `models` checks: with all events handled, no permit above the reserve is free while another shard
//! is in the waiting set.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::config::QueueOptions;
use crate::pool::{Credit, Handover, PublishedLine, WaitingSet, choose_target, choose_waiter};
use crate::units::ShardId;

use super::super::inbox::{Inbox, ShardEvent};
use super::super::sync::{StdSync, SyncTypes};

/// A waiter younger than this is not worth a hop: waking the other shard takes most of it. Measured; see
/// `tuning.md`.
pub(super) const MOVE_AGE_MIN: Duration = Duration::from_micros(200);

/// A shard hands a permit over only to one whose oldest waiter is older than its own by this part of the own one's age.
const AGE_DIVISOR: u64 = 8;

/// Permits of a shard that may lie at one other at a time. All of them are left for the same waiter, whose age was
/// published: those that follow go to younger ones, and too many clients would move at once and back later.
const LEFT_MAX: u32 = 2;

/// The published age of a shard that did not look when a permit was left for it. It publishes a true one as soon as it
/// looks.
const NOT_LOOKING: u64 = u64::MAX;

/// What all shards of a server share about each other.
pub struct Mesh<S, X: SyncTypes = StdSync> {
    members: Box<[Member<S, X>]>,
    waiting: WaitingSet<X::Word>,
    /// Handlers of each shard.
    handlers: u32,
    epoch: Instant,
}

struct Member<S, X: SyncTypes> {
    line: PublishedLine<X::Word>,
    /// The permits that each shard has left for this one.
    left: Box<[Handover<X::Word>]>,
    inbox: OnceLock<Inbox<S, X>>,
}

impl<S, X: SyncTypes> Mesh<S, X> {
    /// A mesh of `shards` shards of `handlers` handlers each. Nobody steals from or to a shard before it has
    /// joined. `epoch` is any time before the first shard starts.
    pub fn new(shards: usize, handlers: u32, epoch: Instant) -> Arc<Mesh<S, X>> {
        let member = |_| Member {
            line: PublishedLine::new(handlers),
            left: (0..shards).map(|_| Handover::default()).collect(),
            inbox: OnceLock::new(),
        };
        Arc::new(Mesh {
            members: (0..shards).map(member).collect(),
            waiting: WaitingSet::new(shards),
            handlers,
            epoch,
        })
    }
}

impl<S, X: SyncTypes> std::fmt::Debug for Mesh<S, X> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mesh")
            .field("shards", &self.members.len())
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

/// One shard's view of the mesh.
pub(in crate::shard) struct Peers<S, X: SyncTypes = StdSync> {
    mesh: Arc<Mesh<S, X>>,
    own: usize,
    /// Shards serve each other's waiters.
    is_stealing: bool,
    /// Handlers of a shard that clients of other shards may not take.
    reserve: u32,
    /// Permits of a shard that may lie at another at a time: no more than half of its handlers, so that it goes on
    /// serving its own clients while the other does not look, and none of the reserve.
    left_max: u32,
    rotation: usize,
    /// This shard is in the waiting set.
    is_waiting: bool,
    /// The shards where a permit of this one lay at the last tick.
    had_permit: Box<[bool]>,
}

impl<S, X: SyncTypes> Peers<S, X> {
    /// Makes a shard a member of the mesh; from now on others may take its permits.
    pub(in crate::shard) fn join(
        mesh: Arc<Mesh<S, X>>,
        own: ShardId,
        inbox: Inbox<S, X>,
        queue: &QueueOptions,
    ) -> Self {
        let reserve = queue.reserve();
        let peers = Peers {
            own: usize::from(own.0),
            left_max: LEFT_MAX
                .min(mesh.handlers.div_ceil(2))
                .min(mesh.handlers.saturating_sub(reserve)),
            had_permit: vec![false; mesh.members.len()].into(),
            rotation: usize::from(own.0) + 1,
            mesh,
            is_stealing: queue.steal,
            reserve,
            is_waiting: false,
        };
        let member = peers.member();
        // Each shard joins once, under its own number.
        let _ = member.inbox.set(inbox);
        if queue.steal {
            member.line.credit.open();
            peers.announce_slack(peers.own);
        }
        peers
    }

    fn member(&self) -> &Member<S, X> {
        &self.mesh.members[self.own]
    }

    /// Permits for this shard's handlers.
    pub(in crate::shard) fn credit(&self) -> &Credit<X::Word> {
        &self.member().line.credit
    }

    /// Nobody gets a permit any more, nor leaves one here; whether none of this shard's is out, so that nothing is on
    /// its way here for which one was taken, and none of another's is here.
    pub(in crate::shard) fn retire(&self, handlers: u32) -> bool {
        self.credit().close();
        // All of them are closed, whatever the first says.
        let holding = self.member().left.iter().filter(|left| !left.close()).count();
        holding == 0 && self.credit().free() == handlers
    }

    /// Whether there is anybody to send a waiter to, ever.
    pub(in crate::shard) fn can_steal(&self) -> bool {
        self.is_stealing && self.mesh.members.len() > 1
    }

    /// A permit of this shard is free for anybody; who waits elsewhere is told.
    pub(in crate::shard) fn give_back(&self) {
        self.give_back_to(self.own);
    }

    /// Gives a permit of `shard` back.
    pub(in crate::shard) fn give_back_to(&self, shard: usize) {
        self.mesh.members[shard].line.credit.give_back();
        if shard != self.own {
            // Its own clients may have begun to wait while the permit was out.
            self.tell(shard);
        }
        self.announce_slack(shard);
    }

    /// Who waits longest gets a permit of `shard` that is free, before anybody who comes only now.
    fn announce_slack(&self, shard: usize) {
        let credit = &self.mesh.members[shard].line.credit;
        // The permit was written before this is read; who waits does it the other way about.
        if self.mesh.waiting.is_empty() || credit.slack(self.reserve) == 0 {
            return;
        }
        let Some(waiter) = self.longest_waiting(shard) else {
            return;
        };
        if self.oldest_since(waiter) != NOT_LOOKING
            && credit.try_take(self.reserve)
            && !self.leave(shard, waiter)
        {
            credit.give_back();
        }
        self.tell(waiter);
    }

    fn tell_of_slack(&self, shard: usize) {
        if let Some(waiter) = self.longest_waiting(shard) {
            self.tell(waiter);
        }
    }

    /// The shard whose oldest waiter has waited longest, other than `shard`.
    fn longest_waiting(&self, shard: usize) -> Option<usize> {
        let waiting = self.mesh.waiting.iter().filter(|&waiter| waiter != shard);
        choose_waiter(waiting, |shard| self.oldest_since(shard))
    }

    fn oldest_since(&self, shard: usize) -> u64 {
        self.mesh.members[shard].line.oldest_since()
    }

    /// Leaves a permit of `giver`, which was taken, for another shard; false if that has enough of them.
    fn leave(&self, giver: usize, receiver: usize) -> bool {
        self.mesh.members[receiver].left[giver].leave(self.left_max)
    }

    /// Hands over a permit of this shard that fell free while its own clients wait, the oldest since `own_since`, if
    /// another shard's oldest is older by so much that it is worth the hop. False if the permit stays here.
    pub(in crate::shard) fn hand_over(&self, own_since: Instant, now: Instant) -> bool {
        if !self.can_steal() || self.mesh.waiting.is_empty() || !self.credit().is_open() {
            return false;
        }
        let Some(receiver) = self.longest_waiting(self.own) else {
            return false;
        };
        let own_since = self.nanos(own_since);
        let own_age = self.nanos(now).saturating_sub(own_since);
        let margin = nanos(MOVE_AGE_MIN) + own_age / AGE_DIVISOR;
        let is_older = self.oldest_since(receiver).saturating_add(margin) < own_since;
        let is_left = is_older && self.leave(self.own, receiver);
        if is_left {
            self.tell(receiver);
        }
        is_left
    }

    /// Takes a permit that another shard has left for the oldest waiter here; whose.
    pub(in crate::shard) fn take_left(&self) -> Option<usize> {
        self.member().left.iter().position(Handover::take)
    }

    /// Takes back what other shards have not taken since the last tick; how many permits.
    pub(in crate::shard) fn take_back(&mut self) -> u32 {
        let mut count = 0;
        for (member, had_permit) in self.mesh.members.iter().zip(&mut self.had_permit) {
            let left = &member.left[self.own];
            if std::mem::replace(had_permit, left.has_permit()) {
                while left.take() {
                    count += 1;
                    member.line.publish_oldest(NOT_LOOKING);
                }
            }
        }
        count
    }

    fn nanos(&self, at: Instant) -> u64 {
        nanos(at.saturating_duration_since(self.mesh.epoch))
    }

    fn tell(&self, shard: usize) {
        let member = &self.mesh.members[shard];
        if let Some(inbox) = member.inbox.get()
            && member.line.begin_telling()
        {
            inbox.post(ShardEvent::Slack);
        }
    }

    /// This shard was told of slack and has no use for it, or no more: another shard that waits is told.
    pub(in crate::shard) fn pass_on_slack(&self) {
        if self.is_waiting || self.mesh.waiting.is_empty() {
            return;
        }
        let slack = |member: &Member<S, X>| member.line.credit.slack(self.reserve);
        if let Some(shard) = self.mesh.members.iter().position(|member| slack(member) > 0) {
            self.tell_of_slack(shard);
        }
    }

    /// This shard was told of slack, and is about to look.
    pub(in crate::shard) fn begin_looking(&self) {
        self.member().line.begin_looking();
    }

    /// Somebody has waited here for longer than a hop costs, since `since`. Comes before looking for slack.
    fn start_waiting(&mut self, since: Instant) {
        self.publish_oldest(since);
        if !self.is_waiting {
            self.is_waiting = true;
            self.mesh.waiting.insert(self.own);
        }
    }

    /// Others see how long the oldest here has waited.
    pub(in crate::shard) fn publish_oldest(&self, since: Instant) {
        self.member().line.publish_oldest(self.nanos(since));
    }

    /// Nobody waits here any more.
    pub(in crate::shard) fn stop_waiting(&mut self) {
        if self.is_waiting {
            self.is_waiting = false;
            self.mesh.waiting.remove(self.own);
        }
    }

    /// Whether others know that somebody waits here, and say so when they have slack.
    pub(in crate::shard) fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// A permit for the waiter that is to move next, which waits since `ripe_since`; returns whose. With none that
    /// is old enough this shard leaves the waiting set: in it, it would be told of slack in others' stead.
    pub(in crate::shard) fn seek(&mut self, ripe_since: Option<Instant>) -> Option<usize> {
        match ripe_since {
            Some(since) => {
                self.start_waiting(since);
                self.take_permit()
            }
            None => {
                self.stop_waiting();
                None
            }
        }
    }

    /// A permit for a request that could not even wait here; returns whose.
    pub(in crate::shard) fn take_any_permit(&mut self) -> Option<usize> {
        self.can_steal().then(|| self.take_permit())?
    }

    /// Takes a permit of a shard with slack; returns which.
    fn take_permit(&mut self) -> Option<usize> {
        let members = &self.mesh.members;
        let reserve = self.reserve;
        loop {
            self.rotation = (self.rotation + 1) % members.len();
            let slack = |shard: usize| members[shard].line.credit.slack(reserve);
            let target = choose_target(members.len(), self.own, self.rotation, slack)?;
            // Lost to another: then somebody got it, and there is less to look for.
            if members[target].line.credit.try_take(reserve) {
                return Some(target);
            }
        }
    }

    /// Posts an event to another shard.
    pub(in crate::shard) fn post(&self, shard: usize, event: ShardEvent<S>) {
        if let Some(inbox) = self.mesh.members[shard].inbox.get() {
            inbox.post(event);
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
