//! What is done about the lists of one server's children: whose they are, and when they are read again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::children::{ChildLists, ClientProfile, Introduction, MemberKey};

use super::member::Member;
use super::said::Said;
use super::server::ServerChildren;

/// Changes of lists that come so soon after the first are read with it.
const GATHER: Duration = Duration::from_millis(100);

impl ServerChildren {
    /// A child that was not asked has what others have of which the same was said; one with values of its own is asked.
    pub(super) fn take_for_said(&mut self, key: MemberKey, profile: ClientProfile) {
        let said = self.said.of_profile(profile);
        if let Some(member) = self.member(key).filter(|member| !member.has_values) {
            member.said = said;
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
            None => self.own_changed.push((now, key)),
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
        lists: ChildLists,
        is_own: bool,
        now: Instant,
    ) -> bool {
        let profile = self.profile_of(key);
        let can = introduction.capabilities;
        let said = self.said.shared(Said::new(profile, introduction, lists));
        let Some(member) = self.member(key) else {
            return false;
        };
        member.said = Some(Arc::clone(&said));
        if is_own {
            return false;
        }
        let is_silent = can.tools && !can.tools_changed
            || can.prompts && !can.prompts_changed
            || can.resources && !can.resources_changed;
        self.reread_at = is_silent.then(|| now + self.list_ttl);
        self.said.learn(said)
    }

    /// A list of a child has changed. What a client's own child has is the client's alone.
    pub(super) fn on_changed_at(&mut self, key: MemberKey, shard: u16, now: Instant) {
        let owner = self.owners.as_ref().and_then(|owners| owners.owner_of(key));
        match owner {
            None => {
                // Somebody may get it before it was asked.
                if let Some(member) = self.member(key) {
                    member.said = None;
                }
                self.on_changed(shard, now);
            }
            Some(client) if client.is_single() => {}
            Some(_) if self.own_changed.iter().any(|(_, known)| *known == key) => {}
            Some(_) => self.own_changed.push((now + GATHER, key)),
        }
    }

    /// The clients' own children that are to be asked for their lists now, and their shards.
    pub(super) fn take_own_changed(&mut self, now: Instant) -> Vec<(u16, MemberKey)> {
        let due = self.own_changed.extract_if(.., |(at, _)| *at <= now);
        let due: Vec<MemberKey> = due.map(|(_, key)| key).collect();
        let serving = due.into_iter().filter_map(|key| {
            let member = self.member(key).filter(|member| member.serves())?;
            Some((member.shard, key))
        });
        serving.collect()
    }

    /// A child on this shard has other lists than before.
    fn on_changed(&mut self, shard: u16, now: Instant) {
        self.changed.get_or_insert((now + GATHER, shard));
    }

    /// The shard whose child is to be asked for its lists now, if one is.
    pub(super) fn take_changed(&mut self, now: Instant) -> Option<u16> {
        if let Some((_, shard)) = self.changed.take_if(|(at, _)| *at <= now) {
            return Some(shard);
        }
        self.reread_at.take_if(|at| *at <= now)?;
        // If nobody serves, the next child says what it has.
        let is_owned = |key| self.owners.as_ref().is_some_and(|owners| owners.is_owned(key));
        let serves = |member: &&Member| member.serves() && !is_owned(member.key);
        self.members.iter().find(serves).map(|member| member.shard)
    }
}
