//! From a request to a call and its outcome: decode, lease a handler, start, settle.
//!
//! Control is answered from memory and never takes or waits for a handler; so are calls whose arguments are
//! wrong. Work leases a handler until its answer is with the kernel; without a free one it waits (`waiting`).
//! A call is polled in place first; one that is pending becomes a task, one that blocks goes to the workers,
//! and both end in [`Shard::settle`].
//!
//! ```text
//! begin ─► Ready ─ next_started ─► Polled ─► settle
//!   │                               │  ▲
//!   │                       suspend ▼  │ resume_call
//!   │                             Pending
//!   └────► Working (a worker thread) ─ mail ─► settle
//! ```

use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::mcp::{Era, HttpFacts, Labels, OverloadReason, Principal, Reply, Step, Ticket, Work};
use crate::metrics::{self, HandlerState, Method, RequestClass, Stage};
use crate::pool::HandlerKey;
use crate::registry::{
    BlockingCall, BlockingContext, CallContext, CallFuture, Cancellation, Operation, Outcome, StartError,
    Started, ToolError,
};
use crate::ring::{ConnectionKey, HangUp};
use crate::timers::{TimerKey, TimerKind};
use crate::transport::edge::Endpoint;
use crate::transport::http::{HEAD_RESERVE, Request};
use crate::wire::http1::{Connection as Persistence, ResponseHead, Status};
use crate::workers::{self, Job, JobHandle, Refused};

use super::answering::{Answer, loss};
use super::batches::Batched;
use super::connections::{State, Waiting};
use super::waiting::{Asked, Turn};
use super::{Mail, Shard, ShardRing};

/// The state of a leased handler.
pub struct Call {
    ticket: Ticket,
    run: Run,
    began: Instant,
    /// For all calls of a batch together.
    deadline: Instant,
    batch: Option<Box<Batched>>,
}

enum Run {
    /// Started, not polled yet.
    Ready(CallFuture),
    /// Taken out to be polled.
    Polled,
    /// Pending; the waker tells its task that the call was taken away.
    Pending(CallFuture, Option<Waker>),
    /// On a worker thread.
    Working(JobHandle),
    /// It has its outcome; one that comes later is nobody's.
    Ended,
}

impl Call {
    /// Its handler goes on with the next call of its batch.
    pub(super) fn next(&mut self, ticket: Ticket, began: Instant, batched: Box<Batched>) {
        self.ticket = ticket;
        self.began = began;
        self.batch = Some(batched);
    }
}

impl<R: ShardRing> Shard<R> {
    /// Decodes a request and answers it, starts its work, or lets it wait.
    pub(super) fn dispatch(&mut self, key: ConnectionKey, request: &Request<'_>, turn: Turn) {
        if turn == Turn::New {
            self.metrics.in_flight.up();
        }
        let service = Rc::clone(&self.service);
        let facts = HttpFacts::new(&request.head, Principal::ANONYMOUS, self.unix_now);
        let mut out = self.spares.take();
        if request.endpoint == Endpoint::Delete {
            let reply = service.protocol.delete(&facts, &*service.sessions, &mut out);
            self.record_control(&reply, Duration::ZERO);
            return self.reply(key, out, None, &reply);
        }
        let mut unchunked = std::mem::take(&mut self.unchunked);
        let body = request.body(&mut unchunked, &service.http);
        let mut scratch = self.scratch.take().unwrap_or_default();
        let began = (self.clock)();
        let step = service
            .protocol
            .decode(&facts, body, &mut scratch, &*service.sessions, &mut out);
        let batch = self.take_step(key, step, out, began, turn);
        scratch.trim();
        self.scratch = Some(scratch);
        if let Some(batch) = batch {
            self.begin_batch(key, batch, body, turn);
        }
        unchunked.clear();
        unchunked.shrink_to(self.pool.buffer_bytes());
        self.unchunked = unchunked;
    }

