//! Why a request is not let in.

use crate::transport::http::Head;
use crate::wire::http1::{Expectation, Status, UpgradeOffer};

/// Why a request is not let in. The texts are for the client and repeat nothing of what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `Origin` is not on the list, not an origin, or repeated.
    #[error("this origin is not allowed; see --allow-origin")]
    Origin,
    /// The request is for a host that is not on the list, or for none.
    #[error("this host is not allowed; see --allow-host")]
    Host,
    /// Nothing lives at this path.
    #[error("no such path")]
    Path,
    /// A method that HTTP knows and this path does not have.
    #[error("method not allowed here")]
    Method {
        /// What goes into `Allow`.
        allow: &'static str,
    },
    /// A method that HTTP does not know.
    #[error("method not implemented")]
    MethodUnknown,
    /// `Expect` with anything but `100-continue`.
    #[error("the only expectation met here is 100-continue")]
    Expectation,
    /// `Content-Length` beyond the body limit.
    #[error("request body too large")]
    BodyTooLarge,
    /// `Content-Type` is missing, repeated or not JSON.
    #[error("Content-Type must be application/json")]
    ContentType,
    /// The body is compressed or otherwise coded.
    #[error("no Content-Encoding is supported")]
    ContentEncoding,
    /// `Accept` does not offer both answers' types.
    #[error("Accept must offer both application/json and text/event-stream")]
    NotAcceptable,
    /// `Accept` does not offer the one type that a GET is answered with.
    #[error("Accept must offer text/event-stream")]
    StreamNotAcceptable,
    /// The WebSocket handshake lacks a key that is sixteen bytes in base64.
    #[error("Sec-WebSocket-Key must be sixteen bytes in base64")]
    WebSocketKey,
    /// The WebSocket handshake does not say which version it is of.
    #[error("Sec-WebSocket-Version is missing")]
    WebSocketVersionMissing,
    /// It is of another version than the one there is.
    #[error("the only WebSocket version spoken here is 13")]
    WebSocketVersion,
    /// The WebSocket handshake has a body.
    #[error("a WebSocket handshake has no body")]
    WebSocketBody,
}

impl Refusal {
    /// The status to refuse with.
    pub const fn status(self) -> Status {
        match self {
            Refusal::Origin | Refusal::Host => Status::Forbidden,
            Refusal::Path => Status::NotFound,
            Refusal::Method { .. } => Status::MethodNotAllowed,
            Refusal::MethodUnknown => Status::NotImplemented,
            Refusal::Expectation => Status::ExpectationFailed,
            Refusal::BodyTooLarge => Status::ContentTooLarge,
            Refusal::ContentType | Refusal::ContentEncoding => Status::UnsupportedMediaType,
            Refusal::NotAcceptable | Refusal::StreamNotAcceptable => Status::NotAcceptable,
            Refusal::WebSocketKey | Refusal::WebSocketVersionMissing | Refusal::WebSocketBody => {
                Status::BadRequest
            }
            Refusal::WebSocketVersion => Status::UpgradeRequired,
        }
    }

    /// The value of `Allow`, for the one status that needs it.
    pub const fn allow(self) -> Option<&'static str> {
        match self {
            Refusal::Method { allow } => Some(allow),
            _ => None,
        }
    }

    /// What to ask for instead, for the one status that needs it.
    pub const fn upgrade(self) -> Option<UpgradeOffer> {
        match self {
            Refusal::WebSocketVersion => Some(UpgradeOffer::WebSocket),
            _ => None,
        }
    }

    /// Whether another request may follow on the connection, once the refused request's body has been read
    /// and dropped. Not if the body is beyond the limit, nor if the peer expects anything first: it may now send
    /// the body or not, and nobody can tell which (RFC 9110, section 10.1.1).
    pub fn keeps_connection(self, head: &Head<'_>) -> bool {
        head.keep_alive && head.expectation == Expectation::None && self != Refusal::BodyTooLarge
    }
}
