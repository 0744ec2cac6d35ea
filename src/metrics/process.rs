//! The kernel's figures of this process: memory, descriptors, processor time.
//!
//! The figures are read from `/proc/self` on request, never on a shard. A figure that cannot be read is absent: a
//! hardened container may hide parts of `/proc`, and a process out of descriptors cannot open it. See proc(5).

#![allow(
    clippy::disallowed_methods,
    reason = "blocking calls are banned on shards; this runs on the threads of admin and watchdog, and at exit"
)]

use std::fs;
use std::time::Duration;

use super::figures::{counter, figures, gauge};

/// Entries of the auxiliary vector, see getauxval(3).
const AT_PAGESZ: usize = 6;
const AT_CLKTCK: usize = 17;

figures! {
    /// Figures of this process, as far as they could be read. Their names are conventional.
    pub struct ProcessFigures {
        /// Processor time in user and kernel mode, of all threads.
        pub cpu_seconds: Option<f64> =>
            counter("process_cpu_seconds_total", "Processor time in user and kernel mode."),
        /// When the process started, in seconds since 1970.
        pub start_time_seconds: Option<f64> =>
            gauge("process_start_time_seconds", "When the process started, since 1970."),
        /// Resident memory.
        pub resident_memory_bytes: Option<u64> => gauge("process_resident_memory_bytes", "Resident memory."),
        /// Address space.
        pub virtual_memory_bytes: Option<u64> => gauge("process_virtual_memory_bytes", "Address space."),
        /// Open descriptors.
        pub open_fds: Option<u64> => gauge("process_open_fds", "Open descriptors."),
        /// How many descriptors may be open; absent when unlimited.
        pub max_fds: Option<u64> => gauge("process_max_fds", "Descriptors that may be open."),
        /// Threads.
        pub threads: Option<u64> => gauge("process_threads", "Threads."),
    }
}

impl ProcessFigures {
    /// Reads the figures. Blocks for the system calls, some 100 µs.
    pub fn read() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").ok();
        let stat = stat.as_deref().and_then(Stat::parse);
        let units = Units::read();
        let booted = fs::read_to_string("/proc/stat").ok();
        let booted = booted.as_deref().and_then(boot_time_seconds);
        let limits = fs::read_to_string("/proc/self/limits").ok();
        Self {
            cpu_seconds: stat.map(|stat| units.seconds(stat.cpu_ticks)),
            resident_memory_bytes: stat.map(|stat| stat.resident_pages * units.page_bytes),
            virtual_memory_bytes: stat.map(|stat| stat.virtual_memory_bytes),
            open_fds: open_fds(),
            max_fds: limits.as_deref().and_then(max_open_files),
            threads: stat.map(|stat| stat.threads),
            start_time_seconds: stat
                .zip(booted)
                .map(|(stat, booted)| booted as f64 + units.seconds(stat.start_ticks)),
        }
    }
}

/// The resource use of the process: the part of its figures that is cheap to read, whatever it has open.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProcessUse {
    /// Processor time in user and kernel mode, of all threads.
    pub cpu_seconds: f64,
    /// Resident memory.
    pub resident_memory_bytes: u64,
}

impl ProcessUse {
    /// Reads the use; `None` where `/proc` is hidden.
    pub fn read() -> Option<Self> {
        let stat = Stat::parse(&fs::read_to_string("/proc/self/stat").ok()?)?;
        let units = Units::read();
        Some(Self {
            cpu_seconds: units.seconds(stat.cpu_ticks),
            resident_memory_bytes: stat.resident_pages * units.page_bytes,
        })
    }
}

/// Processor time that this process used, and time for which it waited for a processor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessorTime {
    /// Time on a CPU, of all threads there ever were, in steps of mostly 10 ms.
    pub used: Duration,
    /// Time in which threads could have run but no CPU was free, over the present threads; zero on a kernel that does
    /// not tell (CONFIG_SCHED_INFO).
    pub waited: Duration,
}

impl ProcessorTime {
    /// Reads the times; `None` when they cannot be read. Blocks for a short file for each thread, so it is meant for
    /// once a second.
    pub fn read() -> Option<Self> {
        let used = Duration::try_from_secs_f64(ProcessUse::read()?.cpu_seconds).ok()?;
        let waited = fs::read_dir("/proc/self/task").map_or(Duration::ZERO, |threads| {
            let waits = threads.flatten().filter_map(|thread| {
                // The file of a thread that has ended meanwhile is gone.
                let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
                run_queue_wait(&text)
            });
            waits.sum()
        });
        Some(Self { used, waited })
    }
}

