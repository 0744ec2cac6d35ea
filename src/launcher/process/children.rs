//! Who was started, and what is to be done about those that ended.
//!
//! ```text
//!   running ──first process ends──> ended ──nobody of its tree is left──> forgotten
//!      │ kill: SIGKILL to the group,    │ SIGTERM to who is left, SIGKILL two seconds later;
//!      │ then to who left it            │ SIGKILL at once if it was killed
//! ```
//! Who is left has been asked already if the whole group was, and is still in it: a second SIGTERM would cut short what
//! the first one began.
//!
//! Whose a process is, is told by its parents, its session, or its mark. Where there are no marks (see `tag`), one that
//! left its session and lost its parent is nobody's: it is ended when the launcher ends.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::cgroup::Cgroup;
use super::reap::Reaped;
use super::tag;
use super::tree::{Member, Owners};
use crate::launcher::outcome::{Exit, ExitReason, ExitStatus, ProcessUsage, TreeUsage};

/// Time that the rest of a tree has to end, once its first process has.
const REST_GRACE: Duration = Duration::from_secs(2);
/// Time after which killed processes are looked for again; it doubles up to the second figure.
const AGAIN: Duration = Duration::from_millis(10);
const AGAIN_MAX: Duration = Duration::from_secs(1);
/// Processes of a tree that are told.
const PROCESSES_MAX: usize = 256;

/// One child.
#[derive(Debug)]
pub(super) struct Managed {
    leader: Pid,
    state: State,
    /// Why it ends, as far as this is our doing.
    reason: Option<ExitReason>,
    /// What the launcher has to keep, because no cgroup does.
    rss_max: Option<u64>,
    cgroup: Option<Cgroup>,
    /// When killed processes are looked for again, and the next such pause.
    again: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// The first process has ended; others may be there, who do not know yet.
    Ended,
    /// The others got SIGTERM, and get SIGKILL then.
    Asked {
        kill_at: Instant,
    },
}

impl Managed {
    pub(super) fn new(leader: Pid, rss_max: Option<u64>, cgroup: Option<Cgroup>) -> Managed {
        let is_kept = cgroup.as_ref().is_some_and(|cgroup| cgroup.has_memory);
        Managed {
            leader,
            state: State::Running,
            reason: None,
            rss_max: rss_max.filter(|_| !is_kept),
            cgroup,
            again: AGAIN,
        }
    }

    fn is_killed(&self) -> bool {
        matches!(self.reason, Some(ExitReason::Killed | ExitReason::Memory { .. }))
    }

    /// Whether a process got SIGTERM with the whole group.
    fn has_asked(&self, member: &Member) -> bool {
        self.reason == Some(ExitReason::Terminated)
            && member.process.group == self.leader.as_raw_nonzero().get()
    }

    /// Kills what can be killed without looking.
    fn kill(&mut self, reason: ExitReason) {
        if !self.is_killed() {
            self.reason = Some(reason);
        }
        self.again = AGAIN;
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        if self.state == State::Running {
            // The number is the group's for as long as this has not reaped its leader.
            let _ = kill_process_group(self.leader, Signal::KILL);
        }
    }

    /// Ends the members that are left, as far as it is time to; gives when to look again.
    fn end_rest(&mut self, members: &[&Member], now: Instant) -> Option<Instant> {
        if self.is_killed() {
            members
                .iter()
                .for_each(|member| member.process.signal(Signal::KILL));
            let at = now + self.again;
            self.again = (self.again * 2).min(AGAIN_MAX);
            return Some(at);
        }
        match self.state {
            State::Running => None,
            State::Ended => {
                members
                    .iter()
                    .filter(|member| !self.has_asked(member))
                    .for_each(|member| member.process.signal(Signal::TERM));
                let kill_at = now + REST_GRACE;
                self.state = State::Asked { kill_at };
                Some(kill_at)
            }
            State::Asked { kill_at } if now < kill_at => Some(kill_at),
            State::Asked { .. } => {
                self.kill(ExitReason::Killed);
                self.end_rest(members, now)
            }
        }
    }
}

/// All children, by number.
#[derive(Debug)]
pub(super) struct Children {
    by_id: BTreeMap<u64, Managed>,
    by_leader: BTreeMap<i32, u64>,
    has_tags: bool,
}

impl Children {
    pub(super) fn new(has_tags: bool) -> Children {
        Children {
            by_id: BTreeMap::new(),
            by_leader: BTreeMap::new(),
            has_tags,
        }
    }

    pub(super) fn insert(&mut self, child: u64, managed: Managed) {
        self.by_leader
            .insert(managed.leader.as_raw_nonzero().get(), child);
        self.by_id.insert(child, managed);
    }

    pub(super) fn terminate(&mut self, child: u64) {
        let Some(managed) = self.by_id.get_mut(&child) else {
            return;
        };
        if managed.state == State::Running {
            managed.reason.get_or_insert(ExitReason::Terminated);
            let _ = kill_process_group(managed.leader, Signal::TERM);
        }
    }

    /// Kills the child's group; [`sweep`](Self::sweep) has to find the others. `false` if there is no such child.
    pub(super) fn kill(&mut self, child: u64, reason: ExitReason) -> bool {
        let managed = self.by_id.get_mut(&child);
        managed.map(|managed| managed.kill(reason)).is_some()
    }

