//! Everything that a request can come from, in one slab: connections, messages of channels, and tasks; and the pipes of
//! children, because the ring knows them by such keys, too.
//!
//! | file | what it is |
//! |---|---|
//! | `connection` | a socket: HTTP, a channel, or a process's pipes |
//! | `deadlines` | which deadline a connection is under, and what it means that it is over |
//! | `exchange` | one message of a channel, without a socket |
//! | `peers` | who is at the other end of each of them |
//! | `task` | a call that goes on without whoever asked for it |
//! | `request` | the request in progress, the same for the first two |
//!
//! An entry is small on purpose: a parked connection costs its entry and an armed receive, and no buffer. A slot is
//! reused only when nothing is in flight on it, and then under a new generation, so a completion that comes late finds
//! nothing. A key finds an entry only as what it is: a task has no socket, and a connection no parent.

mod connection;
mod deadlines;
mod exchange;
mod peers;
mod request;
mod task;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::children::MemberKey;
use crate::pool::{HandlerKey, WaitKey};
use crate::registry::ServerIndex;
use crate::ring::{ConnectionKey, DataRing};
use crate::session::live::Stream;
use crate::slab::Slab;

use super::acceptor::AddressPlace;
use super::channels::{Away, Channel, ChannelPlace, Home};
use super::streams::OpenStream;

pub(super) use connection::{Connection, Outgoing, OutgoingKind, State, Waiting};
pub(super) use deadlines::{ChannelDeadline, ChannelOverdue, LAST_CALLS, LAST_MOMENT, Overdue};
pub(super) use exchange::{Exchange, ExchangeState, Parent};
pub(super) use request::Request;
pub(super) use task::Task;

#[allow(
    clippy::large_enum_variant,
    reason = "most entries are connections, and boxes would be allocated one by one"
)]
enum Entry<S> {
    Connection(Connection<S>),
    Exchange(Exchange),
    Task(Task),
    /// A connection whose descriptor is with the ring to be closed; until then it counts.
    Closing(Option<AddressPlace>),
    /// A pipe of a child, whose socket the child has.
    Pipe(Pipe),
}

/// The child that a pipe leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pipe {
    pub(super) server: ServerIndex,
    pub(super) member: MemberKey,
}

/// The entries, by their keys.
pub(super) struct Table<S> {
    entries: Slab<ConnectionKey, Entry<S>>,
}

impl<S> Table<S> {
    pub(super) fn new() -> Table<S> {
        Table {
            entries: Slab::default(),
        }
    }

    /// Enters a connection.
    pub(super) fn insert_connection(
        &mut self,
        socket: S,
        address: Option<AddressPlace>,
        now: Instant,
    ) -> ConnectionKey {
        self.insert(Entry::Connection(Connection::new(socket, address, now)))
    }

    /// Enters a message of a channel.
    pub(super) fn insert_exchange(&mut self, exchange: Exchange) -> ConnectionKey {
        self.insert(Entry::Exchange(exchange))
    }

    /// Enters a task.
    pub(super) fn insert_task(&mut self, task: Task) -> ConnectionKey {
        self.insert(Entry::Task(task))
    }

    /// Enters a pipe of a child.
    pub(super) fn insert_pipe(&mut self, pipe: Pipe) -> ConnectionKey {
        self.insert(Entry::Pipe(pipe))
    }

    /// # Panics
    /// With as many entries as slots can be numbered, for which there are neither descriptors nor memory.
    fn insert(&mut self, entry: Entry<S>) -> ConnectionKey {
        match self.entries.insert(entry) {
            Ok(key) => key,
            Err(_) => panic!("{} entries at once", self.entries.len()),
        }
    }

    /// The connection of this key, until its descriptor is closed.
    pub(super) fn connection(&mut self, key: ConnectionKey) -> Option<&mut Connection<S>> {
        match self.entries.get_mut(key)? {
            Entry::Connection(connection) => Some(connection),
            Entry::Exchange(_) | Entry::Task(_) | Entry::Closing(_) | Entry::Pipe(_) => None,
        }
    }

