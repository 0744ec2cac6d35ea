//! What this machine lets the process have: CPUs, memory, descriptors, locked memory.
//!
//! Reading is kept apart from meaning: each `read_*` fetches a text, each `parse_*` is pure and tested with the
//! kernel's own formats. Decides nothing (see `resolve` and `startup`). A limit that cannot be read is taken as absent,
//! except CPUs and memory, without which nothing can be planned.
#![allow(clippy::disallowed_methods, reason = "before there are shards")]

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::units::CpuId;

/// What can be planned with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// CPUs this process may use, ascending; affinity and cpuset are respected.
    pub cpus: Vec<CpuId>,
    /// The machine's memory.
    pub memory_bytes: u64,
    /// The cgroup's limit, if there is one below the machine's.
    pub cgroup_memory_bytes: Option<u64>,
    /// Descriptors this process may open; `None`: as many as it likes.
    pub descriptors_max: Option<u64>,
    /// Memory this process may lock; `None`: as much as it likes.
    pub memlock_bytes_max: Option<u64>,
    /// Whether it may lock more than that all the same (`CAP_IPC_LOCK`).
    pub is_memlock_exempt: bool,
    /// The kernel's release, such as `6.18.44`.
    pub kernel_release: String,
    /// `kernel.io_uring_disabled`: 1 is for all without privileges, 2 for all.
    pub io_uring_disabled: u8,
}

/// A fact without which nothing can be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// `sched_getaffinity` failed.
    #[error("cannot tell which CPUs this process may use; is sched_getaffinity forbidden?")]
    Cpus,
    /// No total in `/proc/meminfo`.
    #[error("cannot tell how much memory there is: no MemTotal in /proc/meminfo; is /proc mounted?")]
    Memory,
}

impl Host {
    /// Asks the kernel.
    ///
    /// # Errors
    /// When CPUs or memory cannot be read.
    pub fn read() -> Result<Self, HostError> {
        let memory_bytes = parse_meminfo(&read_text("/proc/meminfo")).ok_or(HostError::Memory)?;
        let cores = core_affinity::get_core_ids().filter(|cores| !cores.is_empty());
        Ok(Self {
            cpus: cores
                .ok_or(HostError::Cpus)?
                .into_iter()
                .map(|core| CpuId(core.id))
                .collect(),
            memory_bytes,
            cgroup_memory_bytes: read_cgroup_limit().filter(|limit| *limit < memory_bytes),
            descriptors_max: getrlimit(Resource::Nofile).current,
            memlock_bytes_max: getrlimit(Resource::Memlock).current,
            is_memlock_exempt: has_ipc_lock(&read_text("/proc/self/status")),
            kernel_release: read_text("/proc/sys/kernel/osrelease").trim().to_owned(),
            io_uring_disabled: read_text("/proc/sys/kernel/io_uring_disabled")
                .trim()
                .parse()
                .unwrap_or(0),
        })
    }

    /// What there is: the machine's memory, or the cgroup's if that is less.
    pub fn available_memory_bytes(&self) -> u64 {
        self.cgroup_memory_bytes
            .map_or(self.memory_bytes, |limit| limit.min(self.memory_bytes))
    }
}

/// Raises the soft limits of descriptors and locked memory to the hard ones, as far as the kernel lets: a soft limit
/// of 1024 descriptors is kept for programs that use `select`, which this one does not.
pub fn raise_soft_limits() {
    for resource in [Resource::Nofile, Resource::Memlock] {
        let limit = getrlimit(resource);
        if limit.current != limit.maximum {
            let raised = Rlimit {
                current: limit.maximum,
                maximum: limit.maximum,
            };
            // A refusal leaves the limit as it was, which is what is planned with then.
            let _ = setrlimit(resource, raised);
        }
    }
}

fn read_text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn read_cgroup_limit() -> Option<u64> {
    cgroup_limit_files(&read_text("/proc/self/cgroup"), Path::new("/sys/fs/cgroup"))
        .into_iter()
        .filter_map(|file| parse_cgroup_limit(&read_text(file)))
        .min()
}

/// Every file that may hold a limit for this process: its own group and all above it, v2 and v1. In a container the
/// own path may not exist inside; the group at the mount is then the container's.
fn cgroup_limit_files(proc_cgroup: &str, mount: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in proc_cgroup.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(hierarchy), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let is_v2 = hierarchy == "0" && controllers.is_empty();
        let is_v1_memory = controllers.split(',').any(|controller| controller == "memory");
        let (root, name) = if is_v2 {
            (mount.to_owned(), "memory.max")
        } else if is_v1_memory {
            (mount.join("memory"), "memory.limit_in_bytes")
        } else {
            continue;
        };
        let own = Path::new(path.trim_start_matches('/'));
        // `ancestors` ends with the empty path, which is the mount itself.
        files.extend(own.ancestors().map(|group| root.join(group).join(name)));
    }
    files
}

