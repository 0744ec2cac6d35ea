//! From a request to a call and its outcome: decode, lease a handler, start, settle.
//!
//! Control is answered from memory and never takes or waits for a handler; so are calls whose arguments are
//! wrong. Work leases a handler until its answer is on its way; without a free one it waits (`waiting`).
//! A call is polled in place first; one that is pending becomes a task, one that blocks goes to the workers,
//! and both end in [`Shard::settle`].
//!
//! ```text
//! begin ─► Ready ─ next_started ─► Polled ─► settle
//!   │                               │  ▲
//!   │                       suspend ▼  │ resume_call
//!   │                             Pending
//!   └────► Working (a worker thread) ─ event ─► settle
//! ```

use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::mcp::{Era, Facts, OverloadReason, Step, TaskId, Ticket, Work};
use crate::metrics::{self, HandlerState, RequestClass, Stage};
use crate::pool::HandlerKey;
use crate::registry::{
    BlockingCall, BlockingContext, CallContext, CallFuture, CallLink, Cancellation, Outcome, PanicFacts,
    Started, ToolError, take_last_panic,
};
use crate::ring::{ConnectionKey, HangUp};
use crate::session::live::Stream;
use crate::timers::TimerKind;
use crate::transport::http::admission::Endpoint;
use crate::transport::http::{self, HEAD_RESERVE, Persistence, Request};
use crate::workers::{self, Job, JobHandle, Refused};

use super::access::Ended;
use super::admission::{Claim, Decision};
use super::answering::loss;
use super::asking::AskerKey;
use super::batches::Batched;
use super::connections::{State, Waiting};
use super::inbox::ShardEvent;
use super::service::LocalService;
use super::speaking::call_number;
use super::{Shard, ShardRing};

/// The state of a leased handler.
pub struct Call {
    /// What was served when it was decoded: its ticket means nothing to any other registry.
    pub(super) service: LocalService,
    pub(super) ticket: Ticket,
    pub(super) run: Run,
    pub(super) began: Instant,
    /// For all calls of a batch together.
    pub(super) deadline: Instant,
    pub(super) batch: Option<Box<Batched>>,
    /// What its tool speaks into; none for the calls of a batch.
    pub(super) link: Option<Arc<CallLink>>,
    /// What it speaks on, once it has spoken or taken long.
    pub(super) stream: Option<Arc<Stream>>,
    /// Its place among those that asked their client something.
    pub(super) asker: Option<AskerKey>,
    /// It runs as a task.
    pub(super) task: Option<Box<TaskId>>,
}

pub(super) enum Run {
    /// Started, not polled yet.
    Ready(CallFuture),
    /// Taken out to be polled.
    Polled,
    /// Pending; the waker tells its task that the call was taken away.
    Pending(CallFuture, Option<Waker>),
    /// Pending without a handler until its client answers.
    Shelved(CallFuture, Waker),
    /// On a worker thread.
    Working(JobHandle),
    /// It has its outcome; one that comes later is nobody's.
    Ended,
}

impl Call {
    fn begin_poll(&self) {
        if let Some(link) = &self.link {
            link.begin_poll();
        }
    }

    /// It has waited for its client, which is not its own time.
    pub(super) fn wait_for_client(&mut self, waited: Duration) {
        self.began += waited;
        self.deadline += waited;
    }

    /// What it is counted under.
    pub(super) fn label(&self) -> metrics::Operation {
        self.service.label(self.ticket.operation())
    }

    /// Whether it has its outcome.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.run, Run::Ended)
    }

    /// Whether it waits for its client.
    fn is_asking(&self) -> bool {
        self.asker.is_some() && self.link.as_ref().is_some_and(|link| link.open_questions() > 0)
    }

    /// Its handler goes on with the next call of its batch.
    pub(super) fn next(&mut self, ticket: Ticket, began: Instant, batched: Box<Batched>) {
        self.ticket = ticket;
        self.began = began;
        self.batch = Some(batched);
    }
}

