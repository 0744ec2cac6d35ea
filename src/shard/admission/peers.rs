//! How shards see each other: published lines, permits, and mail.
//!
//! The one structure all shards share besides the connection cap. A shard reads it only when somebody waits,
//! and writes its own line when a handler is taken or given back. The rules of who takes what are `pool`'s;
//! this is where they meet the inboxes.
//!
//! Invariant, which `models` checks: with all events handled, no permit above the reserve is free while another shard
//! is in the waiting set.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::config::QueueOptions;
use crate::pool::{Credit, PublishedLine, WaitingSet, choose_target, choose_waiter};
use crate::units::ShardId;

use super::super::inbox::{Inbox, ShardEvent};
use super::super::sync::{StdSync, SyncTypes};

/// What all shards of a server share about each other.
pub struct Mesh<S, X: SyncTypes = StdSync> {
    members: Box<[Member<S, X>]>,
    waiting: WaitingSet<X::Word>,
    epoch: Instant,
}

struct Member<S, X: SyncTypes> {
    line: PublishedLine<X::Word>,
    inbox: OnceLock<Inbox<S, X>>,
}

impl<S, X: SyncTypes> Mesh<S, X> {
    /// A mesh of `shards` shards of `handlers` handlers each. Nobody steals from or to a shard before it has
    /// joined. `epoch` is any time before the first shard starts.
    pub fn new(shards: usize, handlers: u32, epoch: Instant) -> Arc<Mesh<S, X>> {
        let member = |_| Member {
            line: PublishedLine::new(handlers),
            inbox: OnceLock::new(),
        };
        Arc::new(Mesh {
            members: (0..shards).map(member).collect(),
            waiting: WaitingSet::new(shards),
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
    rotation: usize,
    /// This shard is in the waiting set.
    is_waiting: bool,
}

impl<S, X: SyncTypes> Peers<S, X> {
    /// Makes a shard a member of the mesh; from now on others may take its permits.
    pub(in crate::shard) fn join(
        mesh: Arc<Mesh<S, X>>,
        own: ShardId,
        inbox: Inbox<S, X>,
        queue: &QueueOptions,
    ) -> Self {
        let peers = Peers {
            own: usize::from(own.0),
            rotation: usize::from(own.0) + 1,
            mesh,
            is_stealing: queue.steal,
            reserve: queue.reserve(),
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

    /// Nobody gets a permit any more; whether none of this shard's is out, so that nothing is on its way here
    /// for which one was taken.
    pub(in crate::shard) fn retire(&self, handlers: u32) -> bool {
        self.credit().close();
        self.credit().free() == handlers
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

    fn announce_slack(&self, shard: usize) {
        let credit = &self.mesh.members[shard].line.credit;
        // The permit was written before this is read; who waits does it the other way about.
        if !self.mesh.waiting.is_empty() && credit.slack(self.reserve) > 0 {
            self.tell_of_slack(shard);
        }
    }

    fn tell_of_slack(&self, shard: usize) {
        let waiting = self.mesh.waiting.iter().filter(|&waiter| waiter != shard);
        let members = &self.mesh.members;
        if let Some(waiter) = choose_waiter(waiting, |shard| members[shard].line.oldest_since()) {
            self.tell(waiter);
        }
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
        let nanos = since.saturating_duration_since(self.mesh.epoch).as_nanos();
        self.member()
            .line
            .publish_oldest(u64::try_from(nanos).unwrap_or(u64::MAX));
        if !self.is_waiting {
            self.is_waiting = true;
            self.mesh.waiting.insert(self.own);
        }
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
