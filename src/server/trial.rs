//! Starting shards on trial: all executors and rings that a server would have, at once, and then none of them.
//!
//! For `weir doctor`. What the kernel gives depends on what others have taken of it, which no limit tells; so it is
//! tried. Serves nobody, listens nowhere, makes no handlers.

use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use crate::config::{ExecutorSettings, Settings, ShardProblem};
use crate::ring::{KernelRing, RingOptions};

use super::failure::{Failure, make_patiently};
use super::shards::{make_executor, ring_options};

/// An executor and a ring take milliseconds; longer means the machine is in trouble.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes what the shards of these settings are made of, all of it at once, and takes it down again.
///
/// # Errors
/// The first shard that cannot be, and why.
pub fn try_shards(settings: &Settings) -> Result<(), ShardProblem> {
    let mut trials: Vec<Trial> = Vec::with_capacity(settings.shards.len());
    let tried = settings.shards.iter().try_for_each(|place| {
        let trial = Trial::start(settings.executor, ring_options(settings), place.cpu.0);
        trials.push(trial.map_err(|failure| problem(place.shard, &failure))?);
        Ok(())
    });
    trials.into_iter().for_each(Trial::end);
    tried
}

fn problem(shard: crate::units::ShardId, failure: &Failure) -> ShardProblem {
    ShardProblem {
        is_locked_memory: failure.is_locked_memory(),
        text: format!("shard {shard} would not start: {failure}"),
    }
}

/// A thread with an executor and a ring, which it keeps until it is told to go.
struct Trial {
    go: SyncSender<()>,
    thread: thread::JoinHandle<()>,
}

impl Trial {
    /// Returns once the ring is made.
    fn start(executor: ExecutorSettings, options: RingOptions, cpu: usize) -> Result<Self, Failure> {
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
        // What it could panic about was told when it started.
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
    fn shards_that_can_be_started_are_taken_down_again() {
        let settings = Server::builder("test", "1").shards(2).settings().unwrap();
        for _ in 0..3 {
            assert_eq!(try_shards(&settings), Ok(()));
        }
    }

    #[test]
    fn what_cannot_be_made_is_named_with_its_shard() {
        let mut settings = Server::builder("test", "1").shards(2).settings().unwrap();
        settings.ring.buffers = 0;
        let problem = try_shards(&settings).unwrap_err();
        assert!(!problem.is_locked_memory);
        let start = "shard 0 would not start: its ring buffers could not be made: ring buffers = 0";
        assert!(problem.text.starts_with(start), "{problem:?}");
    }
}
