//! One client connection: begins to connect, sends a request, reads its answer; never blocks.
//!
//! It has one request at a time. Its owner measures the time; the connection only reports what came. A WebSocket opens
//! before its first request goes out; that is part of connecting.

use std::io::{self, Read, Write};
use std::mem;
use std::ops::Range;
use std::process::ExitStatus;

use socket2::{SockRef, Socket};

use super::address::{Line, Source};
use super::frames::{Endpoint, Framing, pong, upgrade};
use super::judge::{Asked, Judge, Verdict, answer_in};
use super::outcome::Outcome;
use super::response::{ANSWER_BYTES_MAX, Front, Payload, Reading, RetryAfter};

/// Bytes that one turn reads at most, so that a server that never stops does not keep everybody else from theirs.
const TURN_BYTES: usize = 256 << 10;

pub(crate) struct Connection {
    line: Line,
    framing: Framing,
    /// Whether it is a WebSocket whose opening has not been answered.
    is_opening: bool,
    /// Bytes of its own that go out before the request: the opening, answers to pings.
    own: Vec<u8>,
    own_written: usize,
    written: usize,
    received: Vec<u8>,
    /// Where the last answer lies in what was received.
    answer: Range<usize>,
    /// Where in it the bytes begin that were not understood yet, and how far those were read.
    unread: usize,
    reading: Reading,
    is_asking: bool,
    is_unheard: bool,
}

/// The state of a connection after an event.
pub(crate) enum Progress {
    Waiting,
    /// There is more to read at once.
    GaveWay,
    Answered {
        outcome: Outcome,
        retry_after: Option<RetryAfter>,
        is_last: bool,
    },
    /// The connection is of no further use.
    Broken(Outcome),
}

/// What an event's bytes were.
enum Found {
    /// It takes more of them.
    Nothing,
    Answer(Progress),
}

impl Connection {
    /// Starts connecting.
    pub(crate) fn open(endpoint: &Endpoint, source: Source) -> io::Result<Self> {
        let is_opening = endpoint.framing == Framing::WebSocket;
        let own = if is_opening {
            upgrade(&endpoint.path, &endpoint.host, &endpoint.headers)
        } else {
            Vec::new()
        };
        Ok(Connection {
            line: endpoint.address.connect(source)?,
            framing: endpoint.framing,
            is_opening,
            own,
            own_written: 0,
            written: 0,
            received: Vec::new(),
            answer: 0..0,
            unread: 0,
            reading: Reading::default(),
            is_asking: false,
            is_unheard: false,
        })
    }

    pub(crate) fn socket(&self) -> &Socket {
        &self.line.socket
    }

