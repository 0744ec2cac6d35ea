//! The front door of the protocol: one decoded body gives one [`Step`].

use crate::jsonrpc::{Document, Message, Notification, Request, Scratch, Value};

use crate::mcp::call::Work;
use crate::mcp::child_client::Heads;
use crate::mcp::eras::batch::{Batch, Opened};
use crate::mcp::eras::legacy;
use crate::mcp::eras::modern;
use crate::mcp::eras::routed::Routed;
use crate::mcp::eras::session_context;
use crate::mcp::eras::session_requests;
use crate::mcp::error::{BatchFault, Failure, Refused, refused};
use crate::mcp::features::listen::Listen;
use crate::mcp::protocol::Protocol;
use crate::mcp::reply::{Reply, ReplyKind};
use crate::mcp::request_context::RequestContext;
use crate::mcp::revision::Era;
use crate::mcp::sessions::{EndSession, Sessions};
use crate::mcp::state::State;
use crate::mcp::task::AwaitTask;

/// The next step after a body was decoded. It borrows the scratch: take a [`Batch`] out of it and let it end before the
/// batch's calls use the scratch again.
#[derive(Debug)]
pub enum Step<'s> {
    /// Control: the answer is complete.
    Reply(Reply),
    /// A call to run.
    Work(Work<'s>),
    /// An array with calls to run one after another (2025-03-26 only); all other messages in it are answered already.
    Batch(Batch),
    /// A client that starts to listen (2026-07-28).
    Listen(Box<Listen>),
    /// A client that waits for the result of a task (2025-11-25).
    AwaitTask(Box<AwaitTask>),
}

