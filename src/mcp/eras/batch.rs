//! Arrays of messages, which only 2025-03-26 allows.
//!
//! ```text
//!   decode ── control answered ──▶ "[a,b" ── next, answer ──▶ "[a,b,c" ── … ── close ──▶ "[a,b,c]"
//! ```
//!
//! Control in a batch is answered when it is decoded; calls run one after another under one handler. Nothing parsed is
//! kept between them: a batch remembers where in the body each call lies and parses each call by itself again, so the
//! cost stays linear in the body. One element that is not a message, or cannot be in a batch, refuses the whole batch.

use std::collections::VecDeque;

use crate::jsonrpc::{ElementSpan, Message, Notification, Request, Scratch, Value, element_spans};

use crate::mcp::call::Work;
use crate::mcp::child_client::Heads;
use crate::mcp::eras::legacy;
use crate::mcp::eras::modern;
use crate::mcp::eras::routed::Routed;
use crate::mcp::eras::session_context::Context;
use crate::mcp::eras::session_requests;
use crate::mcp::error::{BatchFault, Failure, Refused};
use crate::mcp::overload::Overload;
use crate::mcp::protocol::Protocol;
use crate::mcp::reply::{Reply, ReplyKind};
use crate::mcp::revision::Era;
use crate::mcp::state::State;

/// Most messages in one batch. The bound keeps one connection from holding a handler for long.
pub const BATCH_ELEMENTS_MAX: usize = 64;

/// A batch with calls still to run. It holds nothing of the body, which the caller keeps unchanged until
/// [`Batch::close`] or [`Batch::refuse`].
///
/// ```text
///   while let Some(work) = batch.next_work(..) { run it; batch.begin_answer(out); protocol.answer(.., out); }
///   batch.close(out)
/// ```
#[derive(Clone, Debug)]
pub struct Batch {
    context: Context,
    /// The places in the body of the calls that were not handed out yet.
    calls: VecDeque<ElementSpan>,
    has_answers: bool,
}

/// The state of an array after its control was answered.
pub(in crate::mcp) enum Opened {
    /// Everything in the array was answered, or wanted no answer.
    Reply(Reply),
    /// Calls are left to run.
    Batch(Batch),
}

impl Batch {
    /// Answers the control in the array and notes the calls.
    pub(in crate::mcp) fn open<'s>(
        protocol: &Protocol,
        (context, heads): (Context, Heads<'_>),
        body: &'s [u8],
        root: Value<'_, 's>,
        state: &dyn State,
        out: &mut Vec<u8>,
    ) -> Result<Opened, Failure<'s>> {
        if !context.revision.has_batches() {
            return Err(Failure::Batch(BatchFault::NotInThisRevision));
        }
        check_elements(root, body)?;
        let mut batch = Self {
            context,
            calls: VecDeque::new(),
            has_answers: false,
        };
        for (element, span) in root.elements().zip(element_spans(body)) {
            let text = body.get(span.clone()).unwrap_or_default();
            match Message::read(element, text) {
                Ok(Message::Request(request)) => {
                    batch.take_request(protocol, heads, (&request, span), state, out)
                }
                Ok(Message::Notification(notification)) => {
                    session_requests::notification(context, &notification, state);
                }
                // The call that waits for this answer is told when the answer is wrong.
                Ok(Message::Response(response)) => {
                    let _ = session_requests::response(context, &response, state);
                }
                Err(_) => {}
            }
        }
        Ok(if !batch.calls.is_empty() {
            Opened::Batch(batch)
        } else if batch.has_answers {
            Opened::Reply(batch.close(out))
        } else {
            Opened::Reply(Reply::without_body(ReplyKind::Accepted))
        })
    }

    /// The next call to run, parsed from `body`, which must be the one this batch was decoded from.
    pub fn next_work<'s>(
        &mut self,
        protocol: &Protocol,
        body: &'s [u8],
        scratch: &'s mut Scratch,
    ) -> Option<Work<'s>> {
        let span = self.calls.pop_front()?;
        let document = scratch.parse(body.get(span)?).ok()?;
        let Ok(Message::Request(request)) = Message::read(document.root(), document.text()) else {
            return None;
        };
        // A call appends nothing until it is answered.
        match legacy::call(protocol, self.context, &request, &mut Vec::new()) {
            Ok(Routed::Call(mut call)) => {
                call.requester.has_stream = false;
                Some(Work::new(document, call))
            }
            _ => None,
        }
    }

    /// Prepares `out` for one answer, which the caller appends next.
    pub fn begin_answer(&mut self, out: &mut Vec<u8>) {
        out.push(if self.has_answers { b',' } else { b'[' });
        self.has_answers = true;
    }

    /// Ends the array; the batch's calls are all answered.
    pub fn close(&self, out: &mut Vec<u8>) -> Reply {
        debug_assert!(
            self.calls.is_empty(),
            "{} calls without an answer",
            self.calls.len()
        );
        out.push(b']');
        Reply::answered()
    }

    /// Refuses every call that is left, one error each, and ends the array.
    pub fn refuse(
        mut self,
        protocol: &Protocol,
        overload: &Overload,
        body: &[u8],
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Reply {
        while !self.calls.is_empty() {
            if let Some(work) = self.next_work(protocol, body, scratch) {
                self.begin_answer(out);
                let _ = protocol.refuse(Some(work.id()), overload, out);
            }
        }
        out.push(b']');
        Reply::overloaded(overload)
    }

    fn take_request(
        &mut self,
        protocol: &Protocol,
        heads: Heads<'_>,
        (request, span): (&Request<'_, '_>, ElementSpan),
        state: &dyn State,
        out: &mut Vec<u8>,
    ) {
        let (start, had_answers) = (out.len(), self.has_answers);
        self.begin_answer(out);
        match legacy::dispatch(protocol, (self.context, heads), request, state, out) {
            Ok(Routed::Call(_)) => {
                out.truncate(start);
                self.has_answers = had_answers;
                self.calls.push_back(span);
            }
            Ok(_) => {}
            Err(failure) => {
                let refused = Refused {
                    id: Some(request.id),
                    era: Era::Legacy,
                    failure,
                };
                let _ = refused.write(out);
            }
        }
    }
}

/// Whether every element is a message that may stand in a batch.
fn check_elements<'s>(root: Value<'_, 's>, body: &'s [u8]) -> Result<(), Failure<'s>> {
    let mut count = 0;
    for (element, span) in root.elements().zip(element_spans(body)) {
        count += 1;
        if count > BATCH_ELEMENTS_MAX {
            return Err(Failure::Batch(BatchFault::TooLong {
                elements_max: BATCH_ELEMENTS_MAX,
            }));
        }
        match Message::read(element, body.get(span).unwrap_or_default()) {
            Ok(Message::Request(request)) if request.method == legacy::INITIALIZE => {
                return Err(Failure::Batch(BatchFault::Initialize));
            }
            Ok(
                Message::Request(Request { params, .. }) | Message::Notification(Notification { params, .. }),
            ) if params.is_some_and(modern::claims_version) => {
                return Err(Failure::Batch(BatchFault::Modern));
            }
            Ok(_) => {}
            Err(malformed) => return Err(Failure::Envelope(malformed.fault)),
        }
    }
    match count {
        0 => Err(Failure::Batch(BatchFault::Empty)),
        _ => Ok(()),
    }
}
