//! Which deadline a connection is under, and what it means that the deadline is over.
//!
//! A connection is under one deadline at a time, and [`Waiting`] says which. These are pure functions of the connection
//! and the time; the shard sets the timer, and acts on what is overdue.

use std::time::{Duration, Instant};

use crate::config::{Linger, Timeouts};
use crate::metrics::Eviction;
use crate::pool::HandlerKey;
use crate::shard::channels::Framing;
use crate::units::TimeLimit;

use super::connection::{Connection, State, Waiting};

/// How long a modern call may still run when the one client of a process has closed its input. Closing is how a client
/// leaves, but a client that wrote a request and then closed still waits for the answer.
pub(in crate::shard) const LAST_MOMENT: Duration = Duration::from_millis(250);
/// How long any call may: a process ends within a second of its input.
pub(in crate::shard) const LAST_CALLS: Duration = Duration::from_millis(800);

/// What it means that the deadline of a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) enum Overdue {
    /// Nothing: what it was for has come.
    Nothing,
    /// Its client has sent nothing since the last answer: a handler that is held goes first, then the connection.
    Idle,
    /// Its client is beyond its address's cap, and has not sent the request that is to be refused.
    Refusal,
    /// Its client was too slow to send a request.
    Slow(Eviction),
    /// Its client was too slow to take an answer.
    WriteStall,
    /// The call has taken long: its client is told that it is being worked on.
    Answer(HandlerKey),
    /// Nothing was sent on its stream for a while.
    KeepAlive,
    /// Its peer does not close.
    Close,
    /// It is a channel, and [`Connection::channel_overdue`] says what it means.
    Channel,
}

/// What it means that the deadline of a channel is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) enum ChannelOverdue {
    /// The client of a process has closed its end and takes nothing: it is gone.
    Gone,
    /// The client of a process has closed its input, and its calls have had their time.
    LastCalls,
    /// Nothing was sent for a while.
    KeepAlive,
    /// A message took too long.
    SlowMessage,
    /// Nothing came, not even an answer to a ping.
    Silence,
    /// Nothing came for half of the time.
    Ping,
    /// Something came meanwhile.
    Later,
}

/// The deadline of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) enum ChannelDeadline {
    /// The one that is set stays: the process ends by it.
    Kept,
    /// There is none.
    Never,
    /// For this, at this time.
    At(Waiting, Instant),
}

impl<S> Connection<S> {
    /// When the next byte of an open connection is due, or the whole of what it began. `None` if it may be silent for
    /// ever.
    pub(in crate::shard) fn read_deadline(
        &self,
        timeouts: &Timeouts,
        linger: Linger,
        now: Instant,
    ) -> Option<Instant> {
        let since = self.request.phase_began;
        let idle = match timeouts.idle {
            TimeLimit::For(idle) => Some(idle),
            TimeLimit::Forever => None,
        };
        let is_held = self.held.is_some() && linger == Linger::Forever;
        match self.waiting {
            Waiting::Head => Some((since + timeouts.head).min(now + timeouts.read)),
            Waiting::Body => Some((since + timeouts.body).min(now + timeouts.read)),
            // A connection may hold a handler for at most this long.
            _ if is_held => Some(since + idle.map_or(timeouts.read, |idle| idle.min(timeouts.read))),
            _ => idle.map(|idle| since + idle),
        }
    }

    /// What it means that its deadline is over.
    pub(in crate::shard) fn overdue(&self, timeouts: &Timeouts, now: Instant) -> Overdue {
        let lasts = now.saturating_duration_since(self.request.phase_began);
        match (self.state, self.waiting) {
            (State::Open, waiting) if self.channel.is_some() && waiting != Waiting::Write => Overdue::Channel,
            (State::Open, Waiting::Idle) => Overdue::Idle,
            (State::Open, Waiting::Refusal) => Overdue::Refusal,
            (State::Open, Waiting::Head) if lasts >= timeouts.head => Overdue::Slow(Eviction::HeadTimeout),
            (State::Open, Waiting::Body) if lasts >= timeouts.body => Overdue::Slow(Eviction::BodyTimeout),
            (State::Open, Waiting::Head | Waiting::Body) => Overdue::Slow(Eviction::ReadTimeout),
            (State::Answering, _) | (_, Waiting::Write) => Overdue::WriteStall,
            (State::Calling(handler), Waiting::Answer) => Overdue::Answer(handler),
            (State::Calling(_) | State::Streaming, Waiting::KeepAlive) => Overdue::KeepAlive,
            (State::Closing, _) => Overdue::Close,
            (
                State::Open
                | State::Queued(_)
                | State::Moving(_)
                | State::Calling(_)
                | State::Streaming
                | State::Dead,
                _,
            ) => Overdue::Nothing,
        }
    }

