//! A cgroup (version 2) for each child: the kernel keeps its limits, and can kill all of it at once.
//!
//! Groups are made below a *base*. It must have been delegated to us: a service manager said so by an attribute
//! (`Delegate=yes`), or it is the root that a container sees. Having the right to write is not enough, because other
//! people's trees are no business of ours. A group with processes cannot hand controllers on, so server, guard and
//! launcher move to a leaf of their own first.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::Pid;

use crate::launcher::spec::{CgroupUse, Limits};

/// Where server, guard and launcher go.
const OWN_LEAF: &str = "weir";
/// What the groups of children are called, before the server's number and the child's.
const PREFIX: &str = "weir-child";
/// The largest value of the attribute that is looked at.
const ATTRIBUTE_BYTES_MAX: usize = 8;

/// The base, and what can be had there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cgroups {
    base: PathBuf,
    prefix: String,
    has_memory: bool,
    has_pids: bool,
}

/// The group of one child.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cgroup {
    path: PathBuf,
    /// Whether the kernel keeps `rss_max`.
    pub(super) has_memory: bool,
}

impl Cgroups {
    /// The base for a server, or `None` when there is none to be had.
    pub(super) fn find(wanted: &CgroupUse, server: Option<Pid>, own: &[Option<Pid>]) -> Option<Cgroups> {
        let found = match wanted {
            CgroupUse::Off => return None,
            CgroupUse::At(base) => Cgroups::at(base.clone(), server),
            CgroupUse::Auto => {
                let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
                let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
                let base = delegated_base(&mounts, &groups, is_delegated)?;
                if !lists(&base.join("cgroup.controllers"), "memory") {
                    return None;
                }
                settle(&base, own).ok()?;
                Cgroups::at(base, server)
            }
        };
        found.remove_leftovers();
        (found.has_memory || *wanted != CgroupUse::Auto).then_some(found)
    }

    fn at(base: PathBuf, server: Option<Pid>) -> Cgroups {
        let controllers = base.join("cgroup.subtree_control");
        let server = server.map_or(0, |pid| pid.as_raw_nonzero().get());
        Cgroups {
            prefix: format!("{PREFIX}-{server}-"),
            has_memory: lists(&controllers, "memory"),
            has_pids: lists(&controllers, "pids"),
            base,
        }
    }

    /// Whether the kernel keeps limits of processes.
    pub(super) fn has_pids(&self) -> bool {
        self.has_pids
    }

    pub(super) fn base(&self) -> &Path {
        &self.base
    }

    /// Makes the group of a child, with its limits.
    pub(super) fn create(&self, child: u64, limits: &Limits) -> io::Result<Cgroup> {
        let path = self.base.join(format!("{}{child}", self.prefix));
        fs::create_dir(&path)?;
        let group = Cgroup {
            path,
            has_memory: self.has_memory,
        };
        self.set_limits(&group, limits).inspect_err(|_| group.remove())?;
        Ok(group)
    }

    fn set_limits(&self, group: &Cgroup, limits: &Limits) -> io::Result<()> {
        if let Some(bytes) = limits.rss_max.filter(|_| self.has_memory) {
            group.write("memory.max", &bytes.to_string())?;
            // All of it or nothing: half a tree serves nobody. Kernels before 4.19 have no such file.
            let _ = group.write("memory.oom.group", "1");
        }
        match limits.pids_max.filter(|_| self.has_pids) {
            Some(processes) => group.write("pids.max", &processes.to_string()),
            None => Ok(()),
        }
    }

    /// Removes groups that an earlier launcher of the same server left. They are empty: its children died with it.
    fn remove_leftovers(&self) {
        let Ok(entries) = fs::read_dir(&self.base) else {
            return;
        };
        for entry in entries.flatten() {
            let is_ours = entry
                .file_name()
                .to_str()
                .is_some_and(|name| name.starts_with(&self.prefix));
            if is_ours {
                let _ = fs::remove_dir(entry.path());
            }
        }
    }
}

impl Cgroup {
    /// Where a process writes 0 to enter.
    pub(super) fn entrance(&self) -> io::Result<File> {
        OpenOptions::new()
            .write(true)
            .open(self.path.join("cgroup.procs"))
    }

    /// Kills all of it.
    pub(super) fn kill(&self) {
        // Kernels before 5.14 have no such file; those who call kill what they find as well.
        let _ = self.write("cgroup.kill", "1");
    }

    /// Whether the kernel killed it for its memory.
    pub(super) fn was_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.path.join("memory.events")).unwrap_or_default();
        let mut counts = events.lines().filter_map(|line| line.strip_prefix("oom_kill "));
        counts.any(|count| count.trim() != "0")
    }

    /// Removes it, which needs it to be empty.
    pub(super) fn remove(&self) {
        let _ = fs::remove_dir(&self.path);
    }

    fn write(&self, file: &str, value: &str) -> io::Result<()> {
        fs::write(self.path.join(file), value)
    }
}

/// Whether a file's first line lists a word.
fn lists(file: &Path, word: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|text| text.split_whitespace().any(|listed| listed == word))
}

/// Empties the base of our own processes, and switches on what children's groups need.
fn settle(base: &Path, own: &[Option<Pid>]) -> io::Result<()> {
    let controllers = base.join("cgroup.subtree_control");
    if lists(&controllers, "memory") && lists(&controllers, "pids") {
        return Ok(());
    }
    let leaf = base.join(OWN_LEAF);
    match fs::create_dir(&leaf) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    for pid in own.iter().flatten() {
        fs::write(leaf.join("cgroup.procs"), pid.as_raw_nonzero().to_string())?;
    }
    fs::write(&controllers, "+memory")?;
    // Without it, children have no limit of processes.
    let _ = fs::write(&controllers, "+pids");
    Ok(())
}

