//! The caps on connections: on those that the whole process has open, and on those of each address.
//!
//! A place is taken by compare-and-swap before a connection is accepted and given back when its descriptor is
//! closed, so the cap is exact however many shards accept at once. A shard that finds the process full says
//! so, and the shard that frees a place tells one that waits, each in turn. No shard polls for places, and the
//! kernel's backlog holds the clients.
//!
//! ```text
//! try_enter ─ full ─► await_place ─► (another shard leaves, and tells) ─► try_enter …
//! ```
//!
//! Invariants: taken places never exceed the cap; a free place and a waiting shard do not stay together.

use std::num::NonZeroU32;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use crate::pool::Word;

use super::addresses::{AddressPlace, Addresses};
use crate::shard::sync::{StdSync, SyncTypes};

/// The process's one cap, which all shards share.
pub struct ConnectionCap<X: SyncTypes = StdSync>(Arc<Shared<X>>);

impl<X: SyncTypes> Clone for ConnectionCap<X> {
    fn clone(&self) -> Self {
        ConnectionCap(Arc::clone(&self.0))
    }
}

struct Shared<X: SyncTypes> {
    connections_max: u32,
    taken: X::Word,
    /// Shards that wait for a place.
    waiting: X::Word,
    /// Where the next look for a waiting shard begins.
    next: X::Word,
    joined: X::Word,
    members: Box<[Member<X>]>,
    addresses: Option<Addresses>,
}

/// Tells a shard that waits for a place that one is free.
pub(in crate::shard) type OnPlaceFree = Box<dyn Fn() + Send + Sync>;

/// What the cap knows of one shard, on a cache line of its own.
#[repr(align(128))]
struct Member<X: SyncTypes> {
    is_waiting: X::Word,
    on_place_free: OnceLock<OnPlaceFree>,
}

impl<X: SyncTypes> ConnectionCap<X> {
    /// A cap for `connections_max` connections over `shards` shards, and for `per_address_max` of each address,
    /// if that is capped.
    pub fn new(
        connections_max: usize,
        per_address_max: Option<NonZeroU32>,
        shards: usize,
    ) -> ConnectionCap<X> {
        let member = |_| Member {
            is_waiting: X::Word::new(0),
            on_place_free: OnceLock::new(),
        };
        ConnectionCap(Arc::new(Shared {
            connections_max: u32::try_from(connections_max).unwrap_or(u32::MAX),
            taken: X::Word::new(0),
            waiting: X::Word::new(0),
            next: X::Word::new(0),
            joined: X::Word::new(0),
            members: (0..shards).map(member).collect(),
            addresses: per_address_max.map(Addresses::new),
        }))
    }

    /// Places taken now: open connections, and those being accepted at this moment.
    pub fn open(&self) -> usize {
        self.0.taken.load() as usize
    }

    /// Makes a shard a member; `on_place_free` tells it of a free place, once each time it waits.
    ///
    /// # Panics
    /// More shards join than the cap was made for.
    pub(in crate::shard) fn join(&self, on_place_free: OnPlaceFree) -> ShardCap<X> {
        let member = self.0.joined.fetch_add(1) as usize;
        let members = self.0.members.len();
        assert!(
            member < members,
            "a cap for {members} shards is joined by one more"
        );
        // Only this shard has the number.
        let _ = self.0.members[member].on_place_free.set(on_place_free);
        ShardCap {
            process: self.clone(),
            member,
        }
    }

    /// Takes a place.
    fn try_enter(&self) -> bool {
        let fits = |taken| (taken < self.0.connections_max).then(|| taken + 1);
        self.0.taken.update(fits)
    }

    /// Tells one waiting shard, each in its turn.
    fn tell_next(&self) {
        // Sequentially consistent, as all of this: either this sees the shard wait, or the shard, which
        // looks again once it waits, sees the place.
        if self.0.waiting.load() == 0 {
            return;
        }
        let start = self.0.next.fetch_add(1) as usize;
        let members = &self.0.members;
        for offset in 0..members.len() {
            let member = start.wrapping_add(offset) % members.len();
            if self.stop_waiting(member) {
                if let Some(tell) = members[member].on_place_free.get() {
                    tell();
                }
                return;
            }
        }
    }

    fn stop_waiting(&self, member: usize) -> bool {
        let was_waiting = self.0.members[member].is_waiting.swap(0) != 0;
        if was_waiting {
            self.0.waiting.fetch_sub(1);
        }
        was_waiting
    }
}

