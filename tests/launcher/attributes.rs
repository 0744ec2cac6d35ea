//! What a child gets.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::Command;

use rustix::io::FdFlags;
use rustix::process::{Resource, geteuid};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use weir::internals::launcher::{Access, ChildSpec, Limits, ResourceLimit, User};

use super::harness::{Server, Starter, mark, marked, misbehave, program, sinner};

/// The value behind a name in `/proc/self/status` and its like.
fn value<'t>(text: &'t str, name: &str) -> &'t str {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim()
}

fn status_of(starter: &Starter, limits: Limits) -> String {
    let mut spec = program("/bin/cat", &["/proc/self/status"]);
    spec.limits = limits;
    starter.output(&spec)
}

#[test]
fn a_child_leads_a_session_of_its_own() {
    let starter = Starter::new();
    let stat = starter.output(&program("/bin/cat", &["/proc/self/stat"]));
    let fields: Vec<&str> = stat.split(' ').collect();
    let (pid, group, session, terminal) = (fields[0], fields[4], fields[5], fields[6]);
    assert_eq!((group, session, terminal), (pid, pid, "0"));
}

#[test]
fn it_dies_with_its_parent_and_gains_no_privileges() {
    let starter = Starter::new();
    assert_eq!(
        starter.output(&sinner("-", &["pdeathsig"])),
        "Some(\"Signal::KILL\")\n"
    );
    assert_eq!(value(&status_of(&starter, Limits::default()), "NoNewPrivs"), "1");
}

/// A set of signals, without the two that the C library keeps for itself, and has ignored in what it spawns.
fn signals(status: &str, name: &str) -> u64 {
    u64::from_str_radix(value(status, name), 16).unwrap() & !(0b11 << 31)
}

#[test]
fn signals_are_as_the_kernel_has_them() {
    // The server ignores some, as below `nohup`.
    let mark = mark();
    let mut server = Command::new("/bin/sh");
    server
        .args(["-c", "trap '' HUP TERM USR1 INT; exec \"$0\" \"$@\""])
        .arg(misbehave());
    let server = Server::start_as(server, &mark, &["say:x,hang".to_owned()]);
    let ignored = 1 << (libc::SIGHUP - 1) | 1 << (libc::SIGTERM - 1);
    let status = |pid: i32| fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert_eq!(signals(&status(server.pid), "SigIgn") & ignored, ignored);
    let child = marked(&mark).into_iter().find(|pid| *pid != server.pid).unwrap();
    // The child is a Rust program, which ignores this one itself.
    assert_eq!(signals(&status(child), "SigIgn"), 1 << (libc::SIGPIPE - 1));
    assert_eq!(signals(&status(child), "SigBlk"), 0);

    let status = status_of(&Starter::new(), Limits::default());
    for set in ["SigBlk", "SigIgn", "SigCgt"] {
        assert_eq!(signals(&status, set), 0, "{set}");
    }
}

#[test]
fn it_may_use_the_cpus_that_the_server_had_before_it_pinned_its_threads() {
    let starter = Starter::new();
    let all = fs::read_to_string("/proc/thread-self/status").unwrap();
    let before = sched_getaffinity(None).unwrap();
    let mut first = CpuSet::new();
    let number = (0..CpuSet::MAX_CPU).find(|cpu| before.is_set(*cpu)).unwrap();
    first.set(number);
    sched_setaffinity(None, &first).unwrap();
    let status = status_of(&starter, Limits::default());
    assert_eq!(
        value(&status, "Cpus_allowed_list"),
        value(&all, "Cpus_allowed_list")
    );
    let chosen = Limits {
        cpus: vec![number.try_into().unwrap()],
        ..Limits::default()
    };
    assert_eq!(
        value(&status_of(&starter, chosen), "Cpus_allowed_list"),
        number.to_string()
    );
    sched_setaffinity(None, &before).unwrap();
}

