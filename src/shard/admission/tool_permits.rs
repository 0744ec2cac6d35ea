//! Permits of limited tools that are with no call, and no request that waits.

use std::sync::Arc;

use crate::pool::{PermitListener, ToolPermit};
use crate::ring::ConnectionKey;

/// The permits of one shard.
pub(super) struct ToolPermits {
    /// The shard, to which permits come.
    listener: Arc<dyn PermitListener>,
    /// It was taken for the request that is being decoded.
    in_hand: Option<Arc<ToolPermit>>,
    /// Those of requests that are about to move to other shards.
    moving: Vec<(ConnectionKey, Arc<ToolPermit>)>,
}

impl ToolPermits {
    pub(super) fn new(listener: Arc<dyn PermitListener>) -> ToolPermits {
        ToolPermits {
            listener,
            in_hand: None,
            moving: Vec::new(),
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

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.in_hand.is_none() && self.moving.is_empty()
    }
}
