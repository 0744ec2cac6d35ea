//! What a child may read, write and connect to, kept by Landlock: by the kernel, for it and all that it starts.
//!
//! Each of the three is bounded only if it is given. A bound takes effect before the program starts, so `read` implies
//! what any program needs for that ([`READ_ALWAYS`], and its own file); what it needs besides, its packages for
//! instance, is to be named. What may be written may be read. `tcp` is about connecting; other protocols, such as that
//! of name servers, are not bounded.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd, PathFdError,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError,
};

use super::spec::{Access, ChildSpec};

/// Linux 6.2: before, files could be emptied by whoever could open them.
const FILES: ABI = ABI::V3;

/// What programs and their libraries need to start, to find names and to check certificates. None of it is anybody's
/// own: what is not for everybody there, such as `/etc/shadow`, is not in it.
const READ_ALWAYS: [&str; 39] = [
    "/bin",
    "/dev/full",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload",
    "/etc/locale.alias",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
    "/etc/timezone",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/proc",
    "/run/systemd/resolve",
    "/sbin",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/usr",
];
/// What anybody may write.
const WRITE_ALWAYS: [&str; 3] = ["/dev/full", "/dev/null", "/dev/zero"];

impl Access {
    /// Whether nothing is bounded.
    pub fn is_whole(&self) -> bool {
        *self == Access::default()
    }

    /// Checks that this kernel keeps these bounds, and that the paths are there.
    ///
    /// # Errors
    /// A sentence that names what is missing.
    pub fn check(&self) -> Result<(), String> {
        if self.is_whole() {
            return Ok(());
        }
        let needs = match &self.tcp {
            Some(_) => "Linux 6.7",
            None => "Linux 6.2",
        };
        ruleset(self).map_err(|error| {
            format!("`read`, `write` and `tcp` need {needs} with Landlock switched on, and this kernel refuses: {error}")
        })?;
        let paths = self.read.iter().chain(&self.write).flatten();
        for path in paths {
            PathFd::new(path)
                .map_err(|error| format!("`read` or `write` names a path that is not there: {error}"))?;
        }
        Ok(())
    }
}

/// Bounds this process, whose only thread this is, and all that it starts, for good.
pub(super) fn apply(spec: &ChildSpec) -> io::Result<()> {
    let access = &spec.limits.access;
    if access.is_whole() {
        return Ok(());
    }
    let rules = ruleset(access).map_err(refused)?;
    let rules = with_files(rules, spec)?;
    let rules = with_ports(rules, access).map_err(refused)?;
    rules.restrict_self().map(drop).map_err(refused)
}

/// What is bounded. With these, nothing is allowed yet.
fn ruleset(access: &Access) -> Result<RulesetCreated, RulesetError> {
    let mut rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let files = handled(access);
    if !files.is_empty() {
        rules = rules.handle_access(files)?;
    }
    if access.tcp.is_some() {
        rules = rules.handle_access(AccessNet::ConnectTcp)?;
    }
    rules.create()
}

/// What of files is bounded.
fn handled(access: &Access) -> BitFlags<AccessFs> {
    let mut files = BitFlags::EMPTY;
    if access.read.is_some() {
        files |= AccessFs::from_read(FILES);
    }
    if access.write.is_some() {
        files |= AccessFs::from_write(FILES);
    }
    files
}

fn with_files(mut rules: RulesetCreated, spec: &ChildSpec) -> io::Result<RulesetCreated> {
    let Access { read, write, .. } = &spec.limits.access;
    let handled = handled(&spec.limits.access);
    let mut allow = |path: &Path, access: BitFlags<AccessFs>| -> io::Result<()> {
        let file = PathFd::new(path).map_err(not_there)?;
        // Some rights are those of directories.
        let all = if fs::metadata(path)?.is_dir() {
            handled
        } else {
            handled & AccessFs::from_file(FILES)
        };
        let access = access & all;
        if !access.is_empty() {
            let rules = &mut rules;
            rules.add_rule(PathBeneath::new(file, access)).map_err(refused)?;
        }
        Ok(())
    };
    let reading = AccessFs::from_read(FILES);
    let writing = reading | AccessFs::from_write(FILES);
    // Machines differ in these.
    for path in READ_ALWAYS {
        let _ = allow(Path::new(path), reading);
    }
    for path in WRITE_ALWAYS {
        let _ = allow(Path::new(path), writing);
    }
    if let Some(program) = spec.file() {
        allow(&program, reading)?;
    }
    let from = spec.cwd.clone().unwrap_or_default();
    let below = |paths: &Option<Vec<PathBuf>>| paths.clone().unwrap_or_default();
    below(read)
        .iter()
        .try_for_each(|path| allow(&from.join(path), reading))?;
    below(write)
        .iter()
        .try_for_each(|path| allow(&from.join(path), writing))?;
    Ok(rules)
}

fn with_ports(rules: RulesetCreated, access: &Access) -> Result<RulesetCreated, RulesetError> {
    let ports = access.tcp.iter().flatten();
    rules.add_rules(ports.map(|port| Ok::<_, RulesetError>(NetPort::new(*port, AccessNet::ConnectTcp))))
}

fn refused(_: RulesetError) -> io::Error {
    io::Error::from_raw_os_error(libc::EOPNOTSUPP)
}

fn not_there(error: PathFdError) -> io::Error {
    match error {
        PathFdError::OpenCall { source, .. } => source,
        _ => io::ErrorKind::NotFound.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_checked_before_there_is_anybody() {
        assert_eq!(Access::default().check(), Ok(()));
        let bounded = Access {
            read: Some(vec!["/usr".into()]),
            write: Some(Vec::new()),
            tcp: None,
        };
        if let Err(why) = bounded.check() {
            assert!(why.contains("with Landlock"), "{why}");
            return;
        }
        let nowhere = Access {
            write: Some(vec!["/nonexistent".into()]),
            ..bounded
        };
        let why = nowhere.check().unwrap_err();
        assert!(why.contains("/nonexistent"), "{why}");
    }

    #[test]
    fn what_is_always_there_is_named_once_and_in_order() {
        assert!(READ_ALWAYS.is_sorted() && WRITE_ALWAYS.iter().all(|path| READ_ALWAYS.contains(path)));
    }
}
