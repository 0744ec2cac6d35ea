//! One client connection: begins to connect, sends a request, reads its answer; never blocks.
//!
//! It has one request at a time. Its owner measures the time; the connection only reports what came. A WebSocket opens
//! before its first request goes out; that is part of connecting.

use std::io::{self, Read, Write};
use std::mem;
use std::ops::Range;

use socket2::{SockRef, Socket};

use super::address::{Line, Source};
use super::frames::{Endpoint, Framing, pong, upgrade};
use super::judge::{Asked, Judge, Verdict, answer_in};
use super::outcome::Outcome;
use super::response::{self, Front, Payload};

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
    is_asking: bool,
}

/// The state of a connection after an event.
pub(crate) enum Progress {
    Waiting,
    Answered {
        outcome: Outcome,
        /// Seconds.
        retry_after: Option<u32>,
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
            is_asking: false,
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
        self.received.drain(..self.answer.end);
        self.answer = 0..0;
        match self.write(request) {
            Ok(()) => Progress::Waiting,
            Err(_) => Progress::Broken(Outcome::Reset),
        }
    }

    pub(crate) fn is_asking(&self) -> bool {
        self.is_asking
    }

    /// The bytes of the last answer.
    pub(crate) fn answer(&self) -> &[u8] {
        &self.received[self.answer.clone()]
    }

    /// The last answer's status and message.
    pub(crate) fn message(&self) -> Option<(u16, Option<serde_json::Value>)> {
        match self.framing.front(self.answer()) {
            Front::Whole(reply) => Some((reply.status, answer_in(&reply.payload))),
            _ => None,
        }
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
        if self.write(request).is_err() {
            return Progress::Broken(self.end());
        }
        loop {
            match self.line.socket.read(buffer) {
                Ok(0) => return Progress::Broken(self.end()),
                Ok(count) => {
                    self.received.extend_from_slice(&buffer[..count]);
                    if let Found::Answer(progress) = self.find(judge, asked) {
                        return progress;
                    }
                    if self.write(request).is_err() {
                        return Progress::Broken(self.end());
                    }
                }
                Err(error) if is_not_yet(&error) => return Progress::Waiting,
                Err(_) => return Progress::Broken(self.end()),
            }
        }
    }

    /// Looks for the answer in what was received.
    fn find(&mut self, judge: &mut Judge, asked: &Asked) -> Found {
        if self.is_asking && self.answer.end == 0 && judge.is_known(&self.received, asked) {
            return self.answered(0..self.received.len(), Outcome::Ok, None, false);
        }
        loop {
            let start = self.answer.end;
            let rest = &self.received[start..];
            if rest.is_empty() {
                return Found::Nothing;
            }
            let front = if self.is_opening {
                response::front(rest)
            } else {
                self.framing.front(rest)
            };
            match front {
                Front::Incomplete => return Found::Nothing,
                Front::Malformed => return broken(Outcome::Malformed),
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
                            return self.answered(start..start + bytes, outcome, retry_after, is_last);
                        }
                        // HTTP has no answer behind the answer.
                        Verdict::Answer(_) => {
                            return broken(match response::front(&rest[bytes..]) {
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
        self.received.drain(self.answer.end..self.answer.end + bytes);
    }

    fn answered(
        &mut self,
        answer: Range<usize>,
        outcome: Outcome,
        retry_after: Option<u32>,
        is_last: bool,
    ) -> Found {
        self.is_asking = false;
        self.answer = answer;
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

    /// How a connection ended that ended now.
    fn end(&self) -> Outcome {
        if self.is_asking && self.received.len() > self.answer.end {
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