    /// Whether its client has been silent for as long as it may be.
    pub(in crate::shard) fn is_idle_over(&self, timeouts: &Timeouts, now: Instant) -> bool {
        match timeouts.idle {
            TimeLimit::For(idle) => now >= self.request.phase_began + idle,
            TimeLimit::Forever => false,
        }
    }

    /// The deadline of a channel on which nothing is being sent; `None` if it is none. A WebSocket may be silent for
    /// `websocket_timeout`, and is pinged after half of that.
    pub(in crate::shard) fn channel_deadline(
        &self,
        timeouts: &Timeouts,
        websocket_timeout: Duration,
        now: Instant,
    ) -> Option<ChannelDeadline> {
        let channel = self.channel.as_deref()?;
        let (waiting, deadline) = match (&channel.framing, channel.ending) {
            (Framing::Lines(_), Some(_)) => return Some(ChannelDeadline::Kept),
            (Framing::Lines(_), None) if channel.is_stalled && channel.is_hung_up => {
                (Waiting::Close, now + LAST_CALLS)
            }
            (Framing::Lines(_), None) => return Some(ChannelDeadline::Never),
            (Framing::Events(_), _) => (Waiting::KeepAlive, now + timeouts.keep_alive),
            _ if channel.is_stalled => (Waiting::Write, now + timeouts.write),
            (Framing::WebSocket(_), _) if self.request.assembly.is_some() => {
                (Waiting::Body, self.request.began + timeouts.body)
            }
            (Framing::WebSocket(_), _) if channel.is_pinged => {
                (Waiting::Idle, self.request.phase_began + websocket_timeout)
            }
            (Framing::WebSocket(_), _) => (Waiting::Idle, self.request.phase_began + websocket_timeout / 2),
        };
        Some(ChannelDeadline::At(waiting, deadline))
    }

