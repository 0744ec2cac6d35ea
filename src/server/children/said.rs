//! What the children of a server have said that they have: the last of each profile, which is everybody's, and what the
//! own child of each client has.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::children::{ChildLists, ClientProfile, Introduction, MemberKey};
use crate::mcp::ClientKey;
use crate::registry::ForeignServer;

/// Profiles whose lists are kept.
const PROFILES_MAX: usize = 16;

/// What a child has said that was told this of its client.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) profile: ClientProfile,
    pub(super) introduction: Introduction,
    pub(super) lists: ChildLists,
    /// The same as entries of a registry, once somebody has asked for it.
    pub(super) served: OnceLock<Arc<ForeignServer>>,
}

impl Said {
    pub(super) fn new(profile: ClientProfile, introduction: Introduction, lists: ChildLists) -> Said {
        Said {
            profile,
            introduction,
            lists,
            served: OnceLock::new(),
        }
    }

    /// Whether clients are told the same of both children.
    fn is_same(&self, other: &Said) -> bool {
        let (ours, theirs) = (&self.introduction, &other.introduction);
        ours.capabilities == theirs.capabilities
            && ours.revision.era() == theirs.revision.era()
            && ours.server_info == theirs.server_info
            && ours.instructions == theirs.instructions
            && self.lists == other.lists
    }
}

/// Lists that are to be read again.
#[derive(Debug)]
pub(super) struct Outdated {
    pub(super) read_at: Instant,
    /// The child that has them.
    pub(super) member: MemberKey,
    /// What it was told of its client, if what it has is everybody's: any other of which this is so will do as well.
    pub(super) common: Option<ClientProfile>,
}

/// What all children of a server have said.
#[derive(Debug, Default)]
pub(super) struct SaidOfAll {
    /// The last of each profile.
    known: Vec<Arc<Said>>,
    /// By the client whose child it is.
    own: HashMap<ClientKey, Arc<Said>>,
    /// Clients are to be served something of their own, or no longer, that are not yet.
    is_stale: bool,
}

impl SaidOfAll {
    /// The last of each profile; nothing as long as no child was ready.
    pub(super) fn known(&self) -> &[Arc<Said>] {
        &self.known
    }

    /// What clients' own children have.
    pub(super) fn own(&self) -> &HashMap<ClientKey, Arc<Said>> {
        &self.own
    }

    /// The last of this profile.
    pub(super) fn of_profile(&self, profile: ClientProfile) -> Option<Arc<Said>> {
        let mut known = self.known.iter();
        known.find(|said| said.profile == profile).cloned()
    }

    /// The same, kept once if another child has said it already.
    pub(super) fn shared(&self, said: Said) -> Arc<Said> {
        let mut all = self.known.iter().chain(self.own.values());
        let is_known = |known: &&Arc<Said>| known.profile == said.profile && known.is_same(&said);
        let known = all.find(is_known).cloned();
        known.unwrap_or_else(|| Arc::new(said))
    }

    /// A child that is nobody's, or whose lists are everybody's, has said this. Whether that is other than what was
    /// known.
    pub(super) fn learn(&mut self, said: Arc<Said>) -> bool {
        let known = self.known.iter_mut().find(|known| known.profile == said.profile);
        let Some(known) = known else {
            if self.known.len() >= PROFILES_MAX {
                self.known.remove(0);
            }
            self.known.push(said);
            return true;
        };
        let is_new = !known.is_same(&said);
        if is_new {
            *known = said;
        }
        is_new
    }

    /// The own child of a client has this.
    pub(super) fn give(&mut self, client: ClientKey, said: Arc<Said>) {
        let is_common = self.is_common(&said);
        let before = self.own.insert(client, Arc::clone(&said));
        self.is_stale |= match before {
            Some(before) => !Arc::ptr_eq(&before, &said) && !before.is_same(&said),
            None => !is_common,
        };
    }

    /// A client has no child any more.
    pub(super) fn take(&mut self, client: ClientKey) {
        if let Some(said) = self.own.remove(&client) {
            self.is_stale |= !self.is_common(&said);
        }
    }

    /// Whether what clients have of their own is to be published.
    pub(super) fn take_stale(&mut self) -> bool {
        std::mem::take(&mut self.is_stale)
    }

    /// Whether this is what everybody is served.
    fn is_common(&self, said: &Said) -> bool {
        self.known.iter().all(|known| known.is_same(said))
    }
}