impl<R: ShardRing> Shard<R> {
    /// Decodes a request and answers it, starts its work, or lets it wait.
    pub(super) fn dispatch(&mut self, key: ConnectionKey, request: &Request<'_>, claim: Claim) {
        if claim == Claim::New {
            self.metrics.in_flight.up();
        }
        self.service.refresh();
        let service = Rc::clone(&self.service.current);
        let facts = http::facts_of(&request.head, self.principal(), self.clock.unix_now);
        let mut out = self.spares.take();
        match request.endpoint {
            Endpoint::Post => {}
            Endpoint::Get => return self.open_standing(key, &facts, out),
            Endpoint::WebSocket => {
                self.spares.put(out);
                self.metrics.in_flight.down();
                return self.open_websocket(key, request);
            }
            Endpoint::SseOpen => {
                self.spares.put(out);
                self.metrics.in_flight.down();
                return self.open_events(key, request);
            }
            Endpoint::SsePost => return self.post_to_events(key, request, out),
            Endpoint::Preflight => return self.answer_preflight(key, &request.head, out),
            Endpoint::Health(probe) => return self.answer_probe(key, probe, request.is_head(), out),
            Endpoint::Delete => {
                let reply = service.protocol.delete(&facts, &*service.store, &mut out);
                self.record_control(key, &reply, &out[HEAD_RESERVE..], Duration::ZERO);
                return self.reply(key, out, None, &reply);
            }
        }
        let mut unchunked = std::mem::take(&mut self.unchunked);
        let body = request.body(&mut unchunked, &service.http);
        self.decode(key, &facts, body, out, claim);
        unchunked.clear();
        unchunked.shrink_to(self.pool.buffer_bytes());
        self.unchunked = unchunked;
    }

    /// Decodes a message; what answers it at once goes behind the room in `out`.
    pub(super) fn decode(
        &mut self,
        key: ConnectionKey,
        facts: &Facts<'_>,
        body: &[u8],
        mut out: Vec<u8>,
        claim: Claim,
    ) {
        let service = Rc::clone(&self.service.current);
        let mut scratch = self.scratch.take().unwrap_or_default();
        let began = self.clock.read();
        let step = service
            .protocol
            .decode(facts, body, &mut scratch, &*service.store, &mut out);
        let batch = self.take_step(key, step, out, began, claim);
        scratch.trim();
        self.scratch = Some(scratch);
        if let Some(batch) = batch {
            self.begin_batch(key, batch, body, claim);
        }
    }

    /// Answers or starts what a request came to; a batch is handed back, since it needs the scratch anew.
    fn take_step(
        &mut self,
        key: ConnectionKey,
        step: Step<'_>,
        out: Vec<u8>,
        began: Instant,
        claim: Claim,
    ) -> Option<Box<Batched>> {
        let decoded = self.clock.read();
        if claim == Claim::New {
            self.metrics.record(Stage::Decode, began, decoded);
        }
        match step {
            Step::Reply(reply) => {
                let elapsed = decoded.saturating_duration_since(began);
                self.record_control(key, &reply, &out[HEAD_RESERVE..], elapsed);
                self.reply(key, out, None, &reply);
            }
            Step::Work(work) => self.begin_work(key, &work, out, decoded, claim),
            Step::Batch(batch) => return Some(Box::new(Batched { batch, answers: out })),
            Step::Listen(listen) => self.open_listening(key, listen, out),
            Step::AwaitTask(wanted) => self.await_task(key, wanted, out),
        }
        None
    }

