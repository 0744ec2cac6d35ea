//! One HTTP/1.1 connection's conversation: requests out of a growing window of bytes, answers into a buffer.
//!
//! The intake holds no bytes and no clock: the shard owns the window (a ring buffer, or an assembly buffer for a
//! request in pieces) and calls [`Intake::advance`] whenever it grew. One request is taken at a time, so pipelined
//! requests are answered in order by construction.
//!
//! ```text
//! Head ── end of head found, let in ──► Length | Chunked ── whole body there ──► (request) ──► Head
//! ```
//! (RFC 9112)

use std::ops::Range;

use thiserror::Error;

use super::known_heads::KnownHeads;
use super::{Head, parse_head};
use crate::transport::http::admission::{self, AdmissionPolicy, Endpoint};
use crate::units::ViewId;
use crate::wire::http1::{
    BodyError, BodyLength, BodyLimits, ChunkDecoder, HeadError, HeadLimits, HeadScanner, Method, Status,
    UpgradeOffer, Version,
};

/// The purpose of an admitted request, and what it is for.
type Admitted = (Endpoint, ViewId);

/// The limits of a conversation, the same for every connection.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// Limits of a head.
    pub head: HeadLimits,
    /// Limits of a chunked body; its size limit is that of all bodies.
    pub body: BodyLimits,
}

/// The progress through one connection's current request.
#[derive(Debug, Default)]
pub struct Intake {
    scanner: HeadScanner,
    stage: Stage,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Head,
    Length {
        head_bytes: usize,
        body_bytes: usize,
    },
    Chunked(Box<Chunks>),
}

#[derive(Debug, Default)]
struct Chunks {
    head_bytes: usize,
    /// Bytes behind the head that were looked at so far.
    seen_bytes: usize,
    decoder: ChunkDecoder,
    /// Data decoded only to find the end; the request is decoded for good once it is whole.
    dropped: Vec<u8>,
}

/// What is missing of the body of a request that is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingBody {
    /// No body was begun, or it is all there.
    Nothing,
    /// So many bytes.
    Bytes(usize),
    /// It comes in chunks.
    Unknown,
}

/// The result of looking at a window.
#[derive(Debug)]
pub enum Progress<'h, 'w> {
    /// Nothing of a request is there yet.
    Nothing,
    /// The head is incomplete.
    Head,
    /// The body is incomplete; with `sends_continue` the client waits to be told to go on.
    Body {
        /// Whether to answer `100 Continue` now.
        sends_continue: bool,
    },
    /// A whole request.
    Request(Request<'h, 'w>),
}

/// A whole request that was admitted.
#[derive(Debug)]
pub struct Request<'h, 'w> {
    /// The head.
    pub head: &'h Head<'w>,
    /// The purpose.
    pub endpoint: Endpoint,
    /// What it is for.
    pub view: ViewId,
    body: &'w [u8],
    /// Bytes of the window it takes up.
    pub consumed: usize,
}

/// Why a request gets one of HTTP's own answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The head cannot be accepted.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// The body's framing cannot be accepted.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The request is not admitted.
    #[error(transparent)]
    Admission(#[from] admission::Refusal),
    /// The request did not arrive in time, or others needed its place.
    #[error("the request did not arrive in time")]
    Timeout,
}

impl Refusal {
    /// The status with which the request is refused.
    pub fn status(self) -> Status {
        match self {
            Refusal::Head(error) => error.status(),
            Refusal::Body(error) => error.status(),
            Refusal::Admission(refusal) => refusal.status(),
            Refusal::Timeout => Status::RequestTimeout,
        }
    }

    /// Whether the reason is the page it comes from, or the host it names: then no page may read the answer.
    pub fn is_foreign(self) -> bool {
        matches!(
            self,
            Refusal::Admission(admission::Refusal::Origin | admission::Refusal::Host)
        )
    }

    /// The value of `Allow`, for the one status that needs it.
    pub fn allow(self) -> Option<&'static str> {
        match self {
            Refusal::Admission(refusal) => refusal.allow(),
            _ => None,
        }
    }

    /// The protocol to ask for instead, for the one status that needs it.
    pub fn upgrade(self) -> Option<UpgradeOffer> {
        match self {
            Refusal::Admission(refusal) => refusal.upgrade(),
            _ => None,
        }
    }
}

/// The head at the front of `window`, if it is whole, to log a request that was refused.
pub fn peek_head<'w>(window: &'w [u8], limits: &HeadLimits) -> Option<Head<'w>> {
    let bytes = HeadScanner::default().scan(window, limits).ok()??;
    parse_head(window.get(..bytes)?, limits).ok()
}

