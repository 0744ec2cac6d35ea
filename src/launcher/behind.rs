//! What a wrapper, such as `npx` or `uvx`, has started: the process behind it, as something to start without it.
//!
//! ```text
//! npm ── sh ── node       the last of a chain holds our pipes: its arguments, environment and directory start the same
//! ```
//!
//! Read from `/proc`, by the server. A wrapper that gives what it starts other rights (another user, a namespace,
//! another root, a filter of system calls) is no mere wrapper: nothing is found then. Limits and umask come along. What
//! a wrapper does to its process by Landlock, nobody can see.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::fstat;
use rustix::process::Pid;

use super::process::tag;
use super::spec::{ChildPipes, ChildSpec, Limits, ResourceLimit, resource_of_proc};

/// Processes of a chain; `npx` has three.
const CHAIN_MAX: usize = 8;
/// Bytes of arguments, and of the environment, that are read.
const TEXT_BYTES_MAX: u64 = 1 << 20;
/// Descriptors that are looked at.
const DESCRIPTORS_MAX: usize = 4096;
/// What a process may do is said by these lines of `/proc/PID/status`.
const RIGHTS: [&str; 9] = [
    "Uid:",
    "Gid:",
    "Groups:",
    "CapInh:",
    "CapPrm:",
    "CapEff:",
    "CapBnd:",
    "Seccomp:",
    "Seccomp_filters:",
];

/// The kernel's numbers of a child's stdin and stdout, the same at both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PipeNumbers {
    stdin: u64,
    stdout: u64,
}

impl ChildPipes {
    /// The numbers of stdin and stdout.
    ///
    /// # Errors
    /// Fails if the kernel does not tell them.
    pub fn numbers(&self) -> io::Result<PipeNumbers> {
        Ok(PipeNumbers {
            stdin: fstat(&self.stdin)?.st_ino,
            stdout: fstat(&self.stdout)?.st_ino,
        })
    }
}

/// Who holds a child's pipes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behind {
    /// The child's first process, which has started nobody.
    Itself,
    /// The last of a chain that begins with it. It can be started so, without the others.
    Wrapper(Box<ChildSpec>),
    /// Nobody who could be started without the others; perhaps not yet.
    Unknown,
}

/// Looks who holds the pipes of the child whose first process is `leader`, and was started by `spec`. It takes less
/// than a millisecond for most trees.
pub fn behind(leader: Pid, pipes: PipeNumbers, spec: &ChildSpec) -> Behind {
    let leader = leader.as_raw_nonzero().get();
    let Some(chain) = chain_from(leader) else {
        return Behind::Unknown;
    };
    match chain.last() {
        Some(last) if *last == leader => Behind::Itself,
        Some(last) => {
            let found = begun(*last).and_then(|since| {
                let found = read(leader, *last, pipes, spec)?;
                // It was one process that was read.
                (begun(*last) == Some(since)).then_some(found)
            });
            found.map_or(Behind::Unknown, |found| Behind::Wrapper(Box::new(found)))
        }
        None => Behind::Unknown,
    }
}

/// The processes from the leader to the last, if each has started only the next.
fn chain_from(leader: i32) -> Option<Vec<i32>> {
    let mut chain = vec![leader];
    while let Some(last) = chain.last().copied() {
        match children_of(last)?[..] {
            [] => return Some(chain),
            [next] if chain.len() < CHAIN_MAX => chain.push(next),
            _ => return None,
        }
    }
    None
}

/// The children of a process that live, of all its threads.
fn children_of(pid: i32) -> Option<Vec<i32>> {
    let mut children = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let path = thread.ok()?.path().join("children");
        let listed = text(&path)?;
        let listed = listed.split_ascii_whitespace().map(str::parse);
        children.extend(listed.collect::<Result<Vec<i32>, _>>().ok()?);
    }
    children.retain(|child| begun(*child).is_some());
    Some(children)
}

/// When a process began, if it lives.
fn begun(pid: i32) -> Option<u64> {
    let stat = text(Path::new(&format!("/proc/{pid}/stat")))?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split_ascii_whitespace();
    let is_alive = !matches!(fields.next()?, "Z" | "X");
    fields.nth(18)?.parse().ok().filter(|_| is_alive)
}

/// How to start the process `last` by itself, if it holds the pipes and has the leader's rights.
fn read(leader: i32, last: i32, pipes: PipeNumbers, spec: &ChildSpec) -> Option<ChildSpec> {
    let place = PathBuf::from(format!("/proc/{last}"));
    if !holds(&place, pipes)? || rights(leader)? != rights(last)? {
        return None;
    }
    let mut words = list(&place.join("cmdline"))?.into_iter().map(OsString::from_vec);
    let program = words.next().filter(|program| !program.is_empty())?;
    let env = list(&place.join("environ"))?;
    let env: Vec<(OsString, OsString)> = env.into_iter().filter_map(variable).collect();
    let cwd = fs::read_link(place.join("cwd")).ok()?;
    let found = ChildSpec {
        program,
        args: words.collect(),
        env,
        cwd: Some(cwd),
        limits: Limits {
            umask: umask(&place),
            rlimits: rlimits(&place)?,
            ..spec.limits.clone()
        },
    };
    // It may call itself something else.
    let is_it = identity(&found.file()?)? == identity(&place.join("exe"))?;
    is_it.then_some(found)
}

