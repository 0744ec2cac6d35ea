//! What the supervisor is told of the calls of a shard: what waits, what runs, and what became of the others.

use std::time::Duration;

use crate::children::{ChildNewsEvent, LocalRefusal, Settled};
use crate::registry::ServerIndex;

use super::Children;

impl<S> Children<S> {
    /// A call of this shard's, which took so long, was answered by a child that had it for this much of it.
    #[inline]
    pub(in crate::shard) fn on_settled(&mut self, server: ServerIndex, elapsed: Duration, took: Duration) {
        if let Some(entry) = self.servers.get_mut(server.as_usize()) {
            entry.settled.calls = entry.settled.calls.saturating_add(1);
            entry.settled.with_children += took;
            entry.settled.elsewhere += elapsed.saturating_sub(took);
        }
    }

    /// A call of this shard's was refused.
    pub(in crate::shard) fn on_refused(&mut self, server: ServerIndex, refusal: LocalRefusal) {
        if let Some(entry) = self.servers.get_mut(server.as_usize()) {
            let count = &mut entry.settled.refused[refusal.label().index()];
            *count = count.saturating_add(1);
        }
    }

    /// Tells the supervisor what the children of a server have to do, if that is news.
    pub(in crate::shard) fn tell_load(&mut self, server: ServerIndex) {
        let Some(entry) = self.servers.get_mut(server.as_usize()) else {
            return;
        };
        let waiting = entry.children.as_ref().map_or(0, |children| children.waiting());
        let in_flight = entry.children.as_ref().map_or(0, |children| children.in_flight());
        let is_known = waiting == entry.waiting_told && in_flight == entry.in_flight_told;
        if entry.answered == 0 && is_known && entry.settled == Settled::default() {
            return;
        }
        (entry.waiting_told, entry.in_flight_told) = (waiting, in_flight);
        let event = ChildNewsEvent::Load {
            waiting,
            in_flight,
            answered: std::mem::take(&mut entry.answered),
            busy: std::mem::take(&mut entry.busy),
            settled: Box::new(std::mem::take(&mut entry.settled)),
        };
        self.tell(server, event);
    }
}