/// A request that is not admitted.
#[derive(Debug)]
pub struct Refused {
    /// The reason.
    pub refusal: Refusal,
    /// Whether it was a HEAD request, whose answer has no body.
    pub is_head: bool,
    /// Bytes of the window that it takes up, if the connection can go on behind it.
    pub consumed: Option<usize>,
}

impl Refused {
    fn and_close(refusal: impl Into<Refusal>) -> Refused {
        Refused {
            refusal: refusal.into(),
            is_head: false,
            consumed: None,
        }
    }
}

impl Intake {
    /// Looks for one request at the front of `window`, which holds at least the bytes of the last call. Its head is
    /// parsed into `head`, which is empty: a head is too large to be handed up from call to call. A head like one that
    /// `known` holds is recalled instead; `known` belongs to `policy` and `limits`.
    ///
    /// # Errors
    /// Returns [`Refused`] for a request that breaks the framing, a limit or the policy; the connection goes on only if
    /// [`Refused::consumed`] says so. The intake is ready for the next request then.
    pub fn advance<'h, 'w>(
        &mut self,
        window: &'w [u8],
        policy: &AdmissionPolicy,
        limits: &HttpLimits,
        known: &mut KnownHeads,
        head: &'h mut Head<'w>,
    ) -> Result<Progress<'h, 'w>, Refused> {
        let outcome = self.try_advance(window, policy, limits, known, head);
        if matches!(outcome, Ok(Progress::Request(_)) | Err(_)) {
            *self = Intake::default();
        }
        outcome
    }

    fn try_advance<'h, 'w>(
        &mut self,
        window: &'w [u8],
        policy: &AdmissionPolicy,
        limits: &HttpLimits,
        known: &mut KnownHeads,
        head: &'h mut Head<'w>,
    ) -> Result<Progress<'h, 'w>, Refused> {
        let mut sends_continue = false;
        let mut endpoint = None;
        if matches!(self.stage, Stage::Head) {
            let Some((admitted, head_bytes)) = self.take_head(window, policy, limits, known, head)? else {
                let is_begun = !self.scanner.is_before_request(window);
                return Ok(if is_begun {
                    Progress::Head
                } else {
                    Progress::Nothing
                });
            };
            self.stage = Stage::behind(head_bytes, head.body);
            sends_continue = head.expects_continue() && window.len() == head_bytes;
            endpoint = Some(admitted);
        }
        let Some(body) = self.find_body(window, &limits.body)? else {
            return Ok(Progress::Body { sends_continue });
        };
        let endpoint = match endpoint {
            Some(endpoint) => endpoint,
            // The head is looked at again: a request in pieces keeps no borrow of a window that moves when it grows.
            None => match recall(window, policy, limits, known, head)? {
                Some((endpoint, _)) => endpoint,
                None => admit(window, body.start, policy, limits, known, head)?,
            },
        };
        let (endpoint, view) = endpoint;
        Ok(Progress::Request(Request {
            head,
            endpoint,
            view,
            consumed: body.end,
            body: &window[body],
        }))
    }

    /// Looks for a head at the front of `window`; once it is whole, the purpose of its request, and its length.
    fn take_head<'w>(
        &mut self,
        window: &'w [u8],
        policy: &AdmissionPolicy,
        limits: &HttpLimits,
        known: &mut KnownHeads,
        head: &mut Head<'w>,
    ) -> Result<Option<(Admitted, usize)>, Refused> {
        if self.scanner.is_fresh()
            && let Some(recalled) = recall(window, policy, limits, known, head)?
        {
            return Ok(Some(recalled));
        }
        let scanned = self.scanner.scan(window, &limits.head);
        let Some(head_bytes) = scanned.map_err(Refused::and_close)? else {
            return Ok(None);
        };
        let endpoint = admit(window, head_bytes, policy, limits, known, head)?;
        Ok(Some((endpoint, head_bytes)))
    }

    /// How much of the body is missing in a window of `window_bytes`.
    pub fn missing_body(&self, window_bytes: usize) -> MissingBody {
        match self.stage {
            Stage::Head => MissingBody::Nothing,
            Stage::Chunked(_) => MissingBody::Unknown,
            Stage::Length {
                head_bytes,
                body_bytes,
            } => match (head_bytes + body_bytes).saturating_sub(window_bytes) {
                0 => MissingBody::Nothing,
                bytes => MissingBody::Bytes(bytes),
            },
        }
    }

    /// Finds the body, once it is whole.
    fn find_body(&mut self, window: &[u8], limits: &BodyLimits) -> Result<Option<Range<usize>>, Refused> {
        match &mut self.stage {
            Stage::Head => Ok(None),
            Stage::Length {
                head_bytes,
                body_bytes,
            } => {
                let body = *head_bytes..*head_bytes + *body_bytes;
                Ok((body.end <= window.len()).then_some(body))
            }
            Stage::Chunked(chunks) => {
                let seen = chunks.head_bytes + chunks.seen_bytes;
                chunks.dropped.clear();
                let progress = chunks
                    .decoder
                    .decode(&window[seen..], &mut chunks.dropped, limits)
                    .map_err(Refused::and_close)?;
                chunks.seen_bytes += progress.consumed;
                let body = chunks.head_bytes..seen + progress.consumed;
                Ok(progress.is_done.then_some(body))
            }
        }
    }
}

