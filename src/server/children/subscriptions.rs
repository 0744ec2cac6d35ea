//! Which resources of one server's children clients listen to, and the child that is subscribed to each.
//!
//! ```text
//! first listener ─► one child that serves is asked to subscribe ─ it ends or is replaced ─► another one is asked
//! last listener  ─► that child is asked to unsubscribe
//! ```
//!
//! Whoever listens is counted elsewhere; each endpoint at which somebody does counts here once.

use std::collections::BTreeMap;

use crate::children::MemberKey;

/// The resources of one server that somebody listens to.
#[derive(Debug, Default)]
pub(super) struct Subscriptions(BTreeMap<String, Subscription>);

#[derive(Debug, Default)]
struct Subscription {
    /// Endpoints at which somebody listens.
    listeners: u32,
    /// The child that was asked to subscribe.
    member: Option<MemberKey>,
}

impl Subscriptions {
    /// An endpoint has a first listener.
    pub(super) fn begin(&mut self, uri: &str) {
        self.0.entry(uri.to_owned()).or_default().listeners += 1;
    }

    /// An endpoint has none any more: the child that is to unsubscribe, if there is one.
    pub(super) fn end(&mut self, uri: &str) -> Option<MemberKey> {
        let subscription = self.0.get_mut(uri)?;
        subscription.listeners = subscription.listeners.saturating_sub(1);
        if subscription.listeners > 0 {
            return None;
        }
        self.0.remove(uri)?.member
    }

    /// A child is of no more use.
    pub(super) fn lose(&mut self, member: MemberKey) {
        for subscription in self.0.values_mut() {
            if subscription.member == Some(member) {
                subscription.member = None;
            }
        }
    }

    /// This child is asked for everything that no other one is: the URIs.
    pub(super) fn place(&mut self, member: MemberKey) -> Vec<String> {
        let unplaced = self
            .0
            .iter_mut()
            .filter(|(_, subscription)| subscription.member.is_none());
        let placed = unplaced.map(|(uri, subscription)| {
            subscription.member = Some(member);
            uri.clone()
        });
        placed.collect()
    }

    /// Whether one waits for a child.
    pub(super) fn has_unplaced(&self) -> bool {
        self.0.values().any(|subscription| subscription.member.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_child_is_asked_once_and_its_successor_again() {
        let (first, second) = (MemberKey(1), MemberKey(2));
        let mut subscriptions = Subscriptions::default();
        subscriptions.begin("a");
        assert!(subscriptions.has_unplaced());
        assert_eq!(subscriptions.place(first), ["a"]);
        subscriptions.begin("a");
        assert!(subscriptions.place(second).is_empty());
        assert_eq!(subscriptions.end("a"), None, "somebody else listens");
        subscriptions.lose(first);
        assert_eq!(subscriptions.place(second), ["a"]);
        assert_eq!(subscriptions.end("a"), Some(second));
        assert_eq!(subscriptions.end("a"), None);
        subscriptions.begin("b");
        assert_eq!(subscriptions.end("b"), None, "no child was asked");
        assert!(!subscriptions.has_unplaced());
    }
}
