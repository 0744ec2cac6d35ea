//! What the supervisor is told of the calls of a shard: what waits, what runs, and what became of the others.

use std::time::Duration;

use crate::children::{ChildNewsEvent, Client, LocalRefusal, Settled};
use crate::metrics::ChildTally;
use crate::registry::ServerIndex;

use super::Children;
use super::asked::rounds_of;

impl<S> Children<S> {
    /// A call of this shard's, which took so long, was answered by a child that had it for this much of it.
    #[inline]
    pub(in crate::shard) fn on_settled(&mut self, server: ServerIndex, elapsed: Duration, took: Duration) {
        if let Some(entry) = self.servers.get_mut(server.as_usize()) {
            entry.settled.with_children.record(took);
            entry.settled.elsewhere.record(elapsed.saturating_sub(took));
        }
    }

    /// Why a call of this shard's would be refused at once, as far as that is known before it is given.
    pub(in crate::shard) fn refuses(
        &self,
        server: ServerIndex,
        client: Option<Client>,
    ) -> Option<LocalRefusal> {
        let entry = self.servers.get(server.as_usize())?;
        let children = entry.children.as_ref()?;
        let is_elsewhere = match client {
            Some(client) => {
                let clients = entry.clients.as_ref();
                clients.is_some_and(|clients| clients.shard_of(client.key).is_some())
            }
            // Another shard may have room.
            None => children.waiting() == 0 && self.mesh.has_others(),
        };
        let refusal = children.refuses(client.map(|client| client.key))?;
        (refusal != LocalRefusal::QueueFull || !is_elsewhere).then_some(refusal)
    }

    /// A call of this shard's was refused.
    pub(in crate::shard) fn on_refused(&mut self, server: ServerIndex, refusal: LocalRefusal) {
        if let Some(entry) = self.servers.get_mut(server.as_usize()) {
            let count = &mut entry.settled.refused[refusal.label().index()];
            *count = count.saturating_add(1);
        }
    }

    /// A call of this shard's is made once more.
    pub(in crate::shard) fn on_repeated(&mut self, server: ServerIndex) {
        if let Some(entry) = self.servers.get_mut(server.as_usize()) {
            entry.settled.repeated = entry.settled.repeated.saturating_add(1);
        }
    }

    /// Tells the supervisor what the children of a server have to do, if that is news.
    pub(in crate::shard) fn tell_load(&mut self, server: ServerIndex) {
        let Some(entry) = self.servers.get_mut(server.as_usize()) else {
            return;
        };
        let Some(children) = &entry.children else {
            return;
        };
        let (waiting, in_flight) = (children.waiting(), children.in_flight());
        let asked = ChildTally {
            questions_held: rounds_of(&self.rounds, server),
            questions_total: entry.asked_in_rounds,
            ..ChildTally::default()
        };
        let tally = children.tally() + asked;
        let load = (waiting, in_flight, tally);
        if entry.answered == 0 && load == entry.load_told && entry.settled == Settled::default() {
            return;
        }
        entry.load_told = load;
        let event = ChildNewsEvent::Load {
            waiting,
            in_flight,
            answered: std::mem::take(&mut entry.answered),
            busy: std::mem::take(&mut entry.busy),
            tally,
            settled: Box::new(std::mem::take(&mut entry.settled)),
        };
        self.tell(server, event);
    }
}