    /// The message of a channel of this key, until it is answered.
    pub(super) fn exchange(&mut self, key: ConnectionKey) -> Option<&mut Exchange> {
        match self.entries.get_mut(key)? {
            Entry::Exchange(exchange) => Some(exchange),
            Entry::Connection(_) | Entry::Task(_) | Entry::Closing(_) | Entry::Pipe(_) => None,
        }
    }

    /// The task of this key, until it is over.
    pub(super) fn task(&mut self, key: ConnectionKey) -> Option<&mut Task> {
        match self.entries.get_mut(key)? {
            Entry::Task(task) => Some(task),
            Entry::Connection(_) | Entry::Exchange(_) | Entry::Closing(_) | Entry::Pipe(_) => None,
        }
    }

    /// The pipe of this key, until it is closed.
    pub(super) fn pipe(&self, key: ConnectionKey) -> Option<Pipe> {
        match self.entries.get(key)? {
            Entry::Pipe(pipe) => Some(*pipe),
            _ => None,
        }
    }

    /// Takes a pipe out that is closed.
    pub(super) fn remove_pipe(&mut self, key: ConnectionKey) -> Option<Pipe> {
        let pipe = self.pipe(key)?;
        self.entries.remove(key);
        Some(pipe)
    }

    /// The channel that a connection was made.
    #[inline]
    pub(super) fn channel(&mut self, key: ConnectionKey) -> Option<&mut Channel> {
        self.connection(key)?.channel.as_deref_mut()
    }

    /// The request in progress of a connection or of a message.
    pub(super) fn request(&mut self, key: ConnectionKey) -> Option<&mut Request> {
        match self.entries.get_mut(key)? {
            Entry::Connection(connection) => Some(&mut connection.request),
            Entry::Exchange(exchange) => Some(&mut exchange.request),
            Entry::Task(_) | Entry::Closing(_) | Entry::Pipe(_) => None,
        }
    }

    /// The stream that is open on a connection or a message.
    pub(super) fn stream(&mut self, key: ConnectionKey) -> Option<&mut OpenStream> {
        self.request(key)?.stream.as_deref_mut()
    }

    /// Whether it is a message of a channel, wherever that is.
    pub(super) fn is_message(&mut self, key: ConnectionKey) -> bool {
        self.exchange(key).is_some()
    }

    /// The channel whose message this is, if that is on this shard.
    pub(super) fn parent(&mut self, key: ConnectionKey) -> Option<ConnectionKey> {
        match self.exchange(key)?.parent {
            Parent::Here(channel) => Some(channel),
            Parent::Elsewhere(_) => None,
        }
    }

    /// What is known of the channel whose message this is, if that is on another shard.
    pub(super) fn home(&mut self, key: ConnectionKey) -> Option<&Home> {
        match &self.exchange(key)?.parent {
            Parent::Here(_) => None,
            Parent::Elsewhere(home) => Some(home),
        }
    }

    /// The channel whose message this is, on this `shard` or another.
    pub(super) fn channel_place(&mut self, key: ConnectionKey, shard: u16) -> Option<ChannelPlace> {
        match &self.exchange(key)?.parent {
            Parent::Here(channel) => Some(ChannelPlace {
                shard,
                channel: *channel,
            }),
            Parent::Elsewhere(home) => Some(home.channel),
        }
    }

    /// The shard to which a connection or a message is about to move.
    pub(super) fn target_of_move(&mut self, key: ConnectionKey) -> Option<usize> {
        let shard = match self.entries.get(key)? {
            Entry::Connection(Connection {
                state: State::Moving(shard),
                ..
            }) => *shard,
            Entry::Exchange(Exchange {
                state: ExchangeState::Moving,
                away: Some(away),
                ..
            }) => away.shard,
            Entry::Connection(_)
            | Entry::Exchange(_)
            | Entry::Task(_)
            | Entry::Closing(_)
            | Entry::Pipe(_) => return None,
        };
        Some(shard.into())
    }

