//! What shards know of each other's children: how many calls those would take, who has calls that wait, and whose
//! clients are gone.
//!
//! ```text
//! a shard with waiters: says so ─► looks for room ─► takes some ─► sends a call over
//! a shard with room:    publishes it ─► looks for waiters ─► tells one of them, which looks again
//! ```
//!
//! Each writes before it reads, so at least one of two that do this at once sees the other. Room that was taken is a
//! place in the queue in front of a child with room, not the room itself: its own shard may have used that meanwhile,
//! and the call then waits there, where a place falls free.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use crate::pool::Word;
use crate::registry::ServerIndex;

/// Words on the progress of calls that may lie unread in one shard's inbox; progress beyond that is left out.
const UNHEARD_MAX: u32 = 1024;

/// What all shards share about the children of all servers.
#[derive(Debug)]
pub struct ChildMesh<W = AtomicU32> {
    shards: usize,
    /// Tells this process from those before it.
    instance: u64,
    /// One for each server and shard, the shards of a server side by side.
    lines: Box<[Line<W>]>,
    /// One for each shard.
    unheard: Box<[Padded<W>]>,
    /// Shards whose clients are gone for good.
    left: W,
}

/// A number that hardly any other process has; without randomness, one that some have.
fn random() -> u64 {
    let mut bytes = [0; 8];
    let _ = getrandom::fill(&mut bytes);
    u64::from_be_bytes(bytes)
}

/// Lines of different shards share no cache line.
#[derive(Debug)]
#[repr(align(64))]
struct Line<W> {
    /// Calls that the children there would take.
    room: W,
    /// Whether calls wait there that would go elsewhere.
    is_waiting: W,
}

#[derive(Debug)]
#[repr(align(64))]
struct Padded<W>(W);

impl<W: Word> ChildMesh<W> {
    /// A number that tells this process from those before it.
    pub fn instance(&self) -> u64 {
        self.instance
    }

    /// Of so many servers and shards; nobody has room, and nobody waits.
    pub fn new(servers: usize, shards: usize) -> Arc<ChildMesh<W>> {
        let line = |_| Line {
            room: W::new(0),
            is_waiting: W::new(0),
        };
        Arc::new(ChildMesh {
            shards,
            instance: random(),
            lines: (0..servers * shards).map(line).collect(),
            unheard: (0..shards).map(|_| Padded(W::new(0))).collect(),
            left: W::new(0),
        })
    }

    /// Whether there is another shard.
    pub fn has_others(&self) -> bool {
        self.shards > 1
    }

    /// Says how many more calls of a server the children of a shard would take. Whom to tell of it, if anybody: a shard
    /// with waiters, which looks again.
    pub fn publish(&self, server: ServerIndex, shard: u16, room: u32) -> Option<u16> {
        let lines = self.lines_of(server);
        let own = lines.get(usize::from(shard))?;
        if own.room.load() != room {
            own.room.swap(room);
        }
        if room == 0 {
            return None;
        }
        let is_waiting = |line: &Line<W>| line.is_waiting.load() != 0 && line.is_waiting.swap(0) != 0;
        let others = self.others(shard);
        others
            .into_iter()
            .find(|other| lines.get(usize::from(*other)).is_some_and(is_waiting))
    }

    /// Takes room for one call at the children of another shard: that which has most.
    pub fn take_room(&self, server: ServerIndex, own: u16) -> Option<u16> {
        let lines = self.lines_of(server);
        let room = |shard: u16| lines.get(usize::from(shard)).map_or(0, |line| line.room.load());
        loop {
            let roomiest = self.others(own).into_iter().max_by_key(|shard| room(*shard))?;
            if room(roomiest) == 0 {
                return None;
            }
            let line = lines.get(usize::from(roomiest))?;
            if line.room.update(|room| room.checked_sub(1)) {
                return Some(roomiest);
            }
        }
    }

