//! The resources that this machine gives the process: CPUs and their time, memory, descriptors, locked memory.
//!
//! Reading is kept apart from parsing: each `read_*` fetches a text, each `parse_*` is pure and tested with the
//! kernel's own formats. Nothing is decided here (see `resolve` and `startup`). A limit that cannot be read is taken as
//! absent, except for CPUs and memory, without which nothing can be planned.
#![allow(clippy::disallowed_methods, reason = "before there are shards")]

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::units::CpuId;

/// The resources to plan with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// CPUs this process may use, ascending; affinity and cpuset are respected.
    pub cpus: Vec<CpuId>,
    /// The cgroup's quota of CPU time, if that is less than the time of all these CPUs.
    pub cpu_quota: Option<CpuQuota>,
    /// The machine's memory.
    pub memory_bytes: u64,
    /// The cgroup's limit, if there is one below the machine's.
    pub cgroup_memory_bytes: Option<u64>,
    /// Descriptors this process may open; `None` means that there is no limit.
    pub descriptors_max: Option<u64>,
    /// Memory this process may lock; `None` means that there is no limit.
    pub memlock_bytes_max: Option<u64>,
    /// Whether the process may lock more than that all the same (`CAP_IPC_LOCK`, which counts only outside of user
    /// namespaces).
    pub is_memlock_exempt: bool,
    /// The kernel's release, such as `6.18.44`.
    pub kernel_release: String,
    /// `kernel.io_uring_disabled`: 1 disables it for processes without privileges, 2 for all.
    pub io_uring_disabled: u8,
}

/// The CPU time that a cgroup may use, in thousandths of one CPU's: a container's `--cpus=1.5` is 1500.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CpuQuota {
    /// The thousandths; at least 1.
    pub millis: u32,
}

impl CpuQuota {
    /// How many threads can be busy all the time without being throttled; at least 1.
    ///
    /// The number is rounded down: one more thread would be stopped for the rest of every period, and with it the
    /// clients it serves.
    pub fn whole_cpus(self) -> usize {
        (self.millis as usize / 1000).max(1)
    }
}

impl fmt::Display for CpuQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{}.{:03}", self.millis / 1000, self.millis % 1000);
        f.write_str(decimals.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// A fact is unknown without which nothing can be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// `sched_getaffinity` failed.
    #[error("cannot tell which CPUs this process may use; is sched_getaffinity forbidden?")]
    Cpus,
    /// `/proc/meminfo` has no total.
    #[error("cannot tell how much memory there is: no MemTotal in /proc/meminfo; is /proc mounted?")]
    Memory,
}

impl Host {
    /// Reads the machine's resources from the kernel.
    ///
    /// # Errors
    /// Fails when CPUs or memory cannot be read.
    pub fn read() -> Result<Self, HostError> {
        let memory_bytes = parse_meminfo(&read_text("/proc/meminfo")).ok_or(HostError::Memory)?;
        let cores = core_affinity::get_core_ids().filter(|cores| !cores.is_empty());
        let cpus: Vec<CpuId> = cores
            .ok_or(HostError::Cpus)?
            .into_iter()
            .map(|core| CpuId(core.id))
            .collect();
        let groups = Cgroups::of_this_process();
        let all_of_them = CpuQuota {
            millis: u32::try_from(cpus.len() * 1000).unwrap_or(u32::MAX),
        };
        Ok(Self {
            cpu_quota: groups.cpu_quota().filter(|quota| *quota < all_of_them),
            cpus,
            memory_bytes,
            cgroup_memory_bytes: groups.memory_limit().filter(|limit| *limit < memory_bytes),
            descriptors_max: getrlimit(Resource::Nofile).current,
            memlock_bytes_max: getrlimit(Resource::Memlock).current,
            is_memlock_exempt: has_ipc_lock(&read_text("/proc/self/status"))
                && is_all_users(&read_text("/proc/self/uid_map")),
            kernel_release: read_text("/proc/sys/kernel/osrelease").trim().to_owned(),
            io_uring_disabled: read_text("/proc/sys/kernel/io_uring_disabled")
                .trim()
                .parse()
                .unwrap_or(0),
        })
    }

    /// How many threads can be busy on the CPUs: one on each allowed CPU, or as many as the cgroup's quota holds.
    pub fn usable_cpus(&self) -> usize {
        let quota = self.cpu_quota.map_or(usize::MAX, CpuQuota::whole_cpus);
        self.cpus.len().min(quota)
    }

    /// The memory that there is: the machine's, or the cgroup's if that is less.
    pub fn available_memory_bytes(&self) -> u64 {
        self.cgroup_memory_bytes
            .map_or(self.memory_bytes, |limit| limit.min(self.memory_bytes))
    }
}

/// Raises the soft limits of descriptors and locked memory to the hard ones, as far as the kernel lets: a soft limit of
/// 1024 descriptors is kept for programs that use `select`, which this one does not.
pub fn raise_soft_limits() {
    for resource in [Resource::Nofile, Resource::Memlock] {
        let limit = getrlimit(resource);
        if limit.current != limit.maximum {
            let raised = Rlimit {
                current: limit.maximum,
                maximum: limit.maximum,
            };
            // If the kernel refuses, the limit stays as it was, and the plan uses that.
            let _ = setrlimit(resource, raised);
        }
    }
}