    /// A message that another shard serves is to be ended here: where it is.
    pub(super) fn take_away(&mut self, key: ConnectionKey) -> Option<Box<Away>> {
        let exchange = self.exchange(key)?;
        if exchange.state != ExchangeState::Away {
            return None;
        }
        exchange.state = ExchangeState::Reading;
        exchange.away.take()
    }

    /// When the request began, and for how long it has waited: what is told of any entry.
    pub(super) fn times(&mut self, key: ConnectionKey) -> Option<(Instant, u32)> {
        match self.entries.get(key)? {
            Entry::Connection(Connection { request, .. }) | Entry::Exchange(Exchange { request, .. }) => {
                Some((request.began, request.waited_micros))
            }
            Entry::Task(task) => Some((task.began, task.waited_micros)),
            Entry::Closing(_) | Entry::Pipe(_) => None,
        }
    }

    /// The count of microseconds that an entry's request has waited.
    fn waited_micros(&mut self, key: ConnectionKey) -> Option<&mut u32> {
        match self.entries.get_mut(key)? {
            Entry::Connection(Connection { request, .. }) | Entry::Exchange(Exchange { request, .. }) => {
                Some(&mut request.waited_micros)
            }
            Entry::Task(task) => Some(&mut task.waited_micros),
            Entry::Closing(_) | Entry::Pipe(_) => None,
        }
    }

    /// A request has waited for a handler or a worker.
    pub(super) fn note_wait(&mut self, key: ConnectionKey, waited: Duration) {
        if let Some(waited_micros) = self.waited_micros(key) {
            let micros = u32::try_from(waited.as_micros()).unwrap_or(u32::MAX);
            *waited_micros = waited_micros.saturating_add(micros);
        }
    }

    /// Whether somebody is there whom an answer reaches.
    pub(super) fn is_alive(&self, key: ConnectionKey) -> bool {
        match self.entries.get(key) {
            Some(Entry::Connection(connection)) => connection.state != State::Dead,
            Some(Entry::Exchange(_) | Entry::Task(_)) => true,
            Some(Entry::Closing(_) | Entry::Pipe(_)) | None => false,
        }
    }

    /// The handler that works for an entry now.
    pub(super) fn handler(&self, key: ConnectionKey) -> Option<HandlerKey> {
        match self.entries.get(key)? {
            Entry::Connection(Connection {
                state: State::Calling(handler),
                ..
            })
            | Entry::Exchange(Exchange {
                state: ExchangeState::Calling(handler),
                ..
            }) => Some(*handler),
            Entry::Task(task) => task.handler,
            Entry::Connection(_) | Entry::Exchange(_) | Entry::Closing(_) | Entry::Pipe(_) => None,
        }
    }

    /// From now on this handler works for an entry.
    pub(super) fn begin_call(&mut self, key: ConnectionKey, handler: HandlerKey) {
        match self.entries.get_mut(key) {
            Some(Entry::Connection(connection)) => {
                connection.state = State::Calling(handler);
            }
            Some(Entry::Exchange(exchange)) => exchange.state = ExchangeState::Calling(handler),
            Some(Entry::Task(task)) => task.handler = Some(handler),
            Some(Entry::Closing(_) | Entry::Pipe(_)) | None => {}
        }
    }

    /// The call goes on without a handler, or its stream without the call.
    pub(super) fn begin_streaming(&mut self, key: ConnectionKey) {
        match self.entries.get_mut(key) {
            Some(Entry::Connection(connection)) => connection.state = State::Streaming,
            Some(Entry::Exchange(exchange)) => exchange.state = ExchangeState::Streaming,
            Some(Entry::Task(task)) => task.handler = None,
            Some(Entry::Closing(_) | Entry::Pipe(_)) | None => {}
        }
    }

