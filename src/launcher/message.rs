//! What server and launcher tell each other, one datagram each.

use std::path::PathBuf;

use super::codec::{Reader, Writer};
use super::outcome::{
    Exit, ExitReason, ExitStatus, ProcessUsage, ResourceUse, SpawnError, SpawnStage, TreeUsage,
};
use super::spec::{Access, ChildSpec, Limits, ResourceLimit, User, resource_at, resource_index};

/// What the server asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Start this, with the descriptors that come along: stdin, stdout and stderr.
    Spawn { child: u64, spec: Box<ChildSpec> },
    /// The same, for a request that is longer than a datagram should be: it is in a file, the fourth descriptor.
    SpawnFromFile,
    /// SIGTERM to its group.
    Terminate { child: u64 },
    /// SIGKILL to its group, and to all that came of it.
    Kill { child: u64 },
    /// Say what it uses.
    Usage { child: u64 },
}

/// What the launcher says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// It has begun.
    Ready {
        cgroup: Option<PathBuf>,
        /// Whether limits of processes are kept.
        has_pids: bool,
    },
    Spawned {
        child: u64,
        result: Result<i32, SpawnError>,
    },
    Exited {
        child: u64,
        exit: Exit,
    },
    Usage {
        child: u64,
        usage: TreeUsage,
    },
}

impl Request {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut to = Writer::default();
        match self {
            Request::Spawn { child, spec } => {
                to.byte(0);
                to.number(*child);
                write_spec(&mut to, spec);
            }
            Request::SpawnFromFile => to.byte(1),
            Request::Terminate { child } => {
                to.byte(2);
                to.number(*child);
            }
            Request::Kill { child } => {
                to.byte(3);
                to.number(*child);
            }
            Request::Usage { child } => {
                to.byte(4);
                to.number(*child);
            }
        }
        to.into_bytes()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Request> {
        let mut from = Reader::new(bytes);
        let request = match from.byte()? {
            0 => Request::Spawn {
                child: from.number()?,
                spec: Box::new(read_spec(&mut from)?),
            },
            1 => Request::SpawnFromFile,
            2 => Request::Terminate {
                child: from.number()?,
            },
            3 => Request::Kill {
                child: from.number()?,
            },
            4 => Request::Usage {
                child: from.number()?,
            },
            _ => return None,
        };
        from.is_at_end().then_some(request)
    }
}

fn write_spec(to: &mut Writer, spec: &ChildSpec) {
    let ChildSpec {
        program,
        args,
        env,
        cwd,
        limits,
    } = spec;
    to.text(program);
    to.list(args, |to, arg| to.text(arg));
    to.list(env, |to, (name, value)| {
        to.text(name);
        to.text(value);
    });
    to.option(cwd.as_ref(), |to, cwd| to.text(cwd));
    let Limits {
        umask,
        rlimits,
        rss_max,
        pids_max,
        user,
        access,
        cpus,
    } = limits;
    to.option(*umask, |to, umask| to.number(umask.into()));
    to.list(rlimits, |to, limit| {
        to.byte(resource_index(limit.resource));
        to.option(limit.soft, Writer::number);
        to.option(limit.hard, Writer::number);
    });
    to.option(*rss_max, Writer::number);
    to.option(*pids_max, Writer::number);
    to.option(*user, |to, user| {
        to.number(user.uid.into());
        to.number(user.gid.into());
    });
    let Access { read, write, tcp } = access;
    for paths in [read, write] {
        to.option(paths.as_ref(), |to, paths| {
            to.list(paths, |to, path| to.text(path))
        });
    }
    to.option(tcp.as_ref(), |to, ports| {
        to.list(ports, |to, port| to.number((*port).into()))
    });
    to.list(cpus, |to, cpu| to.number((*cpu).into()));
}

fn read_spec(from: &mut Reader<'_>) -> Option<ChildSpec> {
    fn short(from: &mut Reader<'_>) -> Option<u32> {
        u32::try_from(from.number()?).ok()
    }
    Some(ChildSpec {
        program: from.text()?,
        args: from.list(Reader::text)?,
        env: from.list(|from| Some((from.text()?, from.text()?)))?,
        cwd: from.option(Reader::text)?.map(PathBuf::from),
        limits: Limits {
            umask: from.option(short)?,
            rlimits: from.list(|from| {
                Some(ResourceLimit {
                    resource: resource_at(from.byte()?)?,
                    soft: from.option(Reader::number)?,
                    hard: from.option(Reader::number)?,
                })
            })?,
            rss_max: from.option(Reader::number)?,
            pids_max: from.option(Reader::number)?,
            user: from.option(|from| {
                Some(User {
                    uid: short(from)?,
                    gid: short(from)?,
                })
            })?,
            access: read_access(from)?,
            cpus: from.list(short)?,
        },
    })
}

