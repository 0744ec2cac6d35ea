//! What becomes of a child, and of what came of it.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use weir::internals::launcher::{ExitReason, ExitStatus, Limits};

use super::harness::{Starter, eventually, mark, marked, options, program, seen, sinner, wait_until_gone};

#[test]
fn exits_tell_status_and_use() {
    let starter = Starter::new();
    let code = starter.spawn(&sinner("-", &["allocate:32", "burn:50", "exit:7"]));
    let exit = starter.exit(code.id);
    assert_eq!(
        (exit.status, exit.reason),
        (ExitStatus::Code(7), ExitReason::Itself)
    );
    assert!(exit.used.user + exit.used.system > Duration::ZERO, "{exit:?}");
    assert!(exit.used.resident_bytes_max > 32 << 20, "{exit:?}");
    let signal = starter.spawn(&sinner("-", &["signal:6"]));
    let exit = starter.exit(signal.id);
    assert_eq!(
        (exit.status, exit.reason),
        (ExitStatus::Signal(6), ExitReason::Itself)
    );
}

#[test]
fn terminate_asks_the_whole_group() {
    let (starter, mark) = (Starter::new(), mark());
    let child = starter.spawn(&sinner(&mark, &["child:say:x,hang", "hang"]));
    child.wait_for_line();
    starter.launcher.terminate(child.id);
    let exit = starter.exit(child.id);
    assert_eq!(
        (exit.status, exit.reason),
        (ExitStatus::Signal(15), ExitReason::Terminated)
    );
    wait_until_gone(&mark);
}

#[test]
fn kill_ends_who_ignores_termination() {
    let (starter, mark) = (Starter::new(), mark());
    let child = starter.spawn(&sinner(&mark, &["ignore-term", "say:x", "hang"]));
    child.wait_for_line();
    starter.launcher.terminate(child.id);
    starter.launcher.kill(child.id);
    let exit = starter.exit(child.id);
    assert_eq!(
        (exit.status, exit.reason),
        (ExitStatus::Signal(9), ExitReason::Killed)
    );
    wait_until_gone(&mark);
    // Both are ignored now.
    starter.launcher.terminate(child.id);
    starter.launcher.kill(child.id);
    assert!(starter.output(&program("/bin/pwd", &[])).starts_with('/'));
}

#[test]
fn kill_finds_who_left_session_and_parent() {
    let (starter, mark) = (Starter::new(), mark());
    let hidden = "ignore-term,say:x,hang";
    let actions = [format!("child:setsid,{hidden}"), format!("daemon:{hidden}")];
    let bystander = starter.spawn(&program("/bin/cat", &[]));
    let child = starter.spawn(&sinner(&mark, &[&actions[0], &actions[1], "say:x", "hang"]));
    (0..3).for_each(|_| drop(child.wait_for_line()));
    // The daemon's first parent may still be there.
    eventually("three processes", || (marked(&mark).len() == 3).then_some(()));
    starter.launcher.kill(child.id);
    wait_until_gone(&mark);
    assert!(seen(bystander.pid).is_some_and(|seen| seen.state != 'Z'));
}

#[test]
fn what_an_ended_child_leaves_behind_is_ended() {
    let (starter, mark) = (Starter::new(), mark());
    let hidden = "ignore-term,say:x,hang";
    let actions = [
        "child:say:x,hang".to_owned(),
        format!("child:setsid,{hidden}"),
        format!("daemon:{hidden}"),
    ];
    let child = starter.spawn(&sinner(&mark, &[&actions[0], &actions[1], &actions[2], "eof"]));
    (0..3).for_each(|_| drop(child.wait_for_line()));
    drop(child.pipes);
    assert_eq!(starter.exit(child.id).status, ExitStatus::Code(0));
    wait_until_gone(&mark);
}

#[test]
fn the_rest_of_a_tree_is_asked_once() {
    let (starter, mark) = (Starter::new(), mark());
    // As npx when it passes the end on: the first process ends before the server behind it, and both were asked.
    let actions = ["child:[tell-term,say:x,hang]", "tell-term", "say:x", "eof"];
    let child = starter.spawn(&sinner(&mark, &actions));
    (0..2).for_each(|_| assert_eq!(child.wait_for_line(), "x"));
    starter.launcher.terminate(child.id);
    (0..2).for_each(|_| assert_eq!(child.wait_for_line(), "term"));
    drop(child.pipes.stdin);
    let exit = starter.exit(child.id);
    assert_eq!(
        (exit.status, exit.reason),
        (ExitStatus::Code(0), ExitReason::Terminated)
    );
    let mut told = String::new();
    File::from(child.pipes.stdout).read_to_string(&mut told).unwrap();
    assert_eq!(told, "");
    wait_until_gone(&mark);
}

#[test]
fn another_childs_strays_stay() {
    let (starter, mark) = (Starter::new(), mark());
    let stays = starter.spawn(&sinner(&mark, &["daemon:say:x,hang", "eof"]));
    stays.wait_for_line();
    let ends = starter.spawn(&sinner("-", &["daemon:say:x,hang", "eof"]));
    ends.wait_for_line();
    starter.launcher.kill(ends.id);
    starter.exit(ends.id);
    // The launcher has looked for who is left of the one before it answers for the other.
    eventually("two processes", || {
        (starter.usage(stays.id).processes_total == 2).then_some(())
    });
    assert_eq!(marked(&mark).len(), 2);
}

#[test]
fn use_is_that_of_the_whole_tree() {
    let (starter, mark) = (Starter::new(), mark());
    let daemon = "daemon:allocate:24,burn:60,say:x,hang";
    let child = starter.spawn(&sinner(&mark, &["child:allocate:24,say:x,hang", daemon, "eof"]));
    (0..2).for_each(|_| drop(child.wait_for_line()));
    let usage = starter.usage(child.id);
    assert_eq!(
        (usage.processes_total, usage.processes.len()),
        (3, 3),
        "{usage:?}"
    );
    assert_eq!(usage.processes[0].pid, child.pid);
    assert!(usage.resident_bytes > 48 << 20, "{usage:?}");
    assert!(usage.cpu > Duration::ZERO, "{usage:?}");
}

#[test]
fn a_tree_that_takes_too_much_memory_is_killed() {
    let (starter, mark) = (Starter::with(options()), mark());
    let limited = |actions: &[&str]| {
        let mut spec = sinner(&mark, actions);
        spec.limits = Limits {
            rss_max: Some(64 << 20),
            ..Limits::default()
        };
        spec
    };
    let modest = starter.spawn(&limited(&["eof"]));
    let child = starter.spawn(&limited(&[
        "child:setsid,allocate:40,hang",
        "allocate:40",
        "hang",
    ]));
    let exit = starter.exit(child.id);
    assert_eq!(exit.status, ExitStatus::Signal(9));
    let ExitReason::Memory { resident_bytes } = exit.reason else {
        panic!("{exit:?}");
    };
    assert!(resident_bytes > 64 << 20, "{exit:?}");
    eventually("the end of its tree", || {
        (marked(&mark) == [modest.pid]).then_some(())
    });
}

#[test]
fn a_dropped_launcher_leaves_nobody() {
    let (starter, mark) = (Starter::new(), mark());
    let child = starter.spawn(&sinner(
        &mark,
        &["daemon:ignore-term,say:x,hang", "ignore-term", "hang"],
    ));
    child.wait_for_line();
    drop(starter);
    assert!(marked(&mark).is_empty());
}