    fn begin_work(
        &mut self,
        key: ConnectionKey,
        work: &Work<'_>,
        out: Vec<u8>,
        decoded: Instant,
        claim: Claim,
    ) {
        if claim == Claim::New {
            self.metrics
                .on_request(era_label(work.revision().era()), RequestClass::Work);
        }
        let ticket = work.ticket();
        match self.decide(key, claim) {
            Decision::Run => {}
            Decision::Refuse(reason) => return self.refuse_work(key, &ticket, out, reason),
            Decision::Cancel => return self.answer_cancelled(key, &ticket, out),
            Decision::Wait => {
                // What is wrong with it can be said at once.
                if let Err(error) = work.check(self.service.registry()) {
                    return self.answer_unstarted(key, &ticket, &error, out, decoded);
                }
                return match self.enqueue(key) {
                    Ok(()) => {
                        self.note_waiting(key, &ticket);
                        self.spares.put(out);
                    }
                    Err(reason) => self.refuse_work(key, &ticket, out, reason),
                };
            }
        }
        let terms = work.task();
        if terms.is_some() && self.has_too_many_tasks() {
            self.admission.return_permit();
            return self.refuse_work(key, &ticket, out, OverloadReason::Handlers);
        }
        let link = self.links.take(work.client());
        match work.start(self.service.registry(), CallContext::with_link(Arc::clone(&link))) {
            Ok(started) => {
                let routed = self.clock.read();
                self.metrics.record(Stage::Route, decoded, routed);
                self.spares.put(out);
                if let Some(handler) = self.lease(key, ticket, routed, None) {
                    link.bind(call_number(handler));
                    if let Some(call) = self.pool.call_mut(handler) {
                        call.link = Some(link);
                    }
                    if let Some(terms) = terms
                        && !self.begin_task(key, handler, terms)
                    {
                        return;
                    }
                    self.begin_run(handler, started);
                }
            }
            Err(error) => {
                self.links.put(link);
                self.admission.return_permit();
                self.answer_unstarted(key, &ticket, &error, out, decoded);
            }
        }
    }

    /// A request waits that its client may cancel.
    fn note_waiting(&mut self, key: ConnectionKey, ticket: &Ticket) {
        if let Some(conversation) = ticket.conversation()
            && let Some(wait) = self.table.wait(key)
        {
            self.admission
                .note_request(wait, conversation, ticket.id().clone());
        }
    }

    /// Leases a handler to a call; the permit for it is in hand, or the connection holds the handler.
    pub(super) fn lease(
        &mut self,
        key: ConnectionKey,
        ticket: Ticket,
        began: Instant,
        batch: Option<Box<Batched>>,
    ) -> Option<HandlerKey> {
        let call = Call {
            service: Rc::clone(&self.service.current),
            ticket,
            run: Run::Polled,
            began,
            deadline: began + self.service.timeouts.call,
            batch,
            link: None,
            stream: None,
            asker: None,
            task: None,
        };
        let held = self
            .table
            .connection(key)
            .and_then(|connection| connection.held.take());
        let (leased, state) = match held {
            Some(held) => (self.pool.resume(held, call), HandlerState::Lingering),
            None => {
                if self.pool.idle() == 0 {
                    self.cut_longest_linger();
                }
                (self.pool.acquire(key, call), HandlerState::Idle)
            }
        };
        let Ok(handler) = leased else {
            debug_assert!(false, "a permit without a handler");
            return None;
        };
        self.metrics.on_handler(state, HandlerState::Busy);
        self.admission.on_began(handler, self.clock.now);
        match self.table.connection(key) {
            Some(connection) => {
                connection.state = State::Calling(handler);
                connection.waiting = Waiting::Nothing;
            }
            None => self.table.begin_call(key, handler),
        }
        self.clear_deadline(key);
        Some(handler)
    }

    pub(super) fn begin_run(&mut self, handler: HandlerKey, started: Started) {
        match started {
            Started::Future(future) => {
                if let Some(call) = self.pool.call_mut(handler) {
                    call.run = Run::Ready(future);
                    self.started.push_back(handler);
                }
            }
            Started::Blocking(blocking) => self.submit(handler, blocking),
        }
    }

    /// Hands a blocking call to the workers; their queue being full is overload.
    fn submit(&mut self, handler: HandlerKey, blocking: BlockingCall) {
        let cancellation = Cancellation::new();
        let mut context = BlockingContext::new(cancellation.clone());
        if let Some(link) = self.pool.call_mut(handler).and_then(|call| call.link.clone()) {
            context = context.with_link(link);
        }
        let (inbox, clock) = (self.inbox.clone(), self.clock.source());
        let job = Job::new(
            cancellation,
            move |_| (clock(), blocking.run(&context)),
            move |ended| {
                let (began, outcome) = flatten(ended);
                let panic = match outcome {
                    Err(ToolError::Panicked) => take_last_panic().map(Box::new),
                    _ => None,
                };
                inbox.post(ShardEvent::Finished {
                    handler,
                    began,
                    outcome,
                    panic,
                });
            },
        );
        match self.workers.try_submit(job) {
            Ok(handle) => {
                if let Some(call) = self.pool.call_mut(handler) {
                    call.run = Run::Working(handle);
                }
                self.watch_call(handler);
            }
            Err(Refused::Full(_)) => self.refuse_call(handler, OverloadReason::Workers),
            Err(Refused::Stopping(_)) => self.refuse_call(handler, OverloadReason::Draining),
        }
    }

