//! How many calls may run as tasks: some handlers are left to calls that clients wait for.

/// One in so many handlers is left to calls that clients wait for.
const HANDLERS_PER_SPARED: u32 = 4;

/// How many calls of one shard run as tasks.
pub(super) struct Tasks {
    /// With a handler, or waiting for their clients.
    running: u32,
    running_max: u32,
}

impl Tasks {
    /// Of a shard with so many handlers.
    pub(super) fn new(handlers: u32) -> Tasks {
        Tasks {
            running: 0,
            running_max: handlers.saturating_sub(handlers / HANDLERS_PER_SPARED).max(1),
        }
    }

    /// Whether as many run as may.
    pub(super) fn is_full(&self) -> bool {
        self.running >= self.running_max
    }

    /// Those that run.
    pub(super) fn running(&self) -> u32 {
        self.running
    }

    pub(super) fn on_begun(&mut self) {
        self.running += 1;
    }

    pub(super) fn on_over(&mut self) {
        self.running = self.running.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_handlers_are_left_to_calls_that_clients_wait_for() {
        for (handlers, tasks_max) in [(1, 1), (2, 2), (4, 3), (16, 12)] {
            let mut tasks = Tasks::new(handlers);
            for _ in 0..tasks_max {
                assert!(!tasks.is_full(), "{handlers} handlers");
                tasks.on_begun();
            }
            assert!(tasks.is_full(), "{handlers} handlers");
            tasks.on_over();
            assert!(!tasks.is_full());
            assert_eq!(tasks.running(), tasks_max - 1);
        }
    }
}
