//! Where the children of clients are, as far as this shard knows, for a server whose children belong to clients.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::children::{Client, ClientKey, ClientProfile, ClientRules};
use crate::mcp::{Principal, RequestContext, Ticket};

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
    /// Calls that are clients of their own.
    calls: u64,
}

impl Clients {
    pub(super) fn new(rules: ClientRules) -> Clients {
        Clients {
            rules,
            places: HashMap::new(),
            calls: 0,
        }
    }

    /// Whose call this is that was made on `shard`; a call of a batch has no heads.
    pub(super) fn client_of(
        &mut self,
        ticket: &Ticket,
        heads: Option<&RequestContext<'_>>,
        shard: u16,
    ) -> Client {
        let key = self.lasting_key_of(ticket, heads);
        let key = key.unwrap_or_else(|| {
            self.calls += 1;
            ClientKey::Call {
                shard,
                number: self.calls,
            }
        });
        let profile = ClientProfile::new(ticket.revision(), ticket.capabilities());
        Client { key, profile }
    }

    fn lasting_key_of(&self, ticket: &Ticket, heads: Option<&RequestContext<'_>>) -> Option<ClientKey> {
        if self.rules.is_by_call {
            return None;
        }
        let named = self.rules.key_header.as_deref();
        let value = named.and_then(|name| heads?.header(name)?.value());
        if let Some(value) = value {
            return Some(ClientKey::Values(digest(value)));
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

    /// The child of a client is to be asked for. False if it was already.
    pub(super) fn ask(&mut self, client: ClientKey) -> bool {
        self.places.insert(client, Place::Asked) != Some(Place::Asked)
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

    /// Nothing is known of the child of a client any more; whether something was.
    pub(super) fn forget(&mut self, client: ClientKey) -> bool {
        self.places.remove(&client).is_some()
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

/// Half of a SHA-256. The value may be a secret, and is kept nowhere.
fn digest(value: &[u8]) -> [u8; 16] {
    let whole: [u8; 32] = Sha256::digest(value).into();
    *whole.first_chunk().unwrap_or(&[0; 16])
}
