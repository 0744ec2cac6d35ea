//! Programs that only start the child, as `npx` and `uvx` do: later children are started without them.

use rustix::process::{Pid, Signal, kill_process};

use super::front::{Front, told};
use super::sinner::act;
use crate::harness::{Conversation, Scratch, eventually, text_of};

/// What `/proc` says of the parent of a process: its arguments.
fn parent_of(pid: &str) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    let parent = rest.split(' ').nth(1).unwrap();
    read(parent, "cmdline")
}

fn read(pid: &str, file: &str) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap();
    String::from_utf8(bytes).unwrap().replace('\0', " ")
}

fn is_wrapped(pid: &str) -> bool {
    parent_of(pid).starts_with("sh ")
}

/// Kills the child, and gives its successor.
fn successor(client: &mut Conversation, pid: &str) -> String {
    let number = Pid::from_raw(pid.parse().unwrap()).unwrap();
    kill_process(number, Signal::KILL).unwrap();
    let mut next = String::new();
    eventually("another child serves", || {
        let id = client.call("act", act(["pid"]));
        let answer = client.answer(&id);
        if answer.get("error").is_none() {
            text_of(&answer["result"]).clone_into(&mut next);
        }
        !next.is_empty() && next != pid
    });
    next
}

#[test]
fn later_children_are_started_as_the_wrapper_starts_them() {
    let script = "export WRAPPED=yes; cd /tmp; umask 027; ulimit -n 99; {child}; true";
    let mut front = Front::wrapped(script, &["mcp"], "max=1");
    let mut client = front.legacy();
    let first = told(&mut client, act(["pid"]));
    assert!(is_wrapped(&first), "{}", parent_of(&first));
    let second = successor(&mut client, &first);
    assert!(!is_wrapped(&second), "{}", parent_of(&second));
    assert!(read(&second, "environ").contains("WRAPPED=yes "));
    let directory = std::fs::read_link(format!("/proc/{second}/cwd")).unwrap();
    assert_eq!(directory.to_str(), Some("/tmp"));
    assert!(read(&second, "status").contains("Umask:\t0027\n"));
    let limits = read(&second, "limits");
    let files = limits.lines().find(|line| line.starts_with("Max open files"));
    assert!(files.unwrap().contains(" 99 "), "{limits}");
    // What it is started with may be secret.
    assert!(
        !front.weir().stderr().contains("WRAPPED"),
        "{}",
        front.weir().stderr()
    );
    assert!(front.weir().stderr().contains("without their wrapper"));
}

#[test]
fn what_is_no_mere_wrapper_stays() {
    let mut scripts = vec![
        // It has something else to do.
        "sleep 1000 & {child}; true",
        "{child} | cat; true",
    ];
    if rustix::process::geteuid().is_root() {
        // Its child may do less than itself.
        scripts.push("setpriv --bounding-set=-all {child}; true");
    }
    for script in scripts {
        let front = Front::wrapped(script, &["mcp"], "max=1");
        let mut client = front.legacy();
        let mut pid = told(&mut client, act(["pid"]));
        for _ in 0..2 {
            pid = successor(&mut client, &pid);
            assert!(is_wrapped(&pid), "{script}: {}", parent_of(&pid));
        }
    }
}

#[test]
fn a_wrapper_that_is_needed_is_used_again() {
    let scratch = Scratch::new("bridge-wrapper");
    let needed = scratch.text("needed");
    // The child ends at once unless the wrapper has made the file.
    let once = format!("once:{needed}:exit:1");
    let script = format!("touch '{needed}'; {{child}}; true");
    let mut front = Front::wrapped(&script, &[&once, "mcp"], "max=1");
    let mut client = front.legacy();
    let first = told(&mut client, act(["pid"]));
    std::fs::remove_file(&needed).unwrap();
    let second = successor(&mut client, &first);
    assert!(is_wrapped(&second), "{}", parent_of(&second));
    let log = front.weir().stderr();
    assert!(log.contains("without the wrapper has failed"), "{log}");
    front.weir().assert_well();
}