    /// Kills every child's group.
    pub(super) fn kill_all(&mut self) {
        self.by_id
            .values_mut()
            .for_each(|managed| managed.kill(ExitReason::Killed));
    }

    /// Removes the cgroups of all, which must be empty.
    pub(super) fn remove_cgroups(&self) {
        let groups = self.by_id.values().filter_map(|managed| managed.cgroup.as_ref());
        groups.for_each(Cgroup::remove);
    }

    /// Takes note of a process that was reaped; the exit if it was a child's first process.
    pub(super) fn reaped(&mut self, reaped: &Reaped) -> Option<(u64, Exit)> {
        let child = *self.by_leader.get(&reaped.pid)?;
        let managed = self
            .by_id
            .get_mut(&child)
            .filter(|managed| managed.state == State::Running)?;
        managed.state = State::Ended;
        managed.again = AGAIN;
        let was_killed = reaped.status == ExitStatus::Signal(libc::SIGKILL) && managed.reason.is_none();
        let cgroup = managed.cgroup.as_ref();
        if was_killed && cgroup.is_some_and(Cgroup::was_out_of_memory) {
            managed.reason = Some(ExitReason::Memory { resident_bytes: 0 });
        }
        let exit = Exit {
            status: reaped.status,
            used: reaped.used,
            reason: managed.reason.unwrap_or(ExitReason::Itself),
        };
        Some((child, exit))
    }

    /// Whether there are children that ended, of which others may be left.
    pub(super) fn has_ended(&self) -> bool {
        self.by_id.values().any(|managed| managed.state != State::Running)
    }

    /// Whether the launcher has to look at anybody's memory.
    pub(super) fn has_memory_limits(&self) -> bool {
        let mut running = self
            .by_id
            .values()
            .filter(|managed| managed.state == State::Running);
        running.any(|managed| managed.rss_max.is_some())
    }

    /// Ends who is left of children that ended or were killed, and forgets those of which nobody is. Gives when to do
    /// it again.
    pub(super) fn sweep(&mut self, members: &[Member], now: Instant) -> Option<Instant> {
        let mut next = None;
        let mut gone = Vec::new();
        for (child, managed) in &mut self.by_id {
            if managed.state == State::Running && !managed.is_killed() {
                continue;
            }
            let alive = |member: &&Member| member.child == Some(*child) && !member.process.is_zombie;
            let rest: Vec<&Member> = members.iter().filter(alive).collect();
            if rest.is_empty() && managed.state != State::Running {
                gone.push(*child);
                continue;
            }
            let again = managed.end_rest(&rest, now);
            next = [next, again].into_iter().flatten().min();
        }
        gone.iter().for_each(|child| self.forget(*child));
        next
    }

    fn forget(&mut self, child: u64) {
        let Some(managed) = self.by_id.remove(&child) else {
            return;
        };
        let leader = managed.leader.as_raw_nonzero().get();
        // The number may be another child's by now.
        if self.by_leader.get(&leader) == Some(&child) {
            self.by_leader.remove(&leader);
        }
        if let Some(cgroup) = managed.cgroup {
            cgroup.remove();
        }
    }

    /// Kills the children whose trees have more resident bytes than they may; gives whether there were any.
    pub(super) fn keep_memory(&mut self, members: &[Member]) -> bool {
        let mut has_killed = false;
        for (child, managed) in &mut self.by_id {
            let Some(max) = managed.rss_max.filter(|_| managed.state == State::Running) else {
                continue;
            };
            let tree = members.iter().filter(|member| member.child == Some(*child));
            let resident_bytes = tree.map(|member| member.process.resident_bytes()).sum();
            if resident_bytes > max {
                managed.kill(ExitReason::Memory { resident_bytes });
                has_killed = true;
            }
        }
        has_killed
    }

    /// What a child uses, unless it has ended.
    pub(super) fn usage(&self, child: u64, members: &[Member]) -> Option<TreeUsage> {
        let managed = self
            .by_id
            .get(&child)
            .filter(|managed| managed.state == State::Running)?;
        let mut usage = TreeUsage::default();
        for Member { process, .. } in members.iter().filter(|member| member.child == Some(child)) {
            let of_process = ProcessUsage {
                pid: process.pid,
                parent: process.parent,
                resident_bytes: process.resident_bytes(),
                cpu: process.cpu(),
            };
            usage.resident_bytes += of_process.resident_bytes;
            usage.cpu += of_process.cpu;
            usage.processes_total += 1;
            usage.processes.push(of_process);
        }
        let leader = managed.leader.as_raw_nonzero().get();
        usage.processes.sort_by_key(|process| process.pid != leader);
        usage.processes.truncate(PROCESSES_MAX);
        Some(usage)
    }
}

impl Owners for Children {
    fn by_leader(&self, pid: i32) -> Option<u64> {
        self.by_leader.get(&pid).copied()
    }

    fn by_tag(&self, pid: i32) -> Option<u64> {
        // Without marks of ours, a mark is somebody else's.
        self.has_tags.then(|| tag::child_of(pid)).flatten()
    }
}