    /// What it means that the deadline of a channel is over, other than the one for taking what was sent; `None` if it
    /// is no channel.
    pub(in crate::shard) fn channel_overdue(
        &self,
        websocket_timeout: Duration,
        now: Instant,
    ) -> Option<ChannelOverdue> {
        let channel = self.channel.as_deref()?;
        Some(match (&channel.framing, self.waiting) {
            (Framing::Lines(_), _) if channel.ending.is_none() && !channel.is_input_over => {
                ChannelOverdue::Gone
            }
            (Framing::Lines(_), _) => ChannelOverdue::LastCalls,
            (Framing::Events(_), _) => ChannelOverdue::KeepAlive,
            (Framing::WebSocket(_), Waiting::Body) => ChannelOverdue::SlowMessage,
            (Framing::WebSocket(_), _) if now >= self.request.phase_began + websocket_timeout => {
                ChannelOverdue::Silence
            }
            (Framing::WebSocket(_), _) if !channel.is_pinged => ChannelOverdue::Ping,
            (Framing::WebSocket(_), _) => ChannelOverdue::Later,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonrpc::Lines;
    use crate::mcp::SessionToken;
    use crate::registry::Origin;
    use crate::shard::channels::{Channel, Ending};
    use crate::wire::websocket;

    const SILENCE: Duration = Duration::from_secs(60);
    const HANDLER: HandlerKey = HandlerKey { index: 1, lease: 2 };

    fn timeouts() -> Timeouts {
        Timeouts {
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            read: Duration::from_secs(20),
            idle: TimeLimit::For(Duration::from_secs(40)),
            ..Timeouts::default()
        }
    }

    fn connection(state: State, waiting: Waiting, now: Instant) -> Connection<()> {
        let mut connection = Connection::new((), None, now);
        (connection.state, connection.waiting) = (state, waiting);
        connection
    }

    fn channel(framing: Framing, now: Instant) -> Connection<()> {
        let mut connection = connection(State::Open, Waiting::Idle, now);
        connection.channel = Some(Box::new(Channel::new(
            framing,
            Origin::default(),
            SessionToken([0; 16]),
        )));
        connection
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_request_is_due_as_a_whole_and_byte_by_byte() {
        let began = Instant::now();
        for (waiting, now, due) in [
            (Waiting::Head, seconds(1), seconds(10)),
            (Waiting::Body, seconds(1), seconds(21)),
            (Waiting::Body, seconds(25), seconds(30)),
            (Waiting::Idle, seconds(25), seconds(40)),
        ] {
            let connection = connection(State::Open, waiting, began);
            let deadline = connection.read_deadline(&timeouts(), Linger::None, began + now);
            assert_eq!(deadline, Some(began + due), "{waiting:?} at {now:?}");
        }
    }

    #[test]
    fn a_held_handler_shortens_silence_and_patience_may_have_no_end() {
        let now = Instant::now();
        let mut connection = connection(State::Open, Waiting::Idle, now);
        let endless = Timeouts {
            idle: TimeLimit::Forever,
            ..timeouts()
        };
        assert_eq!(connection.read_deadline(&endless, Linger::Forever, now), None);
        assert!(!connection.is_idle_over(&endless, now + seconds(1000)));
        connection.held = Some(HANDLER);
        for timeouts in [endless, timeouts()] {
            let deadline = connection.read_deadline(&timeouts, Linger::Forever, now);
            assert_eq!(deadline, Some(now + seconds(20)));
        }
        assert!(connection.is_idle_over(&timeouts(), now + seconds(40)));
    }

    #[test]
    fn each_wait_has_its_own_end() {
        let began = Instant::now();
        for (state, waiting, age, overdue) in [
            (State::Open, Waiting::Idle, 0, Overdue::Idle),
            (State::Open, Waiting::Refusal, 0, Overdue::Refusal),
            (
                State::Open,
                Waiting::Head,
                9,
                Overdue::Slow(Eviction::ReadTimeout),
            ),
            (
                State::Open,
                Waiting::Head,
                10,
                Overdue::Slow(Eviction::HeadTimeout),
            ),
            (
                State::Open,
                Waiting::Body,
                29,
                Overdue::Slow(Eviction::ReadTimeout),
            ),
            (
                State::Open,
                Waiting::Body,
                30,
                Overdue::Slow(Eviction::BodyTimeout),
            ),
            (State::Open, Waiting::Write, 0, Overdue::WriteStall),
            (State::Answering, Waiting::Write, 0, Overdue::WriteStall),
            (
                State::Calling(HANDLER),
                Waiting::Answer,
                0,
                Overdue::Answer(HANDLER),
            ),
            (State::Calling(HANDLER), Waiting::KeepAlive, 0, Overdue::KeepAlive),
            (State::Streaming, Waiting::KeepAlive, 0, Overdue::KeepAlive),
            (State::Closing, Waiting::Close, 0, Overdue::Close),
            (State::Dead, Waiting::Idle, 0, Overdue::Nothing),
            (State::Calling(HANDLER), Waiting::Nothing, 0, Overdue::Nothing),
        ] {
            let connection = connection(state, waiting, began);
            let now = began + seconds(age);
            assert_eq!(
                connection.overdue(&timeouts(), now),
                overdue,
                "{state:?} {waiting:?}"
            );
        }
    }

    #[test]
    fn a_silent_websocket_is_pinged_and_then_closed() {
        let began = Instant::now();
        let mut socket = channel(Framing::WebSocket(websocket::Intake::default()), began);
        assert_eq!(socket.overdue(&timeouts(), began), Overdue::Channel);
        let deadline = |socket: &Connection<()>| socket.channel_deadline(&timeouts(), SILENCE, began);
        let half = ChannelDeadline::At(Waiting::Idle, began + SILENCE / 2);
        assert_eq!(deadline(&socket), Some(half));
        let overdue = |socket: &Connection<()>, age| socket.channel_overdue(SILENCE, began + age);
        assert_eq!(overdue(&socket, SILENCE / 2), Some(ChannelOverdue::Ping));
        socket.channel.as_mut().unwrap().is_pinged = true;
        let whole = ChannelDeadline::At(Waiting::Idle, began + SILENCE);
        assert_eq!(deadline(&socket), Some(whole));
        assert_eq!(overdue(&socket, SILENCE / 2), Some(ChannelOverdue::Later));
        assert_eq!(overdue(&socket, SILENCE), Some(ChannelOverdue::Silence));
        socket.waiting = Waiting::Body;
        assert_eq!(
            overdue(&socket, Duration::ZERO),
            Some(ChannelOverdue::SlowMessage)
        );
    }

    #[test]
    fn a_process_has_a_deadline_only_once_its_client_is_leaving() {
        let now = Instant::now();
        let mut pipes = channel(Framing::Lines(Lines::default()), now);
        let deadline = |pipes: &Connection<()>| pipes.channel_deadline(&timeouts(), SILENCE, now);
        assert_eq!(deadline(&pipes), Some(ChannelDeadline::Never));
        let channel = pipes.channel.as_mut().unwrap();
        (channel.is_stalled, channel.is_hung_up) = (true, true);
        let last = ChannelDeadline::At(Waiting::Close, now + LAST_CALLS);
        assert_eq!(deadline(&pipes), Some(last));
        assert_eq!(pipes.channel_overdue(SILENCE, now), Some(ChannelOverdue::Gone));
        pipes.channel.as_mut().unwrap().ending = Some(Ending::WhenIdle);
        assert_eq!(deadline(&pipes), Some(ChannelDeadline::Kept));
        assert_eq!(
            pipes.channel_overdue(SILENCE, now),
            Some(ChannelOverdue::LastCalls)
        );
    }

    #[test]
    fn a_connection_that_is_no_channel_has_no_deadline_of_one() {
        let now = Instant::now();
        let connection = connection(State::Open, Waiting::Idle, now);
        assert_eq!(connection.channel_deadline(&timeouts(), SILENCE, now), None);
        assert_eq!(connection.channel_overdue(SILENCE, now), None);
    }
}
