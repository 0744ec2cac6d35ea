//! Connections of each client, over all shards, against a cap.
//!
//! An IPv4 address counts by itself, also in its IPv6-mapped spelling; an IPv6 address counts by its /64, which is
//! what one client commonly has at its disposal. A process that connects over a Unix socket counts for its user. The
//! table exists only while the cap is on, and is touched only when a connection comes or goes. It has an entry per
//! address with open connections, so it is bounded by the connections there are.
//!
//! Beyond the cap an address gets as many places again for being told so: a refused connection is open until
//! its client has read why. Beyond those too it is only closed, so that one address never holds more than
//! twice its cap.
//!
//! Invariant: an entry's counts are the [`AddressPlace`]s given out for it and not yet taken back.
#![allow(
    clippy::disallowed_types,
    reason = "counting over all shards; a partition is held for one look-up"
)]

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ring::Peer;
use crate::slab::Slab;

/// Partitions, so that shards seldom meet: several for each core of a large machine.
const PARTITIONS: usize = 128;
/// Entries a partition keeps room for once it is empty.
const ENTRIES_KEPT_MAX: usize = 64;

/// What is counted as one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::shard) enum Client {
    V4(u32),
    /// The first 64 bits.
    V6(u64),
    /// A user of this machine.
    User(u32),
}