    /// Whether the entry that a call came from waits for it to go on: a connection only if the call's stream is open on
    /// it.
    pub(super) fn awaits_return(&self, key: ConnectionKey, stream: Option<&Arc<Stream>>) -> bool {
        match self.entries.get(key) {
            Some(Entry::Connection(connection)) => {
                let open = connection.request.stream.as_ref().zip(stream);
                connection.state == State::Streaming && open.is_some_and(|(open, stream)| open.is_of(stream))
            }
            Some(Entry::Exchange(exchange)) => exchange.state == ExchangeState::Streaming,
            Some(Entry::Task(_)) => true,
            Some(Entry::Closing(_) | Entry::Pipe(_)) | None => false,
        }
    }

    /// The place in the queue of an entry that waits for a handler.
    pub(super) fn wait(&self, key: ConnectionKey) -> Option<WaitKey> {
        match self.entries.get(key)? {
            Entry::Connection(Connection {
                state: State::Queued(wait),
                ..
            })
            | Entry::Exchange(Exchange {
                state: ExchangeState::Queued(wait),
                ..
            }) => Some(*wait),
            Entry::Connection(_)
            | Entry::Exchange(_)
            | Entry::Task(_)
            | Entry::Closing(_)
            | Entry::Pipe(_) => None,
        }
    }

    /// An entry waits for a handler from now on.
    pub(super) fn begin_wait(&mut self, key: ConnectionKey, wait: WaitKey, now: Instant) {
        match self.entries.get_mut(key) {
            Some(Entry::Connection(connection)) => {
                connection.state = State::Queued(wait);
                connection.waiting = Waiting::Nothing;
                connection.request.phase_began = now;
            }
            Some(Entry::Exchange(exchange)) => {
                exchange.state = ExchangeState::Queued(wait);
                exchange.request.phase_began = now;
            }
            Some(Entry::Task(_) | Entry::Closing(_) | Entry::Pipe(_)) | None => {}
        }
    }

    /// An entry waits no more.
    pub(super) fn end_wait(&mut self, key: ConnectionKey) {
        match self.entries.get_mut(key) {
            Some(Entry::Connection(connection)) => connection.state = State::Open,
            Some(Entry::Exchange(exchange)) => exchange.state = ExchangeState::Reading,
            Some(Entry::Task(_) | Entry::Closing(_) | Entry::Pipe(_)) | None => {}
        }
    }

    /// The key of whatever is in a slot and can have a deadline.
    pub(super) fn key_at(&self, slot: u32) -> Option<ConnectionKey> {
        let key = self.entries.key_at(slot)?;
        (!matches!(self.entries.get(key), Some(Entry::Closing(_) | Entry::Pipe(_)))).then_some(key)
    }

    /// Watches for the hang-up of a connection that is not read from. A channel is read from at any time.
    pub(super) fn watch<R: DataRing<Socket = S>>(&mut self, key: ConnectionKey, ring: &mut R) {
        if let Some(connection) = self.connection(key)
            && !connection.ring.is_watched
        {
            connection.ring.is_watched = true;
            ring.watch_hang_up(key, &connection.socket);
        }
    }

    /// Closes the descriptor of a dead connection if the ring owes nothing that names it.
    pub(super) fn reap<R: DataRing<Socket = S>>(&mut self, key: ConnectionKey, ring: &mut R) {
        let is_over = self
            .connection(key)
            .is_some_and(|connection| !connection.ring.is_in_flight());
        if is_over && let Some(socket) = self.remove_to_close(key) {
            ring.close(key, socket);
        }
    }

    /// Takes a connection out whose descriptor is to be closed: the slot keeps what is counted until [`Table::free`].
    fn remove_to_close(&mut self, key: ConnectionKey) -> Option<S> {
        let entry = self.entries.get_mut(key)?;
        let Entry::Connection(connection) = entry else {
            return None;
        };
        let closing = Entry::Closing(connection.address.take());
        match std::mem::replace(entry, closing) {
            Entry::Connection(connection) => Some(connection.socket),
            Entry::Exchange(_) | Entry::Task(_) | Entry::Closing(_) | Entry::Pipe(_) => None,
        }
    }

