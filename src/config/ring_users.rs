//! Other users of io_uring rings, for a message about locked memory, whose limit all processes of a user share.
//!
//! This reads `/proc`, and only what this user may see. It guesses at the culprit: the kernel does not tell how much
//! memory a ring locks.
#![allow(clippy::disallowed_methods, reason = "before there are shards")]

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A process with rings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingUser {
    /// Its id.
    pub pid: u32,
    /// The name, as the kernel cuts it off.
    pub name: String,
    /// How many rings it has; at least 1.
    pub rings: usize,
}

impl fmt::Display for RingUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (pid {}, {} rings)",
            self.name.escape_debug(),
            self.pid,
            self.rings
        )
    }
}

impl RingUser {
    /// Other processes of this user that have rings, those with most of them first.
    pub fn find() -> Vec<RingUser> {
        let Ok(own) = fs::metadata("/proc/self") else {
            return Vec::new();
        };
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let mut users: Vec<RingUser> = processes
            .filter(|process| process.metadata().is_ok_and(|found| found.uid() == own.uid()))
            .filter_map(|process| {
                let pid: u32 = process.file_name().to_str()?.parse().ok()?;
                let rings = rings_of(&process.path());
                let name = fs::read_to_string(process.path().join("comm")).ok()?;
                let is_other = pid != std::process::id() && rings > 0;
                is_other.then(|| RingUser {
                    pid,
                    name: name.trim().to_owned(),
                    rings,
                })
            })
            .collect();
        users.sort_by_key(|user| (std::cmp::Reverse(user.rings), user.pid));
        users
    }
}

fn rings_of(process: &Path) -> usize {
    let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    descriptors
        .filter(|descriptor| {
            fs::read_link(descriptor.path()).is_ok_and(|target| target.as_os_str() == "anon_inode:[io_uring]")
        })
        .count()
}
