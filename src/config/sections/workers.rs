//! Threads for blocking tools.

use crate::config::kind::Kind::Count;
use crate::config::section::section;
use crate::config::spec::option;

section! {
    /// Threads for blocking tools.
    #[derive(Copy, Eq)]
    pub struct WorkerOptions {
        /// The number of threads; `None` means one per CPU.
        pub threads: Option<u32> = None => option("workers", "N", Count { min: 1, max: 1024 },
            "Threads for blocking tools").derived("CPUs, or what a CPU quota holds, at most 4 with stdio"),
        /// Calls that may wait, per worker.
        pub queue_each: u32 = 64 => option("worker-queue", "N", Count { min: 1, max: 65_536 },
            "Calls that may wait, per worker"),
        /// The number of threads of tools that run on tokio, which start with the first such call; `None` means one for
        /// each CPU that no shard is pinned to, at least one.
        pub tokio_threads: Option<u32> = None => option("tokio-threads", "N", Count { min: 1, max: 1024 },
            "Threads for tools that run on tokio").derived("CPUs that no shard is pinned to, at least 1"),
    }
}

impl WorkerOptions {
    /// The number of threads, which the settled options always name.
    pub(crate) fn thread_count(&self) -> usize {
        self.threads.map_or(1, |threads| threads as usize)
    }

    /// The same for tools that run on tokio.
    pub(crate) fn tokio_thread_count(&self) -> usize {
        self.tokio_threads.map_or(1, |threads| threads as usize)
    }
}
