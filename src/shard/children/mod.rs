//! The children of all servers on this shard, their calls from here and elsewhere, and what the supervisor is told.
//!
//! A call has two halves. The *client's half* is a [`Call`](super::Call) without a handler on the shard of its
//! connection; the *child's half* is an entry at a child, or in the queue for one, on this shard or another. The
//! [`Caller`] is what the child's half knows of the client's.
//!
//! The children of a server are *out* while they tell what has happened: then what is asked of them is kept, and done
//! when they are back.

mod asked;
mod caller;
mod clients;
mod load;
mod mail;
mod owning;
mod parked;
mod questions;
mod rounds;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::children::{
    ChildMesh, ChildNews, ChildNewsEvent, ChildrenParts, Client, LocalChildren, LocalRefusal, Message,
    QuestionRefusal, ServerParts, Settled, SubmitTerms, Supervisor, Taken,
};
use crate::metrics::ChildTally;
use crate::pool::{HandlerKey, HeapBudget};
use crate::registry::ServerIndex;

pub use asked::QuestionName;
use asked::{AskedQuestion, Round, TaskQuestion};
pub use caller::{Caller, ClientTerms};
use clients::Clients;
pub use mail::{ChildWord, ForwardedCall, ForwardedWord};
pub(super) use parked::{Held, HeldQuestion, Parking};
pub use parked::{ParkedName, Resumption};

/// What became of a call that was given to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// It is here, or will be.
    Here,
    /// The children of this shard are to have it.
    There(u16),
}

/// The children on one shard, whose pipes are `S`.
pub(super) struct Children<S> {
    shard: u16,
    servers: Box<[Server<S>]>,
    /// Servers whose children have something to begin.
    touched: Vec<ServerIndex>,
    /// What was asked of children while they were out.
    kept: Vec<(ServerIndex, Kept)>,
    /// Questions that legacy clients were asked.
    asked: Vec<AskedQuestion>,
    /// Questions that are put to clients by their tasks.
    task_questions: Vec<TaskQuestion>,
    /// Calls whose clients are asked what a child asks by its answer.
    rounds: HashMap<HandlerKey, Round>,
    parking: Parking,
    /// Pipes that are in the table.
    pipes: usize,
    mesh: Arc<ChildMesh>,
    supervisor: Option<Arc<dyn Supervisor>>,
    has_left: bool,
    is_over: bool,
}

struct Server<S> {
    name: String,
    /// Only one client can be the cause of what a child says.
    is_attributed: bool,
    /// Calls of tools that change nothing are made once more when a child dies of them.
    is_repeating: bool,
    /// Whose the children are; `None` if everybody's.
    clients: Option<Clients>,
    /// `None` while they are out.
    children: Option<Box<LocalChildren<Caller, S>>>,
    is_touched: bool,
    /// Heap bytes charged for what they hold.
    charged: usize,
    /// What the supervisor has not been told.
    answered: u32,
    busy: Duration,
    settled: Settled,
    /// Questions that legacy clients were asked because a child answered by them.
    asked_in_rounds: u64,
    /// Calls that wait and run, and what children ask and have lost.
    load_told: (usize, u32, ChildTally),
    /// When the activity of clients was last told.
    active_told: Instant,
}

/// Something to be done when children are back.
pub(super) enum Kept {
    Submit {
        text: Vec<u8>,
        caller: Caller,
        due: Option<Instant>,
        client: Option<Client>,
    },
    Cancel {
        caller: Caller,
    },
    Refuse {
        name: QuestionName,
        refusal: QuestionRefusal,
    },
    Resume(Box<Resumption>),
}

