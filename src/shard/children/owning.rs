//! Calls on their way to children that belong to clients, and what the supervisor is told of these clients.

use std::time::{Duration, Instant};

use crate::children::{
    ChildNewsEvent, Client, ClientKey, KeptFields, LocalRefusal, Message, SubmitTerms, Taken,
};
use crate::mcp::{Heads, RequestContext, Ticket};
use crate::registry::ServerIndex;

use super::clients::Clients;
use super::{Caller, Children, Given, Server};

/// How often the supervisor hears which clients have made calls: it looks for those that made none for a minute.
const ACTIVE_TOLD_EVERY: Duration = Duration::from_secs(5);

impl<S> Children<S> {
    /// Whose call this is, if the children of the server belong to clients.
    pub(in crate::shard) fn client_of(
        &mut self,
        server: ServerIndex,
        ticket: &Ticket,
        heads: Heads<'_>,
    ) -> Option<Client> {
        let clients = self.servers.get_mut(server.as_usize())?.clients.as_mut()?;
        Some(clients.client_of(ticket, heads, self.shard))
    }

    /// The fields of a batch's head that its calls are to be told apart by when their turns come.
    pub(in crate::shard) fn kept_fields(&self, heads: &RequestContext<'_>) -> Option<KeptFields> {
        let clients = self.servers.iter().filter_map(|server| server.clients.as_ref());
        let wanted = clients.flat_map(|clients| clients.fields());
        let sent = wanted.filter_map(|name| {
            let value = Heads::Of(heads).value(name)?;
            Some((name.to_owned(), value.to_vec()))
        });
        let sent: Vec<_> = sent.collect();
        (!sent.is_empty()).then(|| KeptFields::new(sent))
    }

    /// Whether each child of a server belongs to a client.
    pub(in crate::shard) fn is_of_clients(&self, server: ServerIndex) -> bool {
        let server = self.servers.get(server.as_usize());
        server.is_some_and(|server| server.clients.is_some())
    }

    /// The child of a client is on this shard. Calls that wait here are to be taken there, if it is another.
    pub(in crate::shard) fn on_placed(&mut self, server: ServerIndex, client: ClientKey, shard: u16) {
        let own = self.shard;
        let Some(entry) = self.servers.get_mut(server.as_usize()) else {
            return;
        };
        let (Some(clients), Some(children)) = (&mut entry.clients, &mut entry.children) else {
            return;
        };
        if shard == own {
            clients.forget(client);
        } else {
            clients.put(client, shard);
        }
        let is_unused = client.is_single() && !children.has_waiting_of(client);
        if is_unused && (shard != own || children.is_unused(client)) {
            self.tell(server, ChildNewsEvent::Left(client));
        }
    }

    /// A client has no child any more that this shard knows of.
    pub(in crate::shard) fn on_lost(&mut self, server: ServerIndex, client: ClientKey) {
        if let Some(clients) = self.clients_mut(server) {
            clients.forget(client);
        }
    }

    /// The oldest call that waits here for the child of a client.
    pub(in crate::shard) fn take_waiting_of(
        &mut self,
        server: ServerIndex,
        client: ClientKey,
    ) -> Option<Taken<Caller>> {
        let entry = self.servers.get_mut(server.as_usize())?;
        entry.children.as_mut()?.take_waiting_of(client)
    }

    /// A client that is a channel is gone.
    pub(in crate::shard) fn leave_client(&mut self, client: ClientKey) {
        for server in self.servers() {
            if let Some(clients) = self.clients_mut(server) {
                clients.forget(client);
                self.tell(server, ChildNewsEvent::Left(client));
            }
        }
    }

    /// Tells the supervisor which clients need their children, and which need none, as far as that is news.
    pub(in crate::shard) fn tell_clients(&mut self, server: ServerIndex, now: Instant) {
        let Some(entry) = self.servers.get_mut(server.as_usize()) else {
            return;
        };
        let (Some(clients), Some(children)) = (&mut entry.clients, &mut entry.children) else {
            return;
        };
        let unneeded = clients.take_unneeded(|client| children.has_waiting_of(client));
        let mut active = Vec::new();
        if now.saturating_duration_since(entry.active_told) >= ACTIVE_TOLD_EVERY {
            entry.active_told = now;
            active = children.take_active();
        }
        for client in unneeded {
            self.tell(server, ChildNewsEvent::WantedNoMore(client));
        }
        if !active.is_empty() {
            self.tell(server, ChildNewsEvent::Active(active));
        }
    }

    fn clients_mut(&mut self, server: ServerIndex) -> Option<&mut Clients> {
        self.servers.get_mut(server.as_usize())?.clients.as_mut()
    }

    /// Gives a call to the child of its client: here, or on the shard that is known to have it, or where the supervisor
    /// says when it is asked.
    pub(super) fn give_to_child_of(
        &mut self,
        server: ServerIndex,
        text: &[u8],
        message: &Message,
        call: (Caller, Client, Option<Instant>),
        now: Instant,
    ) -> Result<Given, LocalRefusal> {
        let (caller, client, due) = call;
        let Some(Server {
            children: Some(children),
            clients: Some(clients),
            ..
        }) = self.servers.get_mut(server.as_usize())
        else {
            return Err(LocalRefusal::Quarantined);
        };
        let is_here = children.has_child_of(client.key);
        if !is_here
            && !children.is_refusing()
            && let Some(shard) = clients.shard_of(client.key)
        {
            return Ok(Given::There(shard));
        }
        if is_here {
            clients.drop_values(client);
        } else if clients.lacks_values(client) {
            return Err(LocalRefusal::SessionOver);
        }
        let taken = children.submit(text, message, caller, SubmitTerms::of(client.key, due), now);
        let asked = match taken {
            Ok(()) if !is_here => clients.ask(client.key),
            _ => None,
        };
        if taken.is_err() {
            clients.drop_values(client);
        }
        self.touch(server);
        if let Some(values) = asked {
            self.tell(server, ChildNewsEvent::Wanted { client, values });
        }
        taken.map(|()| Given::Here).map_err(|(_, refusal)| refusal)
    }
}