#[test]
fn limits_are_kept() {
    let starter = Starter::new();
    let limit = |soft, hard| ResourceLimit {
        resource: Resource::Nofile,
        soft: Some(soft),
        hard: Some(hard),
    };
    let limits = Limits {
        umask: Some(0o137),
        rlimits: vec![limit(1, 2), limit(77, 88)],
        ..Limits::default()
    };
    assert_eq!(value(&status_of(&starter, limits.clone()), "Umask"), "0137");
    let mut spec = program("/bin/cat", &["/proc/self/limits"]);
    let row = |text: &str, name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap()
            .to_owned();
        line.split_whitespace()
            .take(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let usual = starter.output(&spec);
    assert_eq!(row(&usual, "Max core file size"), ["0", "0"]);
    assert_eq!(row(&usual, "Max open files")[0], "1024");
    spec.limits = limits;
    assert_eq!(row(&starter.output(&spec), "Max open files"), ["77", "88"]);
}

#[test]
fn it_is_taken_first_when_memory_is_short() {
    let own: i32 = fs::read_to_string("/proc/self/oom_score_adj")
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let score = Starter::new().output(&program("/bin/cat", &["/proc/self/oom_score_adj"]));
    assert_eq!(score.trim(), (own + 500).min(1000).to_string());
}

#[test]
fn it_has_three_descriptors() {
    // One that is not close-on-exec would be the child's too, if it came of this process.
    let inherited = File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&inherited, FdFlags::empty()).unwrap();
    let starter = Starter::new();
    let listing = starter.output(&program("/bin/ls", &["/proc/self/fd"]));
    drop(inherited);
    // The last one is that of the directory which `ls` reads.
    assert_eq!(
        listing.split_whitespace().collect::<Vec<_>>(),
        ["0", "1", "2", "3"]
    );
}

#[test]
fn it_is_who_it_should_be() {
    if !geteuid().is_root() {
        return;
    }
    let user = User {
        uid: 65534,
        gid: 65533,
    };
    let limits = Limits {
        user: Some(user),
        ..Limits::default()
    };
    let starter = Starter::new();
    let status = status_of(&starter, limits.clone());
    assert_eq!(value(&status, "Uid"), "65534\t65534\t65534\t65534");
    assert_eq!(value(&status, "Gid"), "65533\t65533\t65533\t65533");
    assert_eq!(value(&status, "Groups"), "65533");
    assert_eq!(value(&status, "CapEff"), "0000000000000000");
}

#[test]
fn it_starts_where_it_should() {
    let starter = Starter::new();
    let mut spec = program("/bin/pwd", &["-P"]);
    let own = std::env::current_dir().unwrap();
    assert_eq!(starter.output(&spec).trim_end(), own.to_str().unwrap());
    spec.cwd = Some("/usr/bin".into());
    spec.program = "../bin/pwd".into();
    assert_eq!(
        starter.output(&spec).trim_end(),
        fs::canonicalize("/usr/bin").unwrap().to_str().unwrap()
    );
}

