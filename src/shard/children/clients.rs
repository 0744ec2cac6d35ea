//! Where the children of clients are, as far as this shard knows, for a server whose children belong to clients.

use std::collections::HashMap;

use crate::children::{Client, ClientKey, ClientRules, ClientValues};
use crate::mcp::{ChildOwner, Heads, Ticket};

/// What a shard knows of the child of a client, if that is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The supervisor was asked; calls wait.
    Asked,
    /// It is on this shard.
    There(u16),
}

/// The clients of one server.
#[derive(Debug)]
pub(super) struct Clients {
    rules: ClientRules,
    places: HashMap<ClientKey, Place>,
    /// What the children of clients are to be started with that are about to be asked for.
    values: HashMap<ClientKey, ClientValues>,
    /// Calls that are clients of their own.
    calls: u64,
}

impl Clients {
    pub(super) fn new(rules: ClientRules) -> Clients {
        Clients {
            rules,
            places: HashMap::new(),
            values: HashMap::new(),
            calls: 0,
        }
    }

    /// The fields of heads that tell clients apart, or that their children are to have.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        let set = self.rules.env_from.iter().map(|(_, header)| header.as_str());
        self.rules.key_header.as_deref().into_iter().chain(set)
    }

    /// Whose call this is that was made on `shard`.
    pub(super) fn client_of(&mut self, ticket: &Ticket, heads: Heads<'_>, shard: u16) -> Client {
        let (rules, calls) = (&self.rules, &mut self.calls);
        let ChildOwner { client, values } = ChildOwner::of_call(rules, &ticket.sender(), heads, || {
            *calls += 1;
            let number = *calls;
            ClientKey::Call { shard, number }
        });
        if let Some(values) = values
            && !self.places.contains_key(&client.key)
        {
            self.values.insert(client.key, values);
        }
        client
    }

    /// What the child of a client is to be started with is not needed any more: it is there, or not wanted.
    pub(super) fn drop_values(&mut self, client: Client) {
        if client.has_values {
            self.values.remove(&client.key);
        }
    }

    /// Whether the child of a client cannot be asked for, since nobody knows any more what it is to be started with.
    pub(super) fn lacks_values(&self, client: Client) -> bool {
        client.has_values && !self.values.contains_key(&client.key) && !self.places.contains_key(&client.key)
    }

    /// The other shard that has the child of a client, if one is known.
    pub(super) fn shard_of(&self, client: ClientKey) -> Option<u16> {
        match self.places.get(&client)? {
            Place::There(shard) => Some(*shard),
            Place::Asked => None,
        }
    }

    /// The child of a client is to be asked for, unless it was already; with what it is to be started with.
    pub(super) fn ask(&mut self, client: ClientKey) -> Option<Option<ClientValues>> {
        let values = self.values.remove(&client);
        let is_new = self.places.insert(client, Place::Asked) != Some(Place::Asked);
        is_new.then_some(values)
    }

    /// The child of a client is on this other shard.
    pub(super) fn put(&mut self, client: ClientKey, shard: u16) {
        // What is a single call's is asked for once.
        if client.is_single() {
            self.places.remove(&client);
        } else {
            self.places.insert(client, Place::There(shard));
        }
    }

    /// Nothing is known of the child of a client any more.
    pub(super) fn forget(&mut self, client: ClientKey) {
        self.places.remove(&client);
    }

    /// Clients whose child was asked for, and is not needed any more.
    pub(super) fn take_unneeded(&mut self, is_needed: impl Fn(ClientKey) -> bool) -> Vec<ClientKey> {
        let is_unneeded = |(client, place): (&ClientKey, &Place)| {
            let is_it = *place == Place::Asked && !is_needed(*client);
            is_it.then_some(*client)
        };
        let unneeded: Vec<ClientKey> = self.places.iter().filter_map(is_unneeded).collect();
        for client in &unneeded {
            self.places.remove(client);
        }
        unneeded
    }
}