fn read_text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The places of limits for this process.
struct Cgroups {
    /// `/proc/self/cgroup`.
    membership: String,
    /// The mount point of the hierarchies.
    mount: PathBuf,
}

/// The version of a controller, and the folder of a group.
enum Group {
    V1(PathBuf),
    V2(PathBuf),
}

impl Cgroups {
    fn of_this_process() -> Self {
        Self {
            membership: read_text("/proc/self/cgroup"),
            mount: PathBuf::from("/sys/fs/cgroup"),
        }
    }

    /// The least limit of the process's own group and all groups above it.
    fn memory_limit(&self) -> Option<u64> {
        let limits = self.groups("memory").into_iter().filter_map(|group| {
            let file = match group {
                Group::V1(folder) => folder.join("memory.limit_in_bytes"),
                Group::V2(folder) => folder.join("memory.max"),
            };
            parse_cgroup_limit(&read_text(file))
        });
        limits.min()
    }

    /// The least quota of the process's own group and all groups above it.
    fn cpu_quota(&self) -> Option<CpuQuota> {
        let quotas = self.groups("cpu").into_iter().filter_map(|group| match group {
            Group::V1(folder) => parse_cpu_quota(
                &read_text(folder.join("cpu.cfs_quota_us")),
                &read_text(folder.join("cpu.cfs_period_us")),
            ),
            Group::V2(folder) => {
                let text = read_text(folder.join("cpu.max"));
                let (quota, period) = text.trim().split_once(' ')?;
                parse_cpu_quota(quota, period)
            }
        });
        quotas.min()
    }