#[test]
fn the_environment_is_exactly_what_was_given() {
    let starter = Starter::new();
    let text = |spec: &ChildSpec| {
        let output = starter.output(spec);
        output
            .split_terminator('\0')
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    let mut spec = program("/bin/cat", &["/proc/self/environ"]);
    assert!(text(&spec).is_empty());
    let entries = 0..10_000;
    let long = "x".repeat(90);
    spec.env = entries
        .map(|number| (format!("V{number}").into(), format!("{long}{number}").into()))
        .collect();
    let expected: BTreeSet<String> = (0..10_000)
        .map(|number| format!("V{number}={long}{number}"))
        .collect();
    assert_eq!(text(&spec), expected);
}

#[test]
fn programs_are_found_in_the_path_that_was_given() {
    let starter = Starter::new();
    let mut spec = program("pwd", &[]);
    spec.env = vec![("PATH".into(), "/nowhere".into())];
    let (id, _pipes) = starter.launcher.spawn(&spec).unwrap();
    assert!(starter.spawned(id).is_err());
    spec.env = vec![("PATH".into(), "/nowhere:/bin".into())];
    assert!(!starter.output(&spec).is_empty());
}

#[test]
fn the_pipes_are_its_own() {
    let starter = Starter::new();
    let one = starter.spawn(&program("/bin/cat", &[]));
    let other = starter.spawn(&program("/bin/cat", &[]));
    let mut stdin = File::from(one.pipes.stdin);
    stdin.write_all(b"through a pipe").unwrap();
    // A copy of this end in the other child would keep it open.
    drop(stdin);
    let mut text = String::new();
    File::from(one.pipes.stdout).read_to_string(&mut text).unwrap();
    assert_eq!(text, "through a pipe");
    starter.exit(one.id);
    let error = starter.spawn(&program(
        "/bin/sh",
        &["-c", "echo complaint >&2; cat /dev/stdin > /dev/stdout"],
    ));
    drop(error.pipes.stdin);
    text.clear();
    File::from(error.pipes.stderr).read_to_string(&mut text).unwrap();
    assert_eq!(text, "complaint\n");
    drop(other);
}

/// What a shell prints under these bounds.
fn bounded(access: Access, script: &str) -> String {
    let mut spec = program("/bin/sh", &["-c", script]);
    spec.limits.access = access;
    Starter::new().output(&spec)
}

#[test]
fn it_reads_and_writes_as_far_as_it_may() {
    let scratch = std::env::temp_dir().join(format!("weir-bounds-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).unwrap();
    let path = scratch.to_str().unwrap();
    std::fs::write(scratch.join("file"), "inside").unwrap();
    let tries = format!(
        "ls /etc/passwd; cat /etc/shadow 2>/dev/null | wc -c; cat {path}/file 2>/dev/null; echo x 2>/dev/null >{path}/new && echo written; \
         echo x >/dev/null && echo null"
    );
    let everything = Access::default();
    assert!(everything.check().is_ok());
    let free = bounded(everything, &tries);
    assert!(free.contains("inside") && free.contains("written"), "{free}");
    std::fs::remove_file(scratch.join("new")).unwrap();
    let reads = |paths: &[&str]| Some(paths.iter().map(Into::into).collect());
    let nothing_more = Access {
        read: reads(&[]),
        write: reads(&[]),
        tcp: Some(Vec::new()),
    };
    if let Err(why) = nothing_more.check() {
        // It is said before anybody is started, and tried no further.
        assert!(why.contains("Landlock"), "{why}");
        return;
    }
    let told = bounded(nothing_more.clone(), &tries);
    assert_eq!(told, "/etc/passwd\n0\nnull\n");
    let inside = Access {
        read: reads(&[path]),
        ..nothing_more.clone()
    };
    assert_eq!(bounded(inside, &tries), "/etc/passwd\n0\ninsidenull\n");
    let writing = Access {
        write: reads(&[path]),
        ..nothing_more
    };
    assert_eq!(bounded(writing, &tries), "/etc/passwd\n0\ninsidewritten\nnull\n");
    std::fs::remove_dir_all(&scratch).unwrap();
}

#[test]
fn it_connects_to_the_ports_that_it_may() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!("exec 2>/dev/null; (exec 3<>/dev/tcp/127.0.0.1/{port}) && echo connected; true");
    let with = |tcp: Option<Vec<u16>>| {
        let access = Access {
            tcp,
            ..Access::default()
        };
        let mut spec = program("/bin/bash", &["-c", &script]);
        spec.limits.access = access;
        Starter::new().output(&spec)
    };
    assert_eq!(with(None), "connected\n");
    let others = Access {
        tcp: Some(vec![1]),
        ..Access::default()
    };
    if others.check().is_ok() {
        assert_eq!(with(Some(vec![1])), "");
        assert_eq!(with(Some(vec![1, port])), "connected\n");
    }
}
