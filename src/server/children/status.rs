//! What others may know of the children: figures for the exposition, and whether the server is ready.
#![allow(
    clippy::disallowed_types,
    reason = "held only to copy a few numbers; the thread writes after each round, a prober reads now and then"
)]

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::metrics::ChildServerFigures;

/// The last state of all servers.
#[derive(Debug, Default)]
pub(in crate::server) struct ChildrenStatus(Mutex<Shown>);

#[derive(Debug, Default)]
struct Shown {
    figures: Vec<ChildServerFigures>,
    not_ready: Option<String>,
}

impl ChildrenStatus {
    /// The figures, by server.
    pub(in crate::server) fn figures(&self) -> Vec<ChildServerFigures> {
        self.shown().figures.clone()
    }

    /// Why the server should get no new clients, if it should not.
    pub(in crate::server) fn not_ready(&self) -> Option<String> {
        self.shown().not_ready.clone()
    }

    pub(super) fn show(&self, figures: Vec<ChildServerFigures>, not_ready: Option<String>) {
        *self.shown() = Shown { figures, not_ready };
    }

    /// Nothing that runs under the lock leaves it half changed.
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
