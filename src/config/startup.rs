//! The start-up check: what the settings need, against what the kernel gives.
//!
//! Pure: findings go in, lines come out, each with what to type. Whoever calls it fills in the findings (the ring
//! probe belongs to `ring`) and decides what to print; a server starts unless a line says [`Verdict::Missing`].

use std::fmt;

use super::host::Host;
use super::placement::display_cpu_list;
use super::settings::Settings;
use crate::units::ByteSize;

/// `SINGLE_ISSUER` came with 6.0; provided-buffer rings with 5.19.
const KERNEL_MIN: (u32, u32) = (6, 0);
/// The executor refuses to start below this, whatever it needs.
const EXECUTOR_MEMLOCK_MIN_BYTES: u64 = 512 << 10;
/// The executor has a main, a latency and a poll ring, and registers its memory with each of them.
const EXECUTOR_RINGS: u64 = 3;
/// Linux gives rings in whole pages.
const PAGE_BYTES: u64 = 4096;
/// Before this, only registered memory counts as locked; rings do not.
const KERNEL_COUNTS_RINGS: (u32, u32) = (6, 14);
const SUBMISSION_ENTRY_BYTES: u64 = 64;
/// The array that maps submission slots to entries.
const SUBMISSION_INDEX_BYTES: u64 = 4;
const COMPLETION_ENTRY_BYTES: u64 = 16;
/// Heads, tails and flags before the entries.
const RING_HEADER_BYTES: u64 = 256;
/// The kernel's entry for a provided buffer.
const BUFFER_ENTRY_BYTES: u64 = 16;

/// What was found on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// Limits and figures.
    pub host: Host,
    /// Whether a ring with the flags and operations Weir uses can be made.
    pub io_uring: Result<(), RingProblem>,
    /// Whether all that a server starts could be started together, if that was tried.
    pub start: Option<Result<(), StartProblem>>,
    /// Who else of this user has rings, as shown to an operator; looked for where locked memory ran out.
    pub ring_users: Vec<String>,
}

/// Why not all that a server starts could be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartProblem {
    /// Whether what is missing is memory that may be locked.
    pub is_locked_memory: bool,
    /// A sentence with its own next step.
    pub text: String,
}

/// Why there can be no data ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RingProblem {
    /// A policy forbids it; the kernel's words. Which policy is found out here.
    Refused(String),
    /// No more memory may be locked, not even for a small ring; the kernel's words.
    LockedMemory(String),
    /// Anything else; a sentence with its own next step.
    Lacking(String),
}

/// What the settings need of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// How many shards.
    pub shards: u32,
    /// Memory each shard registers, which every kernel counts as locked.
    pub registered_bytes_per_shard: u64,
    /// Locked memory per shard where rings count too; measured to be exact on 6.18.
    pub memlock_bytes_per_shard: u64,
    /// What the settings spend.
    pub memory_budget_bytes: u64,
    /// How many connections.
    pub connections_max: u32,
}

impl Needs {
    /// What these settings need.
    pub fn of(settings: &Settings) -> Self {
        let executor = &settings.executor;
        let entries = executor.ring_entries as u64;
        let registered = EXECUTOR_RINGS * executor.io_memory_bytes as u64;
        let executor_rings = EXECUTOR_RINGS * ring_bytes(entries, 2 * entries);
        let ring = &settings.ring;
        let data_ring = ring_bytes(ring.submission_entries.into(), ring.completion_entries.into());
        let buffer_entries = u64::from(ring.buffers.next_power_of_two());
        let buffer_ring = pages(buffer_entries * BUFFER_ENTRY_BYTES);
        Self {
            shards: settings.memory.shards,
            registered_bytes_per_shard: registered,
            memlock_bytes_per_shard: registered + executor_rings + data_ring + buffer_ring,
            memory_budget_bytes: settings.memory.budget_bytes,
            connections_max: settings.connections_max,
        }
    }
}

/// How well one need is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// All is well.
    Ok,
    /// It runs, but an operator should know.
    Warning,
    /// It cannot run.
    Missing,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Missing => "missing",
        })
    }
}