impl Protocol {
    /// Decodes the body of a POST. Answers to control are appended to `out`; nothing else is.
    ///
    /// Decoding work has no effects, so that a request that found no handler can be decoded again; the notifications
    /// and answers in a batch may take effect twice without harm. A warm call allocates nothing here.
    pub fn decode<'s>(
        &self,
        request_context: &RequestContext<'_>,
        body: &'s [u8],
        scratch: &'s mut Scratch,
        state: &dyn State,
        out: &mut Vec<u8>,
    ) -> Step<'s> {
        let document = match scratch.parse(body) {
            Ok(document) => document,
            Err(error) => return Step::Reply(self.refuse_unparsed(request_context, body, error, state, out)),
        };
        if document.root().is_array() {
            return match self.open_batch(request_context, &document, state, out) {
                Opened::Reply(reply) => Step::Reply(reply.about(Era::Legacy, "")),
                Opened::Batch(batch) => Step::Batch(batch),
            };
        }
        match self.route(request_context, &document, state, out) {
            Routed::Reply(reply) => Step::Reply(reply),
            Routed::Call(call) => Step::Work(Work::new(document, call)),
            Routed::Listen(listen) => Step::Listen(listen),
            Routed::AwaitTask(wanted) => Step::AwaitTask(wanted),
        }
    }

    /// Answers a DELETE: the end of a legacy session.
    pub fn delete(
        &self,
        request_context: &RequestContext<'_>,
        sessions: &dyn Sessions,
        out: &mut Vec<u8>,
    ) -> Reply {
        let ended = if request_context.names_modern_revision() {
            Err(Failure::HttpMethod)
        } else {
            legacy::end_session(request_context, sessions)
        };
        let reply = match ended {
            Ok(EndSession::Ended) => Reply::without_body(ReplyKind::SessionEnded),
            Ok(EndSession::Unknown) => refused(None, Failure::SessionUnknown).write(out),
            Err(failure) => refused(None, failure).write(out),
        };
        reply.about(Era::Legacy, "")
    }

    fn route<'s>(
        &self,
        request_context: &RequestContext<'_>,
        document: &Document<'s>,
        state: &dyn State,
        out: &mut Vec<u8>,
    ) -> Routed<'s> {
        let message = match Message::read(document.root(), document.text()) {
            Ok(message) => message,
            Err(malformed) => {
                return Routed::Reply(self.refuse_malformed(request_context, &malformed, state, out));
            }
        };
        let (era, method) = subject(request_context, &message);
        match self.route_message(request_context, message, era, state, out) {
            Ok(Routed::Reply(reply)) => Routed::Reply(reply.about(era, method)),
            Ok(work) => work,
            Err(refused) => Routed::Reply(refused.write(out).about(era, method)),
        }
    }

    fn route_message<'p, 's: 'p>(
        &'p self,
        request_context: &RequestContext<'_>,
        message: Message<'_, 's>,
        era: Era,
        state: &dyn State,
        out: &mut Vec<u8>,
    ) -> Result<Routed<'s>, Refused<'p>> {
        match message {
            Message::Request(request) => match era {
                Era::Modern => {
                    modern::request(self, request_context, &request, state, out).map_err(|failure| Refused {
                        id: Some(request.id),
                        era: Era::Modern,
                        failure,
                    })
                }
                Era::Legacy => legacy::request(self, request_context, &request, state, out)
                    .map_err(|failure| refused(Some(request.id), failure)),
            },
            Message::Notification(notification) => {
                let heard = match era {
                    Era::Modern => modern::notification(request_context, &notification, state),
                    Era::Legacy => session_context::context(self, request_context, state)
                        .map(|context| session_requests::notification(context, &notification, state)),
                };
                Ok(Routed::Reply(accepted_or_refused(heard, era)))
            }
            Message::Response(response) => {
                let heard = match era {
                    Era::Modern => Err(Failure::UnexpectedResponse),
                    Era::Legacy => session_context::context(self, request_context, state)
                        .and_then(|context| session_requests::response(context, &response, state)),
                };
                Ok(Routed::Reply(accepted_or_refused(heard, era)))
            }
        }
    }

    fn open_batch(
        &self,
        request_context: &RequestContext<'_>,
        document: &Document<'_>,
        state: &dyn State,
        out: &mut Vec<u8>,
    ) -> Opened {
        let (root, text) = (document.root(), document.text());
        let opened = if request_context.names_modern_revision() {
            Err(Failure::Batch(BatchFault::NotInThisRevision))
        } else {
            session_context::context(self, request_context, state).and_then(|context| {
                Batch::open(
                    self,
                    (context, Heads::Of(request_context)),
                    text,
                    root,
                    state,
                    out,
                )
            })
        };
        opened.unwrap_or_else(|failure| {
            Opened::Reply(self.refuse_batch(request_context, root, text, failure, state, out))
        })
    }
}

/// The reply to a message that wants no answer.
fn accepted_or_refused(heard: Result<(), Failure<'_>>, era: Era) -> Reply {
    match heard {
        Ok(()) => Reply::without_body(ReplyKind::Accepted),
        Err(failure) => Refused {
            id: None,
            era,
            failure,
        }
        .refuse_silently(),
    }
}

/// The era and method of a message; the method of a response is empty.
fn subject<'s>(request_context: &RequestContext<'_>, message: &Message<'_, 's>) -> (Era, &'s str) {
    match message {
        Message::Request(Request { method, params, .. })
        | Message::Notification(Notification { method, params, .. }) => {
            (era_of(request_context, method, *params), method)
        }
        Message::Response(_) if request_context.names_modern_revision() => (Era::Modern, ""),
        Message::Response(_) => (Era::Legacy, ""),
    }
}

/// A message is modern if its envelope claims a version, if a header names a modern version, or if only that era has
/// its method. The header of `initialize` decides nothing: clients that know a newer version send it with the message
/// that begins an older one.
fn era_of(request_context: &RequestContext<'_>, method: &str, params: Option<Value<'_, '_>>) -> Era {
    // The header first: with it, the parameters need not be looked through.
    let is_modern = request_context.names_modern_revision() && method != legacy::INITIALIZE
        || params.is_some_and(modern::claims_version)
        || method == modern::DISCOVER;
    if is_modern { Era::Modern } else { Era::Legacy }
}