impl<S> Children<S> {
    /// Of these servers; without any, nothing is ever asked of this.
    pub(super) fn new(parts: Option<ChildrenParts>, shard: u16, now: Instant) -> Children<S> {
        let (servers, mesh, supervisor) = match parts {
            Some(parts) => (parts.servers, parts.mesh, Some(parts.supervisor)),
            None => (Vec::new(), ChildMesh::new(0, 1), None),
        };
        Children {
            shard,
            servers: servers.into_iter().map(|parts| Server::new(parts, now)).collect(),
            touched: Vec::new(),
            kept: Vec::new(),
            asked: Vec::new(),
            task_questions: Vec::new(),
            rounds: HashMap::new(),
            parking: Parking::default(),
            pipes: 0,
            mesh,
            supervisor,
            has_left: false,
            is_over: false,
        }
    }

    /// The name of a server, for logs and errors.
    pub(super) fn name(&self, server: ServerIndex) -> &str {
        self.servers
            .get(server.as_usize())
            .map_or("", |server| &server.name)
    }

    /// All servers.
    pub(super) fn servers(&self) -> impl Iterator<Item = ServerIndex> + use<S> {
        (0..self.servers.len()).map(|index| ServerIndex(index as u16))
    }

    /// What shards know of each other's children.
    pub(super) fn mesh(&self) -> &ChildMesh {
        &self.mesh
    }

    /// Tells the supervisor something about the children of a server here.
    pub(super) fn tell(&self, server: ServerIndex, event: ChildNewsEvent) {
        if let Some(supervisor) = &self.supervisor {
            supervisor.tell(ChildNews {
                shard: self.shard,
                server,
                event,
            });
        }
    }

    // Pipes.

    pub(super) fn on_pipes_opened(&mut self, count: usize) {
        self.pipes += count;
    }

    pub(super) fn on_pipe_closed(&mut self) {
        self.pipes = self.pipes.saturating_sub(1);
    }

    /// Pipes that are in the table.
    pub(super) fn pipes(&self) -> usize {
        self.pipes
    }

    /// Whether no child is here, nor any of their processes.
    pub(super) fn is_empty(&self) -> bool {
        let is_empty = |server: &Server<S>| {
            server
                .children
                .as_ref()
                .is_some_and(|children| children.is_empty())
        };
        self.servers.iter().all(is_empty)
    }

    // Being out.

    /// Takes the children of a server out; they come back by [`Children::put_back`].
    pub(super) fn take_out(&mut self, server: ServerIndex) -> Option<Box<LocalChildren<Caller, S>>> {
        self.servers.get_mut(server.as_usize())?.children.take()
    }

    /// The children of a server are back.
    pub(super) fn put_back(&mut self, server: ServerIndex, children: Box<LocalChildren<Caller, S>>) {
        if let Some(entry) = self.servers.get_mut(server.as_usize()) {
            entry.children = Some(children);
        }
    }

    /// The oldest thing that was asked of children while they were out.
    pub(super) fn next_kept(&mut self) -> Option<(ServerIndex, Kept)> {
        // There is at most one, nearly always.
        (!self.kept.is_empty()).then(|| self.kept.remove(0))
    }

    /// The children of a server have something to begin.
    pub(super) fn touch(&mut self, server: ServerIndex) {
        if let Some(entry) = self.servers.get_mut(server.as_usize())
            && !entry.is_touched
        {
            entry.is_touched = true;
            self.touched.push(server);
        }
    }

    /// A server whose children have something to begin. It is asked for before each flush.
    #[inline]
    pub(super) fn next_touched(&mut self) -> Option<ServerIndex> {
        let server = self.touched.pop()?;
        if let Some(entry) = self.servers.get_mut(server.as_usize()) {
            entry.is_touched = false;
        }
        Some(server)
    }

    /// Charges what the children of a server hold. If that is more than there is, the one that holds most is given up.
    pub(super) fn charge(&mut self, server: ServerIndex, heap: &HeapBudget, now: Instant) {
        let Some(entry) = self.servers.get_mut(server.as_usize()) else {
            return;
        };
        let Some(children) = &mut entry.children else {
            return;
        };
        let held = children.held_bytes();
        if held == entry.charged {
            return;
        }
        heap.refund(entry.charged);
        entry.charged = if heap.charge(held).is_ok() {
            held
        } else {
            children.give_up_largest(now);
            0
        };
        if entry.charged < held {
            self.touch(server);
        }
    }

