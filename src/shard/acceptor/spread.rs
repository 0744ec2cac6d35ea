//! How connections to a socket that all shards share come to all of them.
//!
//! The kernel wakes the shard that has watched the socket longest, one for each connection. But of a burst whichever
//! shard is awake first takes what is there, and all of it may end on one. So a shard that has taken a connection while
//! another has fewer, by more than a hop is worth, hands it over before anything is read of it. While clients come one
//! by one the kernel's turns are even, and nothing is handed over.
//!
//! Measured on two cores with two shards, 64 connections made at once, and then eight clients with a connection for
//! each request, with the server's CPU time:
//!
//! | how | spread of 64 | CPU µs for a connection and its echo |
//! |---|---|---|
//! | exclusive watches, and handing over | 34/30, 30/34, 30/34, 30/34 | 21.4 to 22.6 |
//! | exclusive watches alone | 64/0, 56/8, 5/59, 32/32 | 21.4 to 23.1 |
//! | watches that wake all shards | 64/0, 64/0, 64/0, 39/25 | 24.1 to 35.3 |
//! | one shard accepts, and hands every other one over | 32/32 | 20.2 to 37.6, and a third fewer a second |
//! | TCP, for which the kernel spreads connections | 29/35, 32/32, 38/26, 33/31 | 67.7 to 70.7 |
//!
//! Invariant: a shard that ends has no connection on its way, as [`ShardSpread::retire`] lets no more be sent.

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, OnceLock};

use crate::pool::Word;
use crate::units::ShardId;

use super::addresses::AddressPlace;

/// How many connections a shard may have more than another before it hands new ones over.
const EXCESS_MAX: u32 = 4;
/// This bit is set in the count of what is on its way once nothing more may be sent.
const CLOSED: u32 = 1 << 31;

/// What all shards know of each other's connections.
pub struct Spread<S>(Box<[Member<S>]>);

#[repr(align(128))]
struct Member<S> {
    /// Connections that the shard has, or that are on their way to it.
    held: AtomicU32,
    /// Connections on their way.
    coming: AtomicU32,
    deliver: OnceLock<Deliver<S>>,
}

/// Brings a connection to a shard.
pub(in crate::shard) type Deliver<S> = Box<dyn Fn(Newcomer<S>) + Send + Sync>;

/// A connection that another shard has accepted, and nothing was read of. It has its places under the caps.
pub struct Newcomer<S> {
    pub(in crate::shard) socket: S,
    pub(in crate::shard) address: Option<AddressPlace>,
}

impl<S> Spread<S> {
    /// For so many shards.
    pub fn new(shards: usize) -> Arc<Spread<S>> {
        let member = |_| Member {
            held: Word::new(0),
            coming: Word::new(0),
            deliver: OnceLock::new(),
        };
        Arc::new(Spread((0..shards).map(member).collect()))
    }
}

impl<S> std::fmt::Debug for Spread<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Spread").field(&self.0.len()).finish()
    }
}

/// One shard's part in it.
#[derive(Debug)]
pub(in crate::shard) struct ShardSpread<S> {
    all: Arc<Spread<S>>,
    own: usize,
}

impl<S> ShardSpread<S> {
    /// Makes a shard a member; from now on it may be sent connections.
    pub(in crate::shard) fn join(all: Arc<Spread<S>>, own: ShardId, deliver: Deliver<S>) -> Self {
        let own = usize::from(own.0);
        // Each shard joins once, under its own number.
        let _ = all.0[own].deliver.set(deliver);
        ShardSpread { all, own }
    }

    /// The shard has a connection more.
    pub(in crate::shard) fn on_held(&self) {
        Word::fetch_add(&self.all.0[self.own].held, 1);
    }

    /// The shard has a connection less.
    pub(in crate::shard) fn on_gone(&self) {
        Word::fetch_sub(&self.all.0[self.own].held, 1);
    }

