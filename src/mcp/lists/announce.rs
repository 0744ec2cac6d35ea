//! Announcements of changes, written once and sent to any number of clients of both eras.
//!
//! The text is the same in every revision but for one member: on a modern subscription's stream each message names the
//! subscription in `_meta`. So the message is written once without it, and [`Announced::write`] puts it in on the way
//! out.

use crate::jsonrpc::{Id, RequestId, write_string};

/// The key in `_meta` by which a notification names the request that it is for.
pub const SUBSCRIPTION_KEY: &str = "io.modelcontextprotocol/subscriptionId";

/// Something that changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Announcement {
    /// Tools were added or removed.
    ToolsChanged,
    /// Prompts were added or removed.
    PromptsChanged,
    /// Resources or templates were added or removed.
    ResourcesChanged,
    /// The resource at this URI has new contents.
    ResourceUpdated(Box<str>),
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

/// The place of the subscription in a written announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The place behind the last member of `params`, counted from the message's first byte.
    at: usize,
    /// Whether there is such a member.
    has_members: bool,
}

impl Announced {
    /// The place in a message whose `params` have members that end `at` this byte.
    pub(in crate::mcp) fn behind_members(at: usize) -> Self {
        Self {
            at,
            has_members: true,
        }
    }

    /// Appends `message` as it is or, for a modern subscription, with the subscription's id.
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
        write_subscription(id.as_id(), out);
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

/// Appends the member of `_meta` that names a subscription by its request's id, with the same JSON type.
pub(in crate::mcp) fn write_subscription(id: Id<'_>, out: &mut Vec<u8>) {
    write_string(out, SUBSCRIPTION_KEY);
    out.push(b':');
    id.write(out);
}
