//! Which resources of one server's children clients listen to, and the child that is subscribed to each.
//!
//! ```text
//! first listener ─► one child that serves is asked to subscribe ─ it ends or is replaced ─► another one is asked
//! last listener  ─► that child is asked to unsubscribe
//! ```
//!
//! Where children belong to clients, it is the client's own child that is asked. A client that listens gets a child if
//! it has none; one whose child was taken from it listens again once it has another.
//!
//! Whoever listens is counted elsewhere; each endpoint at which somebody does counts here once.

use std::collections::{BTreeMap, HashMap};

use crate::children::MemberKey;
use crate::mcp::{ChildOwner, ClientKey};

/// The resources of one server that somebody listens to, by the client whose child tells; `None` if any child does.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(HashMap<Option<ClientKey>, Subscriber>);

#[derive(Debug, Default)]
struct Subscriber {
    /// The client, if it has a child of its own.
    owner: Option<ChildOwner>,
    /// It gets no child for what it listens to: its own was taken from it.
    is_paused: bool,
    uris: BTreeMap<String, Subscription>,
}

#[derive(Debug, Default)]
struct Subscription {
    /// Endpoints at which somebody listens.
    listeners: u32,
    /// The child that was asked to subscribe.
    member: Option<MemberKey>,
}

impl Subscriptions {
    /// An endpoint has a first listener.
    pub(super) fn begin(&mut self, uri: &str, owner: Option<ChildOwner>) {
        let client = owner.as_ref().map(|owner| owner.client.key);
        let subscriber = self.0.entry(client).or_default();
        subscriber.owner = subscriber.owner.take().or(owner);
        subscriber.is_paused = false;
        subscriber.uris.entry(uri.to_owned()).or_default().listeners += 1;
    }

    /// An endpoint has none any more: the child that is to unsubscribe, if there is one.
    pub(super) fn end(&mut self, uri: &str, client: Option<ClientKey>) -> Option<MemberKey> {
        let subscriber = self.0.get_mut(&client)?;
        let subscription = subscriber.uris.get_mut(uri)?;
        subscription.listeners = subscription.listeners.saturating_sub(1);
        if subscription.listeners > 0 {
            return None;
        }
        let ended = subscriber.uris.remove(uri)?;
        if subscriber.uris.is_empty() {
            self.0.remove(&client);
        }
        ended.member
    }

    /// A child is of no more use.
    pub(super) fn lose(&mut self, member: MemberKey) {
        let subscriptions = self
            .0
            .values_mut()
            .flat_map(|subscriber| subscriber.uris.values_mut());
        for subscription in subscriptions {
            if subscription.member == Some(member) {
                subscription.member = None;
            }
        }
    }

    /// A client's child is taken from it, which gets no other before it makes a call.
    pub(super) fn pause(&mut self, client: ClientKey) {
        if let Some(subscriber) = self.0.get_mut(&Some(client)) {
            subscriber.is_paused = true;
        }
    }

    /// This child is asked for everything of a client, or of everybody, that no other one is: the URIs.
    pub(super) fn place(&mut self, client: Option<ClientKey>, member: MemberKey) -> Vec<String> {
        let Some(subscriber) = self.0.get_mut(&client) else {
            return Vec::new();
        };
        subscriber.is_paused = false;
        let unplaced = subscriber
            .uris
            .iter_mut()
            .filter(|(_, subscription)| subscription.member.is_none());
        let placed = unplaced.map(|(uri, subscription)| {
            subscription.member = Some(member);
            uri.clone()
        });
        placed.collect()
    }

    /// The clients for which something waits for a child; `None` among them if any child will do.
    pub(super) fn unplaced(&self) -> Vec<Option<ClientKey>> {
        let waits = |subscriber: &Subscriber| {
            let mut subscriptions = subscriber.uris.values();
            subscriptions.any(|subscription| subscription.member.is_none())
        };
        let unplaced = self.0.iter().filter(|(_, subscriber)| waits(subscriber));
        unplaced.map(|(client, _)| *client).collect()
    }

    /// The client, with what its child needs, if it listens to anything.
    pub(super) fn owner(&self, client: ClientKey) -> Option<&ChildOwner> {
        self.0.get(&Some(client))?.owner.as_ref()
    }

    /// Whether a client's child was taken from it.
    pub(super) fn is_paused(&self, client: ClientKey) -> bool {
        let subscriber = self.0.get(&Some(client));
        subscriber.is_some_and(|subscriber| subscriber.is_paused)
    }

    /// Whether a client listens to anything.
    pub(super) fn has_of(&self, client: ClientKey) -> bool {
        self.0.contains_key(&Some(client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::{Client, ClientProfile};

    #[test]
    fn one_child_is_asked_once_and_its_successor_again() {
        let (first, second) = (MemberKey(1), MemberKey(2));
        let mut subscriptions = Subscriptions::default();
        subscriptions.begin("a", None);
        assert_eq!(subscriptions.unplaced(), [None]);
        assert_eq!(subscriptions.place(None, first), ["a"]);
        subscriptions.begin("a", None);
        assert!(subscriptions.place(None, second).is_empty());
        assert_eq!(subscriptions.end("a", None), None, "somebody else listens");
        subscriptions.lose(first);
        assert_eq!(subscriptions.place(None, second), ["a"]);
        assert_eq!(subscriptions.end("a", None), Some(second));
        assert_eq!(subscriptions.end("a", None), None);
        subscriptions.begin("b", None);
        assert_eq!(subscriptions.end("b", None), None, "no child was asked");
        assert!(subscriptions.unplaced().is_empty());
    }

    #[test]
    fn each_client_has_its_own_and_a_pause_ends_with_its_next_child() {
        let key = |number| ClientKey::Call { shard: 0, number };
        let owner = |number| ChildOwner {
            client: Client {
                key: key(number),
                profile: ClientProfile::NOBODY,
                has_values: false,
            },
            values: None,
        };
        let mut subscriptions = Subscriptions::default();
        subscriptions.begin("a", Some(owner(1)));
        subscriptions.begin("a", Some(owner(2)));
        assert_eq!(subscriptions.place(Some(key(1)), MemberKey(1)), ["a"]);
        assert_eq!(subscriptions.unplaced(), [Some(key(2))]);
        subscriptions.lose(MemberKey(1));
        subscriptions.pause(key(1));
        assert!(subscriptions.is_paused(key(1)) && !subscriptions.is_paused(key(2)));
        assert_eq!(subscriptions.owner(key(2)), Some(&owner(2)));
        assert_eq!(subscriptions.place(Some(key(1)), MemberKey(3)), ["a"]);
        assert!(!subscriptions.is_paused(key(1)));
        assert_eq!(subscriptions.end("a", Some(key(1))), Some(MemberKey(3)));
        assert!(!subscriptions.has_of(key(1)) && subscriptions.has_of(key(2)));
    }
}