    /// Every group that may limit this process by `controller`: its own and all above it, v2 and v1. In a container the
    /// own path may not exist; the group at the mount is then the container's.
    fn groups(&self, controller: &str) -> Vec<Group> {
        let mut groups = Vec::new();
        for line in self.membership.lines() {
            let mut fields = line.splitn(3, ':');
            let (Some(hierarchy), Some(controllers), Some(path)) =
                (fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let is_v2 = hierarchy == "0" && controllers.is_empty();
            let is_v1 = controllers.split(',').any(|one| one == controller);
            let own = Path::new(path.trim_start_matches('/'));
            // `ancestors` ends with the empty path, which is the mount itself.
            if is_v2 {
                groups.extend(own.ancestors().map(|group| Group::V2(self.mount.join(group))));
            } else if is_v1 {
                let root = self.mount.join(controller);
                groups.extend(own.ancestors().map(|group| Group::V1(root.join(group))));
            }
        }
        groups
    }
}

/// Parses microseconds of CPU time in each period; `max` and -1 mean that there is no quota.
fn parse_cpu_quota(quota: &str, period: &str) -> Option<CpuQuota> {
    let quota: u64 = quota.trim().parse().ok()?;
    let period: u64 = period.trim().parse().ok().filter(|period| *period > 0)?;
    let millis = u128::from(quota) * 1000 / u128::from(period);
    let millis = u32::try_from(millis).unwrap_or(u32::MAX).max(1);
    Some(CpuQuota { millis })
}

/// `max`, and v1's almost 2^63, mean that there is no limit.
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

/// Whether a user namespace is the first one, in which every user has his own id. In the others, such as those of
/// rootless containers, root has all capabilities, but the kernel ignores them.
fn is_all_users(uid_map: &str) -> bool {
    uid_map.split_whitespace().eq(["0", "0", "4294967295"])
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(membership: &str, controller: &str) -> Vec<String> {
        let groups = Cgroups {
            membership: membership.to_owned(),
            mount: PathBuf::from("/m"),
        };
        let shown = groups.groups(controller).into_iter().map(|group| match group {
            Group::V1(folder) => format!("v1 {}", folder.display()),
            Group::V2(folder) => format!("v2 {}", folder.display()),
        });
        shown.collect()
    }

    #[test]
    fn cgroup_v2_is_asked_from_the_own_group_up_to_the_mount() {
        for controller in ["memory", "cpu"] {
            assert_eq!(
                groups("0::/system.slice/weir.service\n", controller),
                ["v2 /m/system.slice/weir.service", "v2 /m/system.slice", "v2 /m/"]
            );
            assert_eq!(groups("0::/\n", controller), ["v2 /m/"]);
        }
    }

    #[test]
    fn cgroup_v1_is_asked_where_the_controller_is() {
        let v1 = "9:name=systemd:/\n8:pids:/a\n4:cpu,memory:/docker/abc\n3:cpuset:/\n2:cpuacct:/x\n";
        for controller in ["memory", "cpu"] {
            let expected = ["/docker/abc", "/docker", "/"].map(|group| format!("v1 /m/{controller}{group}"));
            assert_eq!(groups(v1, controller), expected);
        }
        let hybrid = "4:memory:/x\n0::/\n";
        assert_eq!(
            groups(hybrid, "memory"),
            ["v1 /m/memory/x", "v1 /m/memory/", "v2 /m/"]
        );
        assert_eq!(groups(hybrid, "cpu"), ["v2 /m/"]);
    }

    #[test]
    fn broken_cgroup_lines_are_passed_over() {
        for text in ["", "\n", "0", "0:", ":::::", "x:memory2,cpu2:/a"] {
            for controller in ["memory", "cpu"] {
                assert!(groups(text, controller).is_empty(), "{text:?}");
            }
        }
        assert_eq!(groups("0::/a:b", "cpu"), ["v2 /m/a:b", "v2 /m/"]);
    }

    /// A tree like `/sys/fs/cgroup`, removed when the test ends.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let root = std::env::temp_dir().join(format!("weir-host-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&root);
            fs::create_dir_all(&root).unwrap();
            for (file, text) in files {
                let path = root.join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self(root)
        }

        fn groups(&self, membership: &str) -> Cgroups {
            Cgroups {
                membership: membership.to_owned(),
                mount: self.0.clone(),
            }
        }

        fn millis(&self, membership: &str) -> Option<u32> {
            self.groups(membership).cpu_quota().map(|quota| quota.millis)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_least_quota_from_the_own_group_up_counts_in_v2() {
        let tree = Tree::new(
            "v2",
            &[
                ("cpu.max", "max 100000\n"),
                ("a.slice/cpu.max", "350000 100000\n"),
                ("a.slice/b.service/cpu.max", "max 100000\n"),
                ("a.slice/c.service/cpu.max", "50000 200000\n"),
                ("a.slice/memory.max", "67108864\n"),
            ],
        );
        assert_eq!(tree.millis("0::/a.slice/b.service\n"), Some(3500));
        assert_eq!(tree.millis("0::/a.slice/c.service\n"), Some(250));
        assert_eq!(tree.millis("0::/a.slice\n"), Some(3500));
        assert_eq!(tree.millis("0::/\n"), None);
        assert_eq!(
            tree.groups("0::/a.slice/b.service\n").memory_limit(),
            Some(64 << 20)
        );
        // A container sees its own group at the mount, whatever its path outside is.
        let inside = Tree::new("v2-inside", &[("cpu.max", "150000 100000\n")]);
        assert_eq!(
            inside.millis("0::/../../system.slice/docker-abc.scope\n"),
            Some(1500)
        );
        assert_eq!(inside.millis("0::/\n"), Some(1500));
    }

    #[test]
    fn the_least_quota_from_the_own_group_up_counts_in_v1() {
        let tree = Tree::new(
            "v1",
            &[
                ("cpu/cpu.cfs_quota_us", "-1\n"),
                ("cpu/cpu.cfs_period_us", "100000\n"),
                ("cpu/docker/abc/cpu.cfs_quota_us", "200000\n"),
                ("cpu/docker/abc/cpu.cfs_period_us", "100000\n"),
                ("memory/docker/abc/memory.limit_in_bytes", "67108864\n"),
            ],
        );
        let membership = "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/\n";
        assert_eq!(tree.millis(membership), Some(2000));
        assert_eq!(tree.groups(membership).memory_limit(), Some(64 << 20));
        assert_eq!(tree.millis("5:cpu:/docker\n"), None);
        assert_eq!(tree.millis("5:cpuacct:/docker/abc\n"), None);
    }

    #[test]
    fn quotas_are_thousandths_of_a_cpu_and_whole_ones_are_rounded_down() {
        // The columns are quota, period, thousandths, the quota as people read it, and the number of busy threads.
        let cases = [
            ("100000", "100000", 1000, "1", 1),
            ("250000", "100000", 2500, "2.5", 2),
            ("199999", "100000", 1999, "1.999", 1),
            ("1000", "100000", 10, "0.01", 1),
            ("1", "1000000", 1, "0.001", 1),
            ("9999999999999", "1000", u32::MAX, "4294967.295", 4_294_967),
        ];
        for (quota, period, millis, shown, cpus) in cases {
            let read = parse_cpu_quota(quota, period).unwrap();
            assert_eq!((read.millis, read.to_string().as_str()), (millis, shown));
            assert_eq!(read.whole_cpus(), cpus);
        }
        for (quota, period) in [
            ("max", "100000"),
            ("-1", "100000"),
            ("1", "0"),
            ("", ""),
            ("1", "-1"),
        ] {
            assert_eq!(parse_cpu_quota(quota, period), None);
        }
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
        assert!(is_all_users("         0          0 4294967295\n"));
        assert!(!is_all_users("         0       1000          1\n"));
        assert!(!is_all_users("0 1000 1\n1 100000 65536\n"));
    }

    #[test]
    fn this_machine_can_be_read() {
        let host = Host::read().unwrap();
        assert!(!host.cpus.is_empty());
        assert!(host.cpus.is_sorted());
        assert!(host.available_memory_bytes() > 0);
        // The standard library finds quotas in its own way.
        let parallelism = std::thread::available_parallelism().unwrap();
        assert_eq!(host.usable_cpus(), parallelism.get());
        assert!(host.kernel_release.contains('.'));
    }
}
