//! A server's protocol: its identity and its rules, over one registry.

use crate::registry::Registry;

use crate::mcp::lists::announce::Announcement;
use crate::mcp::lists::has::Has;
use crate::mcp::lists::introduction::Identity;
use crate::mcp::lists::prepared::Lists;

/// The operator's choices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Refuse legacy requests that name no session. Hosted clients often name none, so the default is to serve
    /// them without.
    pub require_session: bool,
}

/// A server's protocol: how it describes itself and how it reads requests. It never changes; an edited registry gets a
/// new one.
pub struct Protocol {
    registry: Registry,
    identity: Identity,
    lists: Lists,
    options: Options,
}

impl Protocol {
    /// The protocol over these tools.
    pub fn new(registry: Registry, identity: &Identity, options: Options) -> Self {
        Self {
            lists: Lists::new(&registry, identity),
            identity: identity.clone(),
            registry,
            options,
        }
    }

    /// The same server with another registry. It costs as much as [`Protocol::new`], because every list is written
    /// anew.
    #[must_use]
    pub fn with_registry(&self, registry: Registry) -> Self {
        Self::new(registry, &self.identity, self.options)
    }

    /// The registry.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The announcements for clients that know `before`.
    pub fn changes_since(&self, before: &Protocol) -> Vec<Announcement> {
        self.lists.changes_since(&before.lists)
    }

    /// The value of `_meta` in every modern result: an object that says which server this is.
    pub fn meta(&self) -> &[u8] {
        self.lists.meta()
    }

    /// The features of which there is something.
    #[inline]
    pub(super) fn has(&self) -> Has {
        self.lists.has()
    }

    pub(super) fn lists(&self) -> &Lists {
        &self.lists
    }

    pub(super) fn options(&self) -> Options {
        self.options
    }
}

impl std::fmt::Debug for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Protocol")
            .field("registry", &self.registry)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
