//! Starting the launcher, and children that do not start.

use std::process::{Command, Stdio};
use std::sync::Arc;

use rustix::process::Resource;
use weir::internals::launcher::{Launcher, LauncherOptions, ResourceLimit, SpawnError, SpawnStage};

use super::harness::{Events, Scratch, Starter, program, seen};

#[test]
fn a_program_that_is_no_launcher_has_no_children() {
    let error = Launcher::start(Arc::new(Events::default())).unwrap_err();
    assert!(error.to_string().contains("weir::launcher()"), "{error}");
}

#[test]
fn what_is_started_must_be_a_launcher() {
    for program in ["/bin/true", "/nowhere/weir"] {
        let options = LauncherOptions {
            program: Some(program.into()),
            ..LauncherOptions::default()
        };
        let error = Launcher::start_with(Arc::new(Events::default()), options).unwrap_err();
        assert!(error.to_string().contains("the launcher"), "{error}");
    }
}

#[test]
fn by_hand_it_says_what_it_is() {
    for arguments in [&["__weir-launcher"][..], &["__weir-launcher", "guard", "auto"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(
            String::from_utf8(output.stderr)
                .unwrap()
                .contains("does nothing by itself")
        );
    }
}

#[test]
fn errors_say_what_failed_and_why() {
    let starter = Starter::new();
    let scratch = Scratch::new();
    std::fs::write(scratch.0.join("text"), "no program").unwrap();
    let text = scratch.0.join("text");
    let limit = ResourceLimit {
        resource: Resource::Nofile,
        soft: Some(9),
        hard: Some(8),
    };
    let good = program("/bin/true", &[]);
    let mut cases = vec![
        (program("/nowhere", &[]), SpawnStage::Program, libc::ENOENT),
        (
            program(text.to_str().unwrap(), &[]),
            SpawnStage::Program,
            libc::EACCES,
        ),
        (
            program("/bin/true", &[&"x".repeat(200_000)]),
            SpawnStage::Program,
            libc::E2BIG,
        ),
    ];
    let mut spec = good.clone();
    spec.cwd = Some("/nowhere".into());
    cases.push((spec, SpawnStage::Directory, libc::ENOENT));
    let mut spec = good.clone();
    spec.limits.rlimits.push(limit);
    cases.push((spec, SpawnStage::Limits, libc::EINVAL));
    let mut spec = good.clone();
    spec.limits.cpus = vec![1023];
    cases.push((spec, SpawnStage::Cpus, libc::EINVAL));
    for (spec, stage, errno) in cases {
        let (id, _pipes) = starter.launcher.spawn(&spec).unwrap();
        let error = starter.spawned(id).unwrap_err();
        assert_eq!(error, SpawnError { stage, errno }, "{:?}", spec.program);
    }
    let mut spec = good.clone();
    spec.args.push("\0".into());
    assert!(starter.launcher.spawn(&spec).is_err());
    let child = starter.spawn(&good);
    starter.exit(child.id);
}

#[test]
fn the_server_forks_nothing() {
    let starter = Starter::new();
    let child = starter.spawn(&program("/bin/cat", &[]));
    let launcher = seen(child.pid).unwrap().parent;
    let guard = seen(launcher).unwrap().parent;
    assert_eq!(
        seen(guard).unwrap().parent,
        i32::try_from(std::process::id()).unwrap()
    );
    let name = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    assert_eq!(
        (name(guard).as_str(), name(launcher).as_str()),
        ("weir-guard\n", "weir-launcher\n")
    );
}