/// One need and how it is met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How well.
    pub verdict: Verdict,
    /// What it is about, one word.
    pub topic: &'static str,
    /// The fact, the value, the limit and, unless all is well, what to type.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8} {}: {}", self.verdict, self.topic, self.text)
    }
}

/// Compares needs with findings: one line per topic, always in the same order.
pub fn evaluate(needs: &Needs, findings: &Findings) -> Vec<Line> {
    let host = &findings.host;
    let lines = [
        kernel(host),
        io_uring(findings),
        memlock(needs, findings),
        descriptors(needs, host),
        memory(needs, host),
        cpus(needs, host),
    ];
    lines.into_iter().chain(start(needs, findings)).collect()
}

fn count_shards(count: u32) -> String {
    match count {
        1 => "1 shard".to_owned(),
        count => format!("{count} shards"),
    }
}

fn line(verdict: Verdict, topic: &'static str, text: String) -> Line {
    Line { verdict, topic, text }
}

fn kernel(host: &Host) -> Line {
    let release = host.kernel_release.escape_debug();
    let (major, minor) = KERNEL_MIN;
    match parse_release(&host.kernel_release) {
        Some(version) if version >= KERNEL_MIN => line(Verdict::Ok, "kernel", format!("Linux {release}")),
        Some(_) => line(
            Verdict::Missing,
            "kernel",
            format!(
                "Linux {release} is too old, {major}.{minor} is the oldest that works; boot a newer kernel"
            ),
        ),
        None => line(
            Verdict::Warning,
            "kernel",
            format!(
                "the release `{release}` is no version; {major}.{minor} is the oldest that works, see `uname -r`"
            ),
        ),
    }
}

fn io_uring(findings: &Findings) -> Line {
    let reason = match &findings.io_uring {
        Ok(()) => return line(Verdict::Ok, "io_uring", "available".to_owned()),
        Err(RingProblem::Lacking(sentence)) => {
            return line(Verdict::Missing, "io_uring", sentence.escape_debug().to_string());
        }
        Err(RingProblem::LockedMemory(reason)) => {
            let text = format!(
                "no memory can be locked for a ring ({}); see memlock",
                reason.escape_debug()
            );
            return line(Verdict::Missing, "io_uring", text);
        }
        Err(RingProblem::Refused(reason)) => reason,
    };
    let advice = match findings.host.io_uring_disabled {
        0 => {
            "a seccomp profile probably forbids it: in a container allow io_uring_setup, io_uring_enter and \
             io_uring_register (Docker: `--security-opt seccomp=FILE`; systemd: drop `SystemCallFilter=` entries that \
             exclude `@io-uring`)"
        }
        1 => {
            "it is switched off for processes without privileges: `sysctl -w kernel.io_uring_disabled=0`, or join the \
             group in kernel.io_uring_group"
        }
        _ => "it is switched off: `sysctl -w kernel.io_uring_disabled=0`",
    };
    line(
        Verdict::Missing,
        "io_uring",
        format!("refused ({}); {advice}", reason.escape_debug()),
    )
}

/// Memory that must be lockable.
struct MemlockNeed {
    bytes: u64,
    /// How it comes about.
    arithmetic: String,
    /// Whether fewer shards would need less.
    is_by_shards: bool,
}

impl MemlockNeed {
    fn of(needs: &Needs, host: &Host) -> Self {
        let least = EXECUTOR_MEMLOCK_MIN_BYTES;
        let is_old = parse_release(&host.kernel_release).is_some_and(|release| release < KERNEL_COUNTS_RINGS);
        let per_shard = if host.is_memlock_exempt {
            0
        } else if is_old {
            needs.registered_bytes_per_shard
        } else {
            needs.memlock_bytes_per_shard
        };
        let bytes = per_shard.saturating_mul(needs.shards.into()).max(least);
        let shown = ByteSize(bytes).rounded();
        let arithmetic = if host.is_memlock_exempt {
            format!("{shown}, with CAP_IPC_LOCK")
        } else if bytes > least {
            format!(
                "{shown} ({} shards x {})",
                needs.shards,
                ByteSize(per_shard).rounded()
            )
        } else {
            format!("{shown}, the least an executor starts with")
        };
        Self {
            bytes,
            arithmetic,
            is_by_shards: bytes > least,
        }
    }
}

