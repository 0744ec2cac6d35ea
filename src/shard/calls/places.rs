//! Calls that others work for than the handlers of this shard: each has an entry here, and no handler.
//!
//! Such a call is known by a key like that of a handler, with an index behind all of those: whoever has the key need
//! not ask which it is.

use crate::pool::HandlerKey;
use crate::ring::ConnectionKey;
use crate::slab::Slab;

use super::call::Call;

/// The calls without a handler.
pub(super) struct Places {
    /// The index of the first.
    first: u32,
    places: Slab<HandlerKey, Place>,
}

struct Place {
    holder: ConnectionKey,
    call: Call,
}

impl Places {
    /// None yet; their indices begin with `first`.
    pub(super) fn new(first: u32) -> Places {
        Places {
            first,
            places: Slab::default(),
        }
    }

    /// Whether it is the key of such a call.
    #[inline]
    pub(super) fn is_one(&self, key: HandlerKey) -> bool {
        key.index >= self.first
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Enters a call. `None` if there are more than can be numbered.
    pub(super) fn insert(&mut self, holder: ConnectionKey, call: Call) -> Option<HandlerKey> {
        let key = self.places.insert(Place { holder, call }).ok()?;
        Some(self.outward(key))
    }

    pub(super) fn call_mut(&mut self, key: HandlerKey) -> Option<&mut Call> {
        let key = self.inward(key)?;
        self.places.get_mut(key).map(|place| &mut place.call)
    }

    pub(super) fn holder(&self, key: HandlerKey) -> Option<ConnectionKey> {
        self.places.get(self.inward(key)?).map(|place| place.holder)
    }

    /// A call is that of another holder from now on.
    pub(super) fn hand_over(&mut self, key: HandlerKey, holder: ConnectionKey) {
        if let Some(place) = self.inward(key).and_then(|key| self.places.get_mut(key)) {
            place.holder = holder;
        }
    }

    /// Takes a call out that is over; whether there was one.
    pub(super) fn remove(&mut self, key: HandlerKey) -> bool {
        let key = self.inward(key);
        key.is_some_and(|key| self.places.remove(key).is_some())
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = HandlerKey> {
        self.places.keys().map(|key| self.outward(key))
    }

    fn outward(&self, key: HandlerKey) -> HandlerKey {
        HandlerKey {
            index: self.first + key.index,
            lease: key.lease,
        }
    }

    fn inward(&self, key: HandlerKey) -> Option<HandlerKey> {
        let index = key.index.checked_sub(self.first)?;
        Some(HandlerKey { index, ..key })
    }
}
