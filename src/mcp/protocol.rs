//! The front door: one decoded body, one [`Step`].

use crate::jsonrpc::{Document, Id, Message, Notification, Request, Scratch, Value};
use crate::metrics;
use crate::registry::Registry;

use super::announce::Announcement;
use super::batch::Batch;
use super::call::{Call, Work};
use super::error::{BatchFault, Failure, Refused};
use super::facts::Facts;
use super::legacy;
use super::listen::Listen;
use super::lists::{Identity, Lists};
use super::live::State;
use super::modern;
use super::overload::Overload;
use super::remembered;
use super::revision::Era;
use super::sessions::{EndSession, SessionId, Sessions};
use super::tasks::AwaitTask;

/// Choices of whoever runs the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Refuse legacy requests that name no session. Hosted clients often name none, so the default is to serve
    /// them without.
    pub require_session: bool,
}

/// A server's protocol: what it says of itself and how it reads requests. Never changed; an edited registry gets
/// another.
pub struct Protocol {
    registry: Registry,
    identity: Identity,
    lists: Lists,
    options: Options,
}

/// What a decoded body comes to. It borrows the scratch: take a [`Batch`] out of it and let it end before the
/// batch's calls use the scratch again.
#[derive(Debug)]
pub enum Step<'s> {
    /// Control: the answer is complete.
    Reply(Reply),
    /// A call to run.
    Work(Work<'s>),
    /// An array with calls to run one after another (2025-03-26 only); what else was in it is answered already.
    Batch(Batch),
    /// A client that listens from now on (2026-07-28).
    Listen(Listen),
    /// A client that waits for what a task comes to (2025-11-25).
    AwaitTask(AwaitTask),
}

/// How an answer goes out; its body was appended to `out`.
#[must_use = "a reply is what the client waits for"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Whether a JSON body was appended.
    pub has_body: bool,
    /// `Mcp-Session-Id` of a session just made.
    pub session: Option<SessionId>,
    /// `Retry-After`, with status 503.
    pub retry_after_seconds: Option<u64>,
    /// What metrics say of it.
    pub labels: Labels,
}

/// What an answer is counted under. A batch is one answer, of no method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labels {
    /// The era of the request.
    pub era: metrics::Era,
    /// Its method.
    pub method: metrics::Method,
    /// How it ended.
    pub outcome: metrics::Outcome,
}

/// Where a message leads.
pub(super) enum Routed<'s> {
    Reply(Reply),
    Call(Call<'s>),
    Batch(Batch),
    Listen(Listen),
    AwaitTask(AwaitTask),
}

impl Protocol {
    /// The protocol over these tools.
    pub fn new(registry: Registry, identity: &Identity, options: Options) -> Self {
        Self {
            lists: Lists::new(&registry, identity),
            identity: identity.clone(),
            registry,
            options,
        }
    }

    /// The same server with what is registered now. As costly as [`Protocol::new`]: every list is written anew.
    #[must_use]
    pub fn with_registry(&self, registry: Registry) -> Self {
        Self::new(registry, &self.identity, self.options)
    }

    /// The tools.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What clients that know `before` have to hear of.
    pub fn changes_since(&self, before: &Protocol) -> Vec<Announcement> {
        self.lists.changes_since(&before.lists)
    }

    pub(super) fn lists(&self) -> &Lists {
        &self.lists
    }

    pub(super) fn options(&self) -> Options {
        self.options
    }

