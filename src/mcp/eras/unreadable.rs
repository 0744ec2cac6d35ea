//! Refusals of messages that cannot be acted on: those that are not JSON, not representable, too large, or not a
//! message.
//!
//! The sender of a request waits for an answer under its id, so a refusal carries that id if it can be read, whatever
//! else is wrong. A message that wants no answer gets none, or two peers might answer each other's errors for ever:
//! HTTP's status alone tells of a refused notification or answer. The call that waits for a refused answer is told at
//! once.

use crate::jsonrpc::{Id, Malformed, Message, Outline, ParseError, Shape, Value, element_spans, pointer_to};

use crate::mcp::eras::batch::BATCH_ELEMENTS_MAX;
use crate::mcp::eras::session_context;
use crate::mcp::eras::session_requests;
use crate::mcp::error::Failure;
use crate::mcp::error::refused;
use crate::mcp::protocol::Protocol;
use crate::mcp::reply::Reply;
use crate::mcp::request_context::RequestContext;
use crate::mcp::state::State;

/// Calls `use_failure` with the reason why a body could not be parsed.
pub(in crate::mcp) fn with_failure<T>(
    body: &[u8],
    error: ParseError,
    use_failure: impl FnOnce(Failure<'_>) -> T,
) -> T {
    match error {
        ParseError::Surrogate { unit, at } => use_failure(Failure::Unrepresentable {
            unit,
            pointer: &pointer_to(body, at),
        }),
        error => use_failure(Failure::Parse(error)),
    }
}

/// Appends the refusal of a message of this shape, unless the message wants none.
pub(in crate::mcp) fn write_refusal(
    id: Option<Id<'_>>,
    shape: Shape,
    failure: Failure<'_>,
    out: &mut Vec<u8>,
) -> Reply {
    let is_json = !matches!(failure, Failure::Parse(ParseError::Syntax));
    match shape {
        Shape::Answer => refused(None, failure).refuse_silently(),
        // A text that is not JSON may not be the notification it looks like.
        Shape::Notification if is_json => refused(None, failure).refuse_silently(),
        Shape::Request | Shape::Notification | Shape::Unknown => refused(id, failure).write(out),
    }
}

impl Protocol {
    /// Answers a body that could not be parsed.
    #[cold]
    pub(in crate::mcp) fn refuse_unparsed(
        &self,
        request_context: &RequestContext<'_>,
        body: &[u8],
        error: ParseError,
        state: &dyn State,
        out: &mut Vec<u8>,
    ) -> Reply {
        let outline = Outline::of(body);
        with_failure(body, error, |failure| {
            self.refuse_by_outline(request_context, &outline, failure, state, out)
        })
    }

    /// Answers a message of a channel that is too large to be kept; its id was read as its bytes came.
    pub fn refuse_too_large(
        &self,
        request_context: &RequestContext<'_>,
        outline: &Outline,
        state: &dyn State,
        out: &mut Vec<u8>,
    ) -> Reply {
        self.refuse_by_outline(request_context, outline, Failure::TooLarge, state, out)
    }

    fn refuse_by_outline(
        &self,
        request_context: &RequestContext<'_>,
        outline: &Outline,
        failure: Failure<'_>,
        state: &dyn State,
        out: &mut Vec<u8>,
    ) -> Reply {
        if outline.shape == Shape::Answer
            && let Some(question) = outline.id_text()
        {
            self.fail_question(request_context, &question, failure, state);
        }
        write_refusal(outline.id(), outline.shape, failure, out)
    }

    /// Answers JSON that is not a message.
    #[cold]
    pub(in crate::mcp) fn refuse_malformed(
        &self,
        request_context: &RequestContext<'_>,
        malformed: &Malformed<'_>,
        state: &dyn State,
        out: &mut Vec<u8>,
    ) -> Reply {
        let failure = Failure::Envelope(malformed.fault);
        if malformed.shape == Shape::Answer
            && let Some(Id::Text(question)) = malformed.id
        {
            self.fail_question(request_context, question, failure, state);
        }
        write_refusal(malformed.id, malformed.shape, failure, out)
    }

    /// Answers an array that is refused as a whole. On a channel each of its requests waits for an answer of its own.
    #[cold]
    pub(in crate::mcp) fn refuse_batch(
        &self,
        request_context: &RequestContext<'_>,
        root: Value<'_, '_>,
        text: &[u8],
        failure: Failure<'_>,
        state: &dyn State,
        out: &mut Vec<u8>,
    ) -> Reply {
        let begin = out.len();
        let mut whole = refused(None, failure).write(out);
        let mut requests = 0;
        let is_on_channel = request_context.channel().is_some();
        for (element, span) in root.elements().zip(element_spans(text)).take(BATCH_ELEMENTS_MAX) {
            let text = text.get(span).unwrap_or_default();
            let (id, shape) = match Message::read(element, text) {
                Ok(Message::Request(request)) => (Some(request.id), Shape::Request),
                Ok(Message::Notification(_)) => continue,
                Ok(Message::Response(response)) => (response.id, Shape::Answer),
                Err(malformed) => (malformed.id, malformed.shape),
            };
            match (shape, id) {
                (Shape::Answer, Some(Id::Text(question))) => {
                    self.fail_question(request_context, question, failure, state);
                }
                (Shape::Answer, _) => {}
                (_, Some(id)) if is_on_channel => {
                    if requests == 0 {
                        out.truncate(begin);
                    }
                    out.push(if requests == 0 { b'[' } else { b',' });
                    requests += 1;
                    whole = refused(Some(id), failure).write(out);
                }
                _ => {}
            }
        }
        if requests > 0 {
            out.push(b']');
        }
        whole
    }

    /// Tells the call that waits for this answer that the answer cannot be used, so that it need not wait any longer.
    fn fail_question(
        &self,
        request_context: &RequestContext<'_>,
        question: &str,
        failure: Failure<'_>,
        state: &dyn State,
    ) {
        if let Ok(context) = session_context::context(self, request_context, state) {
            session_requests::fail_question(context, question, &failure.message(), state);
        }
    }
}
