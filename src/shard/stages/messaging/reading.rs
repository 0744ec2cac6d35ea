//! A channel's bytes: into messages, as far as its client takes what there is for it.

use crate::jsonrpc::{LineProgress, Lines, Outline};
use crate::mcp::{OverloadReason, RequestContext, Via};
use crate::metrics::Eviction;
use crate::pool::Assembly;
use crate::ring::ConnectionKey;
use crate::transport::http::admission::websocket::{self as handshake};
use crate::transport::http::{HEAD_RESERVE, Request};
use crate::wire::websocket::{self, CloseCode, Control, MessageKind};

use crate::shard::channels::{Close, Framing};
use crate::shard::connections::State;
use crate::shard::{Shard, ShardRing};

impl<R: ShardRing> Shard<R> {
    /// Answers an upgrade: from here on its bytes are frames.
    pub(in crate::shard) fn open_websocket(&mut self, key: ConnectionKey, request: &Request<'_, '_>) {
        if self.drain.is_begun() {
            return self.refuse_undecoded(key, OverloadReason::Draining);
        }
        let upgrade = match handshake::upgrade(request.head) {
            Ok(upgrade) => upgrade,
            Err(refusal) => {
                self.log().refusal(key, refusal.into(), None);
                return self.answer_refusal(key, refusal.into(), false, false);
            }
        };
        self.log().opened(key, "GET", 101, None);
        self.end_hold(key);
        let framing = Framing::WebSocket(websocket::Intake::default());
        self.begin_channel(key, framing, Some(request.head.lines()));
        let mut head = self.writer.take_buffer();
        upgrade.append_head(&mut head);
        self.begin_outbox(key, head);
    }

    /// The one client of a process that serves no others.
    pub(in crate::shard) fn open_stdio(&mut self, key: ConnectionKey) {
        self.begin_channel(key, Framing::Lines(Lines::default()), None);
        self.await_channel(key);
    }

    /// New bytes of a channel.
    pub(in crate::shard) fn read_channel(&mut self, key: ConnectionKey, bytes: &[u8]) {
        let now = self.clock.now();
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        connection.request.phase_began = now;
        if let Some(channel) = &mut connection.channel {
            channel.is_pinged = false;
        }
        let Some(assembly) = connection.request.assembly.take() else {
            connection.request.began = now;
            let consumed = self.take_messages(key, bytes);
            let rest = bytes.get(consumed..).unwrap_or_default();
            if self.table.channel(key).is_some() && !rest.is_empty() && !self.keep(key, rest) {
                return;
            }
            return self.await_channel(key);
        };
        match self.append_kept(key, assembly, bytes) {
            (assembly, true) => self.serve_kept_in(key, assembly),
            (assembly, false) => {
                self.intake.give_back(assembly);
                self.close_channel(key, Close::Memory);
            }
        }
    }

    /// More of a channel's bytes came straight into its buffer.
    pub(in crate::shard) fn read_channel_on(&mut self, key: ConnectionKey) {
        let now = self.clock.now();
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        connection.request.phase_began = now;
        if let Some(channel) = &mut connection.channel {
            channel.is_pinged = false;
        }
        match connection.request.assembly.take() {
            Some(assembly) => self.serve_kept_in(key, assembly),
            None => self.await_channel(key),
        }
    }

    /// Goes on with what a channel's client has sent before.
    pub(super) fn serve_kept(&mut self, key: ConnectionKey) {
        self.serve_sse_messages(key);
        match self
            .table
            .connection(key)
            // While the ring receives into it, nothing in it was left to be served.
            .and_then(|connection| connection.request.assembly.take_if(|kept| !kept.is_lent()))
        {
            Some(assembly) => self.serve_kept_in(key, assembly),
            None => self.await_channel(key),
        }
    }

    fn serve_kept_in(&mut self, key: ConnectionKey, mut assembly: Box<Assembly>) {
        let consumed = self.take_messages(key, assembly.window());
        assembly.consume(consumed);
        if consumed > 0
            && let Some(connection) = self.table.connection(key)
        {
            connection.request.began = connection.request.phase_began;
        }
        let is_done = assembly.is_empty();
        match self.table.connection(key) {
            Some(connection) if !is_done && connection.channel.is_some() => {
                connection.request.assembly = Some(assembly)
            }
            _ => self.intake.give_back(assembly),
        }
        self.await_channel(key);
    }

