//! From a call to its outcome: a handler is leased, the call runs, and it is settled.
//!
//! Calls that are pending and calls on a worker both end in [`Shard::settle`].

use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::jsonrpc;
use crate::mcp::{OverloadReason, Ticket};
use crate::metrics::{self, HandlerState, Stage};
use crate::pool::HandlerKey;
use crate::registry::{
    BlockingCall, BlockingContext, CallFuture, CallLink, Cancellation, Outcome, Output, PanicFacts, Started,
    ToolError, take_last_panic,
};
use crate::ring::ConnectionKey;
use crate::workers::{self, Job, Refused};

use crate::shard::calls::{Awaits, Batched, Call, Run};
use crate::shard::connections::{State, Waiting};
use crate::shard::inbox::ShardEvent;
use crate::shard::service::LocalService;
use crate::shard::writer::LARGE_TEXT_BYTES_MIN;
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Leases a handler to a call; the permit for it is in hand, or the connection holds the handler.
    pub(in crate::shard) fn lease(
        &mut self,
        key: ConnectionKey,
        service: &LocalService,
        ticket: Ticket,
        began: Instant,
        batch: Option<Box<Batched>>,
    ) -> Option<HandlerKey> {
        let held = self
            .table
            .connection(key)
            .and_then(|connection| connection.held.take());
        if held.is_none() && !self.calls.has_idle() {
            self.cut_longest_linger();
        }
        let timeout = match &batch {
            Some(_) => self.service.timeouts.call,
            None => service.call_timeout(ticket.operation()),
        };
        let deadline = began + timeout;
        let call = || Call {
            batch,
            ..Call::new(service, ticket, Run::Polled, began, deadline)
        };
        let Some((handler, state)) = self.calls.lease(key, held, call) else {
            debug_assert!(false, "a permit without a handler");
            return None;
        };
        self.metrics.on_handler(state, HandlerState::Busy);
        self.admission.on_began(handler, self.clock.now());
        if self.admission.tool_permit().is_some() {
            self.give_tool_permit(handler);
        }
        self.begin_calling(key, handler);
        Some(handler)
    }

    /// A call gets the permit of its tool that is in hand, until its function is over.
    #[cold]
    fn give_tool_permit(&mut self, handler: HandlerKey) {
        if let Some(call) = self.calls.at(handler) {
            call.tool_permit = self.admission.take_tool_permit();
        }
    }

    /// From now on the connection, or its channel, waits for this call.
    pub(in crate::shard) fn begin_calling(&mut self, key: ConnectionKey, handler: HandlerKey) {
        match self.table.connection(key) {
            Some(connection) => {
                connection.state = State::Calling(handler);
                connection.waiting = Waiting::Nothing;
            }
            None => self.table.begin_call(key, handler),
        }
        self.clock.clear_deadline(key);
    }

    pub(in crate::shard) fn begin_run(&mut self, handler: HandlerKey, started: Started) {
        match started {
            Started::Future(future) => self.calls.start(handler, future),
            Started::Blocking(blocking) => self.submit(handler, blocking),
            Started::Readied(readied) => match readied.begin() {
                Ok(future) => self.calls.start(handler, future),
                Err(blocking) => self.submit(handler, blocking),
            },
        }
    }

    /// Hands a blocking call to the workers; their queue being full is overload.
    fn submit(&mut self, handler: HandlerKey, blocking: BlockingCall) {
        let cancellation = Cancellation::new();
        let mut context = BlockingContext::new(cancellation.clone());
        if let Some(link) = self.calls.at(handler).and_then(|call| call.link.clone()) {
            context = context.with_link(link);
        }
        let (inbox, clock) = (self.inbox.clone(), self.clock.source());
        let job = Job::new(
            cancellation,
            move |_| (clock(), blocking.run(&context)),
            move |ended| {
                let (began, mut outcome) = flatten(ended);
                let text = outcome.as_mut().ok().and_then(Output::sole_text);
                let large = text.filter(|text| text.len() >= LARGE_TEXT_BYTES_MIN);
                let escaped_bytes = large.map(|text| jsonrpc::escaped_bytes(text.as_bytes()));
                let panic = match outcome {
                    Err(ToolError::Panicked) => take_last_panic().map(Box::new),
                    _ => None,
                };
                inbox.post(ShardEvent::Finished {
                    handler,
                    began,
                    outcome,
                    escaped_bytes,
                    panic,
                });
            },
        );
        match self.calls.submit(handler, job) {
            Ok(()) => self.watch_call(handler),
            Err(Refused::Full(_)) => self.refuse_call(handler, OverloadReason::Workers),
            Err(Refused::Stopping(_)) => self.refuse_call(handler, OverloadReason::Draining),
        }
    }

    /// A worker has finished a call, which it took up at `began`: until then the call was queued.
    pub(in crate::shard) fn settle_job(
        &mut self,
        handler: HandlerKey,
        began: Option<Instant>,
        outcome: Outcome,
        escaped_bytes: Option<usize>,
        panic: Option<Box<PanicFacts>>,
    ) {
        if let Some(began) = began
            && let Some(call) = self.calls.at(handler)
            && matches!(call.run, Run::Working(_))
        {
            let submitted = std::mem::replace(&mut call.began, began);
            self.metrics.record(Stage::Queue, submitted, began);
            if let Some(key) = self.calls.holder(handler) {
                self.table
                    .note_wait(key, began.saturating_duration_since(submitted));
            }
        }
        self.settle_with(handler, outcome, escaped_bytes, panic.map(|facts| *facts));
    }

    /// The oldest call that was started and not polled yet.
    pub fn next_started(&mut self) -> Option<(HandlerKey, CallFuture)> {
        self.calls.next_started()
    }

    /// A polled call is pending; before its task has polled it, it awaits that with no waker.
    pub fn suspend(&mut self, handler: HandlerKey, future: CallFuture, awaits: Awaits) {
        let is_new = matches!(awaits, Awaits::Turn(None));
        if !self.calls.suspend(handler, future, awaits) {
            return;
        }
        if is_new {
            self.watch_call(handler);
        }
        self.emit_polled(handler);
        if !is_new {
            self.shelve_if_asking(handler);
        }
    }

    /// Takes a pending call to poll it; `None` once it is over or was taken away. One that was shelved is then on its
    /// way back, to a task of its own.
    pub fn resume_call(&mut self, handler: HandlerKey) -> Option<CallFuture> {
        if self.calls.at(handler).is_none() {
            self.on_woken(handler);
        }
        self.calls.resume(handler)
    }

    /// A call that did not end at once gets a deadline and a watch on its client.
    pub(in crate::shard) fn watch_call(&mut self, handler: HandlerKey) {
        let Some(call) = self.calls.at(handler) else {
            return;
        };
        let stream_at = call.began + self.service.timeouts.stream_after;
        // An answer that is being read already is none of a stream.
        let is_over = matches!(call.run, Run::Reading(..));
        let gets_stream = call.stream.is_none() && call.batch.is_none() && !is_over;
        // What is with a child has that one's deadline.
        if !call.is_asking() && !matches!(call.run, Run::Forwarded(_)) {
            self.clock.set_call_deadline(handler.index, call.deadline);
        }
        let Some(key) = self.calls.holder(handler) else {
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
            self.clock.set_deadline(key, stream_at);
        } else if is_over {
            connection.waiting = Waiting::Nothing;
            self.clock.clear_deadline(key);
        }
        self.table.watch(key, &mut self.ring);
    }

    /// A call is over: its answer goes out. An outcome that comes after another (a worker's after the timeout)
    /// or after its lease finds nothing.
    pub fn settle(&mut self, handler: HandlerKey, outcome: Outcome) {
        self.settle_with(handler, outcome, None, None);
    }

    /// The same, of an outcome that was made on another thread: its text may have been measured there, and `panic` is
    /// what was said if it panicked.
    fn settle_with(
        &mut self,
        handler: HandlerKey,
        mut outcome: Outcome,
        escaped_bytes: Option<usize>,
        panic: Option<PanicFacts>,
    ) {
        let ended = self.clock.read();
        let Some(call) = self.calls.at(handler) else {
            return;
        };
        if !matches!(call.run, Run::Polled | Run::Working(_)) {
            return;
        }
        let (may_have_spoken, is_task) = (call.link.is_some(), call.task.is_some());
        // What it said comes before how it ended. Most have said nothing, and have no link any more.
        if may_have_spoken {
            self.emit_polled(handler);
        }
        let is_streamed = outcome.as_ref().is_ok_and(Output::is_streamed);
        if is_streamed && self.read_source(handler, &mut outcome) {
            return;
        }
        let Some((service, _, elapsed)) = self.end_run(handler, ended) else {
            return;
        };
        let is_asking = matches!(outcome, Err(ToolError::InputRequired));
        let link = is_asking
            .then(|| self.calls.bind(handler, self.intake.scratch()))
            .flatten();
        if matches!(outcome, Err(ToolError::Panicked)) {
            self.metrics.panics.increment();
            self.log().panic(handler, panic.or_else(take_last_panic));
        }
        if let Some(detail) = outcome.as_ref().err().and_then(ToolError::log_detail) {
            self.log().failure(handler, detail);
        }
        if is_task {
            self.settle_task(handler, &outcome, elapsed);
            return self.serve_waiters();
        }
        let unix_now = self.clock.unix_now();
        let text_bytes = outcome.as_ref().map_or(0, Output::text_bytes);
        if self.writer.is_large(text_bytes)
            && self.answer_with_text(handler, &mut outcome, escaped_bytes, elapsed)
        {
            return self.on_encoded(ended);
        }
        self.answer_call(handler, elapsed, text_bytes, |ticket, out| {
            let protocol = &service.protocol;
            if !is_asking {
                return protocol.answer(ticket, &outcome, out);
            }
            let link = link.as_deref();
            let unanswered = link.map(CallLink::take_unanswered).unwrap_or_default();
            let answers = link.and_then(CallLink::answers);
            protocol.answer_input_required(ticket, &unanswered, answers, &*service.store, unix_now, out)
        });
        self.on_encoded(ended);
    }

    /// A call has its outcome: what it was made for, what it is counted under, and how long it ran.
    #[inline]
    pub(in crate::shard) fn end_run(
        &mut self,
        handler: HandlerKey,
        ended: Instant,
    ) -> Option<(LocalService, metrics::Operation, Duration)> {
        let call = self.calls.at(handler)?;
        call.run = Run::Ended;
        call.end_tool_permit(ended);
        let (service, label) = (Rc::clone(&call.service), call.label());
        let elapsed = ended.saturating_duration_since(call.began);
        self.metrics.record_elapsed(Stage::Execute, elapsed);
        if let metrics::Operation::Tool(row) = label {
            self.metrics.record_tool(row, elapsed);
        }
        Some((service, label, elapsed))
    }

    /// The answer to a call that ended then is written, or its first part.
    pub(in crate::shard) fn on_encoded(&mut self, ended: Instant) {
        let encoded = self.clock.end_step();
        self.metrics.record(Stage::Encode, ended, encoded);
        self.serve_waiters();
    }

    /// The lease is over: the answer is on its way, or nobody wants it.
    pub(in crate::shard) fn end_lease(&mut self, handler: HandlerKey) {
        self.end_call(handler);
        if self.calls.is_without_handler(handler) {
            self.calls.leave(handler);
        } else if self.calls.release(handler) {
            self.metrics.on_handler(HandlerState::Busy, HandlerState::Idle);
            self.admission.release_permit(self.clock.now());
        }
    }

    /// Ends what still runs of the call in a handler, which is about to lose it.
    pub(in crate::shard) fn end_call(&mut self, handler: HandlerKey) {
        let mut call = self.calls.at(handler);
        if matches!(
            call,
            Some(Call {
                run: Run::Forwarded(_),
                ..
            })
        ) {
            self.withdraw(handler);
            call = self.calls.at(handler);
        }
        let Some(call) = call else {
            return;
        };
        let (is_unbegun, asker) = (matches!(call.run, Run::Polled), call.asker);
        let session = asker.and_then(|_| call.ticket.session());
        if self.calls.is_without_handler(handler) {
            // It says nothing of how long handlers are busy.
        } else if is_unbegun {
            self.admission.on_given_back(handler);
        } else {
            // How long it ran tells how long calls take, unless it was refused before it began.
            self.admission.on_ended(handler, self.clock.now());
        }
        if let Some(asker) = asker {
            self.forget_asker(asker, session);
        }
        self.calls.end(handler);
    }

    /// Ends what still runs of a call that lost its handler while it waited for its client.
    pub(in crate::shard) fn end_shelved(&mut self, call: Call) {
        if let Some(asker) = call.asker {
            self.forget_asker(asker, call.ticket.session());
        }
        self.calls.discard(call.run, call.link);
    }

    /// A call has run for too long: it is answered with `error` now, and what still runs of it is given up.
    pub(in crate::shard) fn give_up_call(&mut self, handler: HandlerKey, error: ToolError) {
        self.withdraw(handler);
        if self.calls.give_up(handler) {
            self.settle(handler, Err(error));
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
