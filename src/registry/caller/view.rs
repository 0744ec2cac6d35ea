//! What a tool sees of who calls it.

use serde_json::{Map, Value};

use super::client_info::ClientInfo;
use super::facts::CallerFacts;
use super::from_client::FromClient;
use super::headers::{HeaderFault, SentHeader};
use super::identity::{CallerSession, Principal, Transport};
use super::trace::TraceContext;
use crate::ring::Peer;

static NOBODY: CallerFacts = CallerFacts::NOBODY;

/// Who calls, and with which request: [`CallContext::caller`](crate::CallContext::caller) and
/// [`BlockingContext::caller`](crate::BlockingContext::caller).
///
/// What the server knows for itself is given as it is. What the client said, which nobody has checked, is a
/// [`FromClient`].
#[derive(Clone, Copy, Debug)]
pub struct Caller<'c>(&'c CallerFacts);

impl<'c> Caller<'c> {
    pub(in crate::registry) fn new(facts: Option<&'c CallerFacts>) -> Self {
        Self(facts.unwrap_or(&NOBODY))
    }

    /// The revision of the protocol in which the client is answered, such as `"2025-11-25"`; as texts they compare by
    /// age. Empty if there is no client.
    pub fn revision(self) -> &'static str {
        self.0.revision
    }

    /// How the request came.
    pub fn transport(self) -> Transport {
        self.0.transport
    }

    /// The other end of the connection: an address, or a process of this machine for one on a Unix socket. Behind a
    /// proxy this is the proxy. `None` on stdio, and if the connection is gone.
    pub fn peer(self) -> Option<Peer> {
        self.0.peer
    }

    /// Who the client is, as far as that was proven: [anonymous](Principal::is_anonymous), as there is no
    /// authentication.
    pub fn principal(self) -> Principal {
        self.0.principal
    }

    /// The legacy session or the channel of the request. `None` for a request of HTTP without a session, as all are
    /// since 2026-07-28.
    pub fn session(self) -> Option<CallerSession> {
        self.0.session
    }

    /// The program that the client says it is. Clients since 2026-07-28 may say so with each request, older ones do by
    /// `initialize`, and that is known in their sessions and on their channels.
    ///
    /// `None` if the client has not said, or has no session; for a name of more than 256 bytes; and until 2025-11-25
    /// for one that takes more than 63 characters in the id of the session, where all but letters, digits, `-`, `.`
    /// and `_` take three each. The version is `None` if it is as long, or does not fit there beside the name.
    pub fn client(self) -> Option<FromClient<ClientInfo<'c>>> {
        self.0.client().map(FromClient::new)
    }

    /// The `_meta` of the request, parsed anew each time. `None` if there is none, and for one of more than 64 KiB.
    pub fn meta(self) -> Option<FromClient<Map<String, Value>>> {
        self.0.meta().map(FromClient::new)
    }

    /// The trace that the request says it belongs to: `traceparent`, `tracestate` and `baggage` of its `_meta`, parsed
    /// anew each time. `None` without a `traceparent` of the right form.
    pub fn trace(self) -> Option<FromClient<TraceContext>> {
        TraceContext::of_meta(&self.0.meta()?).map(FromClient::new)
    }

    /// The value of a header of the request, whose name, in any case, was given by `.reads_header(…)` when this was
    /// registered; `None` if it was not sent. Of a message on a WebSocket or of HTTP+SSE these are the headers of the
    /// request that opened the connection. On stdio there are none.
    ///
    /// # Errors
    /// [`HeaderFault::Repeated`] and [`HeaderFault::NotText`] if the client is at fault, which it reads if the tool
    /// passes the error on; [`HeaderFault::NotNamed`] if the name was not given.
    pub fn header(self, name: &str) -> Result<Option<FromClient<&'c str>>, HeaderFault> {
        match self.0.header(name) {
            // A call that nobody made has no headers either.
            None if std::ptr::eq(self.0, &raw const NOBODY) => Ok(None),
            None => Err(HeaderFault::NotNamed(name.to_owned())),
            Some(SentHeader::Absent) => Ok(None),
            Some(SentHeader::Text(text)) => Ok(Some(FromClient::new(text))),
            Some(SentHeader::Repeated) => Err(HeaderFault::Repeated(name.to_owned())),
            Some(SentHeader::NotText) => Err(HeaderFault::NotText(name.to_owned())),
        }
    }
}