    /// A worker has finished a call, which it took up at `began`: until then the call was queued.
    pub(super) fn settle_job(
        &mut self,
        handler: HandlerKey,
        began: Option<Instant>,
        outcome: Outcome,
        panic: Option<Box<PanicFacts>>,
    ) {
        if let Some(began) = began
            && let Some(call) = self.pool.call_mut(handler)
            && matches!(call.run, Run::Working(_))
        {
            let submitted = std::mem::replace(&mut call.began, began);
            self.metrics.record(Stage::Queue, submitted, began);
            if let Some(key) = self.pool.holder(handler) {
                self.note_wait(key, began.saturating_duration_since(submitted));
            }
        }
        self.settle_with(handler, outcome, panic.map(|facts| *facts));
    }

    /// The oldest call that was started and not polled yet.
    pub fn next_started(&mut self) -> Option<(HandlerKey, CallFuture)> {
        while let Some(handler) = self.started.pop_front() {
            let Some(call) = self.pool.call_mut(handler) else {
                continue;
            };
            if let Run::Ready(future) = std::mem::replace(&mut call.run, Run::Polled) {
                call.begin_poll();
                return Some((handler, future));
            }
        }
        None
    }

    /// A polled call is pending; `waker` is its task's, once it has one.
    pub fn suspend(&mut self, handler: HandlerKey, future: CallFuture, waker: Option<Waker>) {
        let Some(call) = self.pool.call_mut(handler) else {
            return;
        };
        let is_new = waker.is_none();
        call.run = Run::Pending(future, waker);
        self.pending_calls += 1;
        self.fresh_calls += usize::from(is_new);
        if is_new {
            self.watch_call(handler);
        }
        self.hear_polled(handler);
        if !is_new {
            self.shelve_if_asking(handler);
        }
    }

    /// Takes a pending call to poll it; `None` once it is over or was taken away. One that was shelved is then on its
    /// way back, to a task of its own.
    pub fn resume_call(&mut self, handler: HandlerKey) -> Option<CallFuture> {
        let Some(call) = self.pool.call_mut(handler) else {
            self.on_woken(handler);
            return None;
        };
        match std::mem::replace(&mut call.run, Run::Polled) {
            Run::Pending(future, waker) => {
                self.pending_calls -= 1;
                self.fresh_calls -= usize::from(waker.is_none());
                call.begin_poll();
                Some(future)
            }
            other => {
                call.run = other;
                None
            }
        }
    }

    /// A call that did not end at once gets a deadline and a watch on its client.
    fn watch_call(&mut self, handler: HandlerKey) {
        let Some(call) = self.pool.call_mut(handler) else {
            return;
        };
        let stream_at = call.began + self.service.timeouts.stream_after;
        let gets_stream = call.stream.is_none() && call.batch.is_none();
        if !call.is_asking() {
            self.timers.set(TimerKind::Call, handler.index, call.deadline);
        }
        let Some(key) = self.pool.holder(handler) else {
            return;
        };
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        if connection.state != State::Calling(handler) {
            return;
        }
        if gets_stream {
            connection.waiting = Waiting::Answer;
            self.set_deadline(key, stream_at);
        }
        self.watch(key);
    }

    /// A call is over: its answer goes out. An outcome that comes after another (a worker's after the timeout)
    /// or after its lease finds nothing.
    pub fn settle(&mut self, handler: HandlerKey, outcome: Outcome) {
        self.settle_with(handler, outcome, None);
    }