/// `max` and v1's almost 2^63 are no limits.
fn parse_cgroup_limit(text: &str) -> Option<u64> {
    const V1_UNLIMITED_FROM: u64 = 1 << 62;
    text.trim()
        .parse()
        .ok()
        .filter(|limit| *limit < V1_UNLIMITED_FROM)
}

fn parse_meminfo(text: &str) -> Option<u64> {
    let kib: u64 = field(text, "MemTotal:")?
        .split_whitespace()
        .next()?
        .parse()
        .ok()?;
    kib.checked_mul(1024)
}

fn has_ipc_lock(status: &str) -> bool {
    const CAP_IPC_LOCK: u32 = 14;
    field(status, "CapEff:")
        .and_then(|hex| u64::from_str_radix(hex, 16).ok())
        .is_some_and(|mask| mask >> CAP_IPC_LOCK & 1 == 1)
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(proc_cgroup: &str) -> Vec<String> {
        cgroup_limit_files(proc_cgroup, Path::new("/m"))
            .into_iter()
            .map(|path| path.display().to_string())
            .collect()
    }

    #[test]
    fn cgroup_v2_is_asked_from_the_own_group_up_to_the_mount() {
        assert_eq!(
            files("0::/system.slice/weir.service\n"),
            [
                "/m/system.slice/weir.service/memory.max",
                "/m/system.slice/memory.max",
                "/m/memory.max"
            ]
        );
        assert_eq!(files("0::/\n"), ["/m/memory.max"]);
    }

    #[test]
    fn cgroup_v1_is_asked_where_the_memory_controller_is() {
        let v1 = "9:name=systemd:/\n8:pids:/a\n4:cpu,memory:/docker/abc\n3:cpuset:/\n";
        assert_eq!(
            files(v1),
            [
                "/m/memory/docker/abc/memory.limit_in_bytes",
                "/m/memory/docker/memory.limit_in_bytes",
                "/m/memory/memory.limit_in_bytes"
            ]
        );
        let hybrid = "4:memory:/x\n0::/\n";
        assert_eq!(
            files(hybrid),
            [
                "/m/memory/x/memory.limit_in_bytes",
                "/m/memory/memory.limit_in_bytes",
                "/m/memory.max"
            ]
        );
    }

    #[test]
    fn broken_cgroup_lines_are_passed_over() {
        for text in ["", "\n", "0", "0:", ":::::", "x:memory2:/a"] {
            assert!(files(text).is_empty(), "{text:?}");
        }
        assert_eq!(files("0::/a:b"), ["/m/a:b/memory.max", "/m/memory.max"]);
    }

    #[test]
    fn no_limit_is_told_from_a_limit() {
        let cases = [
            ("67108864\n", Some(67_108_864)),
            ("max\n", None),
            ("9223372036854771712\n", None),
            ("18446744073709551615", None),
            ("18446744073709551616", None),
            ("", None),
            ("-1", None),
        ];
        for (text, limit) in cases {
            assert_eq!(parse_cgroup_limit(text), limit, "{text:?}");
        }
    }

    #[test]
    fn meminfo_and_capabilities_are_read() {
        let meminfo = "MemTotal:       24684148 kB\nMemFree:        20869296 kB\n";
        assert_eq!(parse_meminfo(meminfo), Some(24_684_148 * 1024));
        assert_eq!(parse_meminfo("MemFree: 1 kB"), None);
        assert_eq!(parse_meminfo("MemTotal: 18446744073709551615 kB"), None);
        assert!(has_ipc_lock("Name:\tweir\nCapEff:\t000001ffffffffff\n"));
        assert!(has_ipc_lock("CapEff:\t0000000000004000\n"));
        assert!(!has_ipc_lock("CapEff:\t0000000000000000\n"));
        assert!(!has_ipc_lock("CapEff:\t00000000a80425fb\n"));
        assert!(!has_ipc_lock("CapPrm:\t000001ffffffffff\n"));
    }

    #[test]
    fn this_machine_can_be_read() {
        let host = Host::read().unwrap();
        assert!(!host.cpus.is_empty());
        assert!(host.cpus.is_sorted());
        assert!(host.available_memory_bytes() > 0);
        assert!(host.kernel_release.contains('.'));
    }
}