/// The second field of `schedstat`: nanoseconds on a run queue, not running.
fn run_queue_wait(schedstat: &str) -> Option<Duration> {
    let nanos = schedstat.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

/// The fields of `/proc/self/stat` that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    virtual_memory_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in parentheses, which may itself contain spaces and parentheses.
        let (_, fields) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        // proc(5) counts from 1 and the first of `fields` is its third.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_memory_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// The kernel's units, from the auxiliary vector: no system call wrapper needed.
struct Units {
    ticks_per_second: u64,
    page_bytes: u64,
}

impl Units {
    fn read() -> Self {
        let vector = fs::read("/proc/self/auxv").unwrap_or_default();
        Self {
            // These are the values on every common configuration, in case the vector is hidden.
            ticks_per_second: auxiliary_value(&vector, AT_CLKTCK).unwrap_or(100),
            page_bytes: auxiliary_value(&vector, AT_PAGESZ).unwrap_or(4096),
        }
    }

    fn seconds(&self, ticks: u64) -> f64 {
        ticks as f64 / self.ticks_per_second as f64
    }
}

fn auxiliary_value(vector: &[u8], wanted: usize) -> Option<u64> {
    let (words, _) = vector.as_chunks::<{ size_of::<usize>() }>();
    let mut words = words.iter().map(|word| usize::from_ne_bytes(*word));
    while let (Some(kind), Some(value)) = (words.next(), words.next()) {
        if kind == wanted && value > 0 {
            return u64::try_from(value).ok();
        }
    }
    None
}

fn boot_time_seconds(stat: &str) -> Option<u64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

fn max_open_files(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn open_fds() -> Option<u64> {
    let entries = fs::read_dir("/proc/self/fd").ok()?;
    // One of them is the directory that is being read.
    u64::try_from(entries.count().saturating_sub(1)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_can_be_read() {
        let figures = ProcessFigures::read();
        let memory = figures.resident_memory_bytes.unwrap();
        assert!(memory > 1 << 20, "{figures:?}");
        assert!(figures.virtual_memory_bytes.unwrap() >= memory);
        assert!(figures.open_fds.unwrap() >= 3 && figures.threads.unwrap() >= 1);
        let cpu_seconds = figures.cpu_seconds.unwrap();
        let used = ProcessorTime::read().unwrap().used.as_secs_f64();
        // Durations have whole nanoseconds.
        assert!(cpu_seconds >= 0.0 && used >= cpu_seconds - 1e-9);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let age = now.unwrap().as_secs_f64() - figures.start_time_seconds.unwrap();
        assert!((-2.0..86_400.0).contains(&age), "{age} s old");
    }

    #[test]
    fn the_programs_name_may_look_like_fields() {
        let text = "12 (a) R (1 2) S 1 2 3 4 5 6 7 8 9 10 700 42 13 14 15 16 9 18 5000 123456 77 99\n";
        let expected = Stat {
            cpu_ticks: 742,
            threads: 9,
            start_ticks: 5000,
            virtual_memory_bytes: 123_456,
            resident_pages: 77,
        };
        assert_eq!(Stat::parse(text), Some(expected));
    }

    #[test]
    fn cut_or_foreign_text_has_no_figures() {
        assert_eq!(Stat::parse(""), None);
        assert_eq!(Stat::parse("12 (weir) S 1 2 3"), None);
        assert_eq!(auxiliary_value(&[1, 2, 3], AT_PAGESZ), None);
        assert_eq!(run_queue_wait("17"), None);
        assert_eq!(run_queue_wait("17 250 3\n"), Some(Duration::from_nanos(250)));
        assert_eq!(boot_time_seconds("cpu 1 2\n"), None);
        assert_eq!(
            max_open_files("Max open files   unlimited  unlimited files"),
            None
        );
    }

    #[test]
    fn the_soft_limit_is_the_one_that_counts() {
        let text = "Limit  Soft Limit  Hard Limit  Units\nMax open files   1024   4096   files\n";
        assert_eq!(max_open_files(text), Some(1024));
        assert_eq!(
            boot_time_seconds("cpu 1 2\nbtime 1700000000\n"),
            Some(1_700_000_000)
        );
    }
}
