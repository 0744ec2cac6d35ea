//! The descendants of this process, read from `/proc`, and whose they are.
//!
//! One reading serves all children, and takes about 10 µs for each process of the machine. It is as of no one moment:
//! who kills by it reads again until nobody is left.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process, as `/proc/PID/stat` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    /// When it began; with the number it is unique.
    begun: u64,
    resident_pages: u64,
    cpu_ticks: u64,
    /// It has ended, and its parent has not waited for it yet.
    pub(super) is_zombie: bool,
}

/// A descendant, and the child it came of, if that is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) process: Process,
    pub(super) child: Option<u64>,
}

/// What is known of children for telling whose a process is.
pub(super) trait Owners {
    /// The child whose first process has, or had, this number. Sessions are named by it.
    fn by_leader(&self, pid: i32) -> Option<u64>;

    /// The child whose mark this process has.
    fn by_tag(&self, pid: i32) -> Option<u64>;
}

impl Process {
    pub(super) fn resident_bytes(&self) -> u64 {
        self.resident_pages.saturating_mul(page_size() as u64)
    }

    pub(super) fn cpu(&self) -> Duration {
        let ticks_per_second = clock_ticks_per_second().max(1);
        Duration::from_millis(self.cpu_ticks.saturating_mul(1000) / ticks_per_second)
    }

    /// Sends a signal, unless the number is another process's by now.
    pub(super) fn signal(&self, signal: Signal) {
        let Some(Ok(descriptor)) = Pid::from_raw(self.pid).map(|pid| pidfd_open(pid, PidfdFlags::empty()))
        else {
            return;
        };
        let is_same = read(self.pid, &mut Vec::new()).is_some_and(|now| now.begun == self.begun);
        if is_same {
            // It may have ended.
            let _ = pidfd_send_signal(&descriptor, signal);
        }
    }

    /// Reads what is behind `/proc/PID/stat`.
    fn parse(stat: &str) -> Option<Process> {
        let (pid, _) = stat.split_once(' ')?;
        // The name may have spaces and parentheses.
        let (_, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let signed = |index: usize| fields.get(index)?.parse::<i32>().ok();
        let has_threads = number(17)? > 1;
        Some(Process {
            pid: pid.parse().ok()?,
            parent: signed(1)?,
            group: signed(2)?,
            session: signed(3)?,
            begun: number(19)?,
            // Those that it waited for, too.
            cpu_ticks: number(11)? + number(12)? + number(13)? + number(14)?,
            resident_pages: number(21)?,
            // A first thread that ended before the others looks like a process that did.
            is_zombie: matches!(*fields.first()?, "Z" | "X") && !has_threads,
        })
    }
}

/// All descendants of this process.
pub(super) struct Tree {
    root: i32,
    by_parent: HashMap<i32, Vec<Process>>,
}

impl Tree {
    /// Reads all processes.
    pub(super) fn read() -> io::Result<Tree> {
        let mut by_parent: HashMap<i32, Vec<Process>> = HashMap::new();
        let mut buffer = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // It may have ended since.
            if let Some(process) = read(pid, &mut buffer) {
                by_parent.entry(process.parent).or_default().push(process);
            }
        }
        let root = rustix::process::getpid().as_raw_nonzero().get();
        Ok(Tree { root, by_parent })
    }

    /// Every descendant, parents before children.
    pub(super) fn descendants(&self) -> Vec<Process> {
        self.below(self.root)
    }

    /// Every descendant, parents before children, with the child it came of.
    pub(super) fn members(&self, owners: &impl Owners) -> Vec<Member> {
        let mut members = Vec::new();
        for top in self.by_parent.get(&self.root).into_iter().flatten() {
            // Who is not a child itself has lost its parent, and its session or its mark tells whose it is.
            let of_top = owners
                .by_leader(top.pid)
                .or_else(|| owners.by_leader(top.session))
                .or_else(|| owners.by_tag(top.pid));
            let below = self.below(top.pid);
            members.extend(std::iter::once(top).chain(&below).map(|process| Member {
                process: *process,
                child: of_top,
            }));
        }
        members
    }

