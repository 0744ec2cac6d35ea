//! A trial start: all executors, rings and threads of a server are made at once, and then removed again.
//!
//! This is for `weir doctor`. What the kernel gives depends on what others have taken of it, which no limit tells; so
//! it is tried. The trial serves nobody, listens nowhere and makes no handlers.

use std::io;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use crate::config::{ExecutorSettings, Settings, StartProblem};
use crate::mcp::{Options, Protocol};
use crate::registry::Registry;
use crate::ring::{KernelRing, RingOptions};
use crate::workers::Workers;

use super::cause::Cause;
use super::failure::{Failure, NO_THREADS, make_patiently};
use super::program::Program;
use super::running::WORKERS_PATIENCE;
use super::service;
use super::shards::make_executor;
use super::start_error::StartError;

/// An executor and a ring take milliseconds; longer means the machine is in trouble.
const PATIENCE: Duration = Duration::from_secs(10);
/// Threads besides shards and workers: for signals, health and metrics, stalls, announcements, and giving memory back.
const OTHER_THREADS: usize = 5;

/// Starts the parts of a server with these settings, all at once, and takes them down again.
///
/// # Errors
/// Returns the first part that cannot be made, and why.
pub fn try_start(settings: &Settings) -> Result<(), StartProblem> {
    let (registry, program) = (Registry::builder().build(), Program::of_weir());
    let protocol = Protocol::new(
        registry,
        &program.identity,
        Options {
            require_session: false,
        },
    );
    service::make(settings, protocol, program.spawner(settings)).map_err(|error| problem(&error, false))?;
    let mut trials: Vec<Trial> = Vec::new();
    let tried = start_shards(settings, &mut trials).and_then(|()| start_threads(settings, &mut trials));
    trials.into_iter().for_each(Trial::end);
    tried
}

fn start_shards(settings: &Settings, trials: &mut Vec<Trial>) -> Result<(), StartProblem> {
    for place in &settings.shards {
        let trial = Trial::shard(settings.executor, settings.ring, place.cpu.0);
        let trial = trial.map_err(|failure| {
            let error = StartError::of_shard(place.shard, &failure);
            problem(&error, failure.is_locked_memory())
        })?;
        trials.push(trial);
    }
    Ok(())
}

fn start_threads(settings: &Settings, trials: &mut Vec<Trial>) -> Result<(), StartProblem> {
    let workers = Workers::start(&settings.workers)
        .map_err(|error| problem(&StartError::Workers(Cause::new(error)), false))?;
    let started = (0..OTHER_THREADS).try_for_each(|_| {
        trials.push(Trial::thread()?);
        Ok(())
    });
    workers.shutdown(WORKERS_PATIENCE);
    started.map_err(|error: io::Error| StartProblem {
        is_locked_memory: false,
        text: format!("a thread could not be made: {error}; {NO_THREADS}"),
    })
}

fn problem(error: &StartError, is_locked_memory: bool) -> StartProblem {
    StartProblem {
        is_locked_memory,
        text: error.to_string(),
    }
}

/// A thread that keeps its resources until it is told to go.
struct Trial {
    go: SyncSender<()>,
    thread: thread::JoinHandle<()>,
}

impl Trial {
    /// A thread without resources.
    fn thread() -> io::Result<Self> {
        let (go, going) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().spawn(move || {
            let _ = going.recv();
        })?;
        Ok(Self { go, thread })
    }

    /// A thread with an executor and a ring; returns once they are made.
    fn shard(executor: ExecutorSettings, options: RingOptions, cpu: usize) -> Result<Self, Failure> {
        let (ready, readiness) = mpsc::sync_channel(1);
        let (go, going) = mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name("weir-trial".to_owned())
            .spawn(move || hold(executor, options, cpu, &ready, &going))
            .map_err(Failure::thread)?;
        match readiness.recv_timeout(PATIENCE) {
            Ok(Ok(())) => Ok(Self { go, thread }),
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(Failure::silence()),
        }
    }

    fn end(self) {
        drop(self.go);
        // Any panic was reported when it started.
        let _ = self.thread.join();
    }
}

fn hold(
    executor: ExecutorSettings,
    options: RingOptions,
    cpu: usize,
    ready: &SyncSender<Result<(), Failure>>,
    going: &Receiver<()>,
) {
    let executor = match make_patiently(|| make_executor(executor, cpu)) {
        Ok(executor) => executor,
        Err(failure) => {
            let _ = ready.send(Err(failure));
            return;
        }
    };
    executor.run(async {
        match make_patiently(|| Ok(KernelRing::new(options)?)) {
            Ok(_ring) => {
                let _ = ready.send(Ok(()));
                // The executor has nothing else to do.
                let _ = going.recv();
            }
            Err(failure) => drop(ready.send(Err(failure))),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Server;

    #[test]
    fn what_is_read_at_start_is_read_on_trial() {
        let builder = Server::builder("test", "1").shards(1);
        let settings = builder
            .configure(|options| options.session.key_file = Some("/nonexistent".into()))
            .settings()
            .unwrap();
        let problem = try_start(&settings).unwrap_err();
        assert!(
            problem.text.starts_with("session-key-file = \"/nonexistent\": "),
            "{problem:?}"
        );
    }

    #[test]
    fn shards_that_can_be_started_are_taken_down_again() {
        let settings = Server::builder("test", "1").shards(2).settings().unwrap();
        for _ in 0..3 {
            assert_eq!(try_start(&settings), Ok(()));
        }
    }

    #[test]
    fn what_cannot_be_made_is_named_with_its_shard() {
        let mut settings = Server::builder("test", "1").shards(2).settings().unwrap();
        settings.ring.buffers = 0;
        let problem = try_start(&settings).unwrap_err();
        assert!(!problem.is_locked_memory);
        let start = "shard 0 did not start: its ring buffers could not be made: ring buffers = 0";
        assert!(problem.text.starts_with(start), "{problem:?}");
    }
}
