//! A shard, as far as others can tell: it asks for handlers, waits, moves waiters, and gives permits back, in the
//! order in which `admission` does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::LoomSync;
use crate::config::QueueOptions;
use crate::shard::admission::Peers;
use crate::shard::sync::SyncTypes;
use crate::shard::{Inbox, Mesh, Moved, ShardEvent, Waker};
use crate::units::ShardId;

/// Rounds of events after which all must have been handled.
const ROUNDS_MAX: u32 = 20;

struct Silent;

impl Waker for Silent {
    fn wake(&self) {}
}

/// The shards of one mesh, all with as many handlers.
pub(super) fn shards<X: SyncTypes>(count: u16, handlers: u32, reserve: u32) -> Vec<ModelShard<X>> {
    let epoch = Instant::now();
    let mesh = Mesh::new(usize::from(count), handlers, epoch);
    let queue = QueueOptions {
        steal: true,
        steal_reserve: Some(reserve),
        ..QueueOptions::default()
    };
    let shard = |number: u16| {
        let inbox = Inbox::new(Box::new(Silent));
        ModelShard {
            peers: Peers::join(Arc::clone(&mesh), ShardId(number), inbox.clone(), &queue),
            inbox,
            number: usize::from(number),
            handlers,
            reserve,
            busy: 0,
            ripe: 0,
            young: 0,
            moving: Vec::new(),
            is_leaving: false,
            has_ended: false,
            lost: 0,
            since: epoch + Duration::from_secs(u64::from(number)),
        }
    };
    (0..count).map(shard).collect()
}

pub(super) struct ModelShard<X: SyncTypes = LoomSync> {
    pub peers: Peers<(), X>,
    pub inbox: Inbox<(), X>,
    number: usize,
    handlers: u32,
    reserve: u32,
    /// Handlers in use.
    pub busy: u32,
    /// Waiters that are old enough to move.
    pub ripe: u32,
    /// Waiters that are not.
    pub young: u32,
    /// The shards whose permits are held for waiters about to move.
    moving: Vec<usize>,
    /// Waiters that are about to move hang up instead.
    pub is_leaving: bool,
    /// It is gone, and looks at no events any more.
    pub has_ended: bool,
    /// Waiters that came after that.
    pub lost: u32,
    since: Instant,
}

impl<X: SyncTypes> ModelShard<X> {
    /// A request arrives; if it has to wait it has waited long enough at once.
    pub(super) fn ask(&mut self) {
        if self.waiters() == 0 && self.peers.credit().try_take_own() {
            self.busy += 1;
        } else {
            self.ripe += 1;
            if !self.peers.is_waiting() {
                self.offer();
            }
        }
    }

    /// A handler falls free.
    pub(super) fn finish(&mut self) {
        self.busy -= 1;
        self.release();
    }

    fn waiters(&self) -> u32 {
        self.ripe + self.young
    }

    fn release(&mut self) {
        if self.waiters() == 0 {
            return self.peers.give_back();
        }
        if self.peers.hand_over(self.since, self.since) {
            return;
        }
        self.busy += 1;
        self.leave();
    }

    /// A tick: permits that others have not taken since the last one come back.
    pub(super) fn tick(&mut self) {
        for _ in 0..self.peers.take_back() {
            self.release();
        }
    }

    /// Takes the permits that were left for waiters here.
    fn take_left(&mut self) {
        while let Some(giver) = self.peers.take_left() {
            assert!(!self.has_ended, "a permit was left after the end");
            if self.ripe > 0 {
                self.send_to(giver);
            } else {
                self.peers.stop_waiting();
                self.peers.give_back_to(giver);
            }
        }
    }

    /// Serves waiters with permits that fell free elsewhere.
    fn claim(&mut self) {
        while self.waiters() > 0 && self.peers.credit().try_take_own() {
            self.busy += 1;
            self.leave();
        }
    }

