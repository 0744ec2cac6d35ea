//! The clients of one thread: their connections, what they say, and where each stands.
//!
//! ```text
//!            connected, and its session open
//!  Opening ─────────────────────────────────▶ Free ──▶ Busy ──▶ Free
//!     ▲                                                 │
//!     └── Away ◀────────────────────────────────────────┘ its connection ended, or had its number of requests
//! ```

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use crate::load::peer::{Connection, Judge, Outcome, Poll, Progress, RetryAfter, Source};
use crate::load::plan::Plan;
use crate::load::script::{Advance, Calls, Script};

/// Bytes that are read at one time.
const RECEIVE_BYTES: usize = 64 << 10;
/// A stream of events that is still open so long after its answer stays so.
const OPEN_PATIENCE: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It connects, or opens its session.
    Opening,
    Free,
    Busy,
    /// Without a connection.
    Away,
}

pub(super) struct Client {
    connection: Option<Connection>,
    pub(super) script: Script,
    pub(super) state: State,
    /// When its request was due and went out.
    pub(super) due: Instant,
    pub(super) sent: Instant,
    /// When its answer came, if that was before the end of the stream that it is in.
    pub(super) answered: Option<Instant>,
    /// Connections in a row that brought no answer.
    pub(super) failures: u32,
    /// Requests that its connection may still carry.
    left: u64,
    /// Whether this connection had an answer.
    has_answered: bool,
}

/// A client's connection behind what it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Usable,
    /// It has had its number of requests.
    Planned,
    /// The server said with its answer that it closes it, or left the answer's stream open.
    Closed,
    Broken,
}

/// What an event did to a client.
pub(super) enum Happened {
    Nothing,
    /// It can ask now.
    Free,
    /// What it asked for has ended.
    Ended {
        outcome: Outcome,
        retry_after: Option<RetryAfter>,
        after: After,
    },
    /// Its session could not be opened, or its connection ended while it was free.
    Lost(Outcome),
}

pub(super) struct Clients<'p> {
    plan: &'p Plan,
    pub(super) all: Vec<Client>,
    pub(super) calls: Calls,
    judge: Judge,
    poll: Poll,
    buffer: Vec<u8>,
    opened: u32,
    /// The time in which there was nothing to do.
    pub(super) waited: Duration,
    /// Connections made again because one had ended before its request reached the server.
    pub(super) renewed: u64,
    /// Connections that the server closed behind a step before what counts.
    pub(super) closed: u64,
    /// Whether the server leaves streams open behind their answers, so that nobody waits for their end.
    leaves_open: bool,
}

impl<'p> Clients<'p> {
    pub(super) fn new(plan: &'p Plan, thread: usize) -> io::Result<Self> {
        let share = (thread, plan.threads.max(1));
        let work = &plan.work;
        Ok(Clients {
            plan,
            all: Vec::new(),
            calls: Calls::new(
                plan.speaker.clone(),
                work.calls(),
                plan.seed,
                share,
                work.id_first(),
            ),
            judge: work.judge(),
            poll: Poll::new()?,
            buffer: vec![0; RECEIVE_BYTES],
            opened: thread as u32,
            waited: Duration::ZERO,
            renewed: 0,
            closed: 0,
            leaves_open: false,
        })
    }

    /// Another client, without a connection.
    pub(super) fn add(&mut self) -> usize {
        let now = Instant::now();
        let client = Client {
            connection: None,
            script: Script::new(&self.plan.work, &mut self.calls),
            state: State::Away,
            due: now,
            sent: now,
            answered: None,
            failures: 0,
            left: 0,
            has_answered: false,
        };
        self.all.push(client);
        self.all.len() - 1
    }

    /// Begins to connect. A client whose session is open, or has none, is free at once if `is_hasty`, and connects with
    /// its first request.
    pub(super) fn open(&mut self, index: usize, source: Source, is_hasty: bool) -> io::Result<Happened> {
        let client = &mut self.all[index];
        client.state = State::Away;
        // The old socket is closed first, so that its watch ends.
        client.connection = None;
        client.answered = None;
        client.script.restart(&mut self.calls);
        let mut connection = Connection::open(&self.plan.speaker.endpoint, source)?;
        self.poll.watch(connection.socket(), index)?;
        client.left = self.plan.requests_per_connection.unwrap_or(u64::MAX);
        client.has_answered = false;
        client.state = State::Opening;
        if client.script.is_ready() {
            client.connection = Some(connection);
            if is_hasty {
                client.state = State::Free;
                return Ok(Happened::Free);
            }
            return Ok(Happened::Nothing);
        }
        client.sent = Instant::now();
        let asked = connection.ask(client.script.request());
        client.connection = Some(connection);
        Ok(match asked {
            Progress::Broken(outcome) => self.lose(index, outcome),
            _ => Happened::Nothing,
        })
    }

