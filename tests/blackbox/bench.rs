//! `weir bench` against the real server: every transport and revision, what it says, and what it counts.

use std::fs;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Process, Scratch, Server, eventually};

const WEIR: &str = env!("CARGO_BIN_EXE_weir");
/// Long enough for an answer, on any machine.
const SHORT: [&str; 4] = ["--duration", "400ms", "--warm-up", "0s"];

fn bench(arguments: &[&str]) -> Output {
    Command::new(WEIR).arg("bench").args(arguments).output().unwrap()
}

/// The figures of a run.
#[track_caller]
fn figures(place: &[&str], flags: &[&str]) -> Value {
    let output = bench(&[place, &SHORT, &["--json"], flags].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{place:?} {flags:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn assert_good(report: &Value) {
    assert!(report["requests"].as_u64().unwrap() > 0, "{report}");
    assert_eq!(report["errors"], 0, "{report}");
}

fn url(server: &Server) -> String {
    format!("http://{}/mcp", server.address)
}

#[test]
fn without_options_it_says_what_the_server_can_do() {
    let server = Server::start(&[]);
    let output = bench(&[&[url(&server).as_str()][..], &SHORT].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for part in [
        "MCP 2026-07-28: calls of echo",
        "closed loop: 64 clients",
        " requests/s: ",
        "P99.9",
        "errors: 0",
        "the generator: ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(output.stderr.is_empty(), "no terminal, no progress");
}

#[test]
fn every_revision_and_transport_is_spoken() {
    let socket = std::env::temp_dir().join(format!("weir-bench-{}", std::process::id()));
    let unix = format!("unix:{}", socket.display());
    let server = Server::start(&["--listen", "127.0.0.1:0", "--listen", &unix]);
    let url = url(&server);
    for revision in [
        "2024-11-05",
        "2025-03-26",
        "2025-06-18",
        "2025-11-25",
        "2026-07-28",
    ] {
        let report = figures(&[&url], &["--clients", "4", "--revision", revision]);
        assert_good(&report);
        assert_eq!(report["revision"], revision);
    }
    let websocket = format!("ws://{}/mcp", server.address);
    let stdio = format!("{WEIR} stdio --toolset demo");
    for revision in ["2025-11-25", "2026-07-28"] {
        for place in [&[unix.as_str()][..], &[&websocket], &["--stdio", &stdio]] {
            assert_good(&figures(place, &["--clients", "2", "--revision", revision]));
        }
    }
}

#[test]
fn life_cycles_churn_mixes_and_open_loops_are_answered() {
    let server = Server::start(&[]);
    let url = url(&server);
    let cycles = figures(&[&url], &["--clients", "4", "--life-cycle"]);
    assert_good(&cycles);
    let requests = server.metrics().sum("weir_requests_total", &[]);
    assert!(
        requests > 3.0 * cycles["requests"].as_f64().unwrap(),
        "{requests} {cycles}"
    );
    assert_good(&figures(
        &[&url],
        &["--clients", "4", "--requests-per-connection", "1"],
    ));
    let mix = [
        "--clients",
        "4",
        "--threads",
        "2",
        "--tool",
        "echo=3",
        "--args",
        r#"{"message":"{{counter}} {{random:9}}"}"#,
        "--tool",
        "sleep",
        "--args",
        r#"{"ms":{{number:1..1}}}"#,
        "--expect",
        "slept 1 ms",
    ];
    assert_good(&figures(&[&url], &mix));
    let open = figures(
        &[&url],
        &["--rate", "200", "--arrivals", "constant", "--clients", "2"],
    );
    assert_good(&open);
    assert_eq!(open["phases"][0]["offered"], 79, "0.4 seconds, constant gaps");
    assert_eq!(open["requests"], 79);
}

#[test]
fn answers_that_are_not_as_expected_are_counted() {
    let server = Server::start(&[]);
    let url = url(&server);
    let wrong = figures(&[&url], &["--clients", "2", "--expect", "hullo"]);
    assert_eq!(wrong["requests"], 0);
    assert_eq!(wrong["others"], json!({"wrong": wrong["errors"]}));
    assert_eq!(wrong["first_texts"], json!({"wrong": "hello"}));
    let text = bench(&[&[&url, "--clients", "2", "--expect", "hullo"][..], &SHORT].concat());
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("the first: hello"), "{text}");
    let error = figures(
        &[&url],
        &["--clients", "2", "--tool", "echo", "--args", r#"{"no":1}"#],
    );
    assert_eq!(error["others"], json!({"tool_error": error["errors"]}));
    let expected = [
        "--clients",
        "2",
        "--tool",
        "echo",
        "--args",
        r#"{"no":1}"#,
        "--expect",
        "error",
    ];
    assert_good(&figures(&[&url], &expected));
}

#[test]
fn refusals_are_apart_with_their_retry_after() {
    let server = Server::start(&["--pool-size", "1", "--queue-depth", "0"]);
    let flags = ["--clients", "4", "--tool", "sleep", "--args", r#"{"ms":20}"#];
    let report = figures(&[&url(&server)], &flags);
    let refused = report["refused"].as_u64().unwrap();
    assert!(refused > 0, "{report}");
    assert_eq!(report["others"], json!({"refused_handlers": refused}));
    assert_eq!(report["retry_after_seconds"], json!({"1": refused}));
}

#[test]
fn a_second_of_silence_shows_in_an_open_loop() {
    let server = Server::start(&[]);
    let url = url(&server);
    let run = [
        "bench",
        &url,
        "--json",
        "--rate",
        "300",
        "--duration",
        "3s",
        "--warm-up",
        "0s",
        "--clients",
        "4",
    ];
    let mut bench = Process::start(&run);
    eventually("load has begun", || {
        server.metrics().sum("weir_requests_total", &[]) > 30.0
    });
    server.signal(Signal::STOP);
    // The one wait here: it is the stall that is measured.
    std::thread::sleep(Duration::from_secs(1));
    server.signal(Signal::CONT);
    assert!(bench.wait().success());
    let report: Value = serde_json::from_str(&bench.stdout()).unwrap();
    assert_good(&report);
    let micros = |name: &str| report[name].as_f64().unwrap();
    // A third of the requests were due in that second, so a tenth of all waited for more than 0.7 of it.
    assert!(
        micros("max_micros") > 900_000.0 && micros("p90_micros") > 400_000.0,
        "{report}"
    );
}

#[test]
fn figures_are_written_read_and_compared() {
    let server = Server::start(&[]);
    let url = url(&server);
    let scratch = Scratch::new("bench");
    let (out, log) = (scratch.text("out.json"), scratch.text("log.hlog"));
    let report = figures(&[&url], &["--clients", "2", "--out", &out, "--hdr-log", &log]);
    assert_eq!(
        serde_json::from_slice::<Value>(&fs::read(&out).unwrap()).unwrap(),
        report
    );
    assert!(
        fs::read_to_string(&log).unwrap().contains("HISTF"),
        "its first payload"
    );
    let again = figures(&[&url], &["--clients", "2", "--compare", &out]);
    let rate = &again["compared"][0];
    assert_eq!(rate["name"], "requests_per_second");
    assert_eq!(
        [&rate["before"], &rate["after"]],
        [&report["requests_per_second"], &again["requests_per_second"]]
    );
    assert_eq!(rate["is_change"], Value::Null, "too short to know");
    let arguments = [&[url.as_str(), "--clients", "2", "--compare", &out][..], &SHORT].concat();
    let text = String::from_utf8(bench(&arguments).stdout).unwrap();
    assert!(
        text.contains("requests per second") && text.contains(" %"),
        "{text}"
    );
    let refused = bench(&[&url, "--compare", &log]);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn an_interrupted_run_says_what_it_has() {
    let server = Server::start(&[]);
    let url = url(&server);
    let scratch = Scratch::new("bench");
    let out = scratch.text("out.json");
    for pace in [&["--clients", "2"][..], &["--clients", "2", "--rate", "200"]] {
        let run = [
            "bench",
            &url,
            "--duration",
            "60s",
            "--warm-up",
            "0s",
            "--out",
            &out,
        ];
        let before = server.metrics().sum("weir_requests_total", &[]);
        let mut bench = Process::start(&[&run[..], pace].concat());
        eventually("load has begun", || {
            server.metrics().sum("weir_requests_total", &[]) > before + 30.0
        });
        bench.signal(Signal::INT);
        assert_eq!(bench.wait().code(), Some(130), "{}", bench.stderr());
        let text = bench.stdout();
        assert!(
            text.contains("INTERRUPTED after ") && text.contains("errors: 0"),
            "{text}"
        );
        let report = serde_json::from_slice::<Value>(&fs::read(&out).unwrap()).unwrap();
        assert_good(&report);
        assert!(report["seconds"].as_f64().unwrap() < 30.0, "{report}");
        let rate = report["requests_per_second"].as_f64().unwrap();
        assert!(rate > 10.0, "{report}");
    }
}

#[test]
fn a_run_that_saw_nothing_leaves_earlier_files_as_they_are() {
    let server = Server::start(&[]);
    let url = url(&server);
    let scratch = Scratch::new("bench-early");
    let (page, out) = (scratch.text("page.html"), scratch.text("out.json"));
    let files = ["--html", &page, "--out", &out];
    let run = ["bench", &url, "--clients", "2", "--warm-up", "0s", "--duration"];
    let done = bench(&[&run[1..], &["400ms"], &files].concat());
    assert!(done.status.success());
    let earlier = [&page, &out].map(|file| fs::read(file).unwrap());
    assert!(earlier[0].starts_with(b"<!doctype html>"));
    // Nothing answers before the signal.
    let slow = ["60s", "--tool", "sleep", "--args", r#"{"ms":20000}"#];
    let mut bench = Process::start(&[&run[..], &slow, &files].concat());
    eventually("load has begun", || {
        server.metrics().sum("weir_pool_handlers", &[("state", "busy")]) >= 2.0
    });
    bench.signal(Signal::INT);
    assert_eq!(bench.wait().code(), Some(130), "{}", bench.stderr());
    assert!(bench.stderr().contains("left as it was"), "{}", bench.stderr());
    assert_eq!([&page, &out].map(|file| fs::read(file).unwrap()), earlier);
}

#[test]
fn idle_connections_and_streams_are_beside_the_load() {
    let server = Server::start(&[]);
    let url = url(&server);
    for revision in ["2025-11-25", "2026-07-28"] {
        let flags = [
            "--clients",
            "2",
            "--idle",
            "20",
            "--streams",
            "5",
            "--revision",
            revision,
        ];
        let report = figures(&[&url], &flags);
        assert_good(&report);
        let beside = [&report["idle"], &report["streams"], &report["beside_ended"]];
        assert_eq!(beside, [&json!(20), &json!(5), &json!(0)]);
    }
}

#[test]
fn a_silent_program_is_spoken_of_and_given_up() {
    let begun = Instant::now();
    let output = bench(&["--stdio", "sleep 60", "--timeout", "3s"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("sleep has been silent for 2 s"), "{text}");
    assert!(text.contains("no answer came in 3 s"), "{text}");
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
}

#[test]
fn what_it_cannot_do_is_said() {
    let server = Server::start(&[]);
    let url = url(&server);
    let wrong_path = format!("http://{}/mpc", server.address);
    let admin = format!("http://{}/mcp", server.admin.unwrap());
    let cases: [(&[&str], i32, &str); 14] = [
        (&[&url, "--tool", "ecko"], 1, "it has "),
        (&["http://127.0.0.1:1/mcp"], 1, "there is no server"),
        (&["https://127.0.0.1/mcp"], 2, "TLS"),
        (&[&url, "--args", "[1]"], 2, "no JSON object"),
        (&[&url, "--revision", "2020-01-01"], 2, "2025-11-25"),
        (&[&url, "--duration", "0s"], 2, "measures nothing"),
        (&[], 2, "--stdio"),
        (&["--stdio", "false"], 1, "exit status: 1"),
        (&["--stdio", "cat"], 1, "says back"),
        (&[&wrong_path], 1, "nothing at /mpc"),
        (&[&admin], 1, "admin listener"),
        (&[&url, "--out", "/nowhere/out.json"], 2, "cannot be written"),
        (
            &[&url, "--out", "none", "--html", "./none"],
            2,
            "name the same file",
        ),
        (&[&url, "--tool", "echo=x"], 1, "is no weight"),
    ];
    for (arguments, status, word) in cases {
        let output = bench(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.contains(word), "{arguments:?}: {said}");
    }
}