    /// Decodes the body of a POST. Answers to control are appended to `out`, which is otherwise left alone.
    ///
    /// Work has no effects, so that a request whose work found no handler can be decoded again; a batch's
    /// notifications and answers do no harm the second time. Warm, a call allocates nothing.
    pub fn decode<'s>(
        &self,
        facts: &Facts<'_>,
        body: &'s [u8],
        scratch: &'s mut Scratch,
        state: &dyn State,
        out: &mut Vec<u8>,
    ) -> Step<'s> {
        let document = match scratch.parse(body) {
            Ok(document) => document,
            Err(error) => return Step::Reply(self.refuse_unparsed(facts, body, error, state, out)),
        };
        match self.route(facts, &document, state, out) {
            Routed::Reply(reply) => Step::Reply(reply),
            Routed::Call(call) => Step::Work(Work::new(document, call)),
            Routed::Batch(batch) => Step::Batch(batch),
            Routed::Listen(listen) => Step::Listen(listen),
            Routed::AwaitTask(wanted) => Step::AwaitTask(wanted),
        }
    }

    /// Answers a DELETE: the end of a legacy session.
    pub fn delete(&self, facts: &Facts<'_>, sessions: &dyn Sessions, out: &mut Vec<u8>) -> Reply {
        let ended = if facts.names_modern_revision() {
            Err(Failure::HttpMethod)
        } else {
            legacy::end_session(facts, sessions)
        };
        let reply = match ended {
            Ok(EndSession::Ended) => Reply::empty(200),
            Ok(EndSession::Unknown) => refused(None, Failure::SessionUnknown).write(out),
            Err(failure) => refused(None, failure).write(out),
        };
        reply.about(Era::Legacy, "")
    }

    fn route<'s>(
        &self,
        facts: &Facts<'_>,
        document: &Document<'s>,
        state: &dyn State,
        out: &mut Vec<u8>,
    ) -> Routed<'s> {
        let (root, text) = (document.root(), document.text());
        let (routed, era, method) = if root.is_array() {
            let routed = self
                .route_batch(facts, text, root, state, out)
                .or_else(|failure| {
                    Ok(Routed::Reply(
                        self.refuse_batch(facts, root, text, failure, state, out),
                    ))
                });
            (routed, Era::Legacy, "")
        } else {
            let message = match Message::read(root, text) {
                Ok(message) => message,
                Err(malformed) => return Routed::Reply(self.refuse_malformed(facts, &malformed, state, out)),
            };
            let (era, method) = subject(facts, &message);
            (self.route_message(facts, message, era, state, out), era, method)
        };
        match routed {
            Ok(Routed::Reply(reply)) => Routed::Reply(reply.about(era, method)),
            Ok(work) => work,
            Err(refused) => Routed::Reply(refused.write(out).about(era, method)),
        }
    }

    fn route_message<'p, 's: 'p>(
        &'p self,
        facts: &Facts<'_>,
        message: Message<'_, 's>,
        era: Era,
        state: &dyn State,
        out: &mut Vec<u8>,
    ) -> Result<Routed<'s>, Refused<'p>> {
        match message {
            Message::Request(request) => match era {
                Era::Modern => {
                    modern::request(self, facts, &request, state, out).map_err(|failure| Refused {
                        id: Some(request.id),
                        era: Era::Modern,
                        failure,
                    })
                }
                Era::Legacy => legacy::request(self, facts, &request, state, out)
                    .map_err(|failure| refused(Some(request.id), failure)),
            },
            Message::Notification(notification) => {
                let heard = match era {
                    Era::Modern => modern::notification(facts, &notification, state),
                    Era::Legacy => legacy::context(self, facts, state)
                        .map(|context| remembered::notification(context, &notification, state)),
                };
                Ok(Routed::Reply(accepted_or_refused(heard, era)))
            }
            Message::Response(response) => {
                let heard = match era {
                    Era::Modern => Err(Failure::UnexpectedResponse),
                    Era::Legacy => legacy::context(self, facts, state)
                        .and_then(|context| remembered::response(context, &response, state)),
                };
                Ok(Routed::Reply(accepted_or_refused(heard, era)))
            }
        }
    }

    fn route_batch<'s>(
        &self,
        facts: &Facts<'_>,
        text: &'s [u8],
        root: Value<'_, 's>,
        state: &dyn State,
        out: &mut Vec<u8>,
    ) -> Result<Routed<'s>, Failure<'s>> {
        if facts.names_modern_revision() {
            return Err(Failure::Batch(BatchFault::NotInThisRevision));
        }
        let context = legacy::context(self, facts, state)?;
        Batch::open(self, context, text, root, state, out)
    }
}

impl std::fmt::Debug for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Protocol")
            .field("registry", &self.registry)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Reply {
    /// A status and a body.
    pub(super) const fn with_body(status: u16) -> Self {
        Self {
            status,
            has_body: true,
            session: None,
            retry_after_seconds: if status == 503 { Some(1) } else { None },
            labels: Labels {
                era: metrics::Era::Unknown,
                method: metrics::Method::Other,
                outcome: metrics::Outcome::Ok,
            },
        }
    }

    /// A body that answers control, counted under these labels.
    pub const fn of_control(labels: Labels) -> Self {
        Self {
            labels,
            ..Self::with_body(200)
        }
    }

    /// The same, counted under this era and method.
    pub(super) fn about(mut self, era: Era, method: &str) -> Self {
        self.labels.era = match era {
            Era::Legacy => metrics::Era::Legacy,
            Era::Modern => metrics::Era::Modern,
        };
        self.labels.method = metrics::Method::from_name(method);
        self
    }

    /// The same, counted as ended so.
    pub(super) fn with_outcome(mut self, outcome: metrics::Outcome) -> Self {
        self.labels.outcome = outcome;
        self
    }

    /// A status alone.
    pub(super) const fn empty(status: u16) -> Self {
        Self {
            has_body: false,
            ..Self::with_body(status)
        }
    }

    /// 503 and when to come back.
    pub(super) fn overloaded(overload: &Overload) -> Self {
        Self {
            retry_after_seconds: Some(overload.retry_after_seconds()),
            ..Self::with_body(503)
        }
        .with_outcome(metrics::Outcome::Overload)
    }
}

/// A failure before the era matters, or in the legacy one.
pub(super) fn refused<'s>(id: Option<Id<'s>>, failure: Failure<'s>) -> Refused<'s> {
    Refused {
        id,
        era: Era::Legacy,
        failure,
    }
}

/// How a message that wants no answer is taken.
fn accepted_or_refused(heard: Result<(), Failure<'_>>, era: Era) -> Reply {
    match heard {
        Ok(()) => Reply::empty(202),
        Err(failure) => Refused {
            id: None,
            era,
            failure,
        }
        .refuse_silently(),
    }
}

/// The era and method of a message; a response has no method.
fn subject<'s>(facts: &Facts<'_>, message: &Message<'_, 's>) -> (Era, &'s str) {
    match message {
        Message::Request(Request { method, params, .. })
        | Message::Notification(Notification { method, params, .. }) => {
            (era_of(facts, method, *params), method)
        }
        Message::Response(_) if facts.names_modern_revision() => (Era::Modern, ""),
        Message::Response(_) => (Era::Legacy, ""),
    }
}

/// Modern is what claims a version in its envelope, what a header says is modern, and what only that era has. The
/// header of `initialize` says nothing: clients that know a newer version send it with what begins an older one.
fn era_of(facts: &Facts<'_>, method: &str, params: Option<Value<'_, '_>>) -> Era {
    let is_modern = params.is_some_and(modern::claims_version)
        || facts.names_modern_revision() && method != legacy::INITIALIZE
        || method == modern::DISCOVER;
    if is_modern { Era::Modern } else { Era::Legacy }
}