    /// Answers or starts what a request came to; a batch is handed back, since it needs the scratch anew.
    fn take_step(
        &mut self,
        key: ConnectionKey,
        step: Step<'_>,
        out: Vec<u8>,
        began: Instant,
        turn: Turn,
    ) -> Option<Box<Batched>> {
        let decoded = (self.clock)();
        if turn == Turn::New {
            self.record(Stage::Decode, began, decoded);
        }
        match step {
            Step::Reply(reply) => {
                self.record_control(&reply, decoded.saturating_duration_since(began));
                self.reply(key, out, None, &reply);
            }
            Step::Work(work) => self.begin_work(key, &work, out, decoded, turn),
            Step::Listen(listen) => {
                let mut out = out;
                out.truncate(HEAD_RESERVE);
                let overload = self.overload(OverloadReason::Memory);
                let reply = self
                    .service
                    .protocol
                    .refuse(Some(listen.id.as_id()), &overload, &mut out);
                self.record_control(&reply, decoded.saturating_duration_since(began));
                self.reply(key, out, None, &reply);
            }
            Step::Batch(batch) => return Some(Box::new(Batched { batch, answers: out })),
        }
        None
    }

    fn record_control(&self, reply: &Reply, elapsed: Duration) {
        let Labels { era, method, outcome } = reply.labels;
        self.metrics.on_request(era, RequestClass::Control);
        self.metrics
            .on_operation(metrics::Operation::Method(method), outcome, elapsed);
    }

    pub(super) fn record_operation(&self, operation: Operation, reply: &Reply, elapsed: Duration) {
        self.record_outcome(operation, reply.labels.outcome, elapsed);
    }

    fn record_outcome(&self, operation: Operation, outcome: metrics::Outcome, elapsed: Duration) {
        let label = match operation {
            Operation::Tool(tool) => metrics::Operation::Tool(self.service.labels.row(tool.as_usize())),
            Operation::Resource(_) | Operation::Template(_) => {
                metrics::Operation::Method(Method::ResourcesRead)
            }
            Operation::ResourceList(_) => metrics::Operation::Method(Method::ResourcesList),
            Operation::Prompt(_) => metrics::Operation::Method(Method::PromptsGet),
            Operation::Completion(_) => metrics::Operation::Method(Method::CompletionComplete),
        };
        self.metrics.on_operation(label, outcome, elapsed);
    }

    fn begin_work(
        &mut self,
        key: ConnectionKey,
        work: &Work<'_>,
        out: Vec<u8>,
        decoded: Instant,
        turn: Turn,
    ) {
        if turn == Turn::New {
            self.metrics
                .on_request(era_label(work.revision().era()), RequestClass::Work);
        }
        let ticket = work.ticket();
        match self.ask_turn(key, turn) {
            Asked::Ready => {}
            Asked::Refused(reason) => return self.refuse_work(key, &ticket, out, reason),
            Asked::Exhausted => {
                // What is wrong with it can be said at once.
                if let Err(error) = work.check(&self.registry) {
                    return self.answer_unstarted(key, &ticket, &error, out, decoded);
                }
                return match self.enqueue(key) {
                    Ok(()) => self.spares.put(out),
                    Err(reason) => self.refuse_work(key, &ticket, out, reason),
                };
            }
        }
        match work.start(&self.registry, CallContext::new()) {
            Ok(started) => {
                let routed = (self.clock)();
                self.record(Stage::Route, decoded, routed);
                self.spares.put(out);
                if let Some(handler) = self.lease(key, ticket, routed, None) {
                    self.begin_run(handler, started);
                }
            }
            Err(error) => {
                self.return_permit();
                self.answer_unstarted(key, &ticket, &error, out, decoded);
            }
        }
    }