    // Calls.

    /// Gives a call of this shard's to a server: to children here, to those of another shard that have room, or to the
    /// queue here.
    ///
    /// # Errors
    /// It is refused.
    pub(super) fn give(
        &mut self,
        server: ServerIndex,
        text: &[u8],
        message: &Message,
        call: (Caller, Option<Client>, Option<Instant>),
        now: Instant,
    ) -> Result<Given, LocalRefusal> {
        let (caller, client, due) = call;
        let Some(entry) = self.servers.get_mut(server.as_usize()) else {
            return Err(LocalRefusal::Quarantined);
        };
        let Some(children) = &mut entry.children else {
            self.keep(server, text.to_vec(), caller, (client, due));
            return Ok(Given::Here);
        };
        if let Some(client) = client {
            return self.give_to_child_of(server, text, message, (caller, client, due), now);
        }
        if children.room() == 0
            && children.waiting() == 0
            && !children.is_refusing()
            && self.mesh.has_others()
            && let Some(shard) = self.mesh.take_room(server, self.shard)
        {
            return Ok(Given::There(shard));
        }
        let taken = children.submit(text, message, caller, SubmitTerms::default(), now);
        self.touch(server);
        taken.map(|()| Given::Here).map_err(|(_, refusal)| refusal)
    }

    /// Takes a call in that another shard has sent.
    ///
    /// # Errors
    /// It is not taken, and its caller is to be told this.
    pub(super) fn take_in(
        &mut self,
        call: ForwardedCall,
        message: &Message,
        now: Instant,
    ) -> Result<(), Box<ChildWord>> {
        let (server, due) = (call.server, call.due);
        let Some(entry) = self.servers.get_mut(server.as_usize()) else {
            return Err(Box::new(ChildWord::Failed(LocalRefusal::Quarantined.into())));
        };
        let Some(children) = &mut entry.children else {
            self.keep(server, call.text, call.caller, (call.client, due));
            return Ok(());
        };
        let client = call.client.map(|client| client.key);
        if client.is_some_and(|client| !children.has_child_of(client)) {
            return Err(Box::new(ChildWord::Misplaced { text: call.text, due }));
        }
        let terms = SubmitTerms { client, due };
        let taken = children.submit(&call.text, message, call.caller, terms, now);
        self.touch(server);
        taken.map_err(|(_, refusal)| Box::new(ChildWord::Failed(refusal.into())))
    }

    /// Keeps a call of this shard's, to be given when the children are driven next.
    pub(super) fn keep_for_later(
        &mut self,
        server: ServerIndex,
        text: Vec<u8>,
        call: HandlerKey,
        terms: (Option<Client>, Option<Instant>),
    ) {
        let caller = self.caller(call);
        self.keep(server, text, caller, terms);
        self.touch(server);
    }

    fn keep(
        &mut self,
        server: ServerIndex,
        text: Vec<u8>,
        caller: Caller,
        terms: (Option<Client>, Option<Instant>),
    ) {
        let (client, due) = terms;
        let kept = Kept::Submit {
            text,
            caller,
            due,
            client,
        };
        self.kept.push((server, kept));
    }

    /// Nobody waits for this call any more, which is here.
    pub(super) fn cancel(&mut self, server: ServerIndex, caller: Caller, now: Instant) {
        let Some(entry) = self.servers.get_mut(server.as_usize()) else {
            return;
        };
        match &mut entry.children {
            Some(children) => {
                children.cancel(|known| *known == caller, "nobody waits for it any more", now);
                self.touch(server);
            }
            None => self.kept.push((server, Kept::Cancel { caller })),
        }
    }

