//! How many calls may run as tasks: some handlers are left to calls that clients wait for. Those that are with a child
//! need none, and are bounded as all calls of children are.

/// One in so many handlers is left to calls that clients wait for.
const HANDLERS_PER_SPARED: u32 = 4;

/// How many calls of one shard run as tasks.
pub(super) struct Tasks {
    /// With a handler, or waiting for their clients.
    running: u32,
    running_max: u32,
    at_children: u32,
}

/// What works for a call that runs as a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WorkedBy {
    /// A handler of this shard.
    Handler,
    /// A child process.
    Child,
}

impl Tasks {
    /// Of a shard with so many handlers.
    pub(super) fn new(handlers: u32) -> Tasks {
        Tasks {
            running: 0,
            running_max: handlers.saturating_sub(handlers / HANDLERS_PER_SPARED).max(1),
            at_children: 0,
        }
    }

    /// Whether as many run as may.
    pub(super) fn is_full(&self) -> bool {
        self.running >= self.running_max
    }

    /// Those that run, in handlers or at children.
    pub(super) fn running(&self) -> u32 {
        self.running + self.at_children
    }

    pub(super) fn on_begun(&mut self, by: WorkedBy) {
        *self.count(by) += 1;
    }

    pub(super) fn on_over(&mut self, by: WorkedBy) {
        let count = self.count(by);
        *count = count.saturating_sub(1);
    }

    fn count(&mut self, by: WorkedBy) -> &mut u32 {
        match by {
            WorkedBy::Handler => &mut self.running,
            WorkedBy::Child => &mut self.at_children,
        }
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
                tasks.on_begun(WorkedBy::Handler);
                tasks.on_begun(WorkedBy::Child);
            }
            assert!(tasks.is_full(), "{handlers} handlers");
            tasks.on_over(WorkedBy::Child);
            assert!(tasks.is_full(), "{handlers} handlers");
            tasks.on_over(WorkedBy::Handler);
            assert!(!tasks.is_full());
            assert_eq!(tasks.running(), 2 * (tasks_max - 1));
        }
    }
}