    fn refuse_work(&mut self, key: ConnectionKey, ticket: &Ticket, mut out: Vec<u8>, reason: OverloadReason) {
        let overload = self.overload(reason);
        let reply = self.service.protocol.answer_overload(ticket, &overload, &mut out);
        self.record_operation(ticket.operation(), &reply, Duration::ZERO);
        self.reply(key, out, None, &reply);
    }

    fn answer_unstarted(
        &mut self,
        key: ConnectionKey,
        ticket: &Ticket,
        error: &StartError,
        mut out: Vec<u8>,
        decoded: Instant,
    ) {
        let reply = self.service.protocol.answer_start_error(ticket, error, &mut out);
        let elapsed = (self.clock)().saturating_duration_since(decoded);
        self.record_operation(ticket.operation(), &reply, elapsed);
        self.reply(key, out, None, &reply);
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
            ticket,
            run: Run::Polled,
            began,
            deadline: began + self.service.timeouts.call,
            batch,
        };
        let held = self.table.at(key).and_then(|connection| connection.held.take());
        let (leased, state) = match held {
            Some(held) => (self.pool.resume(held, call), HandlerState::Lingering),
            None => {
                if self.pool.idle() == 0 {
                    self.cut_longest_linger();
                }
                (self.pool.acquire(key, call), HandlerState::Idle)
            }
        };
        self.has_permit_in_hand = false;
        let Ok(handler) = leased else {
            debug_assert!(false, "a permit without a handler");
            return None;
        };
        self.metrics.on_handler(state, HandlerState::Busy);
        if let Some(entry) = self.table.at(key) {
            entry.state = State::Calling(handler);
            entry.waiting = Waiting::Nothing;
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
        let context = BlockingContext::new(cancellation.clone());
        let (mailbox, clock) = (self.mailbox.clone(), self.clock);
        let job = Job::new(
            cancellation,
            move |_| (clock(), blocking.run(&context)),
            move |ended| {
                let (began, outcome) = flatten(ended);
                mailbox.post(Mail::Finished {
                    handler,
                    began,
                    outcome,
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
    pub(super) fn settle_job(&mut self, handler: HandlerKey, began: Option<Instant>, outcome: Outcome) {
        if let Some(began) = began
            && let Some(call) = self.pool.call_mut(handler)
            && matches!(call.run, Run::Working(_))
        {
            let submitted = std::mem::replace(&mut call.began, began);
            self.record(Stage::Queue, submitted, began);
        }
        self.settle(handler, outcome);
    }

    /// A leased handler's call cannot run after all.
    fn refuse_call(&mut self, handler: HandlerKey, reason: OverloadReason) {
        let overload = self.overload(reason);
        let service = Rc::clone(&self.service);
        self.answer_call(handler, Duration::ZERO, |ticket, out| {
            service.protocol.answer_overload(ticket, &overload, out)
        });
    }

    /// The oldest call that was started and not polled yet.
    pub fn next_started(&mut self) -> Option<(HandlerKey, CallFuture)> {
        while let Some(handler) = self.started.pop_front() {
            let Some(call) = self.pool.call_mut(handler) else {
                continue;
            };
            if let Run::Ready(future) = std::mem::replace(&mut call.run, Run::Polled) {
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
        call.run = Run::Pending(future, waker.clone());
        self.pending_calls += 1;
        if waker.is_none() {
            self.watch_call(handler);
        }
    }

    /// Takes a pending call to poll it; `None` once it is over or was taken away.
    pub fn resume_call(&mut self, handler: HandlerKey) -> Option<CallFuture> {
        let call = self.pool.call_mut(handler)?;
        match std::mem::replace(&mut call.run, Run::Polled) {
            Run::Pending(future, _) => {
                self.pending_calls -= 1;
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
        let tick = self.ticks.deadline(call.deadline);
        self.timers
            .set(TimerKey::new(TimerKind::Call, handler.index), tick);
        let Some(connection) = self.pool.holder(handler) else {
            return;
        };
        if let Some(entry) = self.table.at(connection)
            && !entry.is_watched
        {
            entry.is_watched = true;
            self.ring.watch_hang_up(connection, &entry.socket);
        }
    }

    /// A call is over: its answer goes out. An outcome that comes after another (a worker's after the timeout)
    /// or after its lease finds nothing.
    pub fn settle(&mut self, handler: HandlerKey, outcome: Outcome) {
        let ended = (self.clock)();
        let Some(call) = self.pool.call_mut(handler) else {
            return;
        };
        if !matches!(call.run, Run::Polled | Run::Working(_)) {
            return;
        }
        call.run = Run::Ended;
        let (began, operation) = (call.began, call.ticket.operation());
        self.record(Stage::Execute, began, ended);
        if let Some(tool) = operation.tool() {
            let row = self.service.labels.row(tool.as_usize());
            self.histograms
                .record_tool(row, ended.saturating_duration_since(began));
        }
        if matches!(outcome, Err(ToolError::Panicked)) {
            self.metrics.panics.increment();
        }
        if let Some(detail) = outcome.as_ref().err().and_then(ToolError::log_detail) {
            let name = self.service.protocol.registry().name_of(operation);
            tracing::error!(name, detail, "an operation failed internally");
        }
        let service = Rc::clone(&self.service);
        self.answer_call(handler, ended.saturating_duration_since(began), |ticket, out| {
            service.protocol.answer(ticket, &outcome, out)
        });
        self.record(Stage::Encode, ended, (self.clock)());
        self.serve_waiters();
    }

    /// Writes a call's answer into its handler's response buffer and sends it; in a batch, appends it and goes
    /// on with the next call.
    fn answer_call(
        &mut self,
        handler: HandlerKey,
        elapsed: Duration,
        write: impl FnOnce(&Ticket, &mut Vec<u8>) -> Reply,
    ) {
        self.timers.clear(TimerKey::new(TimerKind::Call, handler.index));
        let Some(call) = self.pool.call_mut(handler) else {
            return;
        };
        let operation = call.ticket.operation();
        if let Some(mut batched) = call.batch.take() {
            let out = &mut batched.answers;
            batched.batch.begin_answer(out);
            let begin = out.len();
            let reply = write(&call.ticket, out);
            let reply = self.afford_answer(handler, out, begin).unwrap_or(reply);
            self.record_operation(operation, &reply, elapsed);
            return self.continue_batch(handler, batched);
        }
        let Some(mut out) = self.pool.take_response(handler) else {
            return;
        };
        out.resize(HEAD_RESERVE, 0);
        let Some(connection) = self.pool.holder(handler) else {
            return;
        };
        let Some(call) = self.pool.call_mut(handler) else {
            return;
        };
        let reply = write(&call.ticket, &mut out);
        let reply = self
            .afford_answer(handler, &mut out, HEAD_RESERVE)
            .unwrap_or(reply);
        self.record_operation(operation, &reply, elapsed);
        self.reply(connection, out, Some(handler), &reply);
    }

    /// If there is no memory for the answer in `out[begin..]`, replaces it by overload.
    fn afford_answer(&mut self, handler: HandlerKey, out: &mut Vec<u8>, begin: usize) -> Option<Reply> {
        if self.heap.has_room(self.heap_bytes_of(out)) {
            return None;
        }
        out.truncate(begin);
        out.shrink_to(self.pool.buffer_bytes());
        let overload = self.overload(OverloadReason::Memory);
        let call = self.pool.call_mut(handler)?;
        Some(
            self.service
                .protocol
                .answer_overload(&call.ticket, &overload, out),
        )
    }

    /// Sends what the protocol answered.
    pub(super) fn reply(
        &mut self,
        key: ConnectionKey,
        mut buffer: Vec<u8>,
        handler: Option<HandlerKey>,
        reply: &Reply,
    ) {
        let charged = self.heap_bytes_of(&buffer);
        let refusal;
        let (charged, reply) = match self.heap.charge(charged) {
            Ok(()) => (charged, reply),
            Err(_) => {
                buffer = self.spares.take();
                // It has no id: the last of this connection.
                if let Some(connection) = self.table.at(key) {
                    connection.persistence = Persistence::Close;
                }
                let overload = self.overload(OverloadReason::Memory);
                refusal = self.service.protocol.refuse(None, &overload, &mut buffer);
                (0, &refusal)
            }
        };
        let date = *self.date.text();
        let status = Status::from_code(reply.status).unwrap_or(Status::InternalServerError);
        let mut head = match reply.has_body {
            true => ResponseHead::json(status, buffer.len() - HEAD_RESERVE, &date),
            false => ResponseHead::empty(status, &date),
        };
        head.retry_after_seconds = reply
            .retry_after_seconds
            .map(|s| u32::try_from(s).unwrap_or(u32::MAX));
        head.session_id = reply
            .session
            .as_ref()
            .and_then(|id| std::str::from_utf8(id.as_bytes()).ok());
        self.answer(
            key,
            Answer {
                buffer,
                head,
                handler,
                charged,
                is_counted: true,
                is_head: false,
            },
        );
    }

    /// The lease is over: the answer is with the kernel, or nobody wants it.
    pub(super) fn end_lease(&mut self, handler: HandlerKey) {
        if let Some(Some(call)) = self.pool.release(handler) {
            self.metrics.on_handler(HandlerState::Busy, HandlerState::Idle);
            self.stop_call(call);
            self.drain_rate.on_ended();
            self.release_permit();
        }
    }

    /// Ends what still runs of a call that lost its handler.
    pub(super) fn stop_call(&mut self, call: Call) {
        self.stop(call.run);
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
                drop(future);
                // Its task finds the call gone and ends.
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Run::Working(job) => {
                job.abandon();
            }
            Run::Ready(_) | Run::Polled | Run::Ended => {}
        }
    }

    /// The peer of a call hung up. Modern: that cancels the call. Legacy: a running call finishes, and its
    /// answer is dropped.
    pub(super) fn handle_hang_up(&mut self, key: ConnectionKey, outcome: &HangUp) {
        let Some(connection) = self.table.at(key) else {
            return;
        };
        connection.is_watched = false;
        let is_cancelled = matches!(outcome, HangUp::Cancelled);
        let handler = match connection.state {
            State::Dead => return self.bury(key),
            State::Moving(_) if is_cancelled => return self.go_on_moving(key),
            State::Calling(handler) if !is_cancelled => handler,
            // Whose request waits is gone with its FIN, in every era.
            State::Queued(_) | State::Moving(_) if !is_cancelled => return self.lose_waiter(key),
            _ => return,
        };
        let era = self
            .pool
            .call_mut(handler)
            .map(|call| call.ticket.revision().era());
        if era == Some(Era::Legacy) && matches!(outcome, HangUp::ReadClosed) {
            // It may only have finished sending, and still read: its answer goes out and is the last.
            connection.persistence = Persistence::Close;
            return;
        }
        let error = self
            .table
            .at(key)
            .and_then(|connection| self.ring.take_error(&connection.socket));
        self.count_eviction(loss(error.as_ref()));
        if era == Some(Era::Modern) {
            self.cancel_call(handler);
        }
        self.kill(key);
    }

    /// Nobody waits for this call any more.
    fn cancel_call(&mut self, handler: HandlerKey) {
        self.timers.clear(TimerKey::new(TimerKind::Call, handler.index));
        if let Some(call) = self.pool.call_mut(handler) {
            let (operation, began) = (call.ticket.operation(), call.began);
            let elapsed = self.now.saturating_duration_since(began);
            self.record_outcome(operation, metrics::Outcome::Cancelled, elapsed);
        }
        self.metrics.in_flight.down();
        self.end_lease(handler);
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