/// The group below which ours may be made: that of the server, or the one above if only that was delegated, as with
/// `DelegateSubgroup=`, or after [`settle`] of an earlier launcher.
fn delegated_base(mounts: &str, groups: &str, is_delegated: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let (root, mount) = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let place = (fields.next()?, fields.next()?);
        after.starts_with("cgroup2 ").then_some(place)
    })?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let below = Path::new(path).strip_prefix(root).ok()?;
    let own = Path::new(mount).join(below);
    let above = own.parent().filter(|above| above.starts_with(mount));
    if is_delegated(&own) {
        return Some(own);
    }
    above.filter(|above| is_delegated(above)).map(Path::to_path_buf)
}

fn is_delegated(group: &Path) -> bool {
    let mut value = [0; ATTRIBUTE_BYTES_MAX];
    let mut says = |name: &str| {
        rustix::fs::getxattr(group, name, &mut value).is_ok_and(|length| value.get(..length) == Some(b"1"))
    };
    says("user.delegate") || says("trusted.delegate") || is_root_of_container(group)
}

/// The real root has no such file; the root that a cgroup namespace shows has.
fn is_root_of_container(group: &Path) -> bool {
    let is_root = fs::read_to_string("/proc/self/cgroup").is_ok_and(|groups| {
        groups
            .lines()
            .any(|line| line == "0::/" || line == format!("0::/{OWN_LEAF}"))
    });
    let is_base = !group.ends_with(OWN_LEAF);
    is_root && is_base && group.join("cgroup.events").exists() && group.join("cgroup.type").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
        30 23 0:26 / /sys/fs/cgroup/systemd rw,nosuid shared:9 - cgroup cgroup rw,name=systemd\n\
        31 23 0:27 / /sys/fs/cgroup rw,nosuid,nodev shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

    fn base(groups: &str, delegated: &[&str]) -> Option<PathBuf> {
        delegated_base(MOUNTS, groups, |path| {
            delegated.iter().any(|known| Path::new(known) == path)
        })
    }

    #[test]
    fn the_base_is_what_was_delegated() {
        let own = "/sys/fs/cgroup/system.slice/weir.service";
        let groups = "1:name=systemd:/x\n0::/system.slice/weir.service\n";
        assert_eq!(base(groups, &[own]), Some(own.into()));
        assert_eq!(
            base("0::/system.slice/weir.service/weir\n", &[own]),
            Some(own.into())
        );
        assert_eq!(base(groups, &[]), None);
        assert_eq!(base(groups, &["/sys/fs/cgroup"]), None);
        assert_eq!(base("0::/\n", &["/sys/fs"]), None);
        assert_eq!(base("4:memory:/x\n", &["/sys/fs/cgroup"]), None);
        assert_eq!(delegated_base("", groups, |_| true), None);
    }

    #[test]
    fn a_mount_may_show_a_part() {
        let mounts = "31 23 0:27 /docker/abc /cg rw - cgroup2 cgroup2 rw\n";
        let base = |groups: &str| delegated_base(mounts, groups, |_| true);
        assert_eq!(base("0::/docker/abc/in\n"), Some("/cg/in".into()));
        assert_eq!(base("0::/docker/other\n"), None);
    }

    #[test]
    fn our_processes_make_room_before_controllers_are_handed_on() {
        let place = std::env::temp_dir().join(format!("weir-cgroup-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("cgroup.subtree_control"), "").unwrap();
        settle(&place, &[Pid::from_raw(41), None]).unwrap();
        assert_eq!(fs::read_to_string(place.join("weir/cgroup.procs")).unwrap(), "41");
        assert_eq!(
            fs::read_to_string(place.join("cgroup.subtree_control")).unwrap(),
            "+pids"
        );
        fs::remove_dir_all(&place).unwrap();
    }

    #[test]
    fn limits_are_written_where_their_controllers_are_on() {
        let place = std::env::temp_dir().join(format!("weir-cgroups-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(place.join("weir-child-7-old")).unwrap();
        fs::create_dir_all(place.join("weir-child-8-old")).unwrap();
        let limits = Limits {
            rss_max: Some(1 << 30),
            pids_max: Some(20),
            ..Limits::default()
        };
        for (controllers, memory, pids) in [
            ("memory pids cpu", Some("1073741824"), Some("20")),
            ("pids", None, Some("20")),
            ("", None, None),
        ] {
            fs::write(place.join("cgroup.subtree_control"), controllers).unwrap();
            let cgroups = Cgroups::find(&CgroupUse::At(place.clone()), Pid::from_raw(7), &[]).unwrap();
            assert!(!place.join("weir-child-7-old").exists() && place.join("weir-child-8-old").exists());
            let group = cgroups.create(3, &limits).unwrap();
            let read = |file: &str| fs::read_to_string(place.join("weir-child-7-3").join(file)).ok();
            assert_eq!(group.has_memory, memory.is_some());
            assert_eq!(read("memory.max").as_deref(), memory);
            assert_eq!(read("pids.max").as_deref(), pids);
            assert!(!group.was_out_of_memory());
            fs::write(place.join("weir-child-7-3/memory.events"), "oom 1\noom_kill 1\n").unwrap();
            assert!(group.was_out_of_memory());
            group.kill();
            assert_eq!(read("cgroup.kill").as_deref(), Some("1"));
            fs::remove_dir_all(place.join("weir-child-7-3")).unwrap();
        }
        fs::remove_dir_all(&place).unwrap();
    }
}
