//! The questions of children of this shard that legacy clients were asked: so that none is remembered by a session for
//! longer than its child waits.

use std::collections::HashMap;
use std::time::Instant;

use crate::children::MemberKey;
use crate::mcp::SessionToken;
use crate::pool::HandlerKey;
use crate::registry::ServerIndex;
use crate::session::live::ChildAsker;
use crate::units::ViewId;

/// A question of a child's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuestionName {
    /// The child's server.
    pub server: ServerIndex,
    /// The child.
    pub member: MemberKey,
    /// The question's number there.
    pub number: u32,
}

impl QuestionName {
    /// The child, as the session remembers who asked.
    pub(in crate::shard) fn asker(self) -> ChildAsker {
        ChildAsker::Child {
            server: self.server.0,
            child: self.member.0,
        }
    }
}

/// One that a client was asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct AskedQuestion {
    pub(super) name: QuestionName,
    pub(super) session: SessionToken,
    pub(super) view: ViewId,
}

/// One about a call of this shard's that goes on as a task.
#[derive(Clone, Copy, Debug)]
pub(super) struct TaskQuestion {
    pub(super) call: HandlerKey,
    /// The shard of the child, and the question there.
    pub(super) from: (u16, QuestionName),
}

/// Questions of one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub(super) server: ServerIndex,
    /// When they should be answered.
    pub(super) due: Instant,
    pub(super) questions: u64,
}

/// Questions to clients of this server's children.
pub(super) fn rounds_of(rounds: &HashMap<HandlerKey, Round>, server: ServerIndex) -> u64 {
    let of_server = rounds.values().filter(|round| round.server == server);
    of_server.map(|round| round.questions).sum()
}
