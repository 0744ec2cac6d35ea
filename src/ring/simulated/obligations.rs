//! The promises of a ring's caller, per slot, checked as operations come and go.
//!
//! An operation counts from the call that queues it until its completion is handed out, because that is
//! what the caller can know.

use crate::ring::token::{ConnectionKey, Operation};
use std::collections::HashMap;

#[derive(Debug, Default)]
pub(super) struct Obligations {
    slots: HashMap<u32, Slot>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    socket: usize,
    is_receiving: bool,
    is_sending: bool,
    is_watching: bool,
    is_closing: bool,
    is_closed: bool,
    cancels: usize,
}

impl Slot {
    fn in_flight(&self) -> usize {
        self.cancels
            + usize::from(self.is_receiving)
            + usize::from(self.is_sending)
            + usize::from(self.is_watching)
            + usize::from(self.is_closing)
    }

    fn flag(&mut self, operation: Operation) -> &mut bool {
        match operation {
            Operation::Receive => &mut self.is_receiving,
            Operation::Send => &mut self.is_sending,
            Operation::Watch => &mut self.is_watching,
        }
    }
}

impl Obligations {
    pub(super) fn begin(&mut self, key: ConnectionKey, socket: usize, operation: Operation) {
        let flag = self.open(key, socket).flag(operation);
        assert!(!*flag, "{operation:?} is in flight twice on {key:?}");
        *flag = true;
    }

    pub(super) fn begin_close(&mut self, key: ConnectionKey, socket: usize) {
        let slot = self.open(key, socket);
        assert!(!slot.is_receiving, "{key:?} is closed under its receive");
        assert!(!slot.is_watching, "{key:?} is closed under its watch");
        slot.is_closing = true;
        slot.is_closed = true;
    }

    /// A cancel needs no live connection, but must not outlive its slot's use.
    pub(super) fn begin_cancel(&mut self, key: ConnectionKey) {
        let slot = self.slots.get_mut(&key.slot);
        let slot = slot.filter(|slot| slot.generation == key.generation);
        let slot = slot.unwrap_or_else(|| panic!("cancel on {key:?}, which has no operation"));
        slot.cancels += 1;
    }

    pub(super) fn end(&mut self, key: ConnectionKey, operation: Operation) {
        *self.slot(key).flag(operation) = false;
    }

    pub(super) fn end_close(&mut self, key: ConnectionKey) {
        self.slot(key).is_closing = false;
    }

    pub(super) fn end_cancel(&mut self, key: ConnectionKey) {
        self.slot(key).cancels -= 1;
    }

    pub(super) fn in_flight(&self) -> usize {
        self.slots.values().map(Slot::in_flight).sum()
    }

    /// The slot of a key whose connection is open, taking the slot over if it is free.
    fn open(&mut self, key: ConnectionKey, socket: usize) -> &mut Slot {
        let slot = self
            .slots
            .entry(key.slot)
            .or_insert_with(|| Slot::new(key, socket));
        if slot.generation != key.generation {
            let in_flight = slot.in_flight();
            assert!(
                in_flight == 0,
                "{key:?} reuses a slot with {in_flight} operations in flight for generation {}",
                slot.generation
            );
            *slot = Slot::new(key, socket);
        }
        assert!(!slot.is_closed, "{key:?} is used after its close");
        assert!(
            slot.socket == socket,
            "{key:?} is socket {}, not {socket}",
            slot.socket
        );
        slot
    }

    fn slot(&mut self, key: ConnectionKey) -> &mut Slot {
        let slot = self.slots.get_mut(&key.slot);
        let slot = slot.filter(|slot| slot.generation == key.generation);
        slot.unwrap_or_else(|| panic!("{key:?} completes something it never began"))
    }
}

impl Slot {
    fn new(key: ConnectionKey, socket: usize) -> Self {
        Slot {
            generation: key.generation,
            socket,
            is_receiving: false,
            is_sending: false,
            is_watching: false,
            is_closing: false,
            is_closed: false,
            cancels: 0,
        }
    }
}