    /// The caller of a call of this shard's.
    pub(super) fn caller(&self, call: HandlerKey) -> Caller {
        Caller {
            shard: self.shard,
            call,
            terms: ClientTerms::NONE,
        }
    }

    /// Whether a call is this shard's own.
    pub(super) fn is_own(&self, caller: Caller) -> bool {
        caller.shard == self.shard
    }

    /// A call that waits here, whose connection is here, and for which there is room at children of another shard.
    pub(super) fn take_mover(&mut self, server: ServerIndex) -> Option<(u16, Taken<Caller>)> {
        let own = self.shard;
        let is_own = |caller: &Caller| caller.shard == own;
        let entry = self.servers.get_mut(server.as_usize())?;
        let is_owned = entry.clients.is_some();
        let children = entry.children.as_mut()?;
        if children.waiting() == 0 || is_owned || !self.mesh.has_others() {
            return None;
        }
        // Said before room is looked for, as the mesh wants it.
        self.mesh.begin_waiting(server, own);
        let shard = self.mesh.take_room(server, own)?;
        Some((shard, children.take_waiting(is_own)?))
    }

    /// Publishes the room that the children of a server have; a shard that is to be told of it.
    pub(super) fn publish(&mut self, server: ServerIndex) -> Option<u16> {
        if !self.mesh.has_others() {
            return None;
        }
        let entry = self.servers.get(server.as_usize())?;
        // The children of clients have room for nobody else.
        let children = entry.children.as_ref().filter(|_| entry.clients.is_none())?;
        self.mesh.publish(server, self.shard, children.room())
    }

    // What the supervisor is told.

    /// A child has answered a call that it had for so long.
    pub(super) fn on_answered(&mut self, server: ServerIndex, took: Duration) {
        if let Some(entry) = self.servers.get_mut(server.as_usize()) {
            entry.answered = entry.answered.saturating_add(1);
            entry.busy += took;
        }
    }

    // The end.

    /// The clients of this shard are gone, and no call of theirs goes on. True once that is so of all shards: then
    /// children may end.
    pub(super) fn leave(&mut self) -> bool {
        if !std::mem::replace(&mut self.has_left, true) {
            self.mesh.leave();
        }
        self.mesh.is_deserted()
    }

    /// Whether no child is here, and other shards know that no client is: their children wait for that.
    pub(super) fn is_over(&self) -> bool {
        self.is_empty() && (self.has_left || self.servers.is_empty())
    }

    /// Children end when they have answered the calls they have, and the supervisor starts no more.
    pub(super) fn begin_drain(&mut self) {
        let was_over = std::mem::replace(&mut self.is_over, true);
        for server in self.servers() {
            if let Some(children) = self
                .servers
                .get_mut(server.as_usize())
                .and_then(|entry| entry.children.as_mut())
            {
                children.begin_drain();
            }
            if !was_over {
                self.tell(server, ChildNewsEvent::Deserted);
            }
            self.touch(server);
        }
    }

    /// Children are given up as they are.
    pub(super) fn abort(&mut self, now: Instant) {
        for server in self.servers() {
            if let Some(children) = self
                .servers
                .get_mut(server.as_usize())
                .and_then(|entry| entry.children.as_mut())
            {
                children.abort(now);
            }
            self.touch(server);
        }
    }
}

impl<S> Server<S> {
    fn new(parts: ServerParts, now: Instant) -> Server<S> {
        Server {
            name: parts.name,
            is_attributed: parts.is_attributed,
            is_repeating: parts.is_repeating,
            clients: parts.clients.map(Clients::new),
            children: Some(Box::new(LocalChildren::new(parts.limits))),
            is_touched: false,
            charged: 0,
            answered: 0,
            busy: Duration::ZERO,
            settled: Settled::default(),
            asked_in_rounds: 0,
            load_told: (0, 0, ChildTally::default()),
            active_told: now,
        }
    }
}