    /// What is behind the request that made a connection a channel.
    pub(in crate::shard) fn begin_reading_channel(&mut self, key: ConnectionKey, rest: &[u8]) {
        if rest.is_empty() {
            self.await_channel(key)
        } else {
            self.read_channel(key, rest)
        }
    }

    /// Serves the messages at the front of a window; returns how many bytes are done with.
    fn take_messages(&mut self, key: ConnectionKey, window: &[u8]) -> usize {
        let mut consumed = 0;
        if self
            .table
            .channel(key)
            .is_some_and(|channel| channel.events().is_some())
        {
            // Its messages come otherwise, and nothing is expected behind its request.
            return window.len();
        }
        while let Some(rest) = window.get(consumed..).filter(|rest| !rest.is_empty()) {
            if self.is_outbox_high(key)
                && let Some(channel) = self.table.channel(key)
            {
                channel.is_stalled = true;
                self.watch_input(key);
                return consumed;
            }
            if self.is_to_be_interrupted(key) {
                self.interrupt(key);
                return consumed;
            }
            let taken = match self.table.channel(key).map(|channel| &channel.framing) {
                // The channel is gone, or its messages come by other connections.
                None | Some(Framing::Events(_)) => return window.len(),
                Some(Framing::WebSocket(_)) => self.take_frame(key, rest),
                Some(Framing::Lines(_)) => self.take_line(key, rest),
            };
            match taken {
                Some(bytes) => consumed += bytes,
                None => return consumed,
            }
        }
        consumed
    }

    /// Whether a channel's next message is to wait until the calls that have begun were run. Otherwise all calls of one
    /// read would need handlers at once, though none of them may take any time.
    pub(super) fn is_to_be_interrupted(&mut self, key: ConnectionKey) -> bool {
        self.calls.has_started() || self.is_to_await_tasks(key)
    }

    /// Whether a channel's next call would not be taken, though some may be over as soon as tasks run.
    fn is_to_await_tasks(&mut self, key: ConnectionKey) -> bool {
        if !self.calls.has_fresh() {
            return false;
        }
        let in_flight_max = self.service.channels.settings.in_flight_max as usize;
        let has_handler = self.admission.has_free_handler();
        !has_handler
            || self
                .table
                .channel(key)
                .is_some_and(|channel| channel.exchanges.len() >= in_flight_max)
    }

    /// A channel that was interrupted, if it can go on now.
    pub(in crate::shard) fn next_interrupted(&mut self) -> Option<ConnectionKey> {
        let key = self.channels.first_interrupted()?;
        if self.is_to_await_tasks(key) {
            None
        } else {
            self.channels.resume_first()
        }
    }

    /// A channel goes on with what was read when the calls that have begun were run.
    pub(super) fn interrupt(&mut self, key: ConnectionKey) {
        let connection = self.table.connection(key);
        if let Some(channel) = connection.and_then(|connection| connection.channel.as_deref_mut()) {
            self.channels.interrupt(key, channel);
        }
    }

    /// A channel that was interrupted goes on.
    pub(in crate::shard) fn resume_channel(&mut self, key: ConnectionKey) {
        let Some(channel) = self.table.channel(key) else {
            return;
        };
        channel.is_interrupted = false;
        self.serve_kept(key);
    }

    /// Acts on the next frame or message; `None` if none is whole.
    fn take_frame(&mut self, key: ConnectionKey, window: &[u8]) -> Option<usize> {
        if self.table.channel(key).is_some_and(|channel| !channel.is_open()) {
            return Some(window.len());
        }
        let limits = self.service.channels.frames;
        let mut message = self.channels.take_unmasked();
        let Some(Framing::WebSocket(intake)) = self.table.channel(key).map(|channel| &mut channel.framing)
        else {
            return None;
        };
        let taken = match intake.advance(window, &mut message, &limits) {
            Ok(websocket::Progress::Incomplete) => None,
            Ok(websocket::Progress::Message { kind, consumed }) => {
                self.take_websocket_message(key, kind, &message);
                Some(consumed)
            }
            Ok(websocket::Progress::Control { control, consumed }) => {
                self.take_control(key, &control);
                // Between fragments it stays in the window, where the intake has seen it.
                Some(consumed)
            }
            Err(violation) => {
                self.close_channel(key, Close::Violation(violation));
                Some(window.len())
            }
        };
        self.channels.put_unmasked(message, self.writer.buffer_bytes());
        taken
    }

