//! One child as the thread knows it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::children::MemberKey;
use crate::launcher::{ChildId, Exit, PipeNumbers};
use crate::mcp::Era;

use super::said::Said;

/// One child, from the start of its process until its shard has let go of it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) key: MemberKey,
    pub(super) process: ChildId,
    pub(super) pipes: PipeNumbers,
    /// Whether it was started without its wrapper.
    pub(super) is_unwrapped: bool,
    /// The shard whose ring has its pipes.
    pub(super) shard: u16,
    pub(super) began: Instant,
    /// The era in which it is spoken to; in `None` it was asked what it is.
    pub(super) spoken: Option<Era>,
    /// When it began to take calls.
    pub(super) ready: Option<Instant>,
    /// Whether it was told nothing yet, and is not to be before somebody has it.
    pub(super) is_spare: bool,
    /// Whether it was started with values of its client's.
    pub(super) has_values: bool,
    /// What it has said that it has, if it was asked.
    pub(super) said: Option<Arc<Said>>,
    /// When it is to be asked again, if it does not say when its lists change.
    pub(super) reread_at: Option<Instant>,
    /// Whether it is being ended.
    pub(super) is_stopping: bool,
    /// Its process's number, once it is known.
    pub(super) pid: Option<i32>,
    pub(super) spawn_error: Option<String>,
    pub(super) exit: Option<Exit>,
    /// Resident bytes, and CPU time, of its tree, when that was last told.
    pub(super) used: (u64, Duration),
}

impl Member {
    /// Its process was asked for, which is to be as named, or without its wrapper.
    pub(super) fn new(
        key: MemberKey,
        (process, pipes): (ChildId, PipeNumbers),
        is_unwrapped: bool,
        spoken: Option<Era>,
        shard: u16,
        now: Instant,
    ) -> Member {
        Member {
            key,
            process,
            pipes,
            is_unwrapped,
            shard,
            began: now,
            spoken,
            ready: None,
            is_spare: false,
            has_values: false,
            said: None,
            reread_at: None,
            is_stopping: false,
            pid: None,
            spawn_error: None,
            exit: None,
            used: (0, Duration::ZERO),
        }
    }

    /// Whether it takes calls.
    pub(super) fn serves(&self) -> bool {
        self.ready.is_some() && !self.is_stopping
    }

    /// Its process's number, if it serves and was started as named: who is behind it can be looked at.
    pub(super) fn named_process(&self) -> Option<i32> {
        self.pid.filter(|_| self.serves() && !self.is_unwrapped)
    }

    /// Whether it was never ready, and was started without its wrapper.
    pub(super) fn is_failed_try(&self) -> bool {
        self.is_unwrapped && self.ready.is_none()
    }

    /// Whether it was started and nobody knows yet what comes of it.
    pub(super) fn is_starting(&self) -> bool {
        self.ready.is_none() && !self.is_stopping && !self.is_spare
    }
}
