//! The program that a server is part of: what it is called, and the runtime it lends.

use std::sync::Arc;

#[cfg(feature = "testing")]
use crate::clock::VirtualClock;
use crate::config::Settings;
use crate::mcp::Identity;
#[cfg(not(feature = "tokio"))]
use crate::registry::NoSpawner;
use crate::registry::Spawner;
#[cfg(feature = "tokio")]
use crate::tokio_runtime::{TokioRuntime, TokioSettings};

/// What a program brings beside settings.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) identity: Identity,
    /// What runs its tools that run on a runtime, if that is its own.
    pub(super) lent: Option<Arc<dyn Spawner>>,
}

impl Program {
    pub(super) fn new(identity: Identity) -> Program {
        Program { identity, lent: None }
    }

    /// The command.
    pub(super) fn of_weir() -> Program {
        Program::new(Identity {
            title: Some("Weir".to_owned()),
            ..Identity::default()
        })
    }

    /// The same for a server whose threads have this clock.
    #[cfg(feature = "testing")]
    pub(super) fn spawner_by(&self, settings: &Settings, clock: &VirtualClock) -> Arc<dyn Spawner> {
        #[cfg(feature = "tokio")]
        let own = || -> Arc<dyn Spawner> {
            let settings = TokioSettings {
                threads: settings.workers.options.tokio_thread_count(),
                cpus: Vec::new(),
            };
            Arc::new(TokioRuntime::with_clock(settings, clock.clone()))
        };
        #[cfg(not(feature = "tokio"))]
        let own = || {
            let _ = clock;
            own_spawner(settings)
        };
        self.lent.clone().unwrap_or_else(own)
    }

    /// What runs the tools that run on a runtime.
    pub(super) fn spawner(&self, settings: &Settings) -> Arc<dyn Spawner> {
        self.lent.clone().unwrap_or_else(|| own_spawner(settings))
    }
}

#[cfg(feature = "tokio")]
fn own_spawner(settings: &Settings) -> Arc<dyn Spawner> {
    let workers = &settings.workers;
    Arc::new(TokioRuntime::new(TokioSettings {
        threads: workers.options.tokio_thread_count(),
        cpus: workers.cpus.clone(),
    }))
}

#[cfg(not(feature = "tokio"))]
fn own_spawner(_: &Settings) -> Arc<dyn Spawner> {
    Arc::new(NoSpawner)
}