fn memlock(needs: &Needs, findings: &Findings) -> Line {
    let host = &findings.host;
    let need = MemlockNeed::of(needs, host);
    let limit = host.memlock_bytes_max;
    let is_used_up = matches!(findings.io_uring, Err(RingProblem::LockedMemory(_)))
        || matches!(&findings.start, Some(Err(problem)) if problem.is_locked_memory);
    let arithmetic = &need.arithmetic;
    match limit {
        Some(limit) if limit < need.bytes => {
            let fewer = if need.is_by_shards {
                ", or lower --shards"
            } else {
                ""
            };
            line(
                Verdict::Missing,
                "memlock",
                format!(
                    "RLIMIT_MEMLOCK = {}, needed: {arithmetic}; raise it ({}){fewer}",
                    ByteSize(limit).rounded(),
                    how_to_raise(need.bytes)
                ),
            )
        }
        _ if is_used_up => line(Verdict::Missing, "memlock", used_up(limit, &need, findings)),
        None => line(Verdict::Ok, "memlock", "unlimited".to_owned()),
        Some(limit) => line(
            Verdict::Ok,
            "memlock",
            format!(
                "{} may be locked, needed: {arithmetic}",
                ByteSize(limit).rounded()
            ),
        ),
    }
}

/// The limit would do, but the memory is not to be had: the kernel counts what all processes of a user lock together,
/// whatever limit each of them has.
fn used_up(limit: Option<u64>, need: &MemlockNeed, findings: &Findings) -> String {
    let MemlockNeed {
        bytes, arithmetic, ..
    } = need;
    let Some(limit) = limit.filter(|_| !findings.host.is_memlock_exempt) else {
        return format!(
            "no limit holds, needed: {arithmetic}, but the kernel has no memory to lock; look at the cgroup's and the \
             machine's memory"
        );
    };
    /// More of them say no more.
    const SHOWN_MAX: usize = 3;
    let others = findings.ring_users.len().saturating_sub(SHOWN_MAX);
    let mut users = findings
        .ring_users
        .iter()
        .take(SHOWN_MAX)
        .cloned()
        .collect::<Vec<_>>();
    if others > 0 {
        users.push(format!("{others} more"));
    }
    let users = if users.is_empty() {
        String::new()
    } else {
        format!(" among them {},", users.join(", "))
    };
    format!(
        "RLIMIT_MEMLOCK = {}, needed: {arithmetic}, but other processes of this user, in other containers too,{users} have locked so much that \
         less is left; stop some, run as a user of its own, or raise the limit by what they need ({})",
        ByteSize(limit).rounded(),
        how_to_raise(limit.saturating_add(*bytes))
    )
}

fn how_to_raise(bytes: u64) -> String {
    let kib = bytes.div_ceil(1024);
    format!(
        "`LimitMEMLOCK={kib}K` in the unit, `ulimit -l {kib}` in a shell, `--ulimit memlock={bytes}` in Docker"
    )
}

/// Nothing if it was not tried, or if all is said about locked memory.
fn start(needs: &Needs, findings: &Findings) -> Option<Line> {
    let tried = findings.start.as_ref()?;
    Some(match tried {
        Ok(()) => line(
            Verdict::Ok,
            "start",
            format!("{} and all workers, on trial", count_shards(needs.shards)),
        ),
        Err(problem) if problem.is_locked_memory => return None,
        Err(problem) => line(Verdict::Missing, "start", problem.text.escape_debug().to_string()),
    })
}

fn descriptors(needs: &Needs, host: &Host) -> Line {
    /// What a host with hundreds of clients has at least.
    const CONNECTIONS_USUAL: u32 = 1000;
    let limit = host
        .descriptors_max
        .map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
    let text = format!("{limit} descriptors, {} connections", needs.connections_max);
    let is_tight =
        needs.connections_max < CONNECTIONS_USUAL && host.descriptors_max.is_some_and(|limit| limit < 4096);
    if is_tight {
        let advice =
            "raise the limit for more (`LimitNOFILE=65536` in the unit, `ulimit -n 65536` in a shell)";
        return line(Verdict::Warning, "descriptors", format!("{text}; {advice}"));
    }
    line(Verdict::Ok, "descriptors", text)
}

