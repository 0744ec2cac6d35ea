//! What a child makes known to the shard that has it.

use std::time::Duration;

use crate::children::line::{
    LegacyTerms, Message, ModernTerms, Unreadable, outcome_of, urls_required, write_answer,
    write_legacy_answer, write_modern_answer,
};
use crate::jsonrpc::Id;
use crate::mcp::{ClientCapabilities, Era, Protocol, Reply, Ticket};

use super::handshake_error::HandshakeError;
use super::introduction::Introduction;
use super::items::ChildLists;

/// A line of a child's for one client.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'e> {
    /// The line as the child wrote it.
    pub line: &'e [u8],
    /// Where its parts lie.
    pub message: Message,
    /// The era in which the child speaks.
    pub era: Era,
}

impl Answer<'_> {
    /// Appends the answer to a call under the client's id.
    pub fn write(&self, out: &mut Vec<u8>, id: Id<'_>) {
        write_answer(out, self.line, &self.message, id);
    }

    /// Appends the answer to a call as its client's revision has it. `lacking` is what the child could not ask: if it
    /// has failed for that, a modern client is told so.
    pub fn write_for(
        &self,
        protocol: &Protocol,
        ticket: &Ticket,
        lacking: ClientCapabilities,
        out: &mut Vec<u8>,
    ) -> Reply {
        let id = ticket.id().as_id();
        let outcome = match (ticket.revision().era(), self.era) {
            (Era::Legacy, era) => {
                let terms = LegacyTerms {
                    id,
                    revision: ticket.revision(),
                    reads: protocol.uri_read(ticket).is_some(),
                    era,
                };
                write_legacy_answer(out, self.line, &self.message, &terms)
            }
            (Era::Modern, Era::Modern) => {
                self.write(out, id);
                outcome_of(self.line, &self.message)
            }
            (Era::Modern, Era::Legacy) => {
                if lacking != ClientCapabilities::NONE && self.message.has_failed() {
                    return protocol.answer_missing_capability(ticket, lacking, out);
                }
                // A task has no such answer; its client reads in the error where to go.
                let urls = (!ticket.is_task()).then(|| urls_required(self.line, &self.message));
                if let Some(requests) = urls.flatten() {
                    return protocol.answer_urls_required(ticket, &requests, out);
                }
                let terms = ModernTerms {
                    id,
                    meta: protocol.meta(),
                    uri: protocol.uri_read(ticket),
                };
                write_modern_answer(out, self.line, &self.message, &terms)
            }
        };
        Reply::passed_on(ticket, outcome)
    }

    /// Appends the word on a call's progress under the client's token.
    #[cfg(any(test, feature = "internals"))]
    pub fn write_progress(&self, out: &mut Vec<u8>, token: Id<'_>) {
        crate::children::line::write_progress(out, self.line, &self.message, token);
    }
}

/// A question of a child's to its client.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'e> {
    /// Its number, by which it is answered.
    pub number: u32,
    /// What the client must have declared.
    pub needs: ClientCapabilities,
    /// The request.
    pub said: Answer<'e>,
}

/// Something that a child said or did, or failed to do.
#[derive(Debug)]
pub enum ChildEvent<'e, C> {
    /// It takes calls from now on.
    Ready {
        /// What it says of itself.
        introduction: Introduction,
        /// The server's lists, if they were asked for.
        lists: Option<ChildLists>,
        /// The time from its start.
        took: Duration,
    },
    /// A call is over.
    Answered {
        /// Who waits for it.
        caller: C,
        /// A result or an error.
        answer: Answer<'e>,
        /// The time the child had it.
        took: Duration,
    },
    /// A call goes on.
    Progress {
        /// Who waits for it.
        caller: &'e C,
        /// What is to be told, if the client follows the call.
        progress: Answer<'e>,
    },
    /// A call is over without an answer: that was longer than is accepted.
    AnsweredTooLong {
        /// Who waited for it.
        caller: C,
    },
    /// A call is over without an answer: it took too long. The child was told.
    TimedOut {
        /// Who waited for it.
        caller: C,
    },
    /// It asks its client something.
    Asked {
        /// Who waits for the call that it is about; `None` if it has none.
        caller: Option<&'e C>,
        /// What.
        asked: Asked<'e>,
    },
    /// A question about this call was not answered in time; the child was told.
    Unanswered {
        /// Who waits for the call.
        caller: &'e C,
        /// The question's number.
        number: u32,
    },
    /// A list has changed, whichever: all of them are read again.
    Changed,
    /// The resource at this URI was updated.
    Updated(String),
    /// It logs something, or says that what a URL was opened for is done.
    Told {
        /// Whose call it is about, if that is known.
        caller: Option<&'e C>,
        /// What.
        said: Answer<'e>,
    },
    /// It wrote a line that is none, to be logged.
    Rubbish {
        /// The beginning of the line.
        text: &'e [u8],
        /// Such lines before it that were too many to be logged.
        left_out: u64,
        /// What is wrong with it.
        why: Unreadable,
    },
    /// Its lists, which it was asked for once more.
    Listed {
        /// What it says of itself.
        introduction: Introduction,
        /// The lists.
        lists: ChildLists,
    },
    /// It is of no more use: it is to be ended, and its calls to be taken from it.
    Failed(ChildFailure),
}

/// Why a child is of no more use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChildFailure {
    /// The handshake failed.
    #[error("{0}")]
    Handshake(#[from] HandshakeError),
    /// The handshake took too long.
    #[error("it was not ready in time")]
    StartTimeout,
    /// Its process has ended.
    #[error("its process ended")]
    Exited,
    /// It closed its stdout.
    #[error("it closed its output")]
    OutputEnded,
    /// It closed its stdin.
    #[error("it closed its input")]
    InputBroken,
    /// It has not read what was written to it.
    #[error("it does not read its input")]
    InputStuck,
    /// There is no memory for what it says, or does not read.
    #[error("there was no memory for what it says")]
    OutOfMemory,
    /// It has not answered a ping.
    #[error("it does not answer")]
    Unresponsive,
}

/// A call that was at a child which is of no more use.
#[derive(Debug, PartialEq, Eq)]
pub enum Abandoned<C> {
    /// The child may have seen it: its caller gets an error.
    Sent {
        /// Who waits for it.
        caller: C,
    },
    /// None of its bytes were taken: it can go to another child.
    Unsent {
        /// Who waits for it.
        caller: C,
        /// Its line, as this child was to read it.
        line: Vec<u8>,
    },
}