impl<X: SyncTypes> std::fmt::Debug for ConnectionCap<X> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionCap")
            .field("open", &self.open())
            .field("connections_max", &self.0.connections_max)
            .finish_non_exhaustive()
    }
}

/// The cap, as one shard uses it.
#[derive(Debug)]
pub(in crate::shard) struct ShardCap<X: SyncTypes = StdSync> {
    process: ConnectionCap<X>,
    member: usize,
}

impl<X: SyncTypes> ShardCap<X> {
    /// Takes a place, to be given back by [`ShardCap::leave`].
    pub(in crate::shard) fn try_enter(&self) -> bool {
        self.process.try_enter()
    }

    /// Asks to be told when a place is free. True if one came free meanwhile: it is taken.
    pub(in crate::shard) fn await_place(&self) -> bool {
        let shared = &self.process.0;
        // It is counted before it can be told: a shard that told it first would count off another that waits.
        shared.waiting.fetch_add(1);
        if shared.members[self.member].is_waiting.swap(1) != 0 {
            shared.waiting.fetch_sub(1);
        }
        let has_entered = self.process.try_enter();
        if has_entered {
            self.stop_waiting();
        }
        has_entered
    }

    /// Waits no more. The shard looks for a place next, since it may have been told of one.
    pub(in crate::shard) fn stop_waiting(&self) {
        self.process.stop_waiting(self.member);
    }

    /// Whether it waits and was not told.
    pub(in crate::shard) fn is_waiting(&self) -> bool {
        self.process.0.members[self.member].is_waiting.load() != 0
    }

    /// Gives a place back, and the address's with it.
    pub(in crate::shard) fn leave(&self, address: Option<AddressPlace>) {
        let shared = &self.process.0;
        if let (Some(addresses), Some(place)) = (&shared.addresses, address) {
            addresses.leave(place);
        }
        shared.taken.fetch_sub(1);
        self.process.tell_next();
    }

    /// The counts per address, if they are capped.
    pub(in crate::shard) fn addresses(&self) -> Option<&Addresses> {
        self.process.0.addresses.as_ref()
    }
}

impl<X: SyncTypes> Deref for ShardCap<X> {
    type Target = ConnectionCap<X>;

    fn deref(&self) -> &ConnectionCap<X> {
        &self.process
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    fn joined(cap: &ConnectionCap) -> (ShardCap, mpsc::Receiver<()>) {
        let (signal, called) = mpsc::channel();
        let call = move || {
            let _ = signal.send(());
        };
        (cap.join(Box::new(call)), called)
    }

    #[test]
    fn who_leaves_calls_the_waiting_each_in_turn() {
        let cap: ConnectionCap = ConnectionCap::new(2, None, 3);
        let shards: Vec<_> = (0..3).map(|_| joined(&cap)).collect();
        assert!(shards[0].0.try_enter() && shards[0].0.try_enter());
        assert_eq!(cap.open(), 2);
        for (shard, _) in &shards[1..] {
            assert!(!shard.try_enter() && !shard.await_place() && shard.is_waiting());
        }
        shards[0].0.leave(None);
        shards[0].0.leave(None);
        for (shard, called) in &shards[1..] {
            assert_eq!(called.try_iter().count(), 1);
            assert!(!shard.is_waiting() && shard.try_enter());
        }
        assert_eq!(shards[0].1.try_iter().count(), 0);
        assert_eq!(cap.open(), 2);
    }

    #[test]
    fn nobody_is_called_while_nobody_waits() {
        let cap: ConnectionCap = ConnectionCap::new(1, None, 1);
        let (shard, called) = joined(&cap);
        assert!(shard.try_enter() && !shard.await_place());
        shard.stop_waiting();
        shard.leave(None);
        assert_eq!(called.try_iter().count(), 0);
        assert_eq!(cap.open(), 0);
    }

    #[test]
    fn threads_never_pass_the_cap_and_no_place_is_forgotten() {
        const CAP: usize = 3;
        let cap: ConnectionCap = ConnectionCap::new(CAP, None, 4);
        let inside = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let ((shard, called), inside) = (joined(&cap), Arc::clone(&inside));
                std::thread::spawn(move || {
                    for _ in 0..20_000 {
                        while !shard.try_enter() && !shard.await_place() {
                            // A call that is lost hangs here.
                            called.recv().unwrap();
                            shard.stop_waiting();
                        }
                        let others = inside.fetch_add(1, Ordering::SeqCst);
                        assert!(others < CAP, "{others} were inside");
                        inside.fetch_sub(1, Ordering::SeqCst);
                        shard.leave(None);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(cap.open(), 0);
    }
}
