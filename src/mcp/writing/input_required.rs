//! The answer to a call that has to ask its client first.
//!
//! A modern client gets an `InputRequiredResult` with the questions and, sealed, the answers known so far; it comes
//! back with the same request (2026-07-28, multi round-trip requests). Legacy calls wait for their answers instead;
//! only a URL that has to be opened first is an error, and only in 2025-11-25.

use serde_json::{Map, Value, json};

use crate::jsonrpc::{write_result_head, write_string};
use crate::metrics;
use crate::registry::{AskedQuestion, ClientCapabilities, QuestionRequest, ToolError};

use crate::mcp::call::Ticket;
use crate::mcp::error::{write_internal_error, write_missing_capability, write_url_elicitation_required};
use crate::mcp::protocol::Protocol;
use crate::mcp::reply::{Reply, ReplyKind};
use crate::mcp::revision::Era;
use crate::mcp::state::StateSeal;
use crate::mcp::time::UnixSeconds;
use crate::mcp::writing::question_compat;

/// Bytes of answers that are sealed into one state. The client sends them back with every round.
const STATE_BYTES_MAX: usize = 1 << 20;

impl Ticket {
    /// Seals what another program wants back with the next round of the call, for its client to carry. `None` if that
    /// is too long, without randomness, and if the ticket is not [bound](crate::mcp::Work::bind).
    pub fn seal_state(&self, plain: &[u8], state: &dyn StateSeal, now: UnixSeconds) -> Option<String> {
        state.seal(plain, self.binding()?.as_bytes(), now)
    }

    /// Opens what the client has brought back; `None` if it is not of this request.
    pub fn open_state(&self, text: &str, state: &dyn StateSeal, now: UnixSeconds) -> Option<Vec<u8>> {
        state.open(text, self.binding()?.as_bytes(), now)
    }
}

impl Protocol {
    /// Appends the answer to a modern call that ended with [`ToolError::InputRequired`]: its `unanswered` questions,
    /// and the `answers` it was given.
    pub fn answer_input_required(
        &self,
        ticket: &Ticket,
        unanswered: &[AskedQuestion],
        answers: Option<Map<String, Value>>,
        state: &dyn StateSeal,
        now: UnixSeconds,
        out: &mut Vec<u8>,
    ) -> Reply {
        let plain = Value::Object(answers.unwrap_or_default()).to_string();
        let sealed = ticket
            .binding()
            .filter(|_| plain.len() <= STATE_BYTES_MAX && !unanswered.is_empty())
            .and_then(|binding| state.seal(plain.as_bytes(), binding.as_bytes(), now));
        let Some(sealed) = sealed else {
            let message = ToolError::InputRequired.to_string();
            write_internal_error(out, ticket.id().as_id(), &message);
            return Reply::answered().with_outcome(metrics::Outcome::InternalError);
        };
        let questions = unanswered
            .iter()
            .map(|question| (question.key.as_str(), &question.request));
        self.write_input_required(ticket, questions, Some(&sealed), out);
        Reply::answered()
    }

    /// Appends the answer to a call that failed because its client was not asked, or could not be; `None` if the error
    /// is another, or if this revision has no such answer.
    pub(in crate::mcp) fn write_client_needed(
        &self,
        ticket: &Ticket,
        error: &ToolError,
        out: &mut Vec<u8>,
    ) -> Option<Reply> {
        let id = ticket.id().as_id();
        let is_modern = ticket.revision().era() == Era::Modern;
        let opens_urls = ticket
            .capabilities()
            .contains(ClientCapabilities::ELICITATION_URL);
        let missing = match error {
            ToolError::MissingCapability(missing) if is_modern => *missing,
            // A task has no such answer; its client reads where to go.
            ToolError::UrlElicitationRequired(_) if is_modern && ticket.is_task() && opens_urls => {
                return None;
            }
            ToolError::UrlElicitationRequired(places) if is_modern && opens_urls => {
                let keys: Vec<String> = (1..=places.len()).map(|number| format!("url_{number}")).collect();
                let questions = keys.iter().map(String::as_str).zip(places);
                self.write_input_required(ticket, questions, None, out);
                return Some(Reply::answered());
            }
            ToolError::UrlElicitationRequired(_) if is_modern => ClientCapabilities::ELICITATION_URL,
            ToolError::UrlElicitationRequired(places)
                if ticket.revision().has_elicitation_ids() && opens_urls =>
            {
                write_url_elicitation_required(out, id, places);
                return Some(Reply::answered().with_outcome(metrics::Outcome::Other));
            }
            _ => return None,
        };
        write_missing_capability(out, Some(id), missing);
        Some(Reply::with_body(ReplyKind::Invalid).with_outcome(metrics::Outcome::MissingCapability))
    }

    fn write_input_required<'q>(
        &self,
        ticket: &Ticket,
        questions: impl Iterator<Item = (&'q str, &'q QuestionRequest)>,
        state: Option<&str>,
        out: &mut Vec<u8>,
    ) {
        let requests: Map<String, Value> = questions
            .map(|(key, request)| {
                let params = question_compat::params(request, ticket.revision());
                let request = json!({"method": request.method.as_str(), "params": params});
                (key.to_owned(), request)
            })
            .collect();
        write_result_head(out, ticket.id().as_id());
        out.extend_from_slice(br#"{"resultType":"input_required","inputRequests":"#);
        out.extend_from_slice(Value::Object(requests).to_string().as_bytes());
        if let Some(state) = state {
            out.extend_from_slice(br#","requestState":"#);
            write_string(out, state);
        }
        out.extend_from_slice(br#","_meta":"#);
        out.extend_from_slice(self.lists().meta());
        out.extend_from_slice(b"}}");
    }
}

/// The text for a client that opens no URLs by itself: it says where the user has to go.
pub(in crate::mcp) fn places_text(places: &[QuestionRequest]) -> String {
    let text =
        |place: &QuestionRequest, name: &str| place.params[name].as_str().unwrap_or_default().to_owned();
    let lines = places
        .iter()
        .map(|place| format!("{}: {}", text(place, "message"), text(place, "url")));
    lines.collect::<Vec<_>>().join("\n")
}