    /// Says that calls of a server wait on a shard. Room is to be looked for after this.
    pub fn begin_waiting(&self, server: ServerIndex, shard: u16) {
        if let Some(line) = self.lines_of(server).get(usize::from(shard)) {
            line.is_waiting.swap(1);
        }
    }

    /// Whether one more word on a call's progress may lie in the inbox of this shard; it is counted.
    pub fn may_say(&self, shard: u16) -> bool {
        let unheard = self.unheard.get(usize::from(shard));
        unheard.is_some_and(|Padded(count)| count.update(|count| (count < UNHEARD_MAX).then_some(count + 1)))
    }

    /// Such a word was taken from the inbox.
    pub fn on_heard(&self, shard: u16) {
        if let Some(Padded(count)) = self.unheard.get(usize::from(shard)) {
            count.fetch_sub(1);
        }
    }

    /// The clients of one more shard are gone, and no call of theirs goes on.
    pub fn leave(&self) {
        self.left.fetch_add(1);
    }

    /// Whether no shard has clients any more.
    pub fn is_deserted(&self) -> bool {
        self.left.load() as usize >= self.shards
    }

    fn lines_of(&self, server: ServerIndex) -> &[Line<W>] {
        let first = server.as_usize() * self.shards;
        self.lines.get(first..first + self.shards).unwrap_or_default()
    }

    /// The other shards, from the next one on, so that not all turn to the same.
    fn others(&self, own: u16) -> impl IntoIterator<Item = u16> + use<W> {
        let shards = self.shards;
        let other = move |distance| ((usize::from(own) + distance) % shards) as u16;
        (1..shards).map(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: ServerIndex = ServerIndex(1);

    fn mesh() -> Arc<ChildMesh> {
        ChildMesh::new(2, 3)
    }

    #[test]
    fn room_is_taken_from_the_shard_that_has_most_and_never_from_ones_own() {
        let mesh = mesh();
        assert_eq!(mesh.take_room(SERVER, 0), None);
        mesh.publish(SERVER, 0, 9);
        mesh.publish(SERVER, 1, 1);
        mesh.publish(SERVER, 2, 2);
        assert_eq!(mesh.take_room(ServerIndex(0), 1), None, "another server's");
        let taken: Vec<_> = std::iter::from_fn(|| mesh.take_room(SERVER, 0)).collect();
        assert_eq!(taken.iter().filter(|shard| **shard == 2).count(), 2);
        assert_eq!(taken.iter().filter(|shard| **shard == 1).count(), 1);
        assert_eq!(taken.len(), 3);
        assert_eq!(taken[0], 2);
    }

    #[test]
    fn who_waits_is_told_of_room_once() {
        let mesh = mesh();
        mesh.begin_waiting(SERVER, 0);
        assert_eq!(mesh.publish(SERVER, 2, 0), None, "there is no room");
        assert_eq!(mesh.publish(SERVER, 0, 1), None, "it knows of its own");
        assert_eq!(mesh.publish(SERVER, 2, 1), Some(0));
        assert_eq!(mesh.publish(SERVER, 2, 1), None);
        mesh.begin_waiting(SERVER, 0);
        mesh.begin_waiting(SERVER, 1);
        let told = [mesh.publish(SERVER, 2, 1), mesh.publish(SERVER, 2, 1)];
        assert_eq!(told, [Some(0), Some(1)]);
    }

    #[test]
    fn unread_progress_is_bounded() {
        let mesh = mesh();
        assert_eq!((0..5000).filter(|_| mesh.may_say(1)).count(), 1024);
        assert!(mesh.may_say(0));
        mesh.on_heard(1);
        assert!(mesh.may_say(1) && !mesh.may_say(1));
    }

    #[test]
    fn all_shards_are_left_before_the_mesh_is_deserted() {
        let mesh = mesh();
        for _ in 0..3 {
            assert!(!mesh.is_deserted());
            mesh.leave();
        }
        assert!(mesh.is_deserted());
    }
}
