//! The start-up check: compares what the settings need with what the kernel gives.
//!
//! This is pure: findings go in, lines come out, each with the next step. The caller fills in the findings (the ring
//! probe belongs to `ring`) and decides what to print; a server starts unless a line says [`Verdict::Missing`].
//!
//! `needs` and `findings` are compared; `line` is the result, one for each topic. `kernel` and `memlock` have topics
//! with arithmetic of their own, the others are here.

mod findings;
mod kernel;
mod line;
mod memlock;
mod needs;
#[cfg(test)]
mod tests;

pub use findings::{Findings, RingProblem, StartProblem};
use kernel::kernel;
use line::line;
pub use line::{Line, Verdict};
use memlock::memlock;
pub use needs::Needs;

use super::host::Host;
use super::placement::display_cpu_list;
use crate::units::ByteSize;

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

/// `None` if the start was not tried, or if the line about locked memory says it all.
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
    /// A host with hundreds of clients has at least this many.
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

/// The settings have a note already if shards share CPUs.
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
