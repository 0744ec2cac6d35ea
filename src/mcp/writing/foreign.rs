//! Answers to calls that go to other programs: when there is none of the program's own, and what its own is counted as.

use crate::metrics;

use crate::mcp::call::Ticket;
use crate::mcp::error::{write_server_fault, write_server_overload};
use crate::mcp::overload::Overload;
use crate::mcp::protocol::Protocol;
use crate::mcp::reply::{Reply, ReplyKind};
use crate::mcp::revision::Era;

/// Why a call that another program had came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerFault<'f> {
    /// The program is of no more use.
    Lost {
        /// Why, in words that a client may read.
        why: &'f str,
    },
    /// It asks the client for something that cannot be had.
    Unasked {
        /// Why, in words that a client may read.
        why: &'f str,
    },
    /// Its answer was longer than is accepted.
    AnswerTooLong,
    /// It took longer than it may.
    TimedOut,
}

impl<'f> ServerFault<'f> {
    /// What happened, as a clause.
    pub fn reason(self) -> &'f str {
        match self {
            Self::Lost { why } | Self::Unasked { why } => why,
            Self::AnswerTooLong => "its answer is too long",
            Self::TimedOut => "it took too long",
        }
    }
}

impl Protocol {
    /// Appends the answer to a call that another program, the configuration's `server`, had and did not answer. Its
    /// data is `{"server": …, "reason": …}`.
    pub fn answer_server_fault(
        &self,
        ticket: &Ticket,
        server: &str,
        fault: ServerFault<'_>,
        out: &mut Vec<u8>,
    ) -> Reply {
        write_server_fault(out, ticket.id().as_id(), server, fault.reason());
        Reply::answered().with_outcome(match fault {
            ServerFault::TimedOut => metrics::Outcome::Timeout,
            ServerFault::Lost { .. } | ServerFault::Unasked { .. } | ServerFault::AnswerTooLong => {
                metrics::Outcome::InternalError
            }
        })
    }

    /// Appends the refusal of a call that no process of `server` could take, for the reason `why`: 503, to be retried.
    pub fn answer_server_overload(
        &self,
        ticket: &Ticket,
        overload: &Overload,
        (server, why): (&str, &str),
        out: &mut Vec<u8>,
    ) -> Reply {
        write_server_overload(out, ticket.id().as_id(), overload, (server, why));
        Reply::overloaded(overload)
    }

    /// The URI that the call reads, if it reads a resource.
    pub fn uri_read<'t>(&'t self, ticket: &'t Ticket) -> Option<&'t str> {
        ticket.reads_resource().then(|| self.uri_of(ticket))
    }
}

impl Reply {
    /// The reply for another program's own answer to a call, which is appended already.
    pub fn passed_on(ticket: &Ticket, outcome: metrics::Outcome) -> Self {
        let kind = match outcome {
            metrics::Outcome::MethodNotFound => ReplyKind::MethodNotFound,
            metrics::Outcome::HeaderMismatch
            | metrics::Outcome::MissingCapability
            | metrics::Outcome::UnsupportedVersion
                if ticket.revision().era() == Era::Modern =>
            {
                ReplyKind::Invalid
            }
            _ => ReplyKind::Answered,
        };
        let mut reply = Self::with_body(kind).with_outcome(outcome);
        reply.labels.era = match ticket.revision().era() {
            Era::Legacy => metrics::Era::Legacy,
            Era::Modern => metrics::Era::Modern,
        };
        reply
    }
}
