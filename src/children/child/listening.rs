//! Whether a modern child tells of changes, which it does only to who listens, and of which resources.

use std::collections::BTreeSet;
use std::time::Instant;

/// Requests that were replaced whose ends may still come.
const REPLACED_MAX: usize = 16;

/// Whether a child was asked to tell of changes, and of what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listening {
    pub(super) state: ListeningState,
    /// The resources of whose updates it is to tell.
    pub(super) uris: BTreeSet<String>,
    /// Whether they are others than when it was asked.
    pub(super) is_stale: bool,
    /// Whether it has refused to tell of resources.
    pub(super) has_refused_uris: bool,
    /// Requests that others have taken the place of, oldest first.
    replaced: Vec<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ListeningState {
    #[default]
    No,
    /// Under this id.
    Open(u64),
    /// The child has ended it then.
    Ended(Instant),
}

impl Listening {
    /// Whether it is open under this id.
    pub(super) fn is_at(&self, id: u64) -> bool {
        self.state == ListeningState::Open(id)
    }

    /// The open request is over, because another one takes its place: its id.
    pub(super) fn replace(&mut self) -> Option<u64> {
        let ListeningState::Open(id) = std::mem::take(&mut self.state) else {
            return None;
        };
        if self.replaced.len() >= REPLACED_MAX {
            self.replaced.remove(0);
        }
        self.replaced.push(id);
        Some(id)
    }

    /// Whether this is the id of a request that was replaced, whose end is of no interest.
    pub(super) fn was_at(&mut self, id: u64) -> bool {
        let known = self.replaced.iter().position(|replaced| *replaced == id);
        known.map(|at| self.replaced.remove(at)).is_some()
    }

    /// From now on it is to tell of the updates of a resource, or no longer.
    pub(super) fn want(&mut self, uri: &str, is_wanted: bool) {
        let has_changed = if is_wanted {
            self.uris.insert(uri.to_owned())
        } else {
            self.uris.remove(uri)
        };
        if has_changed {
            self.is_stale = true;
            self.has_refused_uris = false;
        }
    }
}
