//! The closed loop: every connection has one request outstanding, always.
//!
//! The next request follows a refusal at once, as it does any answer. A connection that ends is made anew from wherever
//! the kernel likes, and counted: one with a source port of its own is then out of place.

use std::io;
use std::time::{Duration, Instant};

use crate::connection::{Connection, Progress, Source};
use crate::life_cycle::LifeCycle;
use crate::numbers::Numbers;
use crate::poll::Poll;
use crate::response::Outcome;
use crate::tally::Tally;
use crate::{Arguments, RECEIVE_BYTES, cpu_nanos};

/// How often the clock is read when nothing happens.
const POLL: Duration = Duration::from_millis(5);

struct ClosedLoop<'a> {
    arguments: &'a Arguments,
    request: Vec<u8>,
    poll: Poll,
    slots: Vec<Slot>,
    opened: u32,
    reconnects: u64,
    /// The ids of requests, if each has one of its own.
    numbers: Option<Numbers>,
    tally: Tally,
}

struct Slot {
    connection: Connection,
    /// When the request, or under churn the connection, or the life cycle was begun.
    begun: Instant,
    course: Course,
}

/// What a connection sends.
enum Course {
    /// The same request, always.
    Same,
    /// The same but for its id.
    Numbered(Vec<u8>),
    /// Where it stands, as its requests differ.
    Cycle(Box<LifeCycle>),
}

/// The request that a connection sends next.
fn request<'a>(every: &'a [u8], course: &'a Course) -> &'a [u8] {
    match course {
        Course::Same => every,
        Course::Numbered(own) => own,
        Course::Cycle(cycle) => cycle.request(),
    }
}

/// Warms up, measures, reports.
pub(crate) fn run(arguments: &Arguments, request: Vec<u8>) -> io::Result<serde_json::Value> {
    let numbers = if arguments.unique_ids {
        let missing = || io::Error::other("the body has no id of ten digits");
        Some(Numbers::of(&request).ok_or_else(missing)?)
    } else {
        None
    };
    let mut load = ClosedLoop {
        arguments,
        request,
        poll: Poll::new()?,
        slots: Vec::new(),
        opened: 0,
        reconnects: 0,
        numbers,
        tally: Tally::new(),
    };
    for index in 0..arguments.connections {
        let source = if arguments.churn {
            load.churn_source()
        } else {
            arguments.source(index)
        };
        let slot = load.open(index, source)?;
        load.slots.push(slot);
    }
    load.run_until(Instant::now() + Duration::from_secs_f64(arguments.warm_up))?;
    load.tally = Tally::new();
    let cpu_before = arguments.pid.map(cpu_nanos).transpose()?;
    let started = Instant::now();
    load.run_until(started + Duration::from_secs_f64(arguments.seconds))?;
    let elapsed = started.elapsed();
    let cpu_after = arguments.pid.map(cpu_nanos).transpose()?;
    for slot in &load.slots {
        load.tally.record_outstanding(slot.begun.max(started).elapsed());
    }
    let mut report = load.tally.report(elapsed);
    let cpu_nanos = cpu_before.zip(cpu_after).map(|(before, after)| after - before);
    let cpu_micros = cpu_nanos.map(|nanos| nanos as f64 / 1e3 / load.tally.answered().max(1) as f64);
    report.insert("label".to_owned(), arguments.label.clone().into());
    report.insert("connections".to_owned(), arguments.connections.into());
    report.insert("churn".to_owned(), arguments.churn.into());
    report.insert("reconnects".to_owned(), load.reconnects.into());
    report.insert("server_cpu_micros_per_request".to_owned(), cpu_micros.into());
    Ok(report.into())
}

impl ClosedLoop<'_> {
    fn run_until(&mut self, end: Instant) -> io::Result<()> {
        let mut buffer = vec![0; RECEIVE_BYTES];
        while Instant::now() < end {
            for number in 0..self.poll.wait(POLL)? {
                self.advance(self.poll.index(number), &mut buffer)?;
            }
        }
        Ok(())
    }

    fn advance(&mut self, index: usize, buffer: &mut [u8]) -> io::Result<()> {
        let slot = &mut self.slots[index];
        let sent = request(&self.request, &slot.course);
        match slot.connection.progress(sent, buffer) {
            Progress::Waiting => Ok(()),
            Progress::Answered { outcome, is_last } => {
                let ended = match &mut slot.course {
                    Course::Cycle(cycle) => cycle.advance(outcome, slot.connection.answer()),
                    Course::Same | Course::Numbered(_) => Some(outcome),
                };
                if let Some(outcome) = ended {
                    self.tally.record(outcome, slot.begun.elapsed());
                }
                if self.arguments.churn {
                    let source = self.churn_source();
                    return self.replace(index, source);
                }
                if is_last {
                    return self.reconnect(index);
                }
                if ended.is_some() {
                    slot.begun = Instant::now();
                }
                if let (Course::Numbered(own), Some(numbers)) = (&mut slot.course, &mut self.numbers) {
                    numbers.put_next(own);
                }
                match slot.connection.ask(request(&self.request, &slot.course)) {
                    Progress::Broken(outcome) => self.fail(index, outcome),
                    _ => Ok(()),
                }
            }
            Progress::Broken(outcome) => self.fail(index, outcome),
        }
    }

    fn fail(&mut self, index: usize, outcome: Outcome) -> io::Result<()> {
        self.tally.record(outcome, Duration::ZERO);
        self.reconnect(index)
    }

    fn reconnect(&mut self, index: usize) -> io::Result<()> {
        self.reconnects += 1;
        self.replace(index, Source::Any)
    }

    /// Dropping the old socket closes it and ends its watch.
    fn replace(&mut self, index: usize, source: Source) -> io::Result<()> {
        self.slots[index] = self.open(index, source)?;
        Ok(())
    }

    fn churn_source(&mut self) -> Source {
        self.opened = self.opened.wrapping_add(1);
        Source::Loopback(self.opened)
    }

    /// A connection with its first request begun.
    fn open(&mut self, index: usize, source: Source) -> io::Result<Slot> {
        let begun = Instant::now();
        let mut connection = if self.arguments.websocket {
            Connection::open_websocket(&self.arguments.address, &self.arguments.path)?
        } else {
            Connection::open(&self.arguments.address, source)?
        };
        let course = if self.arguments.life_cycle {
            let cycle = LifeCycle::new(&self.arguments.address, &self.arguments.path);
            Course::Cycle(Box::new(cycle))
        } else if let Some(numbers) = &mut self.numbers {
            let mut own = self.request.clone();
            numbers.put_next(&mut own);
            Course::Numbered(own)
        } else {
            Course::Same
        };
        // A failure shows again at the first event.
        let _ = connection.ask(request(&self.request, &course));
        self.poll.watch(&connection.socket, index)?;
        Ok(Slot {
            connection,
            begun,
            course,
        })
    }
}