    /// The descriptor is closed: the slot may be used again, under a new generation. Gives what was counted.
    pub(super) fn free(&mut self, key: ConnectionKey) -> Option<AddressPlace> {
        let Entry::Closing(_) = self.entries.get(key)? else {
            return None;
        };
        match self.entries.remove(key)? {
            Entry::Closing(address) => address,
            Entry::Connection(_) | Entry::Exchange(_) | Entry::Task(_) | Entry::Pipe(_) => None,
        }
    }

    /// Takes a connection out that lives on elsewhere: its slot is free at once. Nothing is in flight on it.
    pub(super) fn release(&mut self, key: ConnectionKey) -> Option<Connection<S>> {
        let connection = self.connection(key)?;
        debug_assert!(
            !connection.ring.is_in_flight(),
            "{key:?} moves while the ring still names it"
        );
        match self.entries.remove(key)? {
            Entry::Connection(connection) => Some(connection),
            Entry::Exchange(_) | Entry::Task(_) | Entry::Closing(_) | Entry::Pipe(_) => None,
        }
    }

    /// Takes a message out, answered or not.
    pub(super) fn remove_exchange(&mut self, key: ConnectionKey) -> Option<Exchange> {
        self.exchange(key)?;
        match self.entries.remove(key)? {
            Entry::Exchange(exchange) => Some(exchange),
            Entry::Connection(_) | Entry::Task(_) | Entry::Closing(_) | Entry::Pipe(_) => None,
        }
    }

    /// Takes a task out that is over.
    pub(super) fn remove_task(&mut self, key: ConnectionKey) -> Option<Task> {
        self.task(key)?;
        match self.entries.remove(key)? {
            Entry::Task(task) => Some(task),
            Entry::Connection(_) | Entry::Exchange(_) | Entry::Closing(_) | Entry::Pipe(_) => None,
        }
    }

    /// Descriptors, messages and tasks held, those being closed and pipes included.
    pub(super) fn open(&self) -> usize {
        self.entries.len() as usize
    }

    /// Keys of the connections that are as `matches` says, in slot order.
    pub(super) fn connections_where(&self, matches: impl Fn(&Connection<S>) -> bool) -> Vec<ConnectionKey> {
        self.keys_where(|entry| matches!(entry, Entry::Connection(connection) if matches(connection)))
    }

    /// Keys of the messages that are as `matches` says.
    pub(super) fn exchanges_where(&self, matches: impl Fn(&Exchange) -> bool) -> Vec<ConnectionKey> {
        self.keys_where(|entry| matches!(entry, Entry::Exchange(exchange) if matches(exchange)))
    }

    /// Keys of everything that was not given up, in slot order.
    pub(super) fn alive(&self) -> Vec<ConnectionKey> {
        let keys = self.entries.keys();
        keys.filter(|key| self.is_alive(*key)).collect()
    }

    /// Keys of all tasks.
    pub(super) fn tasks(&self) -> Vec<ConnectionKey> {
        self.keys_where(|entry| matches!(entry, Entry::Task(_)))
    }