    /// The same; `panic` is what was said where it panicked, if that was not on this thread.
    fn settle_with(&mut self, handler: HandlerKey, outcome: Outcome, panic: Option<PanicFacts>) {
        let ended = self.clock.read();
        let Some(call) = self.pool.call_mut(handler) else {
            return;
        };
        if !matches!(call.run, Run::Polled | Run::Working(_)) {
            return;
        }
        // What it said comes before how it ended.
        self.hear_polled(handler);
        let Some(call) = self.pool.call_mut(handler) else {
            return;
        };
        call.run = Run::Ended;
        let service = Rc::clone(&call.service);
        let asking = match outcome {
            Err(ToolError::InputRequired) => call.link.clone(),
            _ => None,
        };
        let (began, operation, label) = (call.began, call.ticket.operation(), call.label());
        self.metrics.record(Stage::Execute, began, ended);
        if let metrics::Operation::Tool(row) = label {
            self.metrics
                .record_tool(row, ended.saturating_duration_since(began));
        }
        if matches!(outcome, Err(ToolError::Panicked)) {
            self.metrics.panics.increment();
            self.log_panic(handler, panic.or_else(take_last_panic));
        }
        if let Some(detail) = outcome.as_ref().err().and_then(ToolError::log_detail) {
            let name = service.protocol.registry().name_of(operation);
            tracing::error!(name, detail, "an operation failed internally");
        }
        if self.is_task(handler) {
            self.settle_task(handler, &outcome, ended.saturating_duration_since(began));
            return self.serve_waiters();
        }
        let unix_now = self.clock.unix_now;
        self.answer_call(handler, ended.saturating_duration_since(began), |ticket, out| {
            let protocol = &service.protocol;
            match asking {
                Some(link) => protocol.answer_input_required(
                    ticket,
                    &link.take_noted(),
                    link.answers(),
                    &*service.store,
                    unix_now,
                    out,
                ),
                None => protocol.answer(ticket, &outcome, out),
            }
        });
        self.metrics.record(Stage::Encode, ended, self.clock.read());
        self.serve_waiters();
    }

    /// The lease is over: the answer is on its way, or nobody wants it.
    pub(super) fn end_lease(&mut self, handler: HandlerKey) {
        if let Some(Some(call)) = self.pool.release(handler) {
            self.metrics.on_handler(HandlerState::Busy, HandlerState::Idle);
            self.end_length(handler, &call);
            self.stop_call(call);
            self.admission.release_permit();
        }
    }

    /// A call's handler is free: that tells how long calls take, unless the call was refused before it began.
    pub(super) fn end_length(&mut self, handler: HandlerKey, call: &Call) {
        match call.run {
            Run::Polled => self.admission.on_given_back(handler),
            _ => self.admission.on_ended(handler, self.clock.now),
        }
    }

    /// Ends what still runs of a call that lost its handler.
    pub(super) fn stop_call(&mut self, call: Call) {
        self.forget_asker(&call);
        self.stop(call.run);
        if let Some(link) = call.link {
            self.links.put(link);
        }
    }

    /// A call has run for too long: it is answered with `error` now, and what still runs of it is given up.
    pub(super) fn give_up_call(&mut self, handler: HandlerKey, error: ToolError) {
        let Some(call) = self.pool.call_mut(handler) else {
            return;
        };
        let run = std::mem::replace(&mut call.run, Run::Polled);
        self.stop(run);
        self.settle(handler, Err(error));
    }

    /// Ends what still runs of a call. A job on a worker is told to stop; if it does not, it counts as abandoned.
    fn stop(&mut self, run: Run) {
        match run {
            Run::Pending(future, waker) => {
                self.pending_calls -= 1;
                self.fresh_calls -= usize::from(waker.is_none());
                drop(future);
                // Its task finds the call gone and ends.
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Run::Shelved(future, waker) => {
                drop(future);
                waker.wake();
            }
            Run::Working(job) => {
                job.abandon();
            }
            Run::Ready(_) | Run::Polled | Run::Ended => {}
        }
    }

    /// Watches for the hang-up of a connection that is not read from. A channel is read from at any time.
    pub(super) fn watch(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.table.connection(key)
            && !connection.ring.is_watched
        {
            connection.ring.is_watched = true;
            self.ring.watch_hang_up(key, &connection.socket);
        }
    }

    /// A client has finished sending and may still read: what it has sent is answered. The answer in hand says that it
    /// is the last if nothing came behind its request.
    pub(super) fn note_half_close(&mut self, key: ConnectionKey) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        connection.is_half_closed = true;
        let unread_bytes = self.ring.unread_bytes(&connection.socket);
        // A receive that is armed may have taken bytes that are still to be handled.
        let has_more =
            unread_bytes > 0 || connection.request.assembly.is_some() || connection.ring.is_receiving;
        if !has_more {
            connection.response.persistence = Persistence::Close;
        }
    }

