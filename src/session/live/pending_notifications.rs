//! The work that waits for the broadcaster: announcements, each of them once however often it was made since the
//! broadcaster last looked, and a flag that subscriptions have changed.
#![allow(
    clippy::disallowed_types,
    reason = "any thread announces; the broadcaster sleeps until there is something"
)]

use super::subscriptions::{Lists, Subject};
use crate::mcp::{Announcement, ClientKey};
use std::collections::{HashMap, HashSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Announcements that any thread makes, for the broadcaster.
#[derive(Default)]
pub(super) struct PendingNotifications {
    pending: Mutex<Pending>,
    changed: Condvar,
}

/// What was noted since the broadcaster last looked.
#[derive(Default)]
pub(super) struct Pending {
    /// Lists of everybody that have changed.
    pub(super) lists: Lists,
    /// Lists of clients' own children, which bound their number.
    own_lists: HashMap<ClientKey, Lists>,
    /// Resources in order of their first announcement. Somebody listens to each of them, which bounds their number.
    updated: Vec<Subject>,
    known: HashSet<Subject>,
    pub(super) is_dirty: bool,
    pub(super) is_stopping: bool,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        let is_quiet = self.lists == Lists::NONE && self.own_lists.is_empty() && self.updated.is_empty();
        is_quiet && !self.is_dirty && !self.is_stopping
    }

    /// The announcements, lists first, and the client for whom each is; `None` if it is for everybody.
    pub(super) fn announcements(&mut self) -> Vec<(Announcement, Option<ClientKey>)> {
        let own = std::mem::take(&mut self.own_lists).into_iter();
        let own = own.map(|(client, lists)| (Some(client), lists));
        let lists = std::iter::once((None, self.lists)).chain(own);
        let changed = lists.flat_map(|(client, lists)| lists.announcements().map(move |told| (told, client)));
        let updated = std::mem::take(&mut self.updated).into_iter().map(|subject| {
            let announcement = Announcement::ResourceUpdated(subject.uri[..].into());
            (announcement, subject.client)
        });
        changed.chain(updated).collect()
    }
}

impl PendingNotifications {
    pub(super) fn on_lists(&self, lists: Lists, client: Option<ClientKey>) {
        self.note(|pending| {
            let known = match client {
                None => &mut pending.lists,
                Some(client) => pending.own_lists.entry(client).or_default(),
            };
            *known = known.with(lists);
        });
    }

    pub(super) fn on_updated(&self, subject: Subject) {
        self.note(|pending| {
            if pending.known.insert(subject.clone()) {
                pending.updated.push(subject);
            }
        });
    }

    pub(super) fn on_dirty(&self) {
        self.note(|pending| pending.is_dirty = true);
    }

    pub(super) fn stop(&self) {
        self.note(|pending| pending.is_stopping = true);
    }

    /// Waits until there is something to do or so much time has passed, and returns what there is to do.
    pub(super) fn wait(&self, timeout: Duration) -> Pending {
        let pending = self.lock();
        let (mut pending, _) = self
            .changed
            .wait_timeout_while(pending, timeout, |pending| pending.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *pending)
    }

    fn note(&self, note: impl FnOnce(&mut Pending)) {
        let mut pending = self.lock();
        let was_empty = pending.is_empty();
        note(&mut pending);
        drop(pending);
        if was_empty {
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        // No code that runs under the lock leaves the notifications half changed.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(uri: &str, client: Option<ClientKey>) -> Subject {
        Subject {
            uri: uri.into(),
            client,
        }
    }

    #[test]
    fn what_is_announced_often_is_told_once_and_later_again() {
        let notifications = PendingNotifications::default();
        for uri in ["x:b", "x:a", "x:b"] {
            notifications.on_updated(subject(uri, None));
            notifications.on_lists(Lists::PROMPTS, None);
        }
        notifications.on_lists(Lists::TOOLS, None);
        let updated = |uri: &str| (Announcement::ResourceUpdated(uri.into()), None);
        let told = notifications.wait(Duration::MAX).announcements();
        let lists = [Announcement::ToolsChanged, Announcement::PromptsChanged];
        assert_eq!(told[..2], lists.map(|list| (list, None)));
        assert_eq!(told[2..], [updated("x:b"), updated("x:a")]);
        assert!(notifications.wait(Duration::ZERO).is_empty());
        notifications.on_updated(subject("x:b", None));
        assert_eq!(
            notifications.wait(Duration::MAX).announcements(),
            [updated("x:b")]
        );
    }

    #[test]
    fn what_concerns_one_client_is_told_apart() {
        let notifications = PendingNotifications::default();
        for client in [Some(ClientKey::Everybody), None, Some(ClientKey::Everybody)] {
            notifications.on_updated(subject("x:a", client));
        }
        notifications.on_lists(Lists::TOOLS, Some(ClientKey::Everybody));
        let mut told = notifications.wait(Duration::MAX).announcements();
        let own = (Announcement::ToolsChanged, Some(ClientKey::Everybody));
        assert_eq!(told.remove(0), own);
        let clients: Vec<Option<ClientKey>> = told.into_iter().map(|(_, client)| client).collect();
        assert_eq!(clients, [Some(ClientKey::Everybody), None]);
    }
}
