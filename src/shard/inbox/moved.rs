//! A connection, or a message of a channel, on its way between shards.

use std::sync::Arc;
use std::time::Instant;

use crate::pool::ToolPermit;
use crate::shard::acceptor::AddressPlace;
use crate::shard::channels::Home;
use crate::units::ViewId;

/// A connection whose request waited elsewhere and is served where it arrives. A permit was taken for it there.
pub struct Moved<S> {
    pub(in crate::shard) socket: S,
    /// Its place among those of its address goes with it.
    pub(in crate::shard) address: Option<AddressPlace>,
    /// The request, and what was received behind it.
    pub(in crate::shard) bytes: Vec<u8>,
    pub(in crate::shard) request_at: Instant,
    pub(in crate::shard) queued_at: Instant,
    pub(in crate::shard) is_browser: bool,
    pub(in crate::shard) tool_permit: Option<Arc<ToolPermit>>,
}

/// A message that waited elsewhere and is served where it arrives, while its channel stays. A permit was taken for it
/// there.
pub struct MovedMessage {
    pub(in crate::shard) home: Home,
    /// What its channel is for.
    pub(in crate::shard) view: ViewId,
    pub(in crate::shard) message: Vec<u8>,
    pub(in crate::shard) request_at: Instant,
    pub(in crate::shard) queued_at: Instant,
    pub(in crate::shard) is_browser: bool,
    pub(in crate::shard) tool_permit: Option<Arc<ToolPermit>>,
}

#[cfg(test)]
impl<S> Moved<S> {
    /// One that brings nothing but its permit.
    pub(in crate::shard) fn bare(socket: S, now: Instant) -> Self {
        Moved {
            socket,
            address: None,
            bytes: Vec::new(),
            request_at: now,
            queued_at: now,
            is_browser: false,
            tool_permit: None,
        }
    }
}
