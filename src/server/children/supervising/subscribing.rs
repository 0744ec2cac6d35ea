//! Which child is asked for the updates of which resource.

use crate::children::{ChildOrder, MemberKey};
use crate::server::children::outside::Outside;

use super::Supervising;

impl<O: Outside> Supervising<O> {
    /// Asks a child that serves for the updates that no child is asked for.
    pub(super) fn place_subscriptions(&mut self, at: usize) {
        let server = &mut self.servers[at];
        let members = server.members.iter();
        let gone: Vec<MemberKey> = members
            .filter(|member| member.is_stopping)
            .map(|member| member.key)
            .collect();
        gone.into_iter()
            .for_each(|member| server.subscriptions.lose(member));
        if !server.subscriptions.has_unplaced() {
            return;
        }
        let mut serving = server.members.iter();
        let serving = serving.find(|member| member.ready.is_some() && !member.is_stopping);
        let Some(key) = serving.map(|member| member.key) else {
            return;
        };
        for uri in server.subscriptions.place(key) {
            self.order_subscription(at, key, uri, true);
        }
    }

    pub(super) fn order_subscription(&mut self, at: usize, key: MemberKey, uri: String, is_wanted: bool) {
        let server = &mut self.servers[at];
        let index = server.index;
        if let Some(member) = server.member(key) {
            let order = ChildOrder::Subscribe {
                server: index,
                member: key,
                uri,
                is_wanted,
            };
            let shard = member.shard;
            self.outside.order(shard, order);
        }
    }
}