/// Whether some of its descriptors are the two pipes.
fn holds(place: &Path, pipes: PipeNumbers) -> Option<bool> {
    let mut open = BTreeSet::new();
    for entry in fs::read_dir(place.join("fd")).ok()?.take(DESCRIPTORS_MAX) {
        // It may have been closed since.
        if let Ok(target) = fs::read_link(entry.ok()?.path()) {
            open.insert(target.into_os_string());
        }
    }
    let is_open = |number: u64| open.contains(OsStr::new(&format!("pipe:[{number}]")));
    Some(is_open(pipes.stdin) && is_open(pipes.stdout))
}

/// What a process may do: its user, privileges and filters, its root, and its namespaces and cgroup.
fn rights(pid: i32) -> Option<Vec<String>> {
    let place = PathBuf::from(format!("/proc/{pid}"));
    let status = text(&place.join("status"))?;
    let has_name = |line: &&str| RIGHTS.iter().any(|name| line.starts_with(name));
    let mut rights: Vec<String> = status.lines().filter(has_name).map(str::to_owned).collect();
    for name in ["root", "ns"] {
        let path = place.join(name);
        if name == "root" {
            let root = fs::metadata(&path).ok()?;
            rights.push(format!("{}:{}", root.dev(), root.ino()));
            continue;
        }
        for entry in fs::read_dir(path).ok()? {
            rights.push(fs::read_link(entry.ok()?.path()).ok()?.display().to_string());
        }
    }
    rights.sort();
    rights.push(text(&place.join("cgroup")).unwrap_or_default());
    // Without a security module there is none.
    rights.push(text(&place.join("attr/current")).unwrap_or_default());
    Some(rights)
}

/// The limits of a process, but for the mark of its child.
fn rlimits(place: &Path) -> Option<Vec<ResourceLimit>> {
    /// Where the columns begin, as the kernel writes them.
    const SOFT: usize = 26;
    let value = |word: &str| match word {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    };
    let text = text(&place.join("limits"))?;
    let mut limits = Vec::new();
    for line in text.lines().skip(1) {
        let (name, rest) = line.split_at_checked(SOFT)?;
        let mut words = rest.split_ascii_whitespace();
        let (soft, hard) = (value(words.next()?)?, value(words.next()?)?);
        if let Some(resource) = resource_of_proc(name.trim()).filter(|resource| *resource != tag::RESOURCE) {
            limits.push(ResourceLimit { resource, soft, hard });
        }
    }
    Some(limits)
}

fn umask(place: &Path) -> Option<u32> {
    let status = text(&place.join("status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(line.trim(), 8).ok()
}

/// What tells a file from all others.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

fn variable(text: Vec<u8>) -> Option<(OsString, OsString)> {
    let at = text.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
    let (name, value) = text.split_at(at);
    Some((
        OsStr::from_bytes(name).to_owned(),
        OsStr::from_bytes(value.get(1..)?).to_owned(),
    ))
}

/// Texts that each end in a NUL; `None` if there may be more of them.
fn list(path: &Path) -> Option<Vec<Vec<u8>>> {
    let bytes = bytes(path)?;
    let mut texts: Vec<Vec<u8>> = bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    // Behind the last NUL is nothing.
    texts.pop().filter(Vec::is_empty)?;
    Some(texts)
}

fn text(path: &Path) -> Option<String> {
    String::from_utf8(bytes(path)?).ok()
}

fn bytes(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(TEXT_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    ((bytes.len() as u64) < TEXT_BYTES_MAX).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_end_in_a_nul() {
        let own = list(Path::new("/proc/self/cmdline")).unwrap();
        assert!(!own.is_empty() && own.iter().all(|word| !word.contains(&0)));
        assert_eq!(list(Path::new("/proc/self/status")), None);
        assert_eq!(variable(b"A=b=c".to_vec()), Some(("A".into(), "b=c".into())));
        assert_eq!(variable(b"=c".to_vec()), None);
        assert_eq!(variable(b"none".to_vec()), None);
    }

    #[test]
    fn limits_of_a_process_are_read_with_the_names_of_the_kernel() {
        let limits = rlimits(Path::new("/proc/self")).unwrap();
        // All sixteen but the mark's.
        assert_eq!(limits.len(), 15, "{limits:?}");
        let nofile = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        let found = limits
            .iter()
            .find(|limit| limit.resource == rustix::process::Resource::Nofile);
        let found = found.unwrap();
        assert_eq!((found.soft, found.hard), (nofile.current, nofile.maximum));
        assert!(umask(Path::new("/proc/self")).is_some());
    }

    #[test]
    fn files_are_the_same_by_whatever_name() {
        let sh = Path::new("/bin/sh");
        assert_eq!(identity(sh), identity(&fs::canonicalize(sh).unwrap()));
        assert_ne!(identity(sh), identity(Path::new("/etc/passwd")));
    }

    #[test]
    fn a_process_has_its_own_rights_and_those_of_others_like_it() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(rights(own).unwrap().len() > RIGHTS.len());
        assert_eq!(rights(own), rights(own));
        assert!(begun(own).is_some());
        assert_eq!(begun(i32::MAX), None);
    }
}
