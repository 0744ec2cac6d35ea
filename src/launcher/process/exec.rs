//! Makes a process of a specification: what the new process sets for itself between fork and exec.
//!
//! The process that forks is the launcher, which is small and has one thread, so what runs in between may do anything.
#![allow(
    unsafe_code,
    reason = "what a process sets for itself is set in a hook between fork and exec"
)]

use std::fs;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::fs::Mode;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Gid, Pid, Resource, Rlimit, Signal, Uid, getegid, geteuid, getpid, getppid, getrlimit,
    set_parent_process_death_signal, setrlimit, setsid, umask,
};
use rustix::thread::{
    CpuSet, sched_setaffinity, set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use super::descriptors::close_on_exec;
use super::tag;
use crate::launcher::access;
use crate::launcher::outcome::{SpawnError, SpawnStage};
use crate::launcher::spec::{ChildSpec, User};

/// Added to the server's own, so that the kernel takes children first when memory is short.
const OOM_SCORE_ADDED: i32 = 500;
const OOM_SCORE_MAX: i32 = 1000;
/// Descriptors a child may open at first: programs that use select(2), or close all they could have, break or crawl
/// with the server's limit.
const DESCRIPTORS: u64 = 1024;

/// What is the same for all children.
#[derive(Debug)]
pub(super) struct Common {
    launcher: Pid,
    oom_score: String,
    has_tags: bool,
}

/// A child's ends of its pipes.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

impl Common {
    /// Finds out what children inherit.
    pub(super) fn new() -> Common {
        let own = fs::read_to_string("/proc/self/oom_score_adj").ok();
        let own: i32 = own.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        Common {
            launcher: getpid(),
            oom_score: (own + OOM_SCORE_ADDED).min(OOM_SCORE_MAX).to_string(),
            has_tags: tag::is_possible(),
        }
    }

    /// Whether children have marks.
    pub(super) fn has_tags(&self) -> bool {
        self.has_tags
    }

    /// Starts a child; gives its number once it is the program it should be. `cgroup` takes the number of a process.
    pub(super) fn start(
        &self,
        child: u64,
        spec: ChildSpec,
        ends: Ends,
        cgroup: Option<fs::File>,
    ) -> Result<i32, SpawnError> {
        let failed = |stage| move |error: io::Error| error_of(stage, &error);
        let (failure, failing) =
            pipe_with(PipeFlags::CLOEXEC).map_err(|error| error_of(SpawnStage::Program, &error.into()))?;
        let mut command = Command::new(&spec.program);
        command.args(&spec.args).env_clear();
        command.envs(spec.env.iter().map(|(name, value)| (name, value)));
        command
            .stdin(Stdio::from(ends.stdin))
            .stdout(Stdio::from(ends.stdout))
            .stderr(Stdio::from(ends.stderr));
        let plan = Plan {
            rlimits: self.rlimits(child, &spec),
            launcher: self.launcher,
            oom_score: self.oom_score.clone(),
            cgroup,
            failing,
            spec,
        };
        // SAFETY: this process has one thread, so the new one may allocate and use locks; the hook changes only the
        // new process, by system calls that take no memory of anybody else.
        unsafe {
            command.pre_exec(move || plan.apply());
        }
        let started = command.spawn();
        // The other ends close with it: this process's copies of the child's pipes, and of the one below.
        drop(command);
        let stage = stage_in(&failure).unwrap_or(SpawnStage::Program);
        let process = started.map_err(failed(stage))?;
        i32::try_from(process.id()).map_err(|_| error_of(stage, &io::ErrorKind::InvalidData.into()))
    }

    /// All limits, the child's own last.
    fn rlimits(&self, child: u64, spec: &ChildSpec) -> Vec<(Resource, Rlimit)> {
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        let descriptors_max = getrlimit(Resource::Nofile).maximum;
        let descriptors = Rlimit {
            current: Some(descriptors_max.map_or(DESCRIPTORS, |max| max.min(DESCRIPTORS))),
            maximum: descriptors_max,
        };
        let mut rlimits = vec![(Resource::Core, none), (Resource::Nofile, descriptors)];
        if self.has_tags {
            rlimits.extend(tag::limit(child).map(|limit| (tag::RESOURCE, limit)));
        }
        for asked in &spec.limits.rlimits {
            // Only the last is set: what was lowered cannot be raised again.
            rlimits.retain(|(resource, _)| *resource != asked.resource);
            let limit = Rlimit {
                current: asked.soft,
                maximum: asked.hard,
            };
            rlimits.push((asked.resource, limit));
        }
        rlimits
    }
}

/// What the new process does before it is the program.
struct Plan {
    spec: ChildSpec,
    rlimits: Vec<(Resource, Rlimit)>,
    launcher: Pid,
    oom_score: String,
    cgroup: Option<fs::File>,
    /// Takes the stage that failed: `Command` tells only the error.
    failing: OwnedFd,
}

impl Plan {
    fn apply(&self) -> io::Result<()> {
        self.steps().map_err(|(stage, error)| {
            let _ = rustix::io::write(&self.failing, &[stage.index()]);
            error
        })
    }

    /// The order matters: what needs privileges comes before they are given up, and the parent-death signal, which a
    /// change of user clears, after.
    fn steps(&self) -> Result<(), (SpawnStage, io::Error)> {
        let at = |stage| move |error: rustix::io::Errno| (stage, io::Error::from(error));
        let limits = &self.spec.limits;
        setsid().map_err(at(SpawnStage::Session))?;
        if let Some(mut cgroup) = self.cgroup.as_ref() {
            cgroup
                .write_all(b"0")
                .map_err(|error| (SpawnStage::Cgroup, error))?;
        }
        // Some sandboxes forbid it, and it is no promise.
        let _ = fs::write("/proc/self/oom_score_adj", &self.oom_score);
        for (resource, limit) in &self.rlimits {
            setrlimit(*resource, *limit).map_err(at(SpawnStage::Limits))?;
        }
        if let Some(mask) = limits.umask {
            umask(Mode::from_raw_mode(mask & 0o777));
        }
        if let Some(cpus) = cpu_set(&limits.cpus) {
            sched_setaffinity(None, &cpus).map_err(at(SpawnStage::Cpus))?;
        }
        if let Some(user) = limits.user {
            become_user(user).map_err(at(SpawnStage::User))?;
        }
        if let Some(directory) = &self.spec.cwd {
            rustix::process::chdir(directory).map_err(at(SpawnStage::Directory))?;
        }
        set_no_new_privs(true).map_err(at(SpawnStage::Confinement))?;
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(at(SpawnStage::Confinement))?;
        if getppid() != Some(self.launcher) {
            // The launcher died before the signal was set.
            return Err((SpawnStage::Launcher, io::ErrorKind::ConnectionReset.into()));
        }
        close_on_exec().map_err(|error| (SpawnStage::Confinement, error))?;
        access::apply(&self.spec).map_err(|error| (SpawnStage::Access, error))
    }
}

/// The set of these CPUs, unless there are none. Numbers beyond the kernel's masks are left out.
fn cpu_set(cpus: &[u32]) -> Option<CpuSet> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        if let Some(cpu) = usize::try_from(*cpu).ok().filter(|cpu| *cpu < CpuSet::MAX_CPU) {
            set.set(cpu);
        }
    }
    (!cpus.is_empty()).then_some(set)
}

/// Becomes a user for good. The new process has one thread, which is therefore the whole process.
fn become_user(user: User) -> rustix::io::Result<()> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    if (geteuid(), getegid()) == (uid, gid) && !uid.is_root() {
        return Ok(());
    }
    set_thread_groups(&[gid])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)
}

fn stage_in(failure: &OwnedFd) -> Option<SpawnStage> {
    let mut stage = [0];
    match rustix::io::retry_on_intr(|| rustix::io::read(failure, &mut stage)) {
        Ok(1) => SpawnStage::from_index(stage[0]),
        _ => None,
    }
}

/// Errors of our own have no number; they are about arguments.
fn error_of(stage: SpawnStage, error: &io::Error) -> SpawnError {
    SpawnError {
        stage,
        errno: error.raw_os_error().unwrap_or(libc::EINVAL),
    }
}