    fn take_websocket_message(&mut self, key: ConnectionKey, kind: MessageKind, message: &[u8]) {
        if self.service.channels.echoes {
            return self.append(key, |_, out| {
                websocket::write_frame_header(out, kind, message.len());
                out.extend_from_slice(message);
            });
        }
        match kind {
            MessageKind::Text => self.take_message(key, message),
            MessageKind::Binary => self.close_channel(key, Close::Binary),
        }
    }

    fn take_control(&mut self, key: ConnectionKey, control: &Control) {
        match control {
            Control::Ping(payload) => {
                self.append(key, |_, out| websocket::write_pong(out, payload.as_bytes()))
            }
            Control::Pong => {}
            Control::Close { code } => {
                self.close_channel(key, Close::Answer(code.unwrap_or(CloseCode::Normal.number())))
            }
        }
    }

    /// Acts on the next line; `None` if none is whole.
    fn take_line(&mut self, key: ConnectionKey, window: &[u8]) -> Option<usize> {
        let line_bytes_max = self.service.http.body.body_bytes_max;
        let Some(Framing::Lines(lines)) = self.table.channel(key).map(|channel| &mut channel.framing) else {
            return None;
        };
        let progress = lines.advance(window, line_bytes_max);
        self.take_line_progress(key, window, progress)
    }

    fn take_line_progress(
        &mut self,
        key: ConnectionKey,
        window: &[u8],
        progress: LineProgress,
    ) -> Option<usize> {
        match progress {
            LineProgress::Incomplete => None,
            LineProgress::Skipped { consumed } => Some(consumed),
            LineProgress::Line { start, end, consumed } => {
                self.take_message(key, window.get(start..end).unwrap_or_default());
                Some(consumed)
            }
            LineProgress::TooLong { consumed, outline } => {
                self.refuse_line(key, &outline);
                Some(consumed)
            }
        }
    }

    /// Answers a line that was too long to be kept.
    fn refuse_line(&mut self, key: ConnectionKey, outline: &Outline) {
        let (principal, now) = (self.service.principal(), self.clock.unix_now());
        let Some(channel) = self.table.channel(key) else {
            return;
        };
        let via = Via::Channel(channel.context());
        let service = self.view_of(key);
        let mut out = self.writer.take_buffer();
        let request_context = RequestContext { via, principal, now };
        let reply = service
            .protocol
            .refuse_too_large(&request_context, outline, &*service.state, &mut out);
        self.record_control(key, &reply, &out[HEAD_RESERVE..], std::time::Duration::ZERO);
        if reply.has_body {
            out = self.post(key, out);
        }
        self.writer.put_buffer(out);
    }

    /// The peer sends no more. That is the end of a WebSocket; it tells a process to finish.
    pub(in crate::shard) fn end_channel_input(&mut self, key: ConnectionKey, is_amid: bool) {
        let Some(Framing::Lines(lines)) = self.table.channel(key).map(|channel| &mut channel.framing) else {
            if is_amid {
                self.metrics.count_eviction(Eviction::HangUp);
            }
            return self.abort(key);
        };
        let mut lines = std::mem::take(lines);
        let assembly = self
            .table
            .connection(key)
            .and_then(|connection| connection.request.assembly.take());
        let window = assembly.as_ref().map_or(&[][..], |assembly| assembly.window());
        let progress = lines.finish(window);
        self.take_line_progress(key, window, progress);
        if let Some(assembly) = assembly {
            self.intake.give_back(assembly);
        }
        self.finish_process(key);
    }

    /// Arms what a channel needs next: a receive and a deadline.
    pub(in crate::shard) fn await_channel(&mut self, key: ConnectionKey) {
        let Some(connection) = self.table.connection(key) else {
            return;
        };
        let Some(channel) = connection.channel.as_deref() else {
            return;
        };
        if connection.state != State::Open {
            return;
        }
        let (reads_on, is_sending) = (channel.reads_on(), connection.ring.is_sending);
        if reads_on {
            self.arm_read(key);
        }
        if !is_sending {
            self.set_channel_deadline(key);
        }
    }
}

/// A response buffer has room for a frame's header where a head would be.
const _: () = assert!(HEAD_RESERVE >= websocket::FRAME_HEADER_BYTES_MAX);
