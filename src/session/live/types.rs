//! Words of the protocol and the registry that the live store speaks.

use serde_json::Value;

use crate::jsonrpc::{RequestId, write_string};
use crate::mcp::Session;
pub use crate::registry::{AnswerError, LogLevel};

/// What distinguishes one session from all others: 128 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionToken(pub [u8; 16]);

/// A session whose id was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenSession {
    /// What was agreed.
    pub session: Session,
    /// Its name in the live store.
    pub token: SessionToken,
}

/// No room for live state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveRefused {
    /// A limit is reached and nothing idle is left to evict.
    Full,
}

/// What a stream wants to hear of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Changes of the list of tools.
    pub tools: bool,
    /// Changes of the list of prompts.
    pub prompts: bool,
    /// Changes of the list of resources.
    pub resources: bool,
    /// Updates of these resources.
    pub uris: Vec<Box<str>>,
}

/// Something that clients may want to hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// `notifications/tools/list_changed`
    ToolsChanged,
    /// `notifications/prompts/list_changed`
    PromptsChanged,
    /// `notifications/resources/list_changed`
    ResourcesChanged,
    /// `notifications/resources/updated`
    ResourceUpdated(Box<str>),
}

/// Live state as the protocol sees it.
pub trait LiveState {
    /// Sets the least severe level of log messages the session wants.
    fn set_log_level(&self, session: &OpenSession, level: LogLevel) -> Result<(), LiveRefused>;
    /// That level; none if it was never set.
    fn log_level(&self, session: SessionToken) -> Option<LogLevel>;
    /// Subscribes to updates of a resource.
    fn subscribe(&self, session: &OpenSession, uri: &str) -> Result<(), LiveRefused>;
    /// Undoes [`LiveState::subscribe`].
    fn unsubscribe(&self, session: &OpenSession, uri: &str);
    /// The client cancels its request; best effort.
    fn cancel(&self, session: SessionToken, request: &RequestId);
    /// The client answers a question; unknown ones are ignored.
    fn answer(&self, session: SessionToken, question: &str, answer: Result<Value, AnswerError>);
}

impl Announcement {
    /// The notification's method.
    pub const fn method(&self) -> &'static str {
        match self {
            Self::ToolsChanged => "notifications/tools/list_changed",
            Self::PromptsChanged => "notifications/prompts/list_changed",
            Self::ResourcesChanged => "notifications/resources/list_changed",
            Self::ResourceUpdated(_) => "notifications/resources/updated",
        }
    }
}

/// Where a subscription goes into a written announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Behind the last member of `params`, counted from the message's first byte.
    at: usize,
    /// Whether there is such a member.
    has_members: bool,
}

impl Announced {
    /// Appends `message` as it is or, for a modern subscription, with its id.
    pub fn write(self, message: &[u8], subscription: Option<&RequestId>, out: &mut Vec<u8>) {
        let (Some(id), Some((front, rest))) = (subscription, message.split_at_checked(self.at)) else {
            return out.extend_from_slice(message);
        };
        out.extend_from_slice(front);
        out.extend_from_slice(if self.has_members {
            br#","_meta":{"#
        } else {
            br#""_meta":{"#
        });
        out.extend_from_slice(br#""io.modelcontextprotocol/subscriptionId":"#);
        id.as_id().write(out);
        out.push(b'}');
        out.extend_from_slice(rest);
    }
}

/// Appends an announcement as legacy clients get it: one JSON message.
pub fn write_announcement(announcement: &Announcement, out: &mut Vec<u8>) -> Announced {
    let start = out.len();
    out.extend_from_slice(br#"{"jsonrpc":"2.0","method":"#);
    write_string(out, announcement.method());
    out.extend_from_slice(br#","params":{"#);
    if let Announcement::ResourceUpdated(uri) = announcement {
        out.extend_from_slice(br#""uri":"#);
        write_string(out, uri);
    }
    let at = out.len() - start;
    out.extend_from_slice(b"}}");
    Announced {
        at,
        has_members: matches!(announcement, Announcement::ResourceUpdated(_)),
    }
}
