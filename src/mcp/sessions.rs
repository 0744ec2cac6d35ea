//! What the protocol needs of sessions; the implementor decides how they are kept.

use std::fmt;

use crate::mcp::revision::Revision;
use crate::mcp::time::UnixSeconds;
pub use crate::registry::Principal;
use crate::registry::{CLIENT_TEXT_BYTES_MAX, ClientCapabilities, ClientText};

/// A legacy session: what was agreed in `initialize`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The negotiated revision.
    pub revision: Revision,
    /// The capabilities that the client declared.
    pub capabilities: ClientCapabilities,
    /// The owner of the session.
    pub principal: Principal,
}

/// The token that tells a session from all others: random, and never reused. The id, which is longer, carries it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionToken(pub [u8; 16]);

/// Shows the first bytes only. The token does not let anybody use the session, but logs need no more.
impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, ..] = self.0;
        write!(f, "SessionToken({a:02x}{b:02x}…)")
    }
}

/// A session that a request named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenSession {
    /// The session.
    pub session: Session,
    /// The token that everything remembered of the session is filed under.
    pub token: SessionToken,
}

/// A session's id: visible ASCII, at most [`SessionId::BYTES_MAX`] characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionId {
    bytes: [u8; Self::BYTES_MAX],
    len: u8,
}

impl SessionId {
    /// The longest id.
    pub const BYTES_MAX: usize = Self::SEALED_BYTES + CLIENT_TEXT_BYTES_MAX;
    /// The sealed part of one that was minted here. Behind it stands what the client has said of itself.
    pub const SEALED_BYTES: usize = 96;

    /// An id of these characters; `None` if it is empty, too long or has other than visible ASCII characters.
    #[cfg(any(test, feature = "internals"))]
    pub fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::BYTES_MAX];
        if text.is_empty() || !text.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        let len = u8::try_from(text.len()).ok()?;
        Some(Self { bytes, len })
    }

    /// An id of a sealed part and what its client has said of itself.
    pub fn of_parts(sealed: &[u8; Self::SEALED_BYTES], client: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::BYTES_MAX];
        let (front, rest) = bytes.split_first_chunk_mut()?;
        *front = *sealed;
        rest.get_mut(..client.len())?.copy_from_slice(client);
        let len = u8::try_from(sealed.len() + client.len()).ok()?;
        Some(Self { bytes, len })
    }

    /// What the client has said of itself, by an id that was opened: a [`ClientText`].
    pub fn client_text(id: &[u8]) -> &[u8] {
        id.get(Self::SEALED_BYTES..).unwrap_or_default()
    }

    /// The id as a header value.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// Shows the first characters only, because an id is a secret.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.as_bytes().get(..4).unwrap_or_default();
        write!(f, "SessionId({}…)", shown.escape_ascii())
    }
}

/// A session could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no session id could be made")]
pub struct SessionUnavailable;

/// The result of a request to end a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndSession {
    /// The session has ended; its id is unknown on every shard.
    Ended,
    /// There is no such session, or it is somebody else's.
    Unknown,
}

/// Mints, opens and ends legacy sessions.
pub trait Sessions {
    /// The id of a new session, whose client says so of itself.
    ///
    /// # Errors
    /// Fails when the system gives no randomness.
    fn mint(
        &self,
        session: &Session,
        client: &ClientText,
        now: UnixSeconds,
    ) -> Result<SessionId, SessionUnavailable>;

    /// The session with this id, if it exists, has not ended or expired and belongs to `principal`. Called once per
    /// legacy request that names a session.
    fn open(&self, id: &[u8], principal: Principal, now: UnixSeconds) -> Option<OpenSession>;

    /// Ends a session; never refused.
    fn end(&self, id: &[u8], principal: Principal, now: UnixSeconds) -> EndSession;
}
