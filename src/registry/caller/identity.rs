//! What the server knows of a caller for itself.

use std::fmt;

/// Who a client is, as far as that was proven: a digest of the authenticated identity. Without authentication every
/// client is [anonymous](Principal::is_anonymous).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Principal(pub(crate) [u8; 16]);

impl Principal {
    /// The principal of every client without authentication.
    pub const ANONYMOUS: Self = Self([0; 16]);

    /// Whether nothing was proven.
    pub fn is_anonymous(self) -> bool {
        self == Self::ANONYMOUS
    }
}

/// How a request came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// It came from within the process, as in unit tests.
    #[default]
    InProcess,
    /// A request of HTTP of its own (Streamable HTTP).
    Http,
    /// A message to the endpoint that an event stream named (HTTP+SSE, 2024-11-05).
    HttpSse,
    /// A message on a WebSocket.
    WebSocket,
    /// A line on the standard input.
    Stdio,
}

/// The legacy session, or the channel, that a request belongs to: a value to compare, and to keep things under. Two
/// requests have the same one if they belong to the same session (until 2025-11-25), or came on the same WebSocket,
/// event stream (HTTP+SSE) or standard input. It means nothing to another process, and lets nobody use the session.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallerSession(pub(crate) [u8; 16]);

/// Shows half of it.
impl fmt::Debug for CallerSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [.., a, b, c, d, e, g, h, i] = self.0;
        let shown = u64::from_be_bytes([a, b, c, d, e, g, h, i]);
        write!(f, "CallerSession({shown:016x}…)")
    }
}
