//! What is said of programs before they are served: `weir probe`, and `weir doctor`.

use std::process::{Command, Output};

use super::front::command_line;
use super::sinner::misbehaving;
use crate::harness::{WEIR, example};

fn weir(command: &str, program: &str) -> Output {
    Command::new(WEIR)
        .args([command, "--stdio", program, "--pool", "mode=shared"])
        .env_remove("WEIR_POOL")
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_program_is_told_what_it_is_like() {
    let child = example("echo_child");
    let line = format!("sh -c '{}; true'", child.to_str().unwrap());
    let probed = weir("probe", &line);
    let told = text(&probed);
    assert!(probed.status.success(), "{told}{probed:?}");
    for part in [
        "server   echo-child ",
        "speaks   2025-11-25 (by `initialize`) only",
        "offers   3 tools",
        "; without its wrapper ",
        "latency  ",
        "ends     at the end of its input after ",
        "everybody by SIGKILL after ",
        "try      weir serve --stdio ",
        "--pool mode=shared,era=legacy",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn a_program_that_speaks_both_eras_and_does_not_end_is_told_so() {
    let line = command_line(&misbehaving("probed", &["ignore-term", "mcp:[dual]", "hang"]));
    let probed = weir("probe", &line);
    let told = text(&probed);
    assert!(probed.status.success(), "{told}{probed:?}");
    assert!(
        told.contains("2026-07-28") && told.contains("asked in first"),
        "{told}"
    );
    assert!(
        told.contains("not at the end of its input; not by SIGTERM; everybody by SIGKILL"),
        "{told}"
    );
}

#[test]
fn a_program_that_cannot_be_served_is_told_why() {
    let failing = command_line(&misbehaving("probed", &["stderr:40", "exit:3"]));
    let refusing = command_line(&misbehaving("probed", &["mcp:[refuse]"]));
    for (line, why) in [
        (failing.as_str(), "it exited with status 3"),
        (&refusing, "it refuses `initialize`"),
        ("no-such-program", "cannot start the program"),
    ] {
        let probed = weir("probe", line);
        let told = text(&probed);
        assert_eq!(probed.status.code(), Some(1), "{told}");
        assert!(told.contains("cannot be served") && told.contains(why), "{told}");
    }
}

#[test]
fn the_doctor_looks_for_programs() {
    let told = text(&weir("doctor", "sh -c true"));
    assert!(
        told.contains("ok       program: true is ") || told.contains("ok       program: sh is "),
        "{told}"
    );
    let missing = weir("doctor", "no-such-program");
    assert_eq!(missing.status.code(), Some(1));
    let told = text(&missing);
    assert!(
        told.contains("missing  program: no-such-program: no-such-program is in no directory"),
        "{told}"
    );
}