    /// A shard that should have the next connection rather than this one.
    pub(in crate::shard) fn lighter(&self) -> Option<usize> {
        let held = |member: usize| Word::load(&self.all.0[member].held);
        let own = held(self.own);
        if own < EXCESS_MAX {
            return None;
        }
        let lightest = (0..self.all.0.len()).min_by_key(|&member| held(member))?;
        (own - own.min(held(lightest)) >= EXCESS_MAX).then_some(lightest)
    }

    /// Sends a connection to another shard. Returns it if that one ends.
    pub(in crate::shard) fn send(&self, target: usize, newcomer: Newcomer<S>) -> Result<(), Newcomer<S>> {
        let member = &self.all.0[target];
        let is_open = |coming| (coming & CLOSED == 0).then_some(coming + 1);
        match member.deliver.get() {
            Some(deliver) if Word::update(&member.coming, is_open) => {
                Word::fetch_add(&member.held, 1);
                deliver(newcomer);
                Ok(())
            }
            _ => Err(newcomer),
        }
    }

    /// A connection that was sent here has come; it was counted when it was sent.
    pub(in crate::shard) fn on_arrived(&self) {
        Word::fetch_sub(&self.all.0[self.own].coming, 1);
    }

    /// Lets nothing more be sent here, unless something is on its way. Whether that is so.
    pub(in crate::shard) fn retire(&self) -> bool {
        let coming = &self.all.0[self.own].coming;
        Word::update(coming, |coming| (coming & !CLOSED == 0).then_some(CLOSED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};

    fn joined(shards: u16) -> Vec<(ShardSpread<u32>, Receiver<u32>)> {
        let all = Spread::new(shards.into());
        let join = |shard| {
            let (deliver, delivered) = channel();
            let deliver = Box::new(move |newcomer: Newcomer<u32>| deliver.send(newcomer.socket).unwrap());
            (
                ShardSpread::join(Arc::clone(&all), ShardId(shard), deliver),
                delivered,
            )
        };
        (0..shards).map(join).collect()
    }

    fn newcomer(socket: u32) -> Newcomer<u32> {
        Newcomer {
            socket,
            address: None,
        }
    }

    #[test]
    fn a_burst_on_one_shard_is_spread_and_a_few_connections_are_not() {
        let shards = joined(3);
        let mut kept = 0;
        for socket in 0..60 {
            match shards[0].0.lighter() {
                Some(target) => assert!(shards[0].0.send(target, newcomer(socket)).is_ok()),
                None => {
                    shards[0].0.on_held();
                    kept += 1;
                }
            }
            assert!(socket >= EXCESS_MAX || kept == socket + 1);
        }
        let came: Vec<u32> = shards[1..]
            .iter()
            .map(|(spread, delivered)| delivered.try_iter().inspect(|_| spread.on_arrived()).count() as u32)
            .collect();
        assert_eq!(kept + came.iter().sum::<u32>(), 60);
        assert!(
            came.iter().all(|came| kept - came <= EXCESS_MAX),
            "{kept} {came:?}"
        );
        assert!(shards.iter().all(|(spread, _)| spread.retire()));
    }

    #[test]
    fn a_shard_that_ends_is_sent_nothing_and_does_not_end_before_what_was_sent_has_come() {
        let shards = joined(2);
        assert!(shards[0].0.send(1, newcomer(7)).is_ok());
        assert!(!shards[1].0.retire());
        shards[1].0.on_arrived();
        assert!(shards[1].0.retire() && shards[1].0.retire());
        assert_eq!(shards[0].0.send(1, newcomer(8)).unwrap_err().socket, 8);
    }

    #[test]
    fn who_has_gone_is_counted_no_more() {
        let shards = joined(2);
        for _ in 0..EXCESS_MAX {
            shards[0].0.on_held();
        }
        assert_eq!(shards[0].0.lighter(), Some(1));
        shards[0].0.on_gone();
        assert_eq!(shards[0].0.lighter(), None);
    }
}