fn read_access(from: &mut Reader<'_>) -> Option<Access> {
    fn paths(from: &mut Reader<'_>) -> Option<Vec<PathBuf>> {
        from.list(|from| from.text().map(PathBuf::from))
    }
    Some(Access {
        read: from.option(paths)?,
        write: from.option(paths)?,
        tcp: from.option(|from| from.list(|from| u16::try_from(from.number()?).ok()))?,
    })
}

impl Report {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut to = Writer::default();
        match self {
            Report::Ready { cgroup, has_pids } => {
                to.byte(0);
                to.option(cgroup.as_ref(), |to, path| to.text(path));
                to.byte((*has_pids).into());
            }
            Report::Spawned {
                child,
                result: Ok(pid),
            } => {
                to.byte(1);
                to.number(*child);
                to.signed(*pid);
            }
            Report::Spawned {
                child,
                result: Err(error),
            } => {
                to.byte(2);
                to.number(*child);
                to.byte(error.stage.index());
                to.signed(error.errno);
            }
            Report::Exited { child, exit } => {
                to.byte(3);
                to.number(*child);
                write_exit(&mut to, exit);
            }
            Report::Usage { child, usage } => {
                to.byte(4);
                to.number(*child);
                write_usage(&mut to, usage);
            }
        }
        to.into_bytes()
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Report> {
        let mut from = Reader::new(bytes);
        let report = match from.byte()? {
            0 => Report::Ready {
                cgroup: from.option(Reader::text)?.map(PathBuf::from),
                has_pids: from.byte()? != 0,
            },
            1 => Report::Spawned {
                child: from.number()?,
                result: Ok(from.signed()?),
            },
            2 => Report::Spawned {
                child: from.number()?,
                result: Err(SpawnError {
                    stage: SpawnStage::from_index(from.byte()?)?,
                    errno: from.signed()?,
                }),
            },
            3 => Report::Exited {
                child: from.number()?,
                exit: read_exit(&mut from)?,
            },
            4 => Report::Usage {
                child: from.number()?,
                usage: read_usage(&mut from)?,
            },
            _ => return None,
        };
        from.is_at_end().then_some(report)
    }
}

fn write_exit(to: &mut Writer, exit: &Exit) {
    let (kind, value) = match exit.status {
        ExitStatus::Code(code) => (0, code),
        ExitStatus::Signal(signal) => (1, signal),
        ExitStatus::Unknown => (2, 0),
    };
    to.byte(kind);
    to.signed(value);
    to.duration(exit.used.user);
    to.duration(exit.used.system);
    to.number(exit.used.resident_bytes_max);
    let (reason, bytes) = match exit.reason {
        ExitReason::Itself => (0, 0),
        ExitReason::Terminated => (1, 0),
        ExitReason::Killed => (2, 0),
        ExitReason::Memory { resident_bytes } => (3, resident_bytes),
        ExitReason::LauncherEnded => (4, 0),
    };
    to.byte(reason);
    to.number(bytes);
}

fn read_exit(from: &mut Reader<'_>) -> Option<Exit> {
    let status = match (from.byte()?, from.signed()?) {
        (0, code) => ExitStatus::Code(code),
        (1, signal) => ExitStatus::Signal(signal),
        (2, _) => ExitStatus::Unknown,
        _ => return None,
    };
    let used = ResourceUse {
        user: from.duration()?,
        system: from.duration()?,
        resident_bytes_max: from.number()?,
    };
    let reason = match (from.byte()?, from.number()?) {
        (0, _) => ExitReason::Itself,
        (1, _) => ExitReason::Terminated,
        (2, _) => ExitReason::Killed,
        (3, resident_bytes) => ExitReason::Memory { resident_bytes },
        (4, _) => ExitReason::LauncherEnded,
        _ => return None,
    };
    Some(Exit { status, used, reason })
}

fn write_usage(to: &mut Writer, usage: &TreeUsage) {
    to.number(usage.resident_bytes);
    to.duration(usage.cpu);
    to.number(usage.processes_total.into());
    to.list(&usage.processes, |to, process| {
        to.signed(process.pid);
        to.signed(process.parent);
        to.number(process.resident_bytes);
        to.duration(process.cpu);
    });
}

