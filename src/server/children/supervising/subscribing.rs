//! Which child is asked for the updates of which resource.

use crate::children::{ChildOrder, ClientKey, MemberKey};
use crate::server::children::outside::Outside;

use super::Supervising;

impl<O: Outside> Supervising<O> {
    /// Asks children that serve for the updates that no child is asked for.
    pub(super) fn place_subscriptions(&mut self, at: usize) {
        let server = &mut self.servers[at];
        let members = server.members.iter();
        let gone: Vec<MemberKey> = members
            .filter(|member| member.is_stopping)
            .map(|member| member.key)
            .collect();
        gone.into_iter()
            .for_each(|member| server.subscriptions.lose(member));
        for client in server.subscriptions.unplaced() {
            match client {
                Some(client) => self.place_subscriptions_of(at, client),
                None => self.place_common_subscriptions(at),
            }
        }
    }

    /// Asks the child of a client. A client without a child gets one.
    pub(in crate::server::children) fn place_subscriptions_of(&mut self, at: usize, client: ClientKey) {
        let session = client.session();
        let is_over = session.is_some_and(|session| self.outside.is_over(session));
        let server = &mut self.servers[at];
        if !is_over {
            server.want_for_subscriptions(client);
        }
        let Some(member) = server.serving_child_of(client) else {
            return;
        };
        for uri in server.subscriptions.place(Some(client), member) {
            self.order_subscription(at, member, uri, true);
        }
    }

    /// Asks any child. Where children belong to clients there is none for everybody.
    fn place_common_subscriptions(&mut self, at: usize) {
        let server = &mut self.servers[at];
        let mut serving = server.members.iter().filter(|member| member.serves());
        let common = server.owners.is_none().then(|| serving.next()).flatten();
        let Some(key) = common.map(|member| member.key) else {
            return;
        };
        for uri in server.subscriptions.place(None, key) {
            self.order_subscription(at, key, uri, true);
        }
    }

    /// Nobody listens to a resource any more.
    pub(super) fn on_unlistened(&mut self, at: usize, uri: String, client: Option<ClientKey>) {
        let server = &mut self.servers[at];
        let member = server.subscriptions.end(&uri, client);
        if let (Some(client), Some(owners)) = (client, &mut server.owners)
            && !server.subscriptions.has_of(client)
        {
            owners.listen_no_more(client);
        }
        if let Some(member) = member {
            self.order_subscription(at, member, uri, false);
        }
    }

    fn order_subscription(&mut self, at: usize, key: MemberKey, uri: String, is_wanted: bool) {
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
