//! What is done about the lists of one server's children: whose they are, and when they are read again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::children::{ChildLists, ClientProfile, Introduction, ListName, MemberKey, Owners};

use super::member::Member;
use super::said::{Outdated, Said};
use super::server::ServerChildren;

/// Changes of lists that come so soon after the first are read with it.
const GATHER: Duration = Duration::from_millis(100);

impl ServerChildren {
    /// A child that was not asked has what others have of which the same was said; one with values of its own is asked.
    pub(super) fn take_for_said(&mut self, key: MemberKey, profile: ClientProfile, now: Instant) {
        let said = self.said.of_profile(profile);
        let reread_at = said.as_ref().and_then(|said| self.reread_at(said, now));
        if let Some(member) = self.member(key).filter(|member| !member.has_values) {
            (member.said, member.reread_at) = (said, reread_at);
        }
    }

    /// What a child has is its client's, if it has one that lasts. One of which that is not known is asked.
    pub(super) fn give_said(&mut self, key: MemberKey, now: Instant) {
        let owner = self.owners.as_ref().and_then(|owners| owners.owner_of(key));
        let Some(client) = owner.filter(|client| !client.is_single()) else {
            return;
        };
        let Some(member) = self.member(key).filter(|member| member.serves()) else {
            return;
        };
        match member.said.clone() {
            Some(said) => self.said.give(client, said),
            None => self.read_again(key, now),
        }
    }

    /// A child that was asked once more has said what it has. Says whether that is other than what was known of all.
    pub(super) fn on_listed(
        &mut self,
        key: MemberKey,
        introduction: Introduction,
        lists: ChildLists,
        now: Instant,
    ) -> bool {
        let is_own = self.owners.as_ref().is_some_and(|owners| owners.is_owned(key));
        let is_new = self.on_said(key, introduction, lists, is_own, now);
        self.give_said(key, now);
        is_new
    }

    /// A child has said what it has, which may be its client's alone.
    pub(super) fn on_said(
        &mut self,
        key: MemberKey,
        introduction: Introduction,
        mut lists: ChildLists,
        is_own: bool,
        now: Instant,
    ) -> bool {
        self.tell_cut(key, &lists);
        let profile = self.profile_of(key);
        let before = self.member(key).and_then(|member| member.said.clone());
        if let Some(before) = before.or_else(|| self.said.of_profile(profile)) {
            lists.keep_unread(&before.lists);
        }
        let said = self.said.shared(Said::new(profile, introduction, lists));
        let reread_at = self.reread_at(&said, now);
        let Some(member) = self.member(key) else {
            return false;
        };
        (member.said, member.reread_at) = (Some(Arc::clone(&said)), reread_at);
        if is_own {
            return false;
        }
        let is_new = self.said.learn(said);
        let owners = self.owners.as_ref();
        for other in self.members.iter_mut().filter(|other| other.key != key) {
            if common_profile(owners, other.key) == Some(profile) {
                // As this one has it, so do they, or are asked when somebody gets them.
                other.said = other.said.take().filter(|_| !is_new);
                other.reread_at = reread_at;
            }
        }
        is_new
    }

    /// A list of a child has changed. What a client's own child has is the client's alone.
    pub(super) fn on_changed(&mut self, key: MemberKey, now: Instant) {
        let is_owned = self.owners.as_ref().is_some_and(|owners| owners.is_owned(key));
        if let Some(member) = self.member(key).filter(|_| !is_owned) {
            // Somebody may get it before it is asked.
            member.said = None;
        }
        self.read_again(key, now + GATHER);
    }

    /// The children that are to be asked for their lists now, and their shards.
    pub(super) fn take_outdated(&mut self, now: Instant) -> Vec<(u16, MemberKey)> {
        let is_due = |member: &&mut Member| member.serves() && member.reread_at.is_some_and(|at| at <= now);
        let mut aged = Vec::new();
        for member in self.members.iter_mut().filter(is_due) {
            // One that does not answer is asked later.
            member.reread_at = Some(now + self.list_ttl);
            aged.push(member.key);
        }
        aged.into_iter().for_each(|key| self.read_again(key, now));
        let due = self.outdated.extract_if(.., |lists| lists.read_at <= now);
        let due: Vec<Outdated> = due.collect();
        due.iter().filter_map(|lists| self.reader_of(lists)).collect()
    }

    /// When lists are to be read again because they have changed, or because nobody says whether they have.
    pub(super) fn outdated_at(&self) -> Option<Instant> {
        let serving = self.members.iter().filter(|member| member.serves());
        let aged = serving.filter_map(|member| member.reread_at);
        let changed = self.outdated.iter().map(|lists| lists.read_at);
        aged.chain(changed).min()
    }

    /// Has the lists of a child read, unless they are about to be, or are gone before they could be.
    fn read_again(&mut self, member: MemberKey, read_at: Instant) {
        let owner = self.owners.as_ref().and_then(|owners| owners.owner_of(member));
        if owner.is_some_and(|client| client.is_single()) {
            return;
        }
        let common = common_profile(self.owners.as_ref(), member);
        let is_it = |lists: &Outdated| match common {
            None => lists.member == member && lists.common.is_none(),
            Some(_) => lists.common == common,
        };
        if !self.outdated.iter().any(is_it) {
            self.outdated.push(Outdated {
                read_at,
                member,
                common,
            });
        }
    }

    /// The child that is asked for these lists, if one serves. If none does, the next one says what it has.
    fn reader_of(&self, lists: &Outdated) -> Option<(u16, MemberKey)> {
        let owners = self.owners.as_ref();
        let is_it = |member: &&Member| match lists.common {
            None => member.key == lists.member,
            Some(_) => common_profile(owners, member.key) == lists.common,
        };
        let serving = self.members.iter().filter(|member| member.serves());
        // The one that has said so, if it can be asked.
        let reader = serving
            .filter(is_it)
            .min_by_key(|member| member.key != lists.member)?;
        Some((reader.shard, reader.key))
    }

    /// When a child that has said this is to be asked again; never, if it tells of changes.
    fn reread_at(&self, said: &Said, now: Instant) -> Option<Instant> {
        let can = said.introduction.capabilities;
        let is_silent = can.tools && !can.tools_changed
            || can.prompts && !can.prompts_changed
            || can.resources && !can.resources_changed;
        is_silent.then(|| now + self.list_ttl)
    }

    /// Says in the log which lists were not read to their end.
    fn tell_cut(&self, key: MemberKey, lists: &ChildLists) {
        for name in ListName::ALL {
            let list = lists.list(name);
            if let Some(limit) = list.cut_by() {
                let (server, member, items) = (&self.name, key.0, list.len());
                let list = name.method();
                tracing::warn!(%server, member, list, %limit, items, "a list is longer than what is read of it");
            }
        }
    }
}

/// What a child was told of its client, if it is nobody's.
fn common_profile(owners: Option<&Owners>, member: MemberKey) -> Option<ClientProfile> {
    let Some(owners) = owners else {
        return Some(ClientProfile::NOBODY);
    };
    owners.profile_of(member).filter(|_| !owners.is_owned(member))
}