    /// The oldest waiter leaves the queue, served or not.
    pub(super) fn leave(&mut self) {
        if self.ripe > 0 {
            self.ripe -= 1;
        } else {
            self.young -= 1;
        }
        if self.waiters() == 0 {
            self.peers.stop_waiting();
        }
    }

    /// Moves waiters to where there is slack.
    pub(super) fn offer(&mut self) {
        while let Some(target) = self.peers.seek((self.ripe > 0).then_some(self.since)) {
            self.send_to(target);
        }
    }

    fn send_to(&mut self, target: usize) {
        self.leave();
        self.moving.push(target);
        if !self.is_leaving {
            self.complete_moves();
        }
    }

    fn complete_moves(&mut self) {
        for target in self.moving.drain(..) {
            let moved = Moved::bare((), self.since);
            self.peers.post(target, ShardEvent::Stolen(Box::new(moved)));
        }
    }

    /// The client of a waiter that was about to move hangs up.
    pub(super) fn abort_moves(&mut self) {
        for target in self.moving.drain(..) {
            self.peers.give_back_to(target);
        }
    }

    /// Handles what events there are; how many.
    pub(super) fn handle_events(&mut self) -> u32 {
        self.inbox.begin();
        let mut count = 0;
        while let Some(event) = self.inbox.take() {
            count += 1;
            match event {
                ShardEvent::Stolen(_) if self.has_ended => self.lost += 1,
                ShardEvent::Stolen(_) => self.busy += 1,
                ShardEvent::Slack => {
                    self.peers.begin_looking();
                    self.claim();
                    self.take_left();
                    self.offer();
                    self.peers.pass_on_slack();
                }
                _ => unreachable!("no such event here"),
            }
        }
        count
    }

    /// Whether it could end now: nobody here, and nobody on the way.
    pub(super) fn is_finished(&self) -> bool {
        self.busy + self.waiters() == 0 && self.peers.retire(self.handlers)
    }

    pub(super) fn free(&self) -> u32 {
        self.peers.credit().free()
    }

    fn has_slack(&self) -> bool {
        self.peers.credit().slack(self.reserve) > 0
    }
}

/// Handles all events, and those which come of them.
pub(super) fn settle<X: SyncTypes>(shards: &mut [ModelShard<X>]) {
    for _ in 0..ROUNDS_MAX {
        let handled: u32 = shards.iter_mut().map(ModelShard::handle_events).sum();
        if handled == 0 {
            return;
        }
    }
    panic!("events without end");
}

/// All young waiters are old enough now.
pub(super) fn ripen<X: SyncTypes>(shards: &mut [ModelShard<X>]) {
    for shard in shards.iter_mut() {
        shard.ripe += std::mem::take(&mut shard.young);
        shard.offer();
    }
    settle(shards);
}

/// With all events handled: every permit is free or in use, and nobody waits who could be served.
pub(super) fn assert_balanced<X: SyncTypes>(shards: &[ModelShard<X>]) {
    for shard in shards {
        let number = shard.number;
        assert_eq!(
            shard.free() + shard.busy,
            shard.handlers,
            "the permits of {number}"
        );
        if shard.waiters() > 0 {
            assert_eq!(shard.free(), 0, "{number} waits for itself");
        }
        if shard.ripe > 0 {
            let slack = shards
                .iter()
                .find(|other| other.number != number && other.has_slack());
            assert!(
                slack.is_none(),
                "{number} waits, and {} has slack",
                slack.unwrap().number
            );
        }
    }
}

/// Runs each shard's part in a thread of its own; all events are handled at the end.
pub(super) fn at_once(shards: Vec<ModelShard>, parts: Vec<fn(&mut ModelShard)>) -> Vec<ModelShard> {
    assert_eq!(shards.len(), parts.len(), "a part for each shard");
    let threads: Vec<_> = shards
        .into_iter()
        .zip(parts)
        .map(|(mut shard, part)| {
            loom::thread::spawn(move || {
                part(&mut shard);
                shard
            })
        })
        .collect();
    let mut shards: Vec<ModelShard> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    settle(&mut shards);
    shards
}