    /// The source of a connection that is made for a certain number of requests.
    pub(super) fn next_source(&mut self) -> Source {
        if self.plan.requests_per_connection.is_none() {
            return Source::Any;
        }
        self.opened = self.opened.wrapping_add(self.plan.threads.max(1) as u32);
        Source::Loopback(self.opened)
    }

    /// Asks for what counts next.
    pub(super) fn ask(&mut self, index: usize, due: Instant, now: Instant) -> Happened {
        let client = &mut self.all[index];
        client.script.prepare(&mut self.calls);
        (client.due, client.sent, client.state) = (due, now, State::Busy);
        client.answered = None;
        match client
            .connection
            .as_mut()
            .map(|connection| connection.ask(client.script.request()))
        {
            Some(Progress::Broken(_)) if self.is_worth_another(index) => self.ask_again(index),
            Some(Progress::Broken(outcome)) => self.end(index, outcome, None, After::Broken),
            Some(_) => Happened::Nothing,
            None => self.end(index, Outcome::Reset, None, After::Broken),
        }
    }

    /// Whether a client's request did not reach the server, because the connection had ended behind an answer.
    fn is_worth_another(&self, index: usize) -> bool {
        let client = &self.all[index];
        let is_unheard = client.connection.as_ref().is_some_and(Connection::is_unheard);
        let endpoint = &self.plan.speaker.endpoint;
        is_unheard && client.state == State::Busy && client.has_answered && !endpoint.framing.is_stream()
    }

    /// Asks the same over another connection.
    fn ask_again(&mut self, index: usize) -> Happened {
        self.renewed += 1;
        self.ask_anew(index)
    }

    /// Asks what is next over another connection.
    fn ask_anew(&mut self, index: usize) -> Happened {
        if self.renew(index).is_err() {
            return self.lose(index, Outcome::NoConnection);
        }
        self.ask_next(index)
    }

    /// Asks what the script says is next.
    fn ask_next(&mut self, index: usize) -> Happened {
        let client = &mut self.all[index];
        client.answered = None;
        let connection = client.connection.as_mut();
        match connection.map(|connection| connection.ask(client.script.request())) {
            Some(Progress::Broken(outcome)) => self.lose(index, outcome),
            _ => Happened::Nothing,
        }
    }

    /// Begins another connection; what the client says goes on where it is.
    fn renew(&mut self, index: usize) -> io::Result<()> {
        let source = self.next_source();
        let client = &mut self.all[index];
        // The old socket is closed first, so that its watch ends.
        client.connection = None;
        client.has_answered = false;
        client.left = self.plan.requests_per_connection.unwrap_or(u64::MAX);
        let connection = Connection::open(&self.plan.speaker.endpoint, source)?;
        self.poll.watch(connection.socket(), index)?;
        client.connection = Some(connection);
        Ok(())
    }

    /// Waits until something happens, or not longer than this. Returns how many clients it happened to.
    pub(super) fn wait(&mut self, patience: Duration) -> io::Result<usize> {
        if patience.is_zero() {
            return self.poll.wait(patience);
        }
        let begun = Instant::now();
        let ready = self.poll.wait(patience);
        self.waited += begun.elapsed();
        ready
    }

    /// Of each outcome that an answer explains, the text of the first.
    pub(super) fn firsts(&self) -> BTreeMap<Outcome, String> {
        self.judge.firsts().clone()
    }

    /// The client that event `number` of the last wait is about.
    pub(super) fn index(&self, number: usize) -> usize {
        self.poll.index(number)
    }

    /// Goes on after an event.
    pub(super) fn advance(&mut self, index: usize) -> io::Result<Happened> {
        let client = &mut self.all[index];
        let Some(connection) = &mut client.connection else {
            return Ok(Happened::Nothing);
        };
        let (request, asked) = (client.script.request(), client.script.asked());
        let progress = connection.progress(request, &mut self.buffer, &mut self.judge, asked);
        if let Progress::GaveWay = progress {
            self.poll.again(connection.socket(), index)?;
        }
        Ok(match progress {
            Progress::Waiting | Progress::GaveWay if connection.is_asking() => {
                if client.answered.is_none() && connection.has_answer() {
                    client.answered = Some(Instant::now());
                }
                if self.leaves_open && client.answered.is_some() {
                    self.take_answer(index)
                } else {
                    Happened::Nothing
                }
            }
            Progress::Waiting | Progress::GaveWay => {
                let is_made = client.state == State::Opening && connection.is_connected();
                if is_made && client.script.is_ready() {
                    client.state = State::Free;
                    Happened::Free
                } else {
                    Happened::Nothing
                }
            }
            Progress::Answered {
                outcome,
                retry_after,
                is_last,
            } => self.follow(index, outcome, retry_after, is_last),
            Progress::Broken(_) if self.is_worth_another(index) => self.ask_again(index),
            Progress::Broken(outcome) => self.lose(index, outcome),
        })
    }

