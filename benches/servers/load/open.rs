//! The open loop: requests are due by the schedule, whether or not earlier ones were answered.
//!
//! Each goes out on the connection that has been free for longest, so that refusals, which free a connection early, do
//! not draw further requests to the shard that refused. When no connection is free, another is made. Coordinated
//! omission cannot happen: a latency begins when its request was due, and the report says how late requests went out.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use crate::connection::{Connection, Progress, Source};
use crate::poll::Poll;
use crate::records::{Record, report};
use crate::response::Outcome;
use crate::schedule::Schedule;
use crate::{Arguments, RECEIVE_BYTES, cpu_nanos};

/// The server takes connections meanwhile.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// How often the clock is looked at when nothing happens.
const POLL: Duration = Duration::from_millis(5);

struct OpenLoop<'a> {
    arguments: &'a Arguments,
    request: Vec<u8>,
    poll: Poll,
    started: Instant,
    slots: Vec<Slot>,
    /// Indices of connections with nothing to do, free for longest first.
    free: VecDeque<usize>,
    /// Offsets at which requests were due that found no connection.
    held: VecDeque<Duration>,
    counts: Counts,
    records: Vec<Record>,
    /// The server's CPU time when the last phase began and when it ended, in nanoseconds.
    cpu: Vec<u64>,
}

struct Slot {
    connection: Connection,
    /// Offsets at which its request was due and went out.
    due: Duration,
    sent: Duration,
}

/// The generator's own figures, for the reader to judge whether it kept up.
#[derive(Default)]
struct Counts {
    held: u64,
    reconnects: u64,
    idle_closes: u64,
}

/// Opens the connections, follows the schedule, waits for the last answers, reports.
pub(crate) fn run(arguments: &Arguments, request: Vec<u8>) -> io::Result<serde_json::Value> {
    let mut load = OpenLoop {
        arguments,
        request,
        poll: Poll::new()?,
        started: Instant::now(),
        slots: Vec::new(),
        free: VecDeque::new(),
        held: VecDeque::new(),
        counts: Counts::default(),
        records: Vec::new(),
        cpu: Vec::new(),
    };
    for index in 0..arguments.connections {
        load.add_connection(arguments.source(index))?;
    }
    load.wait_until_connected()?;
    load.follow(Schedule::new(
        arguments.phase.clone(),
        arguments.spread,
        arguments.seed,
    ))?;
    load.give_up();
    let mut report = report(&load.records, &arguments.phase, arguments.window_millis);
    if let [begin, end] = load.cpu[..] {
        let last = arguments.phase.len() - 1;
        let offered = report["phases"][last]["offered"].as_u64().unwrap_or(0);
        let micros = (end - begin) as f64 / 1e3 / offered.max(1) as f64;
        report["phases"][last]["server_cpu_micros_per_request"] = micros.into();
    }
    report["label"] = arguments.label.clone().into();
    report["connections"] = load.slots.len().into();
    report["held"] = load.counts.held.into();
    report["reconnects"] = load.counts.reconnects.into();
    report["idle_closes"] = load.counts.idle_closes.into();
    Ok(report)
}