    fn keys_where(&self, matches: impl Fn(&Entry<S>) -> bool) -> Vec<ConnectionKey> {
        let entries = self.entries.iter();
        entries
            .filter_map(|(key, entry)| matches(entry).then_some(key))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::tasks::WorkedBy;
    use crate::units::ViewId;

    const SOCKET: &str = "socket";

    fn now() -> Instant {
        Instant::now()
    }

    fn wait() -> WaitKey {
        crate::pool::WaitQueue::new(1).push(()).unwrap()
    }

    const HANDLER: HandlerKey = HandlerKey { index: 2, lease: 7 };

    #[test]
    fn a_key_finds_an_entry_only_as_what_it_is() {
        let mut table: Table<&str> = Table::new();
        let connection = table.insert_connection(SOCKET, None, now());
        let exchange = table.insert_exchange(Exchange::new(
            Parent::Here(connection),
            ViewId::MAIN,
            true,
            now(),
            now(),
        ));
        let place = table.channel_place(exchange, 3);
        let task = table.insert_task(Task::new(place, ViewId::MAIN, WorkedBy::Handler, now()));
        for (key, expected) in [
            (connection, [true, false, false, true]),
            (exchange, [false, true, false, true]),
            (task, [false, false, true, false]),
        ] {
            let found = [
                table.connection(key).is_some(),
                table.exchange(key).is_some(),
                table.task(key).is_some(),
                table.request(key).is_some(),
            ];
            assert_eq!(found, expected);
            assert!(table.is_alive(key) && table.times(key).is_some());
        }
        assert_eq!(table.parent(exchange), Some(connection));
        assert_eq!((table.parent(connection), table.parent(task)), (None, None));
        assert_eq!(table.tasks(), [task]);
        assert_eq!(table.connections_where(|_| true), [connection]);
        assert_eq!(
            table.exchanges_where(|exchange| exchange.request.is_browser),
            [exchange]
        );
        assert_eq!(table.remove_exchange(connection).map(|_| ()), None);
        assert_eq!(table.remove_task(exchange).map(|_| ()), None);
        assert!(table.remove_to_close(task).is_none());
        assert_eq!(table.open(), 3);
    }

    #[test]
    fn a_handler_works_for_any_entry_and_only_a_request_waits() {
        let mut table: Table<&str> = Table::new();
        let connection = table.insert_connection(SOCKET, None, now());
        let exchange = table.insert_exchange(Exchange::new(
            Parent::Here(connection),
            ViewId::MAIN,
            false,
            now(),
            now(),
        ));
        let task = table.insert_task(Task::new(None, ViewId::MAIN, WorkedBy::Handler, now()));
        for (key, waits) in [(connection, true), (exchange, true), (task, false)] {
            table.begin_wait(key, wait(), now());
            assert_eq!(table.wait(key).is_some(), waits);
            table.end_wait(key);
            assert_eq!((table.wait(key), table.handler(key)), (None, None));
            table.begin_call(key, HANDLER);
            assert_eq!(table.handler(key), Some(HANDLER));
            table.begin_streaming(key);
            assert_eq!(table.handler(key), None);
        }
    }

    #[test]
    fn a_connection_counts_until_its_descriptor_is_closed() {
        let mut table: Table<&str> = Table::new();
        let key = table.insert_connection(SOCKET, None, now());
        assert!(table.free(key).is_none(), "it is open");
        assert_eq!(table.remove_to_close(key), Some(SOCKET));
        assert!(table.connection(key).is_none() && !table.is_alive(key));
        assert_eq!((table.open(), table.key_at(key.slot)), (1, None));
        assert!(table.remove_to_close(key).is_none(), "once");
        table.free(key);
        assert_eq!(table.open(), 0);
        let next = table.insert_connection(SOCKET, None, now());
        assert_eq!((next.slot, next == key), (key.slot, false));
        assert!(table.release(next).is_some());
        assert_eq!(table.open(), 0);
    }

    /// What an idle connection may cost, as `tuning.md` says beside what `scripts/idle.sh` measures.
    const IDLE_CONNECTION_BYTES_MAX: usize = 256;

    #[test]
    fn the_slot_of_a_connection_is_no_larger_than_an_idle_one_may_cost() {
        // An idle connection has no buffer and nothing else on the heap. Its slot is its entry, 240 bytes, behind the
        // generation and the link of the free list.
        let slot_bytes = size_of::<(u32, u32, Entry<crate::ring::Socket>)>();
        assert!(slot_bytes <= IDLE_CONNECTION_BYTES_MAX, "{slot_bytes}");
    }
}