impl From<Peer> for Client {
    fn from(peer: Peer) -> Client {
        match peer {
            Peer::Internet(address) => address.ip().into(),
            Peer::Process(process) => Client::User(process.uid),
        }
    }
}

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Client {
        match address.to_canonical() {
            IpAddr::V4(address) => Client::V4(address.to_bits()),
            IpAddr::V6(address) => Client::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// A connection's place among those of its address. It goes wherever the connection goes, and in the end to
/// [`Addresses::leave`].
#[derive(Debug)]
#[must_use]
pub(in crate::shard) struct AddressPlace {
    index: u32,
    partition: u8,
    is_refused: bool,
}

/// What becomes of a connection.
#[derive(Debug)]
pub(in crate::shard) enum AddressVerdict {
    /// It is within the cap.
    Serve(AddressPlace),
    /// It is beyond; its client is told.
    Refuse(AddressPlace),
    /// Too many of its address are being told already.
    Reject,
}

/// The table.
pub(in crate::shard) struct Addresses {
    connections_max: u32,
    hasher: RandomState,
    partitions: Box<[Partition]>,
}

#[derive(Default)]
#[repr(align(128))]
struct Partition(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    indices: HashMap<Client, u32>,
    slots: Slab<u32, Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    client: Client,
    served: u32,
    refused: u32,
}

impl Addresses {
    /// At most `connections_max` connections of each address.
    pub(in crate::shard) fn new(connections_max: NonZeroU32) -> Addresses {
        Addresses {
            connections_max: connections_max.get(),
            hasher: RandomState::new(),
            partitions: (0..PARTITIONS).map(|_| Partition::default()).collect(),
        }
    }

    /// Counts a connection of `client` in.
    pub(in crate::shard) fn enter(&self, client: impl Into<Client>) -> AddressVerdict {
        let client = client.into();
        let partition = self.hasher.hash_one(client) as usize % PARTITIONS;
        let mut entries = self.partitions[partition].lock();
        let Some((index, entry)) = entries.entry_of(client) else {
            return AddressVerdict::Reject;
        };
        let place = |is_refused| AddressPlace {
            index,
            partition: partition as u8,
            is_refused,
        };
        // An entry that is new has room, so none is left empty.
        if entry.served < self.connections_max {
            entry.served += 1;
            AddressVerdict::Serve(place(false))
        } else if entry.refused < self.connections_max {
            entry.refused += 1;
            AddressVerdict::Refuse(place(true))
        } else {
            AddressVerdict::Reject
        }
    }

    /// Counts it out.
    pub(in crate::shard) fn leave(&self, place: AddressPlace) {
        let mut entries = self.partitions[usize::from(place.partition)].lock();
        let Some(entry) = entries.slots.get_mut(place.index) else {
            return;
        };
        if place.is_refused {
            entry.refused -= 1;
        } else {
            entry.served -= 1;
        }
        if (entry.served, entry.refused) == (0, 0) {
            let client = entry.client;
            entries.remove(client, place.index);
        }
    }
}

impl Partition {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Nothing panics with a partition held; if it did, counts would still be counts.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// The entry of a client, which is made if it has none; none if there are more clients than numbers.
    fn entry_of(&mut self, client: Client) -> Option<(u32, &mut Entry)> {
        let index = match self.indices.get(&client) {
            Some(&index) => index,
            None => {
                let entry = Entry {
                    client,
                    served: 0,
                    refused: 0,
                };
                let index = self.slots.insert(entry).ok()?;
                self.indices.insert(client, index);
                index
            }
        };
        self.slots.get_mut(index).map(|entry| (index, entry))
    }

    fn remove(&mut self, client: Client, index: u32) {
        self.indices.remove(&client);
        self.slots.remove(index);
        if self.indices.is_empty() && self.slots.slots() as usize > ENTRIES_KEPT_MAX {
            *self = Entries::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn addresses(connections_max: u32) -> Addresses {
        Addresses::new(NonZeroU32::new(connections_max).unwrap())
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn served(addresses: &Addresses, text: &str) -> AddressPlace {
        match addresses.enter(address(text)) {
            AddressVerdict::Serve(place) => place,
            other => panic!("{text}: {other:?}"),
        }
    }

    fn entries(addresses: &Addresses) -> usize {
        let partitions = addresses.partitions.iter();
        partitions.map(|partition| partition.lock().indices.len()).sum()
    }

    #[test]
    fn one_address_is_served_up_to_its_cap_then_told_then_turned_away() {
        let addresses = addresses(2);
        let (first, _second) = (served(&addresses, "192.0.2.1"), served(&addresses, "192.0.2.1"));
        let told: Vec<_> = (0..2)
            .map(|_| match addresses.enter(address("192.0.2.1")) {
                AddressVerdict::Refuse(place) => place,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(matches!(
            addresses.enter(address("192.0.2.1")),
            AddressVerdict::Reject
        ));
        let _other = served(&addresses, "192.0.2.2");
        // The told do not take the places of the served, nor the other way round.
        addresses.leave(first);
        let _third = served(&addresses, "192.0.2.1");
        assert!(matches!(
            addresses.enter(address("192.0.2.1")),
            AddressVerdict::Reject
        ));
        told.into_iter().for_each(|place| addresses.leave(place));
        assert!(matches!(
            addresses.enter(address("192.0.2.1")),
            AddressVerdict::Refuse(_)
        ));
    }

    #[test]
    fn a_mapped_address_is_its_ipv4_and_a_network_of_64_bits_is_one_client() {
        let addresses = addresses(1);
        for (first, same, other) in [
            ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.3"),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::7", "2001:db8:1:3::1"),
            ("::1", "::2", "1::1"),
        ] {
            let _place = served(&addresses, first);
            assert!(
                matches!(addresses.enter(address(same)), AddressVerdict::Refuse(_)),
                "{same}"
            );
            let _other = served(&addresses, other);
        }
    }

    #[test]
    fn addresses_that_left_cost_nothing() {
        let addresses = addresses(1);
        let places: Vec<_> = (0..100_000u32)
            .map(|bits| match addresses.enter(IpAddr::V4(bits.into())) {
                AddressVerdict::Serve(place) => place,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(entries(&addresses), places.len());
        places.into_iter().for_each(|place| addresses.leave(place));
        assert_eq!(entries(&addresses), 0);
        let slots = addresses
            .partitions
            .iter()
            .map(|partition| partition.lock().slots.slots() as usize);
        assert!(slots.sum::<usize>() <= PARTITIONS * ENTRIES_KEPT_MAX * 2);
    }

    #[test]
    fn the_cap_is_exact_among_threads() {
        const CAP: usize = 5;
        let (addresses, inside) = (Arc::new(addresses(CAP as u32)), Arc::new(AtomicUsize::new(0)));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (addresses, inside) = (Arc::clone(&addresses), Arc::clone(&inside));
                std::thread::spawn(move || {
                    let mut held = Vec::new();
                    for turn in 0..20_000 {
                        match addresses.enter(address("192.0.2.1")) {
                            AddressVerdict::Serve(place) => {
                                assert!(inside.fetch_add(1, Ordering::SeqCst) < CAP);
                                held.push(place);
                            }
                            AddressVerdict::Refuse(place) => addresses.leave(place),
                            AddressVerdict::Reject => {}
                        }
                        if turn % 3 != 0
                            && let Some(place) = held.pop()
                        {
                            inside.fetch_sub(1, Ordering::SeqCst);
                            addresses.leave(place);
                        }
                    }
                    for place in held {
                        inside.fetch_sub(1, Ordering::SeqCst);
                        addresses.leave(place);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(entries(&addresses), 0);
    }

    #[test]
    fn a_place_fits_eight_bytes() {
        assert_eq!(size_of::<Option<AddressPlace>>(), 8);
    }
}
