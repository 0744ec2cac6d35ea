//! Children with cgroups: against a made-up tree, and against a real one where this may make one.

use std::fs;
use std::path::{Path, PathBuf};

use weir::internals::launcher::{CgroupUse, ExitReason, Limits};

use super::harness::{Scratch, Starter, eventually, mark, marked, options, program, sinner, wait_until_gone};

fn in_groups_below(base: &Path) -> Starter {
    let mut options = options();
    options.cgroup = CgroupUse::At(base.into());
    Starter::with(options)
}

/// The one directory of a child below a base.
fn group(base: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(base).unwrap().map(|entry| entry.unwrap().path());
    entries.into_iter().find(|path| {
        path.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("weir-child-")
    })
}

#[test]
fn limits_are_written_and_groups_are_killed() {
    let scratch = Scratch::new();
    fs::write(scratch.0.join("cgroup.subtree_control"), "cpu memory pids\n").unwrap();
    let starter = in_groups_below(&scratch.0);
    let mut spec = program("/bin/cat", &[]);
    spec.limits = Limits {
        rss_max: Some(50 << 20),
        pids_max: Some(9),
        ..Limits::default()
    };
    // The kernel would have put the file there, so without it the start fails, and says where.
    let (id, _pipes) = starter.launcher.spawn(&spec).unwrap();
    let error = starter.spawned(id).unwrap_err();
    assert_eq!(error.errno, libc::ENOENT);
    assert!(error.to_string().starts_with("cannot make a cgroup"), "{error}");
    let left = group(&scratch.0).unwrap();
    assert_eq!(fs::read_to_string(left.join("memory.max")).unwrap(), "52428800");
    assert_eq!(fs::read_to_string(left.join("pids.max")).unwrap(), "9");
}

/// A group of version 2 that this may make, where there is a hierarchy and the right to it.
struct Real(PathBuf);

impl Real {
    fn new() -> Option<Real> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mount = mounts.lines().find_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let place = before.split(' ').nth(4)?;
            after.starts_with("cgroup2 ").then_some(place)
        })?;
        let path = Path::new(mount).join(mark());
        fs::create_dir(&path).ok()?;
        let is_usable = path.join("cgroup.kill").exists();
        let real = Real(path);
        is_usable.then_some(real)
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_real_group_holds_the_whole_tree_and_goes_with_it() {
    let Some(real) = Real::new() else {
        return;
    };
    let (starter, mark) = (in_groups_below(&real.0), mark());
    let child = starter.spawn(&sinner(
        &mark,
        &["daemon:ignore-term,say:x,hang", "ignore-term", "hang"],
    ));
    child.wait_for_line();
    let group = group(&real.0).unwrap();
    // The daemon's first parent may still be there.
    eventually("two members", || {
        let members = fs::read_to_string(group.join("cgroup.procs")).unwrap();
        let mut members: Vec<i32> = members.lines().map(|pid| pid.parse().unwrap()).collect();
        let mut expected = marked(&mark);
        members.sort_unstable();
        expected.sort_unstable();
        (members.len() == 2 && members == expected).then_some(())
    });
    starter.launcher.kill(child.id);
    assert_eq!(starter.exit(child.id).reason, ExitReason::Killed);
    wait_until_gone(&mark);
    eventually("the end of the group", || (!group.exists()).then_some(()));
    let last = starter.spawn(&program("/bin/cat", &[]));
    drop(starter);
    drop(last);
    assert!(super::cgroups::group(&real.0).is_none());
}