    /// Goes on behind an answer: over the same connection, or over another one if that was its last.
    fn follow(
        &mut self,
        index: usize,
        outcome: Outcome,
        retry_after: Option<RetryAfter>,
        is_last: bool,
    ) -> Happened {
        let client = &mut self.all[index];
        (client.has_answered, client.failures) = (true, 0);
        let Some(connection) = &client.connection else {
            return Happened::Nothing;
        };
        match client.script.advance(outcome, connection, &mut self.calls) {
            Advance::More if is_last => {
                self.closed += 1;
                self.ask_anew(index)
            }
            Advance::More => self.ask_next(index),
            Advance::Ready => {
                if is_last {
                    self.closed += 1;
                    if self.renew(index).is_err() {
                        return self.lose(index, Outcome::NoConnection);
                    }
                }
                self.all[index].state = State::Free;
                Happened::Free
            }
            Advance::Done(outcome) if client.state == State::Opening => self.lose(index, outcome),
            Advance::Done(outcome) => {
                let after = if is_last { After::Closed } else { After::Usable };
                self.end(index, outcome, retry_after, after)
            }
        }
    }

    /// Whether its answer has come and the end of the stream around it has not, for too long.
    pub(super) fn is_left_open(&self, index: usize, now: Instant) -> bool {
        let client = &self.all[index];
        let is_asking = matches!(client.state, State::Busy | State::Opening);
        let answered = client.answered.filter(|_| is_asking);
        answered.is_some_and(|answered| now.saturating_duration_since(answered) > OPEN_PATIENCE)
    }

    /// Takes the answer of a stream that the server leaves open, and closes the connection.
    pub(super) fn leave(&mut self, index: usize) -> Happened {
        self.leaves_open = true;
        self.take_answer(index)
    }

    fn take_answer(&mut self, index: usize) -> Happened {
        let client = &mut self.all[index];
        let Some(connection) = &mut client.connection else {
            return Happened::Nothing;
        };
        match connection.take_answer(&mut self.judge, client.script.asked()) {
            Progress::Answered {
                outcome, retry_after, ..
            } => self.follow(index, outcome, retry_after, true),
            Progress::Broken(outcome) => self.lose(index, outcome),
            Progress::Waiting | Progress::GaveWay => Happened::Nothing,
        }
    }

    /// Gives up a request that has waited for too long.
    pub(super) fn give_up(&mut self, index: usize) -> Happened {
        match self.all[index].state {
            State::Busy | State::Opening if self.all[index].answered.is_some() => self.leave(index),
            _ => self.lose(index, Outcome::TimedOut),
        }
    }

    /// Whether the connection that ended last had an answer before, so that another is worth a try at once.
    pub(super) fn had_answer(&self, index: usize) -> bool {
        self.all[index].has_answered
    }

    fn end(
        &mut self,
        index: usize,
        outcome: Outcome,
        retry_after: Option<RetryAfter>,
        after: After,
    ) -> Happened {
        let client = &mut self.all[index];
        client.left = client.left.saturating_sub(1);
        let after = match after {
            After::Usable if client.left == 0 => After::Planned,
            after => after,
        };
        client.state = State::Free;
        if after != After::Usable {
            client.leave_connection();
        } else if !client.script.is_ready() {
            // Its session is gone; the connection is not.
            client.state = State::Opening;
        }
        Happened::Ended {
            outcome,
            retry_after,
            after,
        }
    }

    /// Opens a session anew over the connection that is there.
    pub(super) fn open_session(&mut self, index: usize) -> Happened {
        let client = &mut self.all[index];
        client.sent = Instant::now();
        self.ask_next(index)
    }

    fn lose(&mut self, index: usize, outcome: Outcome) -> Happened {
        let client = &mut self.all[index];
        if client.state == State::Busy {
            return self.end(index, outcome, None, After::Broken);
        }
        client.leave_connection();
        Happened::Lost(outcome)
    }
}

impl Client {
    /// Closes its connection. One that brought no answer is a failure.
    fn leave_connection(&mut self) {
        if !self.has_answered {
            self.failures = self.failures.saturating_add(1);
        }
        self.connection = None;
        self.state = State::Away;
    }
}