fn memory(needs: &Needs, host: &Host) -> Line {
    let budget = ByteSize(needs.memory_budget_bytes).rounded();
    let (from, there_is) = match host.cgroup_memory_bytes {
        Some(limit) => ("the cgroup's", limit),
        None => ("the machine's", host.memory_bytes),
    };
    let text = format!("{budget} of {from} {}", ByteSize(there_is).rounded());
    // The kernel's share for sockets and rings counts against the same limit.
    if needs.memory_budget_bytes > there_is / 4 * 3 {
        let advice = "that leaves little for sockets and rings in the kernel; lower --memory-max";
        return line(Verdict::Warning, "memory", format!("{text}; {advice}"));
    }
    line(Verdict::Ok, "memory", text)
}

/// Shards that share CPUs are a note of the settings already.
fn cpus(needs: &Needs, host: &Host) -> Line {
    let quota = host.cpu_quota.map_or_else(String::new, |quota| {
        format!(", the cgroup's quota is the time of {quota}")
    });
    let text = format!(
        "{}, CPUs {} allowed{quota}",
        count_shards(needs.shards),
        display_cpu_list(&host.cpus)
    );
    line(Verdict::Ok, "cpus", text)
}

/// `6.18.44-generic` is (6, 18).
fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// What the kernel allocates for a ring of this shape.
fn ring_bytes(submission_entries: u64, completion_entries: u64) -> u64 {
    let entries = pages(submission_entries * SUBMISSION_ENTRY_BYTES);
    let queues = RING_HEADER_BYTES
        + completion_entries * COMPLETION_ENTRY_BYTES
        + submission_entries * SUBMISSION_INDEX_BYTES;
    entries + pages(queues)
}

