//! The reasons why a request is not admitted.

use crate::transport::http::Head;
use crate::wire::http1::{Expectation, Status, UpgradeOffer};

/// Why a request is not admitted. The messages are for the client and repeat nothing that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// `Origin` is not on the list, not an origin, or repeated.
    #[error("this origin is not allowed; see --allow-origin")]
    Origin,
    /// The request is for a host that is not on the list, or for none.
    #[error("this host is not allowed; see --allow-host")]
    Host,
    /// Nothing is at this path.
    #[error("no such path")]
    Path,
    /// HTTP has the method, but this path does not.
    #[error("method not allowed here")]
    Method {
        /// The value of `Allow`.
        allow: &'static str,
    },
    /// HTTP does not have the method.
    #[error("method not implemented")]
    MethodUnknown,
    /// `Expect` is anything but `100-continue`.
    #[error("the only expectation this server meets is 100-continue")]
    Expectation,
    /// `Content-Length` is beyond the body limit.
    #[error("request body too large")]
    BodyTooLarge,
    /// `Content-Type` is missing, repeated or not JSON.
    #[error("Content-Type must be application/json")]
    ContentType,
    /// The body is compressed or otherwise coded.
    #[error("no Content-Encoding is supported")]
    ContentEncoding,
    /// `Accept` does not offer the types of both answers.
    #[error("Accept must offer both application/json and text/event-stream")]
    NotAcceptable,
    /// `Accept` does not offer the one type of the answer to a GET.
    #[error("Accept must offer text/event-stream")]
    StreamNotAcceptable,
    /// The WebSocket handshake lacks a key that is sixteen bytes in base64.
    #[error("Sec-WebSocket-Key must be sixteen bytes in base64")]
    WebSocketKey,
    /// The WebSocket handshake does not name its version.
    #[error("Sec-WebSocket-Version is missing")]
    WebSocketVersionMissing,
    /// The handshake is of a version other than the only one there is.
    #[error("this server speaks only version 13 of WebSocket")]
    WebSocketVersion,
    /// The WebSocket handshake has a body.
    #[error("a WebSocket handshake has no body")]
    WebSocketBody,
}

impl Refusal {
    /// The status with which the request is refused.
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

    /// The protocol to ask for instead, for the one status that needs it.
    pub const fn upgrade(self) -> Option<UpgradeOffer> {
        match self {
            Refusal::WebSocketVersion => Some(UpgradeOffer::WebSocket),
            _ => None,
        }
    }

    /// Whether another request may follow on the connection, once the refused request's body has been read and dropped.
    /// It may not if the body is beyond the limit, nor if the peer expects anything first: it may now send the body or
    /// not, and nobody can tell which (RFC 9110, section 10.1.1).
    pub fn keeps_connection(self, head: &Head<'_>) -> bool {
        head.keep_alive && head.expectation == Expectation::None && self != Refusal::BodyTooLarge
    }
}