impl OpenLoop<'_> {
    fn add_connection(&mut self, source: Source) -> io::Result<()> {
        let index = self.slots.len();
        let slot = self.open(index, source)?;
        self.slots.push(slot);
        self.free.push_back(index);
        Ok(())
    }

    fn open(&self, index: usize, source: Source) -> io::Result<Slot> {
        let connection = Connection::open(&self.arguments.address, source)?;
        self.poll.watch(&connection.socket, index)?;
        Ok(Slot {
            connection,
            due: Duration::ZERO,
            sent: Duration::ZERO,
        })
    }

    fn wait_until_connected(&mut self) -> io::Result<()> {
        let end = Instant::now() + CONNECT_PATIENCE;
        while !self.slots.iter().all(|slot| slot.connection.is_connected()) {
            if Instant::now() > end {
                return Err(io::Error::other("the server does not take the connections"));
            }
            self.poll.wait(POLL)?;
        }
        Ok(())
    }

    fn follow(&mut self, schedule: Schedule) -> io::Result<()> {
        let length: Duration = self.arguments.phase.iter().map(|phase| phase.length).sum();
        let last = self.arguments.phase.last().map_or(length, |phase| phase.length);
        let looks = [length - last, length];
        let end = length + Duration::from_secs_f64(self.arguments.patience);
        let mut schedule = schedule.peekable();
        let mut buffer = vec![0; RECEIVE_BYTES];
        self.started = Instant::now();
        loop {
            let now = self.started.elapsed();
            if let (Some(pid), Some(look)) = (self.arguments.pid, looks.get(self.cpu.len()))
                && now >= *look
            {
                self.cpu.push(cpu_nanos(pid)?);
            }
            while let Some(due) = schedule.next_if(|due| *due <= now) {
                self.dispatch(due)?;
            }
            let is_watched = self.arguments.pid.is_some() && self.cpu.len() < looks.len();
            let is_done = schedule.peek().is_none() && self.free.len() == self.slots.len() && !is_watched;
            if is_done || now > end {
                return Ok(());
            }
            let next = schedule
                .peek()
                .map_or(POLL, |due| due.saturating_sub(self.started.elapsed()));
            for number in 0..self.poll.wait(next.min(POLL))? {
                self.advance(self.poll.index(number), &mut buffer)?;
            }
        }
    }

    fn dispatch(&mut self, due: Duration) -> io::Result<()> {
        if self.free.is_empty() && self.slots.len() < self.arguments.connections_max {
            self.add_connection(Source::Any)?;
        }
        match self.free.pop_front() {
            Some(index) => self.ask(index, due),
            None => {
                self.counts.held += 1;
                self.held.push_back(due);
                Ok(())
            }
        }
    }

    fn ask(&mut self, index: usize, due: Duration) -> io::Result<()> {
        let slot = &mut self.slots[index];
        (slot.due, slot.sent) = (due, self.started.elapsed());
        match slot.connection.ask(&self.request) {
            Progress::Broken(outcome) => self.fail(index, outcome),
            _ => Ok(()),
        }
    }

    fn advance(&mut self, index: usize, buffer: &mut [u8]) -> io::Result<()> {
        let connection = &mut self.slots[index].connection;
        match connection.progress(&self.request, buffer) {
            Progress::Waiting => Ok(()),
            Progress::Answered { outcome, is_last } => {
                self.record(index, outcome);
                if is_last {
                    self.reconnect(index)?;
                }
                self.release(index)
            }
            Progress::Broken(outcome) if connection.is_asking() => self.fail(index, outcome),
            Progress::Broken(_) => {
                // It stays where it is among the free ones.
                self.counts.idle_closes += 1;
                self.reconnect(index)
            }
        }
    }

    fn fail(&mut self, index: usize, outcome: Outcome) -> io::Result<()> {
        self.record(index, outcome);
        self.reconnect(index)?;
        self.release(index)
    }

    fn release(&mut self, index: usize) -> io::Result<()> {
        match self.held.pop_front() {
            Some(due) => self.ask(index, due),
            None => {
                self.free.push_back(index);
                Ok(())
            }
        }
    }

    fn record(&mut self, index: usize, outcome: Outcome) {
        let Slot { due, sent, .. } = self.slots[index];
        let ended = self.started.elapsed();
        self.records.push(Record {
            due,
            sent,
            ended,
            outcome,
        });
    }

    /// Dropping the old socket closes it and ends its watch.
    fn reconnect(&mut self, index: usize) -> io::Result<()> {
        self.counts.reconnects += 1;
        self.slots[index] = self.open(index, Source::Any)?;
        Ok(())
    }

    /// Counts requests without an answer, which never get one now.
    fn give_up(&mut self) {
        let ended = self.started.elapsed();
        let outcome = Outcome::Unanswered;
        let asking = self.slots.iter().filter(|slot| slot.connection.is_asking());
        self.records.extend(asking.map(|slot| Record {
            due: slot.due,
            sent: slot.sent,
            ended,
            outcome,
        }));
        self.records.extend(self.held.drain(..).map(|due| Record {
            due,
            sent: ended,
            ended,
            outcome,
        }));
    }
}
