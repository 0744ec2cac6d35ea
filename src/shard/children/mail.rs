//! Calls on their way to the children of another shard, and what comes of them.

use std::time::{Duration, Instant};

use crate::children::{CallFailure, Client, Message};
use crate::mcp::{Era, Unresumed};
use crate::pool::HandlerKey;
use crate::registry::{ClientCapabilities, ServerIndex};

use super::{Caller, ParkedName, QuestionName};

/// A call for the children of the shard that it is sent to.
#[derive(Debug)]
pub struct ForwardedCall {
    /// The server.
    pub server: ServerIndex,
    /// Who waits for the answer.
    pub caller: Caller,
    /// Whose child it is for; `None` if any will do.
    pub client: Option<Client>,
    /// The client's request.
    pub text: Vec<u8>,
    /// When its time in a queue is over; `None` if it has not waited yet, or waits no longer than it takes.
    pub due: Option<Instant>,
}

/// What a child, or its shard, says of a call of another shard.
#[derive(Debug)]
pub struct ForwardedWord {
    /// The call, on the shard that is told.
    pub call: HandlerKey,
    /// What.
    pub word: ChildWord,
}

/// Something about a call.
#[derive(Debug)]
pub enum ChildWord {
    /// It is over: the child's answer.
    Answered {
        /// The whole line.
        line: Vec<u8>,
        /// Where its parts lie.
        message: Message,
        /// The era in which the child speaks.
        era: Era,
        /// The time the child had it.
        took: Duration,
    },
    /// It is over without an answer.
    Failed(CallFailure),
    /// The child asks its client something.
    Asks {
        /// The child's shard.
        shard: u16,
        /// The question there.
        name: QuestionName,
        /// The request for the client.
        text: Vec<u8>,
    },
    /// Its child logs something about it, or says that what a URL was opened for is done.
    Told {
        /// The whole line.
        line: Vec<u8>,
        /// Where its parts lie.
        message: Message,
    },
    /// The child of its client is not there, and has seen nothing of it.
    Misplaced {
        /// The client's request.
        text: Vec<u8>,
        /// When its time in a queue is over, if it has waited.
        due: Option<Instant>,
    },
    /// Its request is to be answered with questions; the child keeps the call.
    RequiresInput {
        /// What names the call to whoever comes back.
        name: ParkedName,
        /// The object `inputRequests`.
        requests: Vec<u8>,
    },
    /// A question about it, which goes on as a task, is over.
    QuestionOver {
        /// The question's number with the child.
        number: u32,
    },
    /// Its child could not ask its client something, which would have to declare this.
    Lacks(ClientCapabilities),
    /// It is no call that a child has kept.
    Unresumed(Unresumed),
    /// It goes on.
    Progress {
        /// The whole line.
        line: Vec<u8>,
        /// Where its parts lie.
        message: Message,
    },
}
