//! What is said of programs before they are served: `weir probe`, and `weir doctor`.

use std::process::{Command, Output};

use super::front::command_line;
use super::sinner::misbehaving;
use crate::harness::{Scratch, WEIR, example};

fn weir(command: &str, program: &str) -> Output {
    with(&[command, "--stdio", program, "--pool", "mode=shared"])
}

fn with(arguments: &[&str]) -> Output {
    Command::new(WEIR)
        .args(arguments)
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
        "modes    session, the default: a process for each client, ",
        "         shared: ",
        "         call: ",
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

/// What the user gave is pasted with what is needed, and nothing else.
#[test]
fn the_command_is_the_users_own_with_what_it_lacks() {
    let child = example("echo_child");
    let child = child.to_str().unwrap();
    let misbehaving = command_line(&misbehaving("probed", &["mcp:[dual]"]));
    let directory = Scratch::new("probe");
    let file = directory.text("servers.json");
    let servers = serde_json::json!({"mcpServers": {"a": {"command": child, "pool": {"era": "legacy"}},
        "b": {"command": child}}});
    std::fs::write(&file, servers.to_string()).unwrap();
    let file = file.as_str();
    let of_file = [
        format!("weir serve --mcp-json {file} --pool max=2\n"),
        format!("weir serve --mcp-json {file} --pool max=2, with \"pool\": {{\"era\": \"legacy\"}} there\n"),
    ];
    for (arguments, expected) in [
        (
            vec!["--stdio", child],
            vec![format!("weir serve --stdio {child} --pool era=legacy\n")],
        ),
        (
            vec!["--stdio", child, "--pool", "mode=call,era=legacy"],
            vec![format!(
                "weir serve --stdio {child} --pool mode=call,era=legacy\n"
            )],
        ),
        (vec!["--stdio", &misbehaving], vec!["mcp:[dual]'\"\n".to_owned()]),
        (vec!["--mcp-json", file, "--pool", "max=2"], of_file.to_vec()),
    ] {
        let probed = with(&[&["probe"], &arguments[..]].concat());
        let told = text(&probed);
        assert!(probed.status.success(), "{told}{probed:?}");
        for expected in expected {
            assert!(told.contains(&expected), "{expected}: {told}");
        }
    }
}

/// A program runs as whom the pool names, which only root can have.
#[test]
fn a_program_is_started_as_its_user() {
    let child = example("echo_child");
    let child = child.to_str().unwrap();
    for command in ["probe", "doctor"] {
        let unknown = with(&[command, "--stdio", child, "--pool", "user=no-such-user"]);
        let told = text(&unknown);
        assert_eq!(unknown.status.code(), Some(1), "{told}");
        assert!(
            told.contains("user names `no-such-user`, whom /etc/passwd does not have"),
            "{told}"
        );
    }
    let numbers = "user=65534:65534";
    let probed = with(&[
        "probe",
        "--stdio",
        "/bin/sh -c 'id -u >&2; exit 3'",
        "--pool",
        numbers,
    ]);
    let told = text(&probed) + &String::from_utf8_lossy(&probed.stderr);
    let is_root = rustix::process::getuid().is_root();
    let expected = if is_root {
        "         65534"
    } else {
        "not permitted"
    };
    assert!(told.contains(expected), "{told}");
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
