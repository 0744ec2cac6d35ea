//! How the pool of a server is run.

use std::time::Duration;

/// Whom a child serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolMode {
    /// Every child serves every client.
    Shared,
}

/// The sizes and times of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolOptions {
    /// Whom a child serves.
    pub mode: PoolMode,
    /// Children that are there without being asked for.
    pub min_idle: u32,
    /// Children in all.
    pub max: u32,
    /// Calls in flight at one child.
    pub in_flight_max: u32,
    /// For a start, up to its readiness.
    pub start_timeout: Duration,
    /// For the server's first start, which may download it.
    pub first_start_timeout: Duration,
}

impl PoolOptions {
    /// The defaults on a machine with so many CPUs.
    pub fn shared(cpus: u32) -> PoolOptions {
        PoolOptions {
            mode: PoolMode::Shared,
            min_idle: 1,
            max: cpus.max(1),
            in_flight_max: 64,
            start_timeout: Duration::from_secs(30),
            first_start_timeout: Duration::from_secs(300),
        }
    }
}
