//! A call that goes on as a task, in place of whoever asked for it: nobody waits for it here, nothing is read or sent
//! for it, and what it says goes to the task store.

use std::time::Instant;

use crate::pool::HandlerKey;
use crate::shard::channels::ChannelPlace;
use crate::shard::tasks::WorkedBy;
use crate::units::ViewId;

/// A call without a client.
#[derive(Debug)]
pub(in crate::shard) struct Task {
    /// The channel that it was asked for on, if it was.
    pub channel: Option<ChannelPlace>,
    /// The endpoint at which it was asked for.
    pub view: ViewId,
    /// What works for it.
    pub by: WorkedBy,
    /// The handler it runs in, or the call without one; none while it waits for its client.
    pub handler: Option<HandlerKey>,
    /// When it was made.
    pub began: Instant,
    /// How long it has waited for a worker.
    pub waited_micros: u32,
}

impl Task {
    pub(in crate::shard) fn new(
        channel: Option<ChannelPlace>,
        view: ViewId,
        by: WorkedBy,
        now: Instant,
    ) -> Task {
        Task {
            channel,
            view,
            by,
            handler: None,
            began: now,
            waited_micros: 0,
        }
    }
}