    /// The peer of a call hung up. Modern: that cancels the call. Legacy: a running call finishes, and its
    /// answer is dropped.
    pub(super) fn handle_hang_up(&mut self, key: ConnectionKey, outcome: &HangUp) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        connection.ring.is_watched = false;
        let is_cancelled = matches!(outcome, HangUp::Cancelled);
        let handler = match connection.state {
            State::Dead => return self.bury(key),
            State::Moving(_) if is_cancelled => return self.go_on_moving(key),
            State::Calling(handler) if !is_cancelled => handler,
            // Whose request waits is gone with its FIN, in every era.
            State::Queued(_) | State::Moving(_) if !is_cancelled => return self.waiter_gone(key),
            State::Streaming if !is_cancelled => return self.lose_listener(key, outcome),
            State::Open if !is_cancelled => return self.hear_input_end(key),
            _ => return,
        };
        let era = self
            .pool
            .call_mut(handler)
            .map(|call| call.ticket.revision().era());
        if era == Some(Era::Legacy) && matches!(outcome, HangUp::ReadClosed) {
            return self.note_half_close(key);
        }
        let error = self
            .table
            .connection(key)
            .and_then(|connection| self.ring.take_error(&connection.socket));
        self.metrics.count_eviction(loss(error.as_ref()));
        self.lose_client(key);
    }

    /// Whether a call ends when its client leaves: that is what the client means since 2026-07-28, and was not before.
    pub(super) fn is_cancelled_by_leaving(&mut self, handler: HandlerKey) -> bool {
        let call = self.pool.call_mut(handler);
        call.is_some_and(|call| call.ticket.revision().era() == Era::Modern)
    }

    /// Nobody waits for this call any more.
    pub(super) fn cancel_call(&mut self, handler: HandlerKey) {
        self.timers.clear(TimerKind::Call, handler.index);
        if let Some(call) = self.pool.call_mut(handler) {
            let (label, began) = (call.label(), call.began);
            let elapsed = self.clock.now.saturating_duration_since(began);
            self.metrics
                .on_operation(label, metrics::Outcome::Cancelled, elapsed);
        }
        self.log_cancelled(handler);
        self.metrics.in_flight.down();
        self.end_lease(handler);
    }

    fn log_cancelled(&mut self, handler: HandlerKey) {
        if !self.access.wants(metrics::Outcome::Cancelled) {
            return;
        }
        let Some(key) = self.pool.holder(handler) else {
            return;
        };
        if let Some(call) = self.pool.call_mut(handler) {
            let (service, ticket) = (Rc::clone(&call.service), call.ticket.clone());
            let ended = Ended {
                service: &service,
                ticket: &ticket,
                outcome: metrics::Outcome::Cancelled,
                reason: None,
            };
            self.log_unanswered(key, &ended);
        }
    }
}

/// What a worker made of a blocking call, and when it took it up.
fn flatten(ended: workers::Outcome<(Instant, Outcome)>) -> (Option<Instant>, Outcome) {
    match ended {
        workers::Outcome::Done((began, outcome)) => (Some(began), outcome),
        workers::Outcome::Panicked(_) => (None, Err(ToolError::Panicked)),
        workers::Outcome::Discarded => (None, Err(ToolError::Cancelled)),
    }
}

fn era_label(era: Era) -> metrics::Era {
    match era {
        Era::Legacy => metrics::Era::Legacy,
        Era::Modern => metrics::Era::Modern,
    }
}
