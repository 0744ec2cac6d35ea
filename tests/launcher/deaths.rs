//! Nobody is left, whoever dies, and the server has children again.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use weir::internals::launcher::{ExitReason, ExitStatus, SpawnStage};

use super::harness::{
    Server, Starter, children_of, eventually, mark, marked, misbehave, program, seen, sinner, wait_until_gone,
};

/// It may have ended by itself, because another one was killed.
fn kill(pid: i32) {
    let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
}

/// Trees of every kind: each says one letter when it is whole, and none ends by itself.
fn trees() -> Vec<String> {
    let trees = [
        "say:x,hang",
        "ignore-term,say:x,hang",
        // As npx and uvx have them: none passes signals on.
        "child:[child:[ignore-term,say:x,hang],ignore-term,hang],hang",
        "child:[setsid,ignore-term,say:x,hang],eof",
        "daemon:[ignore-term,say:x,hang],hang",
        "daemon:[daemon:[ignore-term,say:x,hang],hang],hang",
    ];
    trees.iter().map(|tree| (*tree).to_owned()).collect()
}

/// Kills some, and looks for everybody else.
fn nobody_is_left_without(choose: impl Fn(&Server) -> Vec<i32>) {
    let mark = mark();
    let server = Server::start(&mark, &trees());
    assert!(marked(&mark).len() >= trees().len());
    let below = [server.guard, server.launcher];
    let is_server_killed = choose(&server).contains(&server.pid);
    choose(&server).into_iter().for_each(kill);
    if is_server_killed {
        wait_until_gone(&mark);
        for pid in below {
            eventually("the end of guard and launcher", || {
                seen(pid).is_none_or(|seen| seen.state == 'Z').then_some(())
            });
        }
    } else {
        eventually("the end of all children", || {
            (marked(&mark) == [server.pid]).then_some(())
        });
        // Another guard, and another launcher below it.
        eventually("another launcher", || {
            let guard = children_of(server.pid)
                .into_iter()
                .find(|pid| *pid != server.guard)?;
            children_of(guard).first().copied()
        });
        assert!(
            children_of(server.pid)
                .iter()
                .all(|pid| seen(*pid).unwrap().state != 'Z')
        );
    }
}

#[test]
fn nobody_is_left_when_the_server_is_killed() {
    nobody_is_left_without(|server| vec![server.pid]);
}

#[test]
fn nobody_is_left_when_the_launcher_is_killed() {
    nobody_is_left_without(|server| vec![server.launcher]);
}

#[test]
fn nobody_is_left_when_the_guard_is_killed() {
    nobody_is_left_without(|server| vec![server.guard]);
}

#[test]
fn nobody_is_left_when_server_and_launcher_are_killed() {
    nobody_is_left_without(|server| vec![server.launcher, server.pid]);
    nobody_is_left_without(|server| vec![server.pid, server.launcher]);
}

#[test]
fn nobody_is_left_when_server_and_guard_are_killed() {
    nobody_is_left_without(|server| vec![server.guard, server.pid]);
}

#[test]
fn children_of_a_dead_launcher_are_told_and_others_can_be_had() {
    let starter = Starter::new();
    let mark = mark();
    let one = starter.spawn(&sinner(&mark, &["say:x", "hang"]));
    let other = starter.spawn(&sinner(&mark, &["daemon:say:x,hang", "hang"]));
    one.wait_for_line();
    other.wait_for_line();
    let ended = starter.spawn(&program("/bin/true", &[]));
    assert_eq!(starter.exit(ended.id).status, ExitStatus::Code(0));
    kill(seen(one.pid).unwrap().parent);
    for child in [one.id, other.id] {
        let exit = starter.exit(child);
        assert_eq!(
            (exit.status, exit.reason),
            (ExitStatus::Unknown, ExitReason::LauncherEnded)
        );
    }
    // It was told when everybody had ended.
    assert!(marked(&mark).is_empty());
    let next = starter.spawn(&sinner(&mark, &["say:x", "eof"]));
    assert!(next.id > other.id);
    next.wait_for_line();
    drop(next.pipes);
    assert_eq!(starter.exit(next.id).status, ExitStatus::Code(0));
}

#[test]
fn requests_that_die_with_the_launcher_are_told() {
    let starter = Starter::new();
    let first = starter.spawn(&program("/bin/cat", &[]));
    let launcher = seen(first.pid).unwrap().parent;
    let pid = Pid::from_raw(launcher).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    eventually("the stop", || {
        seen(launcher).is_some_and(|seen| seen.state == 'T').then_some(())
    });
    let (lost, _pipes) = starter.launcher.spawn(&program("/bin/cat", &[])).unwrap();
    // More than the socket takes: the rest waits for the next launcher.
    let waiting: Vec<_> = (0..400)
        .map(|_| starter.launcher.spawn(&big()).unwrap())
        .collect();
    kill(launcher);
    let error = starter.spawned(lost).unwrap_err();
    assert_eq!(
        (error.stage, error.errno),
        (SpawnStage::Launcher, libc::ECONNRESET)
    );
    assert_eq!(starter.exit(first.id).reason, ExitReason::LauncherEnded);
    let results: Vec<_> = waiting.iter().map(|(id, _)| starter.spawned(*id)).collect();
    let lost = results.iter().filter(|result| result.is_err()).count();
    assert!(lost > 0 && lost < results.len(), "{lost} of {}", results.len());
    // In order: those that were lost had been sent.
    assert!(results[..lost].iter().all(Result::is_err));
}

/// A program with an environment that nearly fills a datagram, and that ends at once.
fn big() -> weir::internals::launcher::ChildSpec {
    let mut spec = program("/bin/true", &[]);
    spec.env = vec![("LONG".into(), "x".repeat(30_000).into())];
    spec
}

#[test]
fn many_children_leave_nothing() {
    let mut storm = Command::new(misbehave())
        .args(["storm", "500"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut stdout = storm.stdout.take().unwrap();
    let mut byte = [0];
    while stdout.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        said.push(char::from(byte[0]));
    }
    let (before, after) = said
        .strip_prefix("before ")
        .unwrap()
        .split_once(" after ")
        .unwrap();
    assert_eq!(before, after);
    let guard = children_of(i32::try_from(storm.id()).unwrap())[0];
    let launcher = children_of(guard)[0];
    eventually("the end of all", || {
        children_of(launcher).is_empty().then_some(())
    });
    assert_eq!(children_of(guard), [launcher]);
    let count = |what: &str| {
        std::fs::read_dir(format!("/proc/{launcher}/{what}"))
            .unwrap()
            .count()
    };
    // Standard streams, the socket, and the pair that tells of signals with a copy.
    assert_eq!((count("task"), count("fd")), (1, 7));
    storm.stdin.take().unwrap().flush().unwrap();
    storm.wait().unwrap();
}
