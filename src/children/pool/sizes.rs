//! The sizes and times of a pool, as its settings and the machine give them.

use std::time::Duration;

use crate::config::{PoolMode, PoolSettings};

/// How many children a server has, and how long they may take to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSizes {
    /// Children that are there without being asked for.
    pub min_idle: u32,
    /// Children in all.
    pub max: u32,
    /// Calls in flight at one child.
    pub in_flight_max: u32,
    /// Whether each child belongs to one client.
    pub is_owned: bool,
    /// Age at which a child is replaced.
    pub age_max: Option<Duration>,
    /// For a start, up to its readiness.
    pub start_timeout: Duration,
    /// For the server's first start, which may download it.
    pub first_start_timeout: Duration,
}

impl PoolSizes {
    /// Those of a server, on a machine where children may use so many CPUs.
    pub fn of(settings: &PoolSettings, cpus: u32) -> PoolSizes {
        PoolSizes {
            min_idle: settings.min_idle,
            max: settings.max(cpus),
            in_flight_max: settings.in_flight_max(),
            is_owned: settings.mode != PoolMode::Shared,
            age_max: settings.recycle_age,
            start_timeout: settings.start_timeout,
            first_start_timeout: settings.first_start_timeout,
        }
    }
}
