//! One tokio runtime for the calls that need one: its threads are started with the first such call.
//!
//! What runs here has nothing to do with shards, which poll their own calls themselves: a call is spawned, and its
//! shard is told once, when it has ended. An embedding program may lend a runtime of its own instead.
#![allow(
    clippy::disallowed_types,
    reason = "taken by the first call, and by others that are spawned at the same moment"
)]

use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::thread::{CpuSet, sched_setaffinity};
use tokio::runtime::{Builder, Handle, Runtime};

#[cfg(feature = "testing")]
use crate::clock::VirtualClock;
use crate::registry::{AbortOnDrop, SpawnedFuture, Spawner, note_panics_here};
use crate::units::CpuId;

/// Threads of a runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokioSettings {
    /// The number of threads.
    pub(crate) threads: usize,
    /// The CPUs that the threads may use; if it is empty, they are not pinned.
    pub(crate) cpus: Vec<CpuId>,
}

/// The runtime of one server.
#[derive(Debug)]
pub(crate) struct TokioRuntime {
    settings: TokioSettings,
    handle: OnceLock<Handle>,
    /// The runtime itself, if it is the server's own and runs.
    own: Mutex<Option<Runtime>>,
    /// The clock of its threads, if that is not the system's.
    #[cfg(feature = "testing")]
    clock: Option<VirtualClock>,
}

impl TokioRuntime {
    /// A runtime that has no threads yet.
    pub(crate) fn new(settings: TokioSettings) -> TokioRuntime {
        TokioRuntime {
            settings,
            handle: OnceLock::new(),
            own: Mutex::new(None),
            #[cfg(feature = "testing")]
            clock: None,
        }
    }

    /// The same, its threads by this clock.
    #[cfg(feature = "testing")]
    pub(crate) fn with_clock(settings: TokioSettings, clock: VirtualClock) -> TokioRuntime {
        let mut runtime = TokioRuntime::new(settings);
        runtime.clock = Some(clock);
        runtime
    }

    /// A runtime that somebody else owns.
    pub(crate) fn lent(handle: Handle) -> TokioRuntime {
        let settings = TokioSettings {
            threads: 0,
            cpus: Vec::new(),
        };
        let runtime = TokioRuntime::new(settings);
        // It has none yet.
        let _ = runtime.handle.set(handle);
        runtime
    }

    fn handle(&self) -> io::Result<&Handle> {
        if let Some(handle) = self.handle.get() {
            return Ok(handle);
        }
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.is_none() {
            *own = Some(self.start()?);
        }
        let runtime = own.as_ref().ok_or_else(|| io::Error::other("just started"))?;
        Ok(self.handle.get_or_init(|| runtime.handle().clone()))
    }

    fn start(&self) -> io::Result<Runtime> {
        let cpus = cpu_set(&self.settings.cpus);
        #[cfg(feature = "testing")]
        let clock = self.clock.clone();
        Builder::new_multi_thread()
            .worker_threads(self.settings.threads.max(1))
            .thread_name("weir-tokio")
            .enable_all()
            .on_thread_start(move || {
                note_panics_here();
                #[cfg(feature = "testing")]
                if let Some(clock) = &clock {
                    clock.enter();
                }
                // The thread that starts them may be a shard's, and have one CPU.
                if let Some(cpus) = &cpus {
                    let _ = sched_setaffinity(None, cpus);
                }
            })
            .build()
    }
}

impl Spawner for TokioRuntime {
    fn spawn(&self, future: SpawnedFuture) -> Result<AbortOnDrop, String> {
        let handle = self.handle();
        let handle = handle.map_err(|error| format!("tokio's threads cannot be started: {error}"))?;
        let task = handle.spawn(future).abort_handle();
        Ok(AbortOnDrop::new(move || task.abort()))
    }

    fn shut_down(&self, patience: Duration) {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runtime) = own {
            runtime.shutdown_timeout(patience);
        }
    }
}

impl Drop for TokioRuntime {
    fn drop(&mut self) {
        // Without patience it blocks nobody.
        self.shut_down(Duration::ZERO);
    }
}

/// The CPUs as the kernel takes them; those it has no place for are left out.
fn cpu_set(cpus: &[CpuId]) -> Option<CpuSet> {
    let known = cpus.iter().filter(|cpu| cpu.0 < CpuSet::MAX_CPU);
    let set = known.fold(CpuSet::new(), |mut set, cpu| {
        set.set(cpu.0);
        set
    });
    (set.count() > 0).then_some(set)
}
