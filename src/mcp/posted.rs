//! Messages that come by a POST and are answered on a channel: HTTP+SSE (MCP 2024-11-05, *HTTP with SSE*).
//!
//! Who POSTs is told at once whether there is such a channel and whether the body is a message at all, as the
//! official servers do; what the message leads to, errors included, is said on the channel.

use crate::jsonrpc::{Message, RequestId, Scratch};

use super::error::Failure;
use super::protocol::{Protocol, Reply, refused};
use super::revision::Era;

/// Why a POST leads to no channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoChannel {
    /// It does not say which, or says it twice.
    Unnamed,
    /// There is none of that name, or it is somebody else's.
    Unknown,
}

impl Protocol {
    /// Whether a body can be a message, or an array of them, for a channel; of a single request, its id. Decodes no
    /// further.
    ///
    /// # Errors
    /// The refusal, whose body was appended to `out`.
    pub fn check_posted(
        &self,
        body: &[u8],
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<Option<RequestId>, Reply> {
        let document = match scratch.parse(body) {
            Ok(document) => document,
            Err(error) => return Err(refused(None, Failure::Parse(error)).write(out)),
        };
        let root = document.root();
        if root.is_array() {
            return Ok(None);
        }
        let refused = match Message::read(root) {
            Ok(Message::Request(request)) => return Ok(Some(RequestId::from(request.id))),
            Ok(Message::Notification(_) | Message::Response(_)) => return Ok(None),
            Err(malformed) => refused(malformed.id, Failure::Envelope(malformed.fault)),
        };
        Err(refused.write(out))
    }

    /// Appends the refusal of a POST that leads to no channel.
    pub fn refuse_posted(&self, why: NoChannel, out: &mut Vec<u8>) -> Reply {
        let failure = match why {
            NoChannel::Unnamed => Failure::ChannelUnnamed,
            NoChannel::Unknown => Failure::ChannelUnknown,
        };
        refused(None, failure).write(out).about(Era::Legacy, "")
    }
}
