//! GET: the stream on which a legacy session gets the messages that belong to none of its requests.
//!
//! Only a session has such a stream, because the messages on it are remembered under the session. The modern era has
//! `subscriptions/listen` instead, and no GET.

use crate::wire::http1::Field;

use crate::mcp::eras::session_context;
use crate::mcp::error::Failure;
use crate::mcp::error::refused;
use crate::mcp::protocol::Protocol;
use crate::mcp::reply::Reply;
use crate::mcp::request_context::RequestContext;
use crate::mcp::revision::Era;
use crate::mcp::sessions::OpenSession;
use crate::mcp::state::State;

/// The longest `Last-Event-ID` that can be one of ours.
const EVENT_ID_BYTES_MAX: usize = 128;

/// The result of decoding a GET.
#[derive(Clone, Debug)]
pub enum Opening<'a> {
    /// There is no stream; the answer is complete.
    Refused(Reply),
    /// The client gets a stream if there is room for one.
    Stream(StreamRequest<'a>),
}

/// A session that wants its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamRequest<'a> {
    /// The session.
    pub session: OpenSession,
    /// The last event that the client has, if it resumes a stream: at most 128 bytes of any kind.
    pub last_event_id: Option<&'a [u8]>,
}

impl Protocol {
    /// Decodes a GET. A refusal's body is appended to `out`.
    pub fn get<'a>(
        &self,
        request_context: &RequestContext<'a>,
        state: &dyn State,
        out: &mut Vec<u8>,
    ) -> Opening<'a> {
        let era = if request_context.names_modern_revision() {
            Era::Modern
        } else {
            Era::Legacy
        };
        match stream_request(self, request_context, state) {
            Ok(request) => Opening::Stream(request),
            Err(failure) => Opening::Refused(refused(None, failure).write(out).about(era, "")),
        }
    }
}

/// Why a well-formed request gets no stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoStream {
    /// `Last-Event-ID` names no event of this session that is still kept.
    Forgotten,
    /// The session's stream already has a connection.
    Taken,
}

impl Protocol {
    /// Appends the refusal of a GET that [`Protocol::get`] let pass.
    pub fn refuse_stream(&self, why: NoStream, out: &mut Vec<u8>) -> Reply {
        let failure = match why {
            NoStream::Forgotten => {
                Failure::EventId("Last-Event-ID names nothing that is kept for this session")
            }
            NoStream::Taken => Failure::StreamTaken,
        };
        refused(None, failure).write(out).about(Era::Legacy, "")
    }
}

fn stream_request<'a>(
    protocol: &Protocol,
    request_context: &RequestContext<'a>,
    state: &dyn State,
) -> Result<StreamRequest<'a>, Failure<'static>> {
    if request_context.names_modern_revision() {
        return Err(Failure::HttpMethod);
    }
    let session = session_context::context(protocol, request_context, state)?.session;
    let head = request_context.head().ok_or(Failure::HttpMethod)?;
    let last_event_id = match head.last_event_id {
        Field::One(id) if id.len() > EVENT_ID_BYTES_MAX => {
            return Err(Failure::EventId("Last-Event-ID is none of this server's"));
        }
        Field::Repeated => return Err(Failure::EventId("Last-Event-ID is sent more than once")),
        field => field.value().filter(|id| !id.is_empty()),
    };
    Ok(StreamRequest {
        session: session.ok_or(Failure::StreamNeedsSession)?,
        last_event_id,
    })
}
