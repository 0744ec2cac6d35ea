//! The state of a leased handler.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::children::{Client, KeptFields};
use crate::mcp::{Batch, TaskId, Ticket};
use crate::metrics;
use crate::pool::{HeapShare, ToolPermit};
use crate::registry::{CallFuture, CallLink, ClientCapabilities, LogLevel, Operation, Origin, ServerIndex};
use crate::session::live::Stream;
use crate::workers::JobHandle;

use super::super::service::LocalService;
use super::again::Again;
use super::asker_key::AskerKey;
use super::call_waker::Awaits;
use super::rounds::Rounds;

/// The state of a leased handler.
pub struct Call {
    /// What was served when it was decoded: its ticket means nothing to any other registry.
    pub(in crate::shard) service: LocalService,
    pub(in crate::shard) ticket: Ticket,
    pub(in crate::shard) run: Run,
    pub(in crate::shard) began: Instant,
    /// For all calls of a batch together.
    pub(in crate::shard) deadline: Instant,
    pub(in crate::shard) batch: Option<Box<Batched>>,
    /// What its tool speaks into; none for the calls of a batch.
    pub(in crate::shard) link: Option<Arc<CallLink>>,
    /// What it speaks on, once it has spoken or taken long.
    pub(in crate::shard) stream: Option<Arc<Stream>>,
    /// Its place among those that asked their client something.
    pub(in crate::shard) asker: Option<AskerKey>,
    /// It runs as a task.
    pub(in crate::shard) task: Option<Box<TaskId>>,
    /// The place that it has among the calls of its tool, if these have a limit.
    pub(in crate::shard) tool_permit: Option<Arc<ToolPermit>>,
    /// A child may ask its client, and it is made again then.
    pub(in crate::shard) rounds: Option<Box<Rounds>>,
    /// Its child may die of it, and another one gets it then.
    pub(in crate::shard) again: Option<Again>,
}

pub(in crate::shard) enum Run {
    /// Started, not polled yet.
    Ready(CallFuture),
    /// Taken out to be polled.
    Polled,
    /// Pending; a waker tells its task that the call was taken away.
    Pending(CallFuture, Awaits),
    /// Pending without a handler until its client answers, or whatever else it awaits comes.
    Shelved(CallFuture, Awaits),
    /// On a worker thread.
    Working(JobHandle),
    /// Its function is over, and a worker reads the first piece of its answer, for which memory is held.
    Reading(JobHandle, HeapShare),
    /// With a child, or waiting for one.
    Forwarded(Forwarding),
    /// It has its outcome; one that comes later is nobody's.
    Ended,
}

/// Where a call is that was given to a server's children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) struct Forwarding {
    pub server: ServerIndex,
    /// The shard that has it.
    pub shard: u16,
    /// Heap bytes charged for its text.
    pub charged: usize,
    /// The least severe message that its client wants of it.
    pub log_level: Option<LogLevel>,
    /// Whose child it is for; `None` if any will do.
    pub client: Option<Client>,
    /// What its child could not ask, since its client has not declared it.
    pub lacking: ClientCapabilities,
}

impl Call {
    /// A call that has said nothing, and is none of a batch.
    // It is large: inlined, it is made where it stays.
    #[inline(always)]
    pub(in crate::shard) fn new(
        service: &LocalService,
        ticket: Ticket,
        run: Run,
        began: Instant,
        deadline: Instant,
    ) -> Call {
        Call {
            service: Rc::clone(service),
            ticket,
            run,
            began,
            deadline,
            batch: None,
            link: None,
            stream: None,
            asker: None,
            task: None,
            tool_permit: None,
            rounds: None,
            again: None,
        }
    }

    pub(super) fn begin_poll(&self) {
        if let Some(link) = &self.link {
            link.begin_poll();
        }
    }

    /// Its function is over, unless it was given up on another thread, where it has the permit, too.
    #[inline]
    pub(in crate::shard) fn end_tool_permit(&mut self, now: Instant) {
        if let Some(permit) = self.tool_permit.take() {
            permit.on_ended(now);
        }
    }

    /// It has waited for its client, which is not its own time.
    pub(in crate::shard) fn wait_for_client(&mut self, waited: Duration) {
        self.began += waited;
        self.deadline += waited;
    }

    /// Where it is, if it was given to a server's children.
    pub(in crate::shard) fn forwarding(&mut self) -> Option<&mut Forwarding> {
        match &mut self.run {
            Run::Forwarded(forwarding) => Some(forwarding),
            _ => None,
        }
    }

    /// What it is counted under.
    pub(in crate::shard) fn label(&self) -> metrics::Operation {
        self.service.label(self.ticket.operation())
    }

    /// What it was decoded for, and what it runs.
    pub(in crate::shard) fn work(&self) -> (LocalService, Operation) {
        (Rc::clone(&self.service), self.ticket.operation())
    }

    /// Whether it has its outcome.
    pub(in crate::shard) fn is_over(&self) -> bool {
        matches!(self.run, Run::Ended)
    }

    /// Whether it waits for its client.
    pub(in crate::shard) fn is_asking(&self) -> bool {
        self.asker.is_some() && self.link.as_ref().is_some_and(|link| link.open_questions() > 0)
    }

    /// Its handler goes on with the next call of its batch.
    pub(in crate::shard) fn next(&mut self, ticket: Ticket, began: Instant, batched: Box<Batched>) {
        self.ticket = ticket;
        self.began = began;
        self.batch = Some(batched);
    }
}

/// Calls of one batch.
#[derive(Debug)]
pub(in crate::shard) struct Batched {
    pub batch: Batch,
    /// What the head of its request says of its client, for servers whose children belong to clients.
    pub fields: Option<KeptFields>,
    /// What its calls are told of its client.
    pub origin: Arc<Origin>,
    /// The array so far, behind room for a head.
    pub answers: Vec<u8>,
}
