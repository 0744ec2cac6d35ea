//! Answers about calls that another program has while their modern clients are asked: the questions, and why a client
//! that comes back cannot go on (2026-07-28, multi round-trip requests).

use crate::jsonrpc::{write_result_head, write_string};
use crate::metrics;
use crate::registry::ClientCapabilities;

use crate::mcp::call::Ticket;
use crate::mcp::error::{write_internal_error, write_missing_capability, write_unresumed};
use crate::mcp::protocol::Protocol;
use crate::mcp::reply::{Reply, ReplyKind};
use crate::mcp::state::StateSeal;
use crate::mcp::time::UnixSeconds;
use crate::mcp::unresumed::Unresumed;

impl Protocol {
    /// Seals what the client of a call is to bring back. `None` if that is not possible.
    pub fn seal_parked(
        &self,
        ticket: &Ticket,
        plain: &[u8],
        state: &dyn StateSeal,
        now: UnixSeconds,
    ) -> Option<String> {
        state.seal(plain, ticket.binding()?.as_bytes(), now)
    }

    /// Appends the answer to a request whose call waits for its client: the object of its questions, and what the
    /// client is to bring back; without that the answer is an error.
    pub fn answer_parked(
        &self,
        ticket: &Ticket,
        requests: &[u8],
        sealed: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Reply {
        let Some(sealed) = sealed else {
            write_internal_error(out, ticket.id().as_id(), "the client cannot be asked at present");
            return Reply::answered().with_outcome(metrics::Outcome::InternalError);
        };
        write_result_head(out, ticket.id().as_id());
        out.extend_from_slice(br#"{"resultType":"input_required","inputRequests":"#);
        out.extend_from_slice(requests);
        out.extend_from_slice(br#","requestState":"#);
        write_string(out, sealed);
        out.extend_from_slice(br#","_meta":"#);
        out.extend_from_slice(self.lists().meta());
        out.extend_from_slice(b"}}");
        Reply::answered()
    }

    /// Appends the answer to a request whose client is to open URLs, those of the object `requests`, before it calls
    /// again from the start.
    pub fn answer_urls_required(&self, ticket: &Ticket, requests: &[u8], out: &mut Vec<u8>) -> Reply {
        let id = ticket.id().as_id();
        let needed = ClientCapabilities::ELICITATION_URL;
        if !ticket.capabilities().contains(needed) {
            return self.answer_missing_capability(ticket, needed, out);
        }
        write_result_head(out, id);
        out.extend_from_slice(br#"{"resultType":"input_required","inputRequests":"#);
        out.extend_from_slice(requests);
        out.extend_from_slice(br#","_meta":"#);
        out.extend_from_slice(self.lists().meta());
        out.extend_from_slice(b"}}");
        Reply::answered()
    }

    /// Appends the error for a call that failed because its client has not declared what it was to be asked.
    pub fn answer_missing_capability(
        &self,
        ticket: &Ticket,
        missing: ClientCapabilities,
        out: &mut Vec<u8>,
    ) -> Reply {
        write_missing_capability(out, Some(ticket.id().as_id()), missing);
        Reply::with_body(ReplyKind::Invalid).with_outcome(metrics::Outcome::MissingCapability)
    }

    /// Appends the error for a request that was to go on with a call that does not.
    pub fn answer_unresumed(&self, ticket: &Ticket, why: Unresumed, out: &mut Vec<u8>) -> Reply {
        write_unresumed(out, ticket.id().as_id(), why);
        Reply::answered().with_outcome(metrics::Outcome::InvalidParams)
    }
}