fn pages(bytes: u64) -> u64 {
    bytes.next_multiple_of(PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CpuQuota;
    use crate::units::CpuId;

    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;

    fn needs(shards: u32) -> Needs {
        Needs {
            shards,
            registered_bytes_per_shard: 192 * KIB,
            memlock_bytes_per_shard: 456 * KIB,
            memory_budget_bytes: 512 * MIB,
            connections_max: 10_000,
        }
    }

    fn findings() -> Findings {
        Findings {
            host: Host {
                cpus: (0..4).map(CpuId).collect(),
                cpu_quota: None,
                memory_bytes: 1024 * MIB,
                cgroup_memory_bytes: None,
                descriptors_max: Some(20_000),
                memlock_bytes_max: Some(8 * MIB),
                is_memlock_exempt: false,
                kernel_release: "6.18.44-generic".to_owned(),
                io_uring_disabled: 0,
            },
            io_uring: Ok(()),
            start: None,
            ring_users: Vec::new(),
        }
    }

    fn find(lines: &[Line], topic: &str) -> (Verdict, String) {
        let line = lines.iter().find(|line| line.topic == topic).unwrap();
        (line.verdict, line.text.clone())
    }

    #[test]
    fn a_fit_machine_has_nothing_to_complain_of() {
        let lines = evaluate(&needs(4), &findings());
        assert!(lines.iter().all(|line| line.verdict == Verdict::Ok), "{lines:?}");
        let shown: Vec<String> = lines.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "ok       kernel: Linux 6.18.44-generic",
                "ok       io_uring: available",
                "ok       memlock: 8 MiB may be locked, needed: 1.7 MiB (4 shards x 456 KiB)",
                "ok       descriptors: 20000 descriptors, 10000 connections",
                "ok       memory: 512 MiB of the machine's 1 GiB",
                "ok       cpus: 4 shards, CPUs 0-3 allowed",
            ]
        );
    }

    #[test]
    fn a_quota_is_told_beside_the_cpus() {
        let mut findings = findings();
        findings.host.cpu_quota = Some(CpuQuota { millis: 2500 });
        let text = "2 shards, CPUs 0-3 allowed, the cgroup's quota is the time of 2.5".to_owned();
        assert_eq!(find(&evaluate(&needs(2), &findings), "cpus"), (Verdict::Ok, text));
    }

    #[test]
    fn too_little_locked_memory_is_named_with_the_arithmetic() {
        let mut findings = findings();
        findings.host.memlock_bytes_max = Some(64 * KIB);
        assert_eq!(
            find(&evaluate(&needs(4), &findings), "memlock"),
            (
                Verdict::Missing,
                "RLIMIT_MEMLOCK = 64 KiB, needed: 1.7 MiB (4 shards x 456 KiB); raise it (`LimitMEMLOCK=1824K` in the \
                 unit, `ulimit -l 1824` in a shell, `--ulimit memlock=1867776` in Docker), or lower --shards"
                    .to_owned()
            )
        );
    }

    #[test]
    fn locked_memory_is_judged_at_the_limit_and_one_below() {
        // shards, exempt, kernel, need
        let cases = [
            (1, false, "6.18.0", 512 * KIB),
            (2, false, "6.18.0", 912 * KIB),
            (17, false, "6.14.0", 17 * 456 * KIB),
            (17, false, "6.13.9", 17 * 192 * KIB),
            (2, false, "6.1.0", 512 * KIB),
            (64, true, "6.18.0", 512 * KIB),
            (64, false, "unreadable", 64 * 456 * KIB),
        ];
        for (shards, is_memlock_exempt, release, need) in cases {
            let mut findings = findings();
            findings.host.is_memlock_exempt = is_memlock_exempt;
            findings.host.kernel_release = release.to_owned();
            let mut verdict = |limit: Option<u64>| {
                findings.host.memlock_bytes_max = limit;
                find(&evaluate(&needs(shards), &findings), "memlock").0
            };
            assert_eq!(verdict(Some(need)), Verdict::Ok, "{shards} {release}");
            assert_eq!(verdict(Some(need - 1)), Verdict::Missing, "{shards} {release}");
            assert_eq!(verdict(None), Verdict::Ok);
        }
    }

    #[test]
    fn locked_memory_that_others_use_up_is_missing_though_the_limit_would_do() {
        let mut findings = findings();
        findings.start = Some(Err(StartProblem {
            is_locked_memory: true,
            text: "shard 1 did not start".to_owned(),
        }));
        findings.ring_users = ["a (pid 1, 4 rings)", "b", "c", "d", "e"]
            .map(str::to_owned)
            .to_vec();
        let lines = evaluate(&needs(4), &findings);
        assert_eq!(
            find(&lines, "memlock"),
            (
                Verdict::Missing,
                "RLIMIT_MEMLOCK = 8 MiB, needed: 1.7 MiB (4 shards x 456 KiB), but other processes of this user, in \
                 other containers too, among them a (pid 1, 4 rings), b, c, 2 more, have locked so much that less is left; stop some, run as \
                 a user of its own, or raise the limit by what they need (`LimitMEMLOCK=10016K` in the unit, `ulimit -l \
                 10016` in a shell, `--ulimit memlock=10256384` in Docker)"
                    .to_owned()
            )
        );
        assert!(lines.iter().all(|line| line.topic != "start"));
        // Not even a small ring: nothing else was tried.
        findings.start = None;
        findings.ring_users = Vec::new();
        findings.io_uring = Err(RingProblem::LockedMemory("Cannot allocate memory".to_owned()));
        let lines = evaluate(&needs(4), &findings);
        for topic in ["io_uring", "memlock"] {
            assert_eq!(find(&lines, topic).0, Verdict::Missing, "{topic}");
        }
        assert!(
            find(&lines, "memlock")
                .1
                .contains("other processes of this user, in other containers too, have locked")
        );
        assert!(lines.iter().all(|line| line.topic != "start"));
        // Without a limit it is the kernel that has none.
        for (memlock_bytes_max, is_memlock_exempt) in [(None, false), (Some(8 * MIB), true)] {
            findings.host.memlock_bytes_max = memlock_bytes_max;
            findings.host.is_memlock_exempt = is_memlock_exempt;
            let (verdict, text) = find(&evaluate(&needs(4), &findings), "memlock");
            assert_eq!(verdict, Verdict::Missing);
            assert!(text.starts_with("no limit holds, needed: "), "{text}");
        }
    }

    #[test]
    fn a_trial_of_the_shards_is_told() {
        let mut findings = findings();
        findings.start = Some(Ok(()));
        let one = (Verdict::Ok, "1 shard and all workers, on trial".to_owned());
        assert_eq!(find(&evaluate(&needs(1), &findings), "start"), one);
        let expected = (Verdict::Ok, "4 shards and all workers, on trial".to_owned());
        assert_eq!(find(&evaluate(&needs(4), &findings), "start"), expected);
        findings.start = Some(Err(StartProblem {
            is_locked_memory: false,
            text: "no threads\nleft".to_owned(),
        }));
        let lines = evaluate(&needs(4), &findings);
        assert_eq!(
            find(&lines, "start"),
            (Verdict::Missing, "no threads\\nleft".to_owned())
        );
        assert_eq!(find(&lines, "memlock").0, Verdict::Ok);
    }

    #[test]
    fn a_refused_ring_names_who_refuses() {
        let cases = [
            (0, "seccomp profile"),
            (1, "without privileges"),
            (2, "is switched off: `sysctl"),
        ];
        for (disabled, advice) in cases {
            let mut findings = findings();
            findings.host.io_uring_disabled = disabled;
            findings.io_uring = Err(RingProblem::Refused(
                "Operation not permitted\n(os error 1)".to_owned(),
            ));
            let (verdict, text) = find(&evaluate(&needs(1), &findings), "io_uring");
            assert_eq!(verdict, Verdict::Missing);
            assert!(text.contains(advice), "{text}");
            assert!(!text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn a_ring_that_lacks_something_speaks_for_itself() {
        let mut findings = findings();
        findings.io_uring = Err(RingProblem::Lacking("no buffer rings; upgrade".to_owned()));
        let expected = (Verdict::Missing, "no buffer rings; upgrade".to_owned());
        assert_eq!(find(&evaluate(&needs(1), &findings), "io_uring"), expected);
    }

    #[test]
    fn kernels_are_told_apart() {
        let cases = [
            ("6.0.0", Verdict::Ok),
            ("6.18.44-fc", Verdict::Ok),
            ("7.1", Verdict::Ok),
            ("10.0.0", Verdict::Ok),
            ("5.19.17", Verdict::Missing),
            ("4.18.0-553.el8", Verdict::Missing),
            ("", Verdict::Warning),
            ("x.y", Verdict::Warning),
        ];
        for (release, verdict) in cases {
            let mut findings = findings();
            findings.host.kernel_release = release.to_owned();
            assert_eq!(
                find(&evaluate(&needs(1), &findings), "kernel").0,
                verdict,
                "{release}"
            );
        }
    }

    #[test]
    fn tight_descriptors_and_memory_are_warned_of() {
        let mut findings = findings();
        findings.host.descriptors_max = Some(1024);
        let tight = Needs {
            connections_max: 990,
            memory_budget_bytes: 769 * MIB,
            ..needs(4)
        };
        let lines = evaluate(&tight, &findings);
        for topic in ["descriptors", "memory"] {
            assert_eq!(find(&lines, topic).0, Verdict::Warning, "{topic}");
        }
        findings.host.descriptors_max = None;
        let edge = Needs {
            memory_budget_bytes: 768 * MIB,
            ..needs(4)
        };
        let lines = evaluate(&edge, &findings);
        assert!(lines.iter().all(|line| line.verdict == Verdict::Ok), "{lines:?}");
        findings.host.cgroup_memory_bytes = Some(600 * MIB);
        let (verdict, text) = find(&evaluate(&needs(4), &findings), "memory");
        assert_eq!(verdict, Verdict::Warning);
        assert!(text.starts_with("512 MiB of the cgroup's 600 MiB;"), "{text}");
    }

    #[test]
    fn ring_sizes_are_those_measured() {
        // On 6.18, 8 MiB hold 40 data rings and no 41st, and 512 rings of 128 entries and no 513th.
        assert_eq!(ring_bytes(1024, 8192), 200 * KIB);
        assert_eq!(ring_bytes(128, 256), 16 * KIB);
    }
}