    /// Begins a request. What cannot be written yet, because the connection is still being made or the socket
    /// is full, goes out at the next event.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Progress {
        debug_assert!(!self.is_asking, "one request at a time");
        self.is_asking = true;
        self.written = 0;
        self.received.drain(..self.unread);
        self.answer = 0..0;
        self.unread = 0;
        match self.write(request) {
            Ok(()) => Progress::Waiting,
            Err(error) => self.broken_by(&error),
        }
    }

    /// Whether the server ended the connection without reading what was last asked, as far as one can tell. Servers may
    /// do so behind any answer, and clients ask again over another connection.
    pub(crate) fn is_unheard(&self) -> bool {
        self.is_unheard
    }

    pub(crate) fn is_asking(&self) -> bool {
        self.is_asking
    }

    /// Whether the answer is there, in a stream of events that has not ended. Looks at what is new since it was last
    /// asked.
    pub(crate) fn has_answer(&mut self) -> bool {
        if !self.is_asking || self.framing != Framing::Http {
            return false;
        }
        let events = self.reading.new_events(&self.received[self.unread..]);
        events.is_some_and(|events| answer_in(&Payload::Events(events.into())).is_some())
    }

    /// Takes the answer that is there, and does not wait for the end of its stream.
    pub(crate) fn take_answer(&mut self, judge: &mut Judge, asked: &Asked) -> Progress {
        let rest = &self.received[self.unread..];
        let Some(reply) = self.reading.open_reply(rest) else {
            return Progress::Broken(self.end());
        };
        let (bytes, retry_after) = (reply.bytes, reply.retry_after);
        let outcome = match judge.judge(rest, &reply, asked) {
            Verdict::Answer(outcome) => outcome,
            Verdict::Other => Outcome::Malformed,
        };
        match self.answered(bytes, outcome, retry_after, true) {
            Found::Answer(progress) => progress,
            Found::Nothing => Progress::Waiting,
        }
    }

    /// The bytes of the last answer.
    pub(crate) fn answer(&self) -> &[u8] {
        &self.received[self.answer.clone()]
    }

    /// How the process at its other end ended, if it did.
    pub(crate) fn exit(&mut self) -> Option<ExitStatus> {
        self.line.exit()
    }

    /// The last answer's status and message.
    pub(crate) fn message(&self) -> Option<(u16, Option<serde_json::Value>)> {
        let mut reading = Reading::default();
        match self.framing.front(&mut reading, self.answer(), true) {
            Front::Whole(reply) => return Some((reply.status, answer_in(&reply.payload))),
            Front::Incomplete => {}
            _ => return None,
        }
        // It was taken from a stream that is still open.
        reading.new_events(self.answer())?;
        let reply = reading.open_reply(self.answer())?;
        Some((reply.status, answer_in(&reply.payload)))
    }

    /// Whether the connection is made.
    pub(crate) fn is_connected(&self) -> bool {
        !self.is_opening && self.line.socket.peer_addr().is_ok()
    }

    /// Goes on after an event. `request` is what was last asked.
    pub(crate) fn progress(
        &mut self,
        request: &[u8],
        buffer: &mut [u8],
        judge: &mut Judge,
        asked: &Asked,
    ) -> Progress {
        if let Err(error) = self.write(request) {
            return self.broken_by(&error);
        }
        let mut left = TURN_BYTES;
        while left > 0 {
            match self.line.socket.read(buffer) {
                Ok(0) => {
                    // That may be what says that the answer is whole.
                    return match self.find(judge, asked, true) {
                        Found::Answer(progress) => progress,
                        Found::Nothing => {
                            // An end that crossed with the request does not acknowledge it. Soon the other kernel says
                            // so of requests that were sent behind the end, and nothing is left to acknowledge then.
                            let kind = match self.line.unacknowledged() {
                                0 => io::ErrorKind::UnexpectedEof,
                                _ => io::ErrorKind::ConnectionReset,
                            };
                            let error = self.line.socket.take_error().ok().flatten();
                            self.broken_by(&error.unwrap_or_else(|| kind.into()))
                        }
                    };
                }
                Ok(count) => {
                    left = left.saturating_sub(count);
                    self.received.extend_from_slice(&buffer[..count]);
                    if let Found::Answer(progress) = self.find(judge, asked, false) {
                        return progress;
                    }
                    if let Err(error) = self.write(request) {
                        return self.broken_by(&error);
                    }
                }
                Err(error) if is_not_yet(&error) => return Progress::Waiting,
                Err(error) => return self.broken_by(&error),
            }
        }
        Progress::GaveWay
    }

    /// Looks for the answer in what was received; `is_ended` says that nothing will follow.
    fn find(&mut self, judge: &mut Judge, asked: &Asked, is_ended: bool) -> Found {
        if self.is_asking && self.unread == 0 && judge.is_known(&self.received, asked) {
            return self.answered(self.received.len(), Outcome::Ok, None, false);
        }
        loop {
            let rest = &self.received[self.unread..];
            if rest.is_empty() {
                return Found::Nothing;
            }
            let front = if self.is_opening {
                self.reading.front(rest, is_ended)
            } else {
                self.framing.front(&mut self.reading, rest, is_ended)
            };
            match front {
                Front::Incomplete if rest.len() > ANSWER_BYTES_MAX => return broken(Outcome::TooLarge),
                Front::Incomplete => {
                    // What was skipped is of no use; the answer before it may be.
                    self.received.drain(self.answer.end..self.unread);
                    self.unread = self.answer.end;
                    return Found::Nothing;
                }
                Front::Malformed => return broken(Outcome::Malformed),
                Front::TooLarge => return broken(Outcome::TooLarge),
                Front::Empty(bytes) => self.skip(bytes),
                Front::Ping { bytes, payload } => {
                    let mut answer = Vec::new();
                    pong(payload, &mut answer);
                    self.own.extend(answer);
                    self.skip(bytes);
                }
                Front::Whole(reply) if self.is_opening => {
                    if reply.status != 101 {
                        return broken(Outcome::Status(reply.status));
                    }
                    self.is_opening = false;
                    let bytes = reply.bytes;
                    self.skip(bytes);
                }
                Front::Whole(reply) => {
                    let (bytes, retry_after, is_last) = (reply.bytes, reply.retry_after, reply.is_last);
                    let verdict = judge.judge(&rest[..bytes], &reply, asked);
                    match verdict {
                        Verdict::Other if self.framing.is_stream() => self.skip(bytes),
                        Verdict::Other => return broken(Outcome::Malformed),
                        Verdict::Answer(outcome) if !self.is_asking => return broken(unasked(outcome)),
                        Verdict::Answer(outcome) if self.framing.is_stream() || bytes == rest.len() => {
                            return self.answered(bytes, outcome, retry_after, is_last);
                        }
                        // HTTP has no answer behind the answer.
                        Verdict::Answer(_) => {
                            return broken(match Reading::default().front(&rest[bytes..], false) {
                                Front::Whole(second) if is_same(&reply.payload, &second.payload) => {
                                    Outcome::Twice
                                }
                                _ => Outcome::Malformed,
                            });
                        }
                    }
                }
            }
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.unread += bytes;
        self.reading = Reading::default();
    }

    /// The next so many bytes are the answer.
    fn answered(
        &mut self,
        bytes: usize,
        outcome: Outcome,
        retry_after: Option<RetryAfter>,
        is_last: bool,
    ) -> Found {
        self.is_asking = false;
        self.answer = self.unread..self.unread + bytes;
        self.skip(bytes);
        Found::Answer(if outcome.is_end() {
            Progress::Broken(outcome)
        } else {
            Progress::Answered {
                outcome,
                retry_after,
                is_last,
            }
        })
    }

    /// A server that closes a connection with a request in it resets it, or has done so before the request came.
    fn broken_by(&mut self, error: &io::Error) -> Progress {
        let is_unreached = matches!(
            error.kind(),
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
        );
        if is_unreached {
            return Progress::Broken(Outcome::NoConnection);
        }
        let outcome = self.end();
        let is_closed = matches!(
            error.kind(),
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
        );
        self.is_unheard = is_closed && outcome == Outcome::Reset;
        Progress::Broken(outcome)
    }

    /// How a connection ended that ended now.
    fn end(&self) -> Outcome {
        if self.is_asking && self.received.len() > self.unread {
            Outcome::Cut
        } else {
            Outcome::Reset
        }
    }

    fn write(&mut self, request: &[u8]) -> io::Result<()> {
        if !self.own.is_empty() {
            let own = mem::take(&mut self.own);
            let written = write_from(&self.line.socket, &own, &mut self.own_written);
            if self.own_written < own.len() {
                self.own = own;
                return written;
            }
            self.own_written = 0;
        }
        if self.is_opening || !self.is_asking {
            return Ok(());
        }
        write_from(&self.line.socket, request, &mut self.written)
    }
}

fn broken(outcome: Outcome) -> Found {
    Found::Answer(Progress::Broken(outcome))
}

/// What an answer is that came when nothing was asked.
fn unasked(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Ok | Outcome::WrongId | Outcome::Twice => Outcome::Twice,
        _ => Outcome::Malformed,
    }
}

/// Whether two answers are to the same request.
fn is_same(first: &Payload<'_>, second: &Payload<'_>) -> bool {
    let id = |payload| {
        answer_in(payload).and_then(|mut message| message.get_mut("id").map(serde_json::Value::take))
    };
    id(first).is_some_and(|first| id(second) == Some(first))
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected
    )
}

fn write_from(mut socket: &Socket, bytes: &[u8], written: &mut usize) -> io::Result<()> {
    while *written < bytes.len() {
        match socket.write(&bytes[*written..]) {
            Ok(count) => *written += count,
            Err(error) if is_not_yet(&error) => {
                // It is still connecting, or full: the next edge continues.
                return match SockRef::from(socket).take_error()? {
                    None => Ok(()),
                    Some(error) => Err(error),
                };
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
