//! Runs a plan: threads that each have their share of the clients, and one that starts them and looks on.

mod beside;
mod clients;
mod observer;
mod own;
mod worker;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::discover::end_sessions;
use super::figures::{Beside, Counts, Measurement};
use super::plan::Plan;
use beside::Others;
pub(crate) use observer::Live;
use own::cpu_nanos;
use worker::{Outcomes, Worker};

/// How often somebody who looks on is told.
const LOOK: Duration = Duration::from_millis(200);
/// From the moment when all are ready to the start.
const LEAD: Duration = Duration::from_millis(2);

/// What threads say of themselves.
enum Said {
    Ready,
    /// Its clients could not be opened.
    GaveUp,
    Live(Live),
    Done(usize, Box<Outcomes>),
}

/// Runs all of it. `watch` is called now and then with what happened since the start.
///
/// # Errors
/// Fails when connections or sessions cannot be opened at the beginning. What fails later is counted.
pub(crate) fn run(plan: &Plan, mut watch: impl FnMut(Duration, &Live)) -> io::Result<Measurement> {
    let threads = plan.threads.max(1);
    let is_over = AtomicBool::new(false);
    let others = Others::open(plan)?;
    thread::scope(|scope| {
        let beside = scope.spawn(|| others.stay(&is_over));
        let (said, hears) = channel();
        let mut starts = Vec::new();
        let mut workers = Vec::new();
        for index in 0..threads {
            let (start, started) = channel();
            starts.push(start);
            let said = said.clone();
            workers.push(scope.spawn(move || work(plan, index, said, &started)));
        }
        drop(said);
        pin(plan, 0);
        let begun = begin(&hears, &starts, threads);
        let seen = begun.map(|started| look_on(plan, started, &hears, &mut watch));
        // Workers that wait for the start leave without it.
        drop(starts);
        let mut failure = None;
        let joined: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        is_over.store(true, Ordering::Relaxed);
        let beside = beside.join();
        for worker in joined {
            match worker {
                Ok(Ok(())) => {}
                Ok(Err(error)) => failure = failure.or(Some(error)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        match (failure, seen) {
            (Some(error), _) => Err(error),
            (None, Some(seen)) => {
                let mut measurement = merged(plan, seen?)?;
                measurement.beside = beside.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
                Ok(measurement)
            }
            (None, None) => Err(io::Error::other("no thread began")),
        }
    })
}

fn work(plan: &Plan, index: usize, said: Sender<Said>, started: &Receiver<Instant>) -> io::Result<()> {
    pin(plan, index);
    let opened = Worker::new(plan, index).and_then(|mut worker| worker.open().map(|()| worker));
    // Either way, because the other threads wait for one another.
    let _ = said.send(if opened.is_ok() { Said::Ready } else { Said::GaveUp });
    let mut worker = opened?;
    let Ok(start) = started.recv() else {
        return Ok(());
    };
    let outcomes = worker.run(start, |live| {
        let _ = said.send(Said::Live(live));
    })?;
    let _ = said.send(Said::Done(index, Box::new(outcomes)));
    // Who looks on has all that counts.
    drop(said);
    // An open loop that came to its end has waited for its answers.
    if plan.open().is_none() || plan.is_interrupted() {
        worker.drain()?;
    }
    Ok(())
}

fn pin(plan: &Plan, index: usize) {
    if !plan.cpus.is_empty() {
        let id = plan.cpus[index % plan.cpus.len()];
        core_affinity::set_for_current(core_affinity::CoreId { id });
    }
}

/// Starts all when all are ready; `None` if one gave up.
fn begin(hears: &Receiver<Said>, starts: &[Sender<Instant>], threads: usize) -> Option<Instant> {
    for _ in 0..threads {
        match hears.recv() {
            Ok(Said::Ready) => {}
            _ => return None,
        }
    }
    let started = Instant::now() + LEAD;
    for start in starts {
        let _ = start.send(started);
    }
    Some(started)
}

/// What the threads saw, and the server's CPU time.
struct SeenByAll {
    outcomes: Vec<Option<Box<Outcomes>>>,
    server_cpu: Option<Duration>,
    /// When it was interrupted, from the start.
    interrupted: Option<Duration>,
}

fn look_on(
    plan: &Plan,
    started: Instant,
    hears: &Receiver<Said>,
    watch: &mut impl FnMut(Duration, &Live),
) -> io::Result<SeenByAll> {
    let mut outcomes: Vec<_> = (0..plan.threads.max(1)).map(|_| None).collect();
    let mut cpu = Vec::new();
    let mut live = Live::default();
    let mut next = started + LOOK;
    let looks = plan.looks();
    loop {
        let now = Instant::now();
        if let (Some(pid), Some(look)) = (plan.server, looks.get(cpu.len()))
            && now >= started + *look
        {
            cpu.push(cpu_nanos(pid)?);
        }
        if now >= next {
            live.length = LOOK + now.saturating_duration_since(next);
            watch(now.saturating_duration_since(started), &live);
            live = Live::default();
            next = now + LOOK;
        }
        let look = looks.get(cpu.len()).filter(|_| plan.server.is_some());
        let until = look.map_or(next, |look| next.min(started + *look));
        match hears.recv_timeout(until.saturating_duration_since(now)) {
            Ok(Said::Live(seen)) => live.add(&seen),
            Ok(Said::Done(index, seen)) => outcomes[index] = Some(seen),
            Ok(Said::Ready | Said::GaveUp) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let server_cpu = match cpu[..] {
        [before, after] => Some(Duration::from_nanos(after - before)),
        // The threads were done a little before the last look was due.
        [before] => plan
            .server
            .map(|pid| cpu_nanos(pid).map(|after| Duration::from_nanos(after - before)))
            .transpose()?,
        _ => None,
    };
    Ok(SeenByAll {
        outcomes,
        server_cpu,
        interrupted: plan.is_interrupted().then(|| started.elapsed()),
    })
}

fn merged(plan: &Plan, seen: SeenByAll) -> io::Result<Measurement> {
    let mut all: Option<Measurement> = None;
    let mut sessions = Vec::new();
    for outcomes in seen.outcomes {
        let Some(outcomes) = outcomes else {
            return Err(io::Error::other("a thread ended early"));
        };
        let Outcomes {
            seen,
            counts,
            firsts,
            clients,
            sessions: open,
            own,
            elapsed,
        } = *outcomes;
        sessions.extend(open);
        match &mut all {
            Some(all) => {
                all.elapsed = all.elapsed.max(elapsed);
                all.tally.add(&seen.tally);
                all.timeline.add(&seen.timeline);
                all.records.add(seen.records);
                all.counts.add(counts);
                for (outcome, text) in firsts {
                    all.firsts.entry(outcome).or_insert(text);
                }
                all.clients += clients;
                all.own.add(own);
            }
            None => {
                all = Some(Measurement {
                    elapsed,
                    tally: seen.tally,
                    timeline: seen.timeline,
                    records: seen.records,
                    counts: Counts::default(),
                    firsts,
                    clients,
                    beside: Beside::default(),
                    own,
                    server_cpu: None,
                    interrupted: None,
                });
                if let Some(all) = &mut all {
                    all.counts.add(counts);
                }
            }
        }
    }
    let mut all = all.ok_or_else(|| io::Error::other("no thread ran"))?;
    end_sessions(&plan.speaker, &sessions);
    all.interrupted = seen.interrupted;
    all.server_cpu = seen.server_cpu.filter(|_| plan.server.is_some());
    Ok(all)
}
