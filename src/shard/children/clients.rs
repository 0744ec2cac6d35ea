//! Where the children of clients are, as far as this shard knows, for a server whose children belong to clients.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::children::{Client, ClientKey, ClientProfile, ClientRules, ClientValues};
use crate::mcp::{Principal, Ticket};

use super::heads::Heads;

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
        let key = self.lasting_key_of(ticket, heads);
        let key = key.unwrap_or_else(|| {
            self.calls += 1;
            ClientKey::Call {
                shard,
                number: self.calls,
            }
        });
        let values = self.values_of(heads);
        let client = Client {
            key: values.as_ref().map_or(key, |values| with_values(key, values)),
            profile: match key {
                // One child is for all of them, and told of its client once.
                ClientKey::Everybody => ClientProfile::ANYBODY,
                _ => ClientProfile::new(ticket.revision(), ticket.capabilities()),
            },
            has_values: values.is_some(),
        };
        if let Some(values) = values
            && !self.places.contains_key(&client.key)
        {
            self.values.insert(client.key, values);
        }
        client
    }

    /// What the heads of a request say its client's child is to be started with.
    fn values_of(&self, heads: Heads<'_>) -> Option<ClientValues> {
        if self.rules.env_from.is_empty() {
            return None;
        }
        let sent = self.rules.env_from.iter().filter_map(|(name, header)| {
            let value = heads.value(header)?;
            Some((name.clone(), value.to_vec()))
        });
        let sent: Vec<_> = sent.collect();
        (!sent.is_empty()).then(|| ClientValues::new(sent))
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

    fn lasting_key_of(&self, ticket: &Ticket, heads: Heads<'_>) -> Option<ClientKey> {
        if self.rules.is_by_call {
            return None;
        }
        let named = self.rules.key_header.as_deref();
        let value = named.and_then(|name| heads.value(name));
        if let Some(value) = value {
            return Some(ClientKey::Values {
                session: None,
                digest: digest([value]),
            });
        }
        if let Some(token) = ticket.conversation() {
            return Some(if ticket.is_on_channel() {
                ClientKey::Channel(token)
            } else {
                ClientKey::Session(token)
            });
        }
        if ticket.principal() != Principal::ANONYMOUS {
            return Some(ClientKey::Principal(ticket.principal()));
        }
        self.rules.are_strangers_one.then_some(ClientKey::Everybody)
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

/// A client that is told apart by values besides what it is told apart by anyway. A single call stays what it is.
fn with_values(key: ClientKey, values: &ClientValues) -> ClientKey {
    let (kind, own): (u8, &[u8]) = match &key {
        ClientKey::Call { .. } => return key,
        ClientKey::Session(token) => (0, &token.0),
        ClientKey::Channel(token) => (1, &token.0),
        ClientKey::Principal(principal) => (2, &principal.0),
        ClientKey::Values { digest, .. } => (3, digest),
        ClientKey::Everybody => (4, &[]),
    };
    let parts = values.iter().flat_map(|(name, value)| [name.as_bytes(), value]);
    ClientKey::Values {
        session: key.session(),
        digest: digest([&[kind][..], own].into_iter().chain(parts)),
    }
}

/// Half of a SHA-256 over parts, each with its length. They may be secrets, and are kept nowhere.
fn digest<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> [u8; 16] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let whole: [u8; 32] = digest.finalize().into();
    *whole.first_chunk().unwrap_or(&[0; 16])
}
