//! Connections that are there beside the load: idle ones, and open streams of events.
//!
//! A thread reads what comes over the streams and drops it. Those that end while the run lasts are counted.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::load::discover::stream_request;
use crate::load::figures::Beside;
use crate::load::peer::{Connection, Poll, Source};
use crate::load::plan::Plan;

/// How often it is looked whether the run is over.
const LOOK: Duration = Duration::from_millis(20);
/// The server takes the connections meanwhile, and longer for many.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of one connection, before others have their turn.
const READS_MAX: usize = 16;
const PATIENCE_EACH: Duration = Duration::from_millis(2);

/// Connections, all of them open.
pub(super) struct Others {
    poll: Poll,
    /// `None` once one has ended.
    all: Vec<Option<Connection>>,
    beside: Beside,
}

impl Others {
    /// Opens them, and waits until they are.
    pub(super) fn open(plan: &Plan) -> io::Result<Others> {
        let mut others = Others {
            poll: Poll::new()?,
            all: Vec::new(),
            beside: Beside {
                idle: plan.idle,
                streams: plan.streams,
                ended: 0,
            },
        };
        let endpoint = &plan.speaker.endpoint;
        for index in 0..plan.idle + plan.streams {
            let connection = Connection::open(endpoint, Source::Any)?;
            others.poll.watch(connection.socket(), index)?;
            others.all.push(Some(connection));
        }
        let count = others.all.len();
        let end = Instant::now() + PATIENCE + PATIENCE_EACH * count as u32;
        while !others.all.iter().flatten().all(Connection::is_connected) {
            if Instant::now() > end {
                let text = format!("the server does not take {count} connections beside the load");
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            others.poll.wait(LOOK)?;
        }
        for connection in others.all[plan.idle..].iter().flatten() {
            let request = stream_request(&plan.speaker).map_err(io::Error::other)?;
            // A connection that was just made takes so few bytes at once.
            connection.socket().write_all(&request)?;
        }
        Ok(others)
    }

    /// Reads until the run is over.
    pub(super) fn stay(mut self, is_over: &AtomicBool) -> io::Result<Beside> {
        let mut buffer = vec![0; 16 << 10];
        while !self.all.is_empty() && !is_over.load(Ordering::Relaxed) {
            for number in 0..self.poll.wait(LOOK)? {
                let index = self.poll.index(number);
                let Some(connection) = &self.all[index] else {
                    continue;
                };
                match drain(connection, &mut buffer) {
                    Left::Nothing => {}
                    Left::More => self.poll.again(connection.socket(), index)?,
                    Left::End => {
                        self.all[index] = None;
                        self.beside.ended += 1;
                    }
                }
            }
        }
        Ok(self.beside)
    }
}

/// What a connection has left to read.
enum Left {
    Nothing,
    More,
    End,
}

/// Reads and drops what came, some of it at a time.
fn drain(connection: &Connection, buffer: &mut [u8]) -> Left {
    for _ in 0..READS_MAX {
        match connection.socket().read(buffer) {
            Ok(0) => return Left::End,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Left::Nothing,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Left::End,
        }
    }
    Left::More
}
