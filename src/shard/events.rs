//! What a shard does about the events in its inbox.
//!
//! Events are handled in the order in which they were posted, so many in a run: others may go on posting, and the
//! shard's own work is to have its turn.

use crate::session::live::LiveEvent;

use super::acceptor::AcceptEvent;
use super::inbox::ShardEvent;
use super::{Shard, ShardRing};

/// Events handled before other work has its turn. A call on a thread of its own may speak as fast as it is heard.
const EVENTS_PER_TURN: usize = 1024;

impl<R: ShardRing> Shard<R> {
    /// Handles the events in the inbox, and sends on streams that have something to send.
    pub(super) fn handle_events(&mut self) {
        self.inbox.begin();
        for _ in 0..EVENTS_PER_TURN {
            let Some(event) = self.inbox.take() else {
                return self.pump_ready_streams();
            };
            self.handle_event(event);
        }
        self.pump_ready_streams();
        // Nobody announces the rest, as it was announced before.
        self.inbox.wake();
    }

    fn handle_event(&mut self, event: ShardEvent<R::Socket>) {
        match event {
            ShardEvent::Finished {
                handler,
                began,
                outcome,
                escaped_bytes,
                panic,
            } => {
                self.settle_job(handler, began, outcome, escaped_bytes, panic);
                self.send_queued();
            }
            ShardEvent::Begun { handler, read } => {
                self.settle_begun(handler, read);
                self.send_queued();
            }
            ShardEvent::PieceRead { key, piece } => self.handle_piece(key, piece),
            ShardEvent::Stolen(moved) => self.receive_moved(*moved),
            ShardEvent::StolenMessage(moved) => self.receive_message(*moved),
            ShardEvent::ToolPermit(granted) => self.handle_tool_permit(granted),
            ShardEvent::Relayed(relayed) => {
                self.handle_relayed(*relayed);
                self.send_queued();
            }
            ShardEvent::Recalled {
                home,
                exchange,
                ends_call,
            } => self.handle_recalled(home, exchange, ends_call),
            ShardEvent::AnswerTaken(charged) => self.writer.heap().refund(charged),
            ShardEvent::Accepted(newcomer) => self.receive_newcomer(*newcomer),
            ShardEvent::Slack => self.look_for_slack(),
            ShardEvent::PlaceFree => self.handle_accept(&AcceptEvent::PlaceFree),
            ShardEvent::Spoke(handler) => self.emit(handler),
            ShardEvent::Live(event) => self.handle_live_event(event),
            ShardEvent::Open(clients) => self.open(clients),
            ShardEvent::Children(order) => self.handle_child_order(order),
            ShardEvent::Forwarded(call) => self.take_in_call(*call),
            ShardEvent::ForwardedWord(said) => {
                self.handle_forwarded_word(*said);
                self.send_queued();
            }
            ShardEvent::Withdrawn { server, caller } => self.handle_withdrawn(server, caller),
            ShardEvent::Unheard(name) => self.handle_unheard(name),
            ShardEvent::Resumed(resumption) => self.handle_resumption(resumption),
            ShardEvent::ChildRoom(server) => self.move_waiting(server),
            ShardEvent::Drain(deadline) => self.begin_drain(deadline),
            ShardEvent::Abort => self.abort_all(),
            ShardEvent::Report(to) => {
                // A reporter that no longer waits is no concern of the shard's.
                let _ = to.try_send(self.metrics.histograms().clone());
            }
        }
    }

    fn handle_live_event(&mut self, event: LiveEvent) {
        match event {
            LiveEvent::Ready(connection) | LiveEvent::Displaced(connection) => {
                self.streams.on_ready(connection);
            }
            LiveEvent::Cancel { session, request } => self.cancel_requested(session, &request),
            LiveEvent::Answer { call, number, answer } => self.answer_question(call, number, answer),
            LiveEvent::ChildAnswer {
                asker,
                number,
                answer,
            } => self.handle_child_answer(asker, number, answer),
            LiveEvent::SseMessage { connection, message } => self.handle_sse_message(connection, message),
            LiveEvent::CancelTask(task) => self.cancel_task(task),
            LiveEvent::TaskAnswer {
                connection,
                number,
                answer,
            } => self.answer_task(connection, number, answer),
        }
    }
}