fn read_usage(from: &mut Reader<'_>) -> Option<TreeUsage> {
    Some(TreeUsage {
        resident_bytes: from.number()?,
        cpu: from.duration()?,
        processes_total: u32::try_from(from.number()?).ok()?,
        processes: from.list(|from| {
            Some(ProcessUsage {
                pid: from.signed()?,
                parent: from.signed()?,
                resident_bytes: from.number()?,
                cpu: from.duration()?,
            })
        })?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::process::Resource;

    use super::*;

    fn spec() -> ChildSpec {
        ChildSpec {
            program: "npx".into(),
            args: vec!["-y".into(), String::new().into(), "a b\n".into()],
            env: vec![("A".into(), "1".into()), ("B".into(), String::new().into())],
            cwd: Some("/tmp".into()),
            limits: Limits {
                umask: Some(0o077),
                rlimits: vec![ResourceLimit {
                    resource: Resource::Nofile,
                    soft: Some(64),
                    hard: None,
                }],
                rss_max: Some(u64::MAX),
                pids_max: Some(0),
                user: Some(User { uid: 1, gid: 2 }),
                access: Access {
                    read: Some(vec!["/a".into()]),
                    write: Some(Vec::new()),
                    tcp: Some(vec![443, 80]),
                },
                cpus: vec![0, 9],
            },
        }
    }

    fn requests() -> Vec<Request> {
        vec![
            Request::Spawn {
                child: u64::MAX,
                spec: Box::new(spec()),
            },
            Request::Spawn {
                child: 0,
                spec: Box::default(),
            },
            Request::SpawnFromFile,
            Request::Terminate { child: 1 },
            Request::Kill { child: 2 },
            Request::Usage { child: 3 },
        ]
    }

    fn reports() -> Vec<Report> {
        let used = ResourceUse {
            user: Duration::from_micros(1),
            system: Duration::from_secs(2),
            resident_bytes_max: 3,
        };
        let exit = |status, reason| Report::Exited {
            child: 4,
            exit: Exit { status, used, reason },
        };
        let error = SpawnError {
            stage: SpawnStage::Program,
            errno: 2,
        };
        let process = ProcessUsage {
            pid: 5,
            parent: 1,
            resident_bytes: 6,
            cpu: Duration::from_millis(7),
        };
        let usage = TreeUsage {
            resident_bytes: 6,
            cpu: Duration::from_millis(8),
            processes_total: 300,
            processes: vec![process; 2],
        };
        vec![
            Report::Ready {
                cgroup: None,
                has_pids: false,
            },
            Report::Ready {
                cgroup: Some("/sys/fs/cgroup/weir".into()),
                has_pids: true,
            },
            Report::Spawned {
                child: 1,
                result: Ok(77),
            },
            Report::Spawned {
                child: 1,
                result: Err(error),
            },
            exit(ExitStatus::Code(3), ExitReason::Itself),
            exit(ExitStatus::Signal(9), ExitReason::Memory { resident_bytes: 9 }),
            exit(ExitStatus::Signal(15), ExitReason::Terminated),
            exit(ExitStatus::Signal(9), ExitReason::Killed),
            exit(ExitStatus::Unknown, ExitReason::LauncherEnded),
            Report::Usage { child: 5, usage },
        ]
    }

    #[test]
    fn messages_survive_the_way() {
        for request in requests() {
            assert_eq!(Request::decode(&request.encode()), Some(request));
        }
        for report in reports() {
            assert_eq!(Report::decode(&report.encode()), Some(report));
        }
    }

    #[test]
    fn pieces_and_more_are_refused() {
        for whole in requests().iter().map(Request::encode) {
            for end in 0..whole.len() {
                assert_eq!(Request::decode(&whole[..end]), None);
            }
            assert_eq!(Request::decode(&[&whole[..], &[0]].concat()), None);
        }
        for whole in reports().iter().map(Report::encode) {
            for end in 0..whole.len() {
                assert_eq!(Report::decode(&whole[..end]), None);
            }
        }
    }

    #[test]
    fn errors_name_what_failed() {
        let error = SpawnError {
            stage: SpawnStage::Directory,
            errno: 2,
        };
        let expected = "cannot enter the directory: No such file or directory (os error 2)";
        assert_eq!(error.to_string(), expected);
        let error = std::io::Error::from(error);
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        assert_eq!(error.to_string(), expected);
    }
}