    /// The descendants of a process. Each process has one parent, so there is no circle to be caught in; one that moves
    /// while it is read may be missed or found twice.
    fn below(&self, pid: i32) -> Vec<Process> {
        let mut found: Vec<Process> = self.by_parent.get(&pid).cloned().unwrap_or_default();
        let mut next = 0;
        while let Some(process) = found.get(next) {
            let children = self.by_parent.get(&process.pid);
            found.extend(children.into_iter().flatten().copied());
            next += 1;
        }
        found
    }
}

/// One process.
fn read(pid: i32, buffer: &mut Vec<u8>) -> Option<Process> {
    buffer.clear();
    let mut file = File::open(format!("/proc/{pid}/stat")).ok()?;
    file.read_to_end(buffer).ok()?;
    // A name is whatever bytes its process chose.
    Process::parse(&String::from_utf8_lossy(buffer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32, session: i32) -> Process {
        Process {
            pid,
            parent,
            group: session,
            session,
            begun: 0,
            resident_pages: 1,
            cpu_ticks: 0,
            is_zombie: false,
        }
    }

    fn tree(processes: &[Process]) -> Tree {
        let mut by_parent: HashMap<i32, Vec<Process>> = HashMap::new();
        for process in processes {
            by_parent.entry(process.parent).or_default().push(*process);
        }
        Tree { root: 1, by_parent }
    }

    /// Children 100 and 200, of the leaders 10 and 20; process 40 has the mark of 200.
    struct Known;

    impl Owners for Known {
        fn by_leader(&self, pid: i32) -> Option<u64> {
            [(10, 100), (20, 200)]
                .iter()
                .find(|(leader, _)| *leader == pid)
                .map(|(_, child)| *child)
        }

        fn by_tag(&self, pid: i32) -> Option<u64> {
            (pid == 40).then_some(200)
        }
    }

    #[test]
    fn a_stat_line_is_read_behind_any_name() {
        let line = "42 (a) R (b) S 7 42 41 0 -1 4194304 5 6 0 0 3 2 10 20 20 0 1 0 999 1000000 250 18446744073709551615 1";
        let read = Process::parse(line).unwrap();
        assert_eq!(
            (read.pid, read.parent, read.group, read.session, read.begun),
            (42, 7, 42, 41, 999)
        );
        assert_eq!(
            (read.cpu_ticks, read.resident_pages, read.is_zombie),
            (35, 250, false)
        );
        assert!(Process::parse(&line.replace(") S", ") Z")).unwrap().is_zombie);
        assert_eq!(Process::parse("42 (short) S 7"), None);
        assert_eq!(Process::parse(""), None);
    }

    #[test]
    fn descendants_are_found_at_any_depth_and_nobody_else() {
        let tree = tree(&[
            process(10, 1, 10),
            process(11, 10, 10),
            process(12, 11, 12),
            process(99, 2, 99),
        ]);
        let pids: Vec<i32> = tree.descendants().iter().map(|process| process.pid).collect();
        assert_eq!(pids, [10, 11, 12]);
    }

    #[test]
    fn everybody_belongs_to_the_child_it_came_of() {
        let tree = tree(&[
            process(10, 1, 10),
            // It left its session, and has its parent.
            process(11, 10, 11),
            process(12, 11, 11),
            // It lost its parent, and kept its session.
            process(30, 1, 20),
            process(31, 30, 31),
            // It lost both, and kept its mark.
            process(40, 1, 40),
            // Nobody knows.
            process(50, 1, 50),
        ]);
        let mut owners: Vec<(i32, Option<u64>)> = tree
            .members(&Known)
            .iter()
            .map(|member| (member.process.pid, member.child))
            .collect();
        owners.sort_unstable();
        let expected = [
            (10, Some(100)),
            (11, Some(100)),
            (12, Some(100)),
            (30, Some(200)),
            (31, Some(200)),
            (40, Some(200)),
            (50, None),
        ];
        assert_eq!(owners, expected);
    }

    #[test]
    fn this_process_is_its_parents_child() {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let read = read(own, &mut Vec::new()).unwrap();
        assert_eq!(
            Some(read.parent),
            rustix::process::getppid().map(|parent| parent.as_raw_nonzero().get())
        );
        assert!(read.resident_bytes() > 0);
    }
}
