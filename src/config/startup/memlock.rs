//! The check of the memory that may be locked for executors and rings, and what to raise if it is not enough.

use super::findings::{Findings, RingProblem};
use super::kernel::parse_release;
use super::line::{Line, Verdict, line};
use super::needs::Needs;
use crate::config::host::Host;
use crate::units::ByteSize;

/// The executor refuses to start below this, whatever it needs.
const EXECUTOR_MEMLOCK_MIN_BYTES: u64 = 512 << 10;
/// Before this release, only registered memory counts as locked; rings do not.
const KERNEL_COUNTS_RINGS: (u32, u32) = (6, 14);

/// The memory that must be lockable.
struct MemlockNeed {
    bytes: u64,
    /// The arithmetic that leads to it.
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

pub(super) fn memlock(needs: &Needs, findings: &Findings) -> Line {
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

/// The limit would be enough, but the kernel has no memory to lock: it counts what all processes of a user lock
/// together, whatever limit each of them has.
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
    /// More of them would tell an operator no more.
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
