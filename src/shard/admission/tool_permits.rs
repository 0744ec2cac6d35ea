//! Permits of limited tools that are with no call, and no request that waits.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use crate::pool::{PermitListener, ToolPermit, ToolTicket};
use crate::ring::ConnectionKey;

/// The permits of one shard.
pub(super) struct ToolPermits {
    /// The shard, to which permits come.
    listener: Arc<dyn PermitListener>,
    /// It was taken for the request that is being decoded.
    in_hand: Option<Arc<ToolPermit>>,
    /// Those of requests that are about to move to other shards.
    moving: Vec<(ConnectionKey, Arc<ToolPermit>)>,
    /// Permits that will come: one for each ticket that has not left the line in time.
    awaited: Rc<Cell<u32>>,
}

/// The place of a request in the line of its tool.
#[derive(Debug)]
pub(in crate::shard) struct Awaited {
    ticket: ToolTicket,
    awaited: Rc<Cell<u32>>,
}

impl Drop for Awaited {
    fn drop(&mut self) {
        // If it has left too late, its permit is on its way, and is counted until it comes.
        if self.ticket.leave() {
            self.awaited.set(self.awaited.get() - 1);
        }
    }
}

impl ToolPermits {
    pub(super) fn new(listener: Arc<dyn PermitListener>) -> ToolPermits {
        ToolPermits {
            listener,
            in_hand: None,
            moving: Vec::new(),
            awaited: Rc::default(),
        }
    }

    pub(super) fn listener(&self) -> &Arc<dyn PermitListener> {
        &self.listener
    }

    #[inline]
    pub(super) fn in_hand(&self) -> Option<&Arc<ToolPermit>> {
        self.in_hand.as_ref()
    }

    pub(super) fn put(&mut self, permit: Option<Arc<ToolPermit>>) {
        self.in_hand = permit;
    }

    #[inline]
    pub(super) fn take(&mut self) -> Option<Arc<ToolPermit>> {
        self.in_hand.take()
    }

    pub(super) fn keep_moving(&mut self, connection: ConnectionKey, permit: Arc<ToolPermit>) {
        self.moving.push((connection, permit));
    }

    pub(super) fn take_moving(&mut self, connection: ConnectionKey) -> Option<Arc<ToolPermit>> {
        let at = self.moving.iter().position(|(key, _)| *key == connection)?;
        Some(self.moving.swap_remove(at).1)
    }

    /// A request waits that has this ticket.
    pub(super) fn await_permit(&self, ticket: ToolTicket) -> Awaited {
        self.awaited.set(self.awaited.get() + 1);
        Awaited {
            ticket,
            awaited: Rc::clone(&self.awaited),
        }
    }

    /// A permit has come.
    pub(super) fn on_permit(&self) {
        self.awaited.set(self.awaited.get() - 1);
    }

    /// Whether no permit is on its way here.
    pub(super) fn awaits_none(&self) -> bool {
        self.awaited.get() == 0
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.in_hand.is_none() && self.moving.is_empty() && self.awaits_none()
    }
}
