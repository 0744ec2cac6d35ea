//! What is done for servers whose children belong to clients: who gets which child, and who has lost one.

use std::time::Instant;

use crate::children::{Assignment, ChildOrder, Client, ClientKey, ClientValues, Given, MemberKey};
use crate::config::LossPolicy;
use crate::mcp::SessionToken;

use super::outside::Outside;
use super::supervising::Supervising;

impl<O: Outside> Supervising<O> {
    /// Calls of a client wait on a shard that knows no child of its.
    pub(super) fn on_wanted(&mut self, at: usize, client: Client, values: Option<ClientValues>, shard: u16) {
        let session = client.key.session();
        let is_over = session.is_some_and(|session| self.outside.is_over(session));
        let server = &mut self.servers[at];
        let index = server.index;
        if is_over {
            let order = ChildOrder::Lost {
                server: index,
                client: client.key,
                is_over: true,
            };
            return self.outside.order(shard, order);
        }
        server.on_stranger(client.key);
        let profile = server.profile_for(client);
        let client = Client { profile, ..client };
        let Some(owners) = &mut server.owners else {
            return;
        };
        if let Some(place) = owners.want(client, values, shard) {
            let order = ChildOrder::Placed {
                server: index,
                client: client.key,
                shard: place,
            };
            self.outside.order(shard, order);
        }
    }

    /// A client is gone for good: nobody needs its child.
    pub(super) fn on_left(&mut self, at: usize, client: ClientKey) {
        let owners = self.servers[at].owners.as_mut();
        for member in owners.map(|owners| owners.leave(client)).unwrap_or_default() {
            self.retire_owned(at, member);
        }
    }

    /// A client has ended its session.
    pub(super) fn on_session_ended(&mut self, session: SessionToken) {
        for at in 0..self.servers.len() {
            self.on_left(at, ClientKey::Session(session));
        }
    }

    /// Gives children to clients that wait for one, and ends those that nobody needs.
    pub(super) fn give_children(&mut self, at: usize, now: Instant) {
        while let Some(given) = self.next_given(at, now) {
            let server = &mut self.servers[at];
            if given.greeting.is_some() {
                server.on_greeted(given.member, now);
            }
            let order = ChildOrder::Assign(Assignment {
                server: server.index,
                member: given.member,
                client: given.client,
                greeting: given.greeting.map(|profile| server.told(profile)),
            });
            server.give_said(given.member, now);
            self.outside.order(given.shard, order);
            self.tell_placed(at, &given);
            self.place_subscriptions_of(at, given.client);
        }
        while let Some(member) = self.servers[at].superfluous(now) {
            self.retire_owned(at, member);
        }
    }

    fn next_given(&mut self, at: usize, now: Instant) -> Option<Given> {
        self.servers[at].owners.as_mut()?.next_given(now)
    }

    /// Tells the shards on which calls of a client wait where its child is.
    pub(super) fn tell_placed(&mut self, at: usize, given: &Given) {
        let server = self.servers[at].index;
        for shard in &given.waiting {
            let order = ChildOrder::Placed {
                server,
                client: given.client,
                shard: given.shard,
            };
            self.outside.order(*shard, order);
        }
    }

    fn retire_owned(&mut self, at: usize, member: MemberKey) {
        let server = &mut self.servers[at];
        server.pool.on_retired(member);
        let client = server.owners.as_ref().and_then(|owners| owners.owner_of(member));
        if let Some(client) = client {
            server.subscriptions.pause(client);
        }
        self.retire(at, member, "a client's child gets no more calls");
    }

    /// A child is of no more use to its client, if it has one: who knows where it is forgets that, and a session that
    /// has lost its child is over.
    pub(super) fn disown(&mut self, at: usize, member: MemberKey) {
        let server = &mut self.servers[at];
        let Some(client) = server.owners.as_mut().and_then(|owners| owners.remove(member)) else {
            return;
        };
        server.said.take(client);
        let (index, on_loss) = (server.index, server.on_loss);
        if client.is_single() {
            // Only the shard that numbered it knows of it.
            return;
        }
        let session = client.session().filter(|_| on_loss == LossPolicy::NotFound);
        if let Some(session) = session
            && !self.outside.is_over(session)
        {
            self.outside.end_session(session);
        }
        let is_over = session.is_some();
        for shard in 0..self.shards {
            let order = ChildOrder::Lost {
                server: index,
                client,
                is_over,
            };
            self.outside.order(shard, order);
        }
    }
}
