//! One child as the thread knows it.

use std::time::Instant;

use crate::children::MemberKey;
use crate::launcher::{ChildId, Exit};

/// One child, from the start of its process until its shard has let go of it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) key: MemberKey,
    pub(super) process: ChildId,
    /// The shard whose ring has its pipes.
    pub(super) shard: u16,
    pub(super) began: Instant,
    /// When it began to take calls.
    pub(super) ready: Option<Instant>,
    /// Whether it is being ended.
    pub(super) is_stopping: bool,
    /// Its process's number, once it is known.
    pub(super) pid: Option<i32>,
    pub(super) spawn_error: Option<String>,
    pub(super) exit: Option<Exit>,
}

impl Member {
    pub(super) fn new(key: MemberKey, process: ChildId, shard: u16, now: Instant) -> Member {
        Member {
            key,
            process,
            shard,
            began: now,
            ready: None,
            is_stopping: false,
            pid: None,
            spawn_error: None,
            exit: None,
        }
    }

    /// Whether it was started and nobody knows yet what comes of it.
    pub(super) fn is_starting(&self) -> bool {
        self.ready.is_none() && !self.is_stopping
    }
}
