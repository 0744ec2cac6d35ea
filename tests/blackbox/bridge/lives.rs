//! How children begin and end: deaths at every point, starts that fail, and that nothing is left of them.

use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::front::{Front, command_line, legacy, names_of, told};
use super::sinner::{act, misbehaving};
use crate::harness::{Conversation, Request, Revision, Scratch, Stdio, WEIR, case, eventually, text_of};

#[track_caller]
fn assert_echoes(client: &mut Conversation) {
    assert_eq!(client.text_of("echo", json!({"message": "well"})), "well");
}

pub(super) fn kill(pid: &str) {
    kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn a_child_that_dies_before_a_call_is_replaced() {
    let front = Front::start();
    for mut client in front.both() {
        let before = told(&mut client, act(["pid"]));
        kill(&before);
        // The call may have been written before the death was known.
        eventually("another child serves", || {
            let id = client.call("act", act(["pid"]));
            let answer = client.answer(&id);
            answer.get("error").is_none() && text_of(&answer["result"]) != before
        });
    }
}

#[test]
fn a_child_that_dies_after_its_answer_has_answered() {
    let front = Front::start();
    for mut client in front.both() {
        let result = json!({"content": [{"type": "text", "text": "last words"}]}).to_string();
        for code in [0, 3] {
            let steps = act([json!(["answer", result]), json!(["exit", code])]);
            assert_eq!(told(&mut client, steps), "last words");
            eventually("another child serves", || {
                let id = client.call("echo", json!({"message": "well"}));
                client.answer(&id).get("error").is_none()
            });
        }
    }
}

#[test]
fn everybody_whose_call_a_child_takes_along_is_told() {
    let front = Front::start();
    let mut clients: Vec<Conversation> = (0..4).flat_map(|_| front.both()).collect();
    let waiting = act(["count", "await-cancel"]);
    let ids: Vec<Value> = clients
        .iter_mut()
        .map(|client| client.call("act", waiting.clone()))
        .collect();
    front.wait_until_counted(clients.len());
    let pid = told(&mut front.legacy(), act(["pid"]));
    kill(&pid);
    for (client, id) in clients.iter_mut().zip(&ids) {
        let answer = client.answer(id);
        assert!(answer.get("error").is_some(), "{answer}");
    }
    assert_echoes(&mut clients[0]);
}

#[test]
fn a_child_that_is_slow_to_start_is_waited_for() {
    for actions in [
        &["sleep:700", "mcp"][..],
        &["mcp:[late:700]"],
        &["stderr:1000000", "mcp"],
    ] {
        let front = Front::of(actions, "max=1");
        for mut client in front.both() {
            assert_eq!(names_of(&mut client, "tools/list", "tools").len(), 3);
            assert_echoes(&mut client);
        }
    }
}

#[test]
fn rubbish_at_the_start_is_skipped() {
    let front = Front::of(&["say:Listening on stdio", "say:{", "say:[]", "mcp"], "max=1");
    assert_echoes(&mut front.legacy());
}

#[test]
fn a_server_that_never_starts_takes_nothing_else_down() {
    let quick = "max=1,start_timeout=300ms,first_start_timeout=300ms,stop_grace=100ms";
    for actions in [
        &["exit:3"][..],
        &["exit:0"],
        &["mcp:[silent]"],
        &["mcp:[refuse]"],
        &["hang"],
        &["signal:11"],
        &["say:no protocol", "exit:1"],
    ] {
        let _case = case(format!("{actions:?}"));
        let mut front = Front::with(actions, quick, &["--toolset", "demo"]);
        for mut client in front.both() {
            // The tools of the server's own.
            assert_echoes(&mut client);
            let id = client.call("act", json!({}));
            let answer = client.answer(&id);
            assert!(answer.get("error").is_some(), "{answer}");
            client.finish();
        }
        front.weir().assert_well();
    }
}

#[test]
fn a_start_that_failed_is_tried_again() {
    let scratch = Scratch::new("bridge-second-start");
    let once = format!("once:{}:exit:1", scratch.text("started"));
    let front = Front::of(&[&once, "mcp"], "max=1");
    let mut client = front.legacy();
    eventually("the second start succeeds", || {
        let id = client.send("tools/list", json!({}));
        client.answer_among(&id)["result"]["tools"]
            .as_array()
            .is_some_and(|tools| tools.len() == 3)
    });
    let id = client.call("echo", json!({"message": "well"}));
    assert_eq!(text_of(&client.answer_among(&id)["result"]), "well");
}

#[test]
fn starts_are_few_when_every_one_fails() {
    let scratch = Scratch::new("bridge-loop");
    let note = format!("note:{}", scratch.text("starts"));
    let mut front = Front::with(&[&note, "exit:9"], "max=4,min_idle=4", &["--toolset", "demo"]);
    let starts = || {
        let text = std::fs::read_to_string(scratch.path().join("starts")).unwrap_or_default();
        text.lines().count()
    };
    eventually("it is given up", || {
        front.weir().stderr().contains("calls are refused until")
    });
    assert!((5..=10).contains(&starts()), "{}", starts());
    let ready = front.weir().ask_admin(&Request::new("GET", "/readyz"));
    assert!(ready.text().contains("misbehave"), "{}", ready.text());
}

/// The children that end by nothing polite, and those that leave others behind.
const STUBBORN: [&[&str]; 5] = [
    &["mcp"],
    &["ignore-term", "mcp", "hang"],
    &["daemon:hang", "mcp"],
    &["child:[ignore-term,hang]", "mcp"],
    &["child:[setsid,ignore-term,hang]", "ignore-term", "mcp", "hang"],
];

#[test]
fn a_drain_leaves_nobody() {
    for actions in STUBBORN {
        let _case = case(format!("{actions:?}"));
        let mut front = Front::of(actions, "max=2,min_idle=2,stop_grace=100ms");
        assert_echoes(&mut front.legacy());
        front.weir().signal(Signal::TERM);
        assert_eq!(front.weir().wait().code(), Some(0), "{}", front.weir().stderr());
        eventually("everybody is gone", || front.processes().is_empty());
    }
}

#[test]
fn a_drain_ends_at_once_though_nobody_ever_came() {
    for shards in ["1", "2", "3"] {
        let _case = case(shards);
        let mut front = Front::with(&["mcp"], "max=1", &["--shards", shards, "--drain-timeout", "5m"]);
        front.weir().signal(Signal::TERM);
        assert_eq!(front.weir().wait().code(), Some(0), "{}", front.weir().stderr());
    }
}

#[test]
fn a_sudden_death_of_the_server_leaves_nobody() {
    for actions in STUBBORN {
        let _case = case(format!("{actions:?}"));
        let mut front = Front::of(actions, "max=2,min_idle=2");
        assert_echoes(&mut front.legacy());
        eventually("two children run", || front.processes().len() >= 2);
        front.weir().signal(Signal::KILL);
        front.weir().wait();
        eventually("everybody is gone", || front.processes().is_empty());
    }
}

#[test]
fn a_drain_lets_calls_finish() {
    let mut front = Front::start();
    // The streams that legacy clients hold open end first.
    let mut clients = [front.modern(), front.modern()];
    let steps = act([json!("count"), json!(["sleep", 700])]);
    let ids: Vec<Value> = clients
        .iter_mut()
        .map(|client| client.call("act", steps.clone()))
        .collect();
    front.wait_until_counted(clients.len());
    front.weir().signal(Signal::TERM);
    for (client, id) in clients.iter_mut().zip(&ids) {
        assert!(client.result(id).get("isError").is_none());
    }
    assert_eq!(front.weir().wait().code(), Some(0), "{}", front.weir().stderr());
    eventually("everybody is gone", || front.processes().is_empty());
}

#[test]
fn deaths_leave_nothing_open() {
    let mut front = Front::of(&["mcp"], "max=2,min_idle=2");
    let mut client = front.legacy();
    eventually("there are two", || front.processes().len() == 2);
    told(&mut client, act(["pid"]));
    let open = front.weir().descriptors();
    // One death more in a minute, and calls are refused.
    for _ in 0..4 {
        let pid = told(&mut client, act(["pid"]));
        kill(&pid);
        eventually("another child serves", || {
            let id = client.call("act", act(["pid"]));
            let answer = client.answer(&id);
            answer.get("error").is_none() && text_of(&answer["result"]) != pid
        });
        eventually("there are two again", || front.processes().len() == 2);
        // The pipes of the dead are read for a moment.
        eventually("no more is open than with the first two", || {
            front.weir().descriptors() <= open
        });
    }
}

#[test]
fn a_successor_is_as_good_as_the_first_child() {
    let front = Front::of(&["mcp"], "max=1");
    let mut client = front.legacy();
    let names = names_of(&mut client, "tools/list", "tools");
    let id = client.call("act", act([json!(["signal", 9])]));
    client.answer(&id);
    assert_echoes(&mut client);
    assert_eq!(names_of(&mut client, "tools/list", "tools"), names);
    let meta = json!({"progressToken": "t"});
    let id = client.call_with("act", act([json!(["progress", 1])]), meta);
    client.notification("notifications/progress");
    client.result(&id);
}

#[test]
fn a_child_with_too_much_memory_is_replaced() {
    let mut front = Front::of(
        &["child:[allocate:200,hang]", "mcp"],
        "max=1,rss_max=64MiB,pids_max=50",
    );
    eventually("it is killed", || {
        front.weir().stderr().contains("more than `rss_max`")
    });
    let mut front = Front::of(
        &["child:[allocate:1,hang]", "mcp"],
        "max=1,rss_max=512MiB,pids_max=50",
    );
    assert_echoes(&mut front.legacy());
    let log = front.weir().stderr();
    // Only cgroups keep a number of processes.
    assert!(
        log.contains("`pids_max` is not kept") != log.contains("children get cgroups"),
        "{log}"
    );
}

#[test]
fn a_child_that_leaves_with_0_is_no_failure() {
    let mut front = Front::of(&["mcp"], "max=1");
    let mut client = front.modern();
    for ended in 1..3 {
        let steps = act([json!(["answer", "{\"content\":[]}"]), json!(["exit", 0])]);
        let id = client.call("act", steps);
        client.result(&id);
        // A call that came before would be lost.
        eventually("it is gone", || {
            front.weir().stderr().matches("a child has ended").count() == ended
        });
        assert_echoes(&mut client);
    }
    assert!(
        !front.weir().stderr().contains("has died"),
        "{}",
        front.weir().stderr()
    );
}

#[test]
fn one_client_has_one_child_and_leaves_nobody() {
    let scratch = Scratch::new("bridge-one-client");
    let note = format!("note:{}", scratch.text("starts"));
    let child = command_line(&misbehaving("one-client", &[&note, "mcp"]));
    let mut command = Command::new(WEIR);
    command.args(["stdio", "--stdio", &child, "--pool", "mode=shared,max=1"]);
    let mut client = Conversation::new(Box::new(Stdio::start(command, Revision::NEWEST_LEGACY)), legacy());
    client.initialize();
    assert_echoes(&mut client);
    client.finish();
    let text = std::fs::read_to_string(scratch.path().join("starts")).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
}