impl Stage {
    /// Returns the stage behind a head of so many bytes.
    fn behind(head_bytes: usize, body: BodyLength) -> Stage {
        let body_bytes = match body {
            BodyLength::None => 0,
            BodyLength::Length(bytes) => bytes as usize,
            BodyLength::Chunked => {
                return Stage::Chunked(Box::new(Chunks {
                    head_bytes,
                    ..Chunks::default()
                }));
            }
        };
        Stage::Length {
            head_bytes,
            body_bytes,
        }
    }
}

/// Parses the head at the front of `window`, and admits its request.
fn admit<'w>(
    window: &'w [u8],
    head_bytes: usize,
    policy: &AdmissionPolicy,
    limits: &HttpLimits,
    known: &mut KnownHeads,
    head: &mut Head<'w>,
) -> Result<Admitted, Refused> {
    let bytes = &window[..head_bytes];
    head.parse(bytes, &limits.head).map_err(Refused::and_close)?;
    let admitted = policy.admit(head);
    let endpoint = admitted.map_err(|refusal| refuse(refusal, head, head_bytes, window.len()))?;
    let view = policy.view_of(head);
    if endpoint == Endpoint::Post {
        known.remember(bytes, head, view);
    }
    Ok((endpoint, view))
}

/// Recalls the head at the front of `window`, if it is known, and admits its request; its purpose, and the head's
/// length.
fn recall<'w>(
    window: &'w [u8],
    policy: &AdmissionPolicy,
    limits: &HttpLimits,
    known: &mut KnownHeads,
    head: &mut Head<'w>,
) -> Result<Option<(Admitted, usize)>, Refused> {
    let front = window.get(..limits.head.head_bytes_max).unwrap_or(window);
    let Some((head_bytes, view)) = known.recall(front, head) else {
        return Ok(None);
    };
    match policy.check_body(head) {
        Ok(()) => Ok(Some(((Endpoint::Post, view), head_bytes))),
        Err(refusal) => Err(refuse(refusal, head, head_bytes, window.len())),
    }
}

impl Request<'_, '_> {
    /// Whether the answer's body must not be sent.
    pub fn is_head(&self) -> bool {
        self.head.method == Method::Head
    }

    /// Whether the client knows chunks.
    pub fn takes_chunks(&self) -> bool {
        self.head.version == Version::Http11
    }

    /// The body. One that came in chunks is put together in `unchunked`, which is empty.
    pub fn body<'b>(&'b self, unchunked: &'b mut Vec<u8>, limits: &HttpLimits) -> &'b [u8] {
        if self.head.body != BodyLength::Chunked {
            return self.body;
        }
        let decoded = ChunkDecoder::default().decode(self.body, unchunked, &limits.body);
        debug_assert!(
            decoded.is_ok_and(|progress| progress.is_done),
            "the chunks were checked before"
        );
        unchunked
    }
}

/// A refusal, which the connection survives if the rest of the request is there to be skipped.
fn refuse(refusal: admission::Refusal, head: &Head<'_>, head_bytes: usize, window_bytes: usize) -> Refused {
    let body_bytes = match head.body {
        BodyLength::None => Some(0),
        BodyLength::Length(bytes) => usize::try_from(bytes).ok(),
        BodyLength::Chunked => None,
    };
    let consumed = body_bytes
        .and_then(|bytes| head_bytes.checked_add(bytes))
        .filter(|&end| end <= window_bytes && refusal.keeps_connection(head));
    Refused {
        refusal: refusal.into(),
        is_head: head.method == Method::Head,
        consumed,
    }
}
