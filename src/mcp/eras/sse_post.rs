//! Messages that come by a POST and are answered on a channel: HTTP+SSE (MCP 2024-11-05, *HTTP with SSE*).
//!
//! The POST itself is answered at once, as the official servers do: it says whether there is such a channel, and
//! whether the body is a message at all. Everything that the message leads to, errors included, goes out on the
//! channel. The refusal of a request goes out there as well, because not every client looks at the answer to its POST.

use crate::jsonrpc::{Message, Outline, RequestId, Scratch};

use crate::mcp::eras::unreadable::{with_failure, write_refusal};
use crate::mcp::error::Failure;
use crate::mcp::error::refused;
use crate::mcp::protocol::Protocol;
use crate::mcp::reply::Reply;
use crate::mcp::revision::Era;

/// The result of checking a POST's body.
#[derive(Clone, Debug)]
pub enum SsePost {
    /// The body is no message; the answer is complete.
    Refused {
        /// The answer to the POST.
        reply: Reply,
        /// Whether somebody waits on the channel for an answer: the body is delivered in spite of the refusal, so that
        /// he gets an error there.
        is_awaited: bool,
    },
    /// The body can be a message, or an array of them; holds the id of a single request.
    Message(Option<RequestId>),
}

/// Why a POST leads to no channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoChannel {
    /// The request names no channel, or names one twice.
    Unnamed,
    /// There is no channel of that name, or it is somebody else's.
    Unknown,
}

impl Protocol {
    /// Checks whether a body can be a message for a channel, and does no more. A refusal's body is appended to `out`.
    pub fn check_sse_post(&self, body: &[u8], scratch: &mut Scratch, out: &mut Vec<u8>) -> SsePost {
        let document = match scratch.parse(body) {
            Ok(document) => document,
            Err(error) => {
                let outline = Outline::of(body);
                let reply = with_failure(body, error, |failure| {
                    write_refusal(outline.id(), outline.shape, failure, out)
                });
                return SsePost::Refused {
                    reply,
                    is_awaited: outline.id().is_some(),
                };
            }
        };
        let (root, text) = (document.root(), document.text());
        if root.is_array() {
            return SsePost::Message(None);
        }
        match Message::read(root, text) {
            Ok(Message::Request(request)) => SsePost::Message(Some(RequestId::from(request.id))),
            Ok(Message::Notification(_) | Message::Response(_)) => SsePost::Message(None),
            Err(malformed) => {
                let failure = Failure::Envelope(malformed.fault);
                SsePost::Refused {
                    reply: write_refusal(malformed.id, malformed.shape, failure, out),
                    is_awaited: malformed.id.is_some(),
                }
            }
        }
    }

    /// Appends the refusal of a POST that leads to no channel.
    pub fn refuse_sse_post(&self, why: NoChannel, out: &mut Vec<u8>) -> Reply {
        let failure = match why {
            NoChannel::Unnamed => Failure::ChannelUnnamed,
            NoChannel::Unknown => Failure::ChannelUnknown,
        };
        refused(None, failure).write(out).about(Era::Legacy, "")
    }
}
