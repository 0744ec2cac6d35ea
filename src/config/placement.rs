//! The CPU of each shard, and the CPUs that are left for workers.
//!
//! This is pure: the CPUs a process may use are passed in (see `host`), and nothing is pinned here. Invariant: a CPU
//! that was not allowed is never used.

use crate::units::{CpuId, ShardId};

/// The highest CPU number that can be named; the kernel's own affinity masks end here.
const CPU_MAX: usize = 1023;

/// One shard's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardPlace {
    /// The shard.
    pub shard: ShardId,
    /// The CPU of its executor; several shards share one when there are more shards than CPUs.
    pub cpu: CpuId,
}

/// The CPUs of all shards and workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placement {
    /// One per shard, in order.
    pub shards: Vec<ShardPlace>,
    /// The CPUs that the shards leave; if it is empty, workers are not pinned.
    pub worker_cpus: Vec<CpuId>,
}

impl Placement {
    /// The CPUs of all shards, ascending, each once.
    pub(super) fn used_cpus(&self) -> Vec<CpuId> {
        let mut cpus: Vec<CpuId> = self.shards.iter().map(|place| place.cpu).collect();
        cpus.sort_unstable();
        cpus.dedup();
        cpus
    }
}

/// Puts shards on CPUs in turn, starting over when there are more shards than CPUs.
///
/// `allowed` are the CPUs that the process may use, `chosen` those that shards may. Without CPUs there are no shards.
pub(super) fn place(shards: u16, chosen: &[CpuId], allowed: &[CpuId]) -> Placement {
    let shards: Vec<ShardPlace> = chosen
        .iter()
        .cycle()
        .take(usize::from(shards))
        .zip(0..)
        .map(|(cpu, index)| ShardPlace {
            shard: ShardId(index),
            cpu: *cpu,
        })
        .collect();
    let is_free = |cpu: &&CpuId| shards.iter().all(|place| place.cpu != **cpu);
    let worker_cpus = allowed.iter().filter(is_free).copied().collect();
    Placement { shards, worker_cpus }
}

/// Reads `0-3,6`, as the kernel and `taskset` write it. The result is ascending, with each CPU once.
///
/// # Errors
/// Returns a text that completes a sentence about the value.
pub(super) fn parse_cpu_list(text: &str) -> Result<Vec<CpuId>, String> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (parse_cpu(first)?, parse_cpu(last)?),
            None => (parse_cpu(part)?, parse_cpu(part)?),
        };
        if first > last {
            return Err(format!(
                "has the empty range {first}-{last}; write {last}-{first}"
            ));
        }
        cpus.extend((first..=last).map(CpuId));
    }
    cpus.sort_unstable();
    cpus.dedup();
    Ok(cpus)
}

/// Writes `0-3,6`.
pub fn display_cpu_list(cpus: &[CpuId]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for CpuId(cpu) in cpus.iter().copied() {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == cpu => *last = cpu,
            _ => ranges.push((cpu, cpu)),
        }
    }
    let texts: Vec<String> = ranges
        .into_iter()
        .map(|(first, last)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            }
        })
        .collect();
    texts.join(",")
}

fn parse_cpu(text: &str) -> Result<usize, String> {
    let text = text.trim();
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits {
        return Err("is not a list of CPUs; write for example `0-3,6`".to_owned());
    }
    match text.parse() {
        Ok(cpu) if cpu <= CPU_MAX => Ok(cpu),
        _ => Err(format!("names CPU {text}; the highest possible is {CPU_MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpus(numbers: &[usize]) -> Vec<CpuId> {
        numbers.iter().copied().map(CpuId).collect()
    }

    #[test]
    fn cpu_lists_are_read_and_written() {
        let cases: [(&str, &[usize], &str); 7] = [
            ("0", &[0], "0"),
            ("0-3,6", &[0, 1, 2, 3, 6], "0-3,6"),
            ("6,0-3", &[0, 1, 2, 3, 6], "0-3,6"),
            ("0-2,1-4", &[0, 1, 2, 3, 4], "0-4"),
            (" 1 , 3 - 4 ", &[1, 3, 4], "1,3-4"),
            ("2-2", &[2], "2"),
            ("1023", &[1023], "1023"),
        ];
        for (text, numbers, written) in cases {
            let list = parse_cpu_list(text).unwrap();
            assert_eq!(list, cpus(numbers), "{text}");
            assert_eq!(display_cpu_list(&list), written);
            assert_eq!(parse_cpu_list(written).unwrap(), list);
        }
        assert_eq!(display_cpu_list(&[]), "");
    }

    #[test]
    fn what_is_no_cpu_list_is_refused() {
        for text in ["", ",", "0,", "a", "0-", "-1", "0--1", "+1", "1.5", "0x1"] {
            let reason = parse_cpu_list(text).unwrap_err();
            assert!(reason.contains("write for example `0-3,6`"), "{text}: {reason}");
        }
        assert!(parse_cpu_list("3-1").unwrap_err().contains("empty range"));
        for text in ["1024", "0-1024", "99999999999999999999"] {
            assert!(
                parse_cpu_list(text)
                    .unwrap_err()
                    .contains("highest possible is 1023")
            );
        }
    }

    #[test]
    fn shards_take_cpus_in_turn_and_workers_what_is_left() {
        let all = cpus(&[0, 1, 2, 3]);
        // The columns are shards, CPUs they may use, CPUs they get, and CPUs left over.
        type Case = (u16, &'static [usize], &'static [usize], &'static [usize]);
        let cases: [Case; 6] = [
            (4, &[0, 1, 2, 3], &[0, 1, 2, 3], &[]),
            (2, &[0, 1, 2, 3], &[0, 1], &[2, 3]),
            (6, &[0, 1, 2, 3], &[0, 1, 2, 3, 0, 1], &[]),
            (2, &[1, 3], &[1, 3], &[0, 2]),
            (3, &[3], &[3, 3, 3], &[0, 1, 2]),
            (1, &[0, 1, 2, 3], &[0], &[1, 2, 3]),
        ];
        for (shards, chosen, placed, left) in cases {
            let placement = place(shards, &cpus(chosen), &all);
            let used: Vec<CpuId> = placement.shards.iter().map(|place| place.cpu).collect();
            assert_eq!(used, cpus(placed));
            assert_eq!(placement.worker_cpus, cpus(left));
            for (index, place) in placement.shards.iter().enumerate() {
                assert_eq!(place.shard.index(), index);
            }
        }
        assert!(place(2, &[], &[]).shards.is_empty());
    }
}
