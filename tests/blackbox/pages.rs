//! Pages for a browser: what is in them and when they are refused. `scripts/pages.sh` opens them in one.

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use crate::harness::{Process, Scratch, Server, eventually};

const WEIR: &str = env!("CARGO_BIN_EXE_weir");

#[test]
fn a_run_has_a_page_and_a_plot() {
    let server = Server::start(&[]);
    let scratch = Scratch::new("pages-bench");
    let page = scratch.text("bench.html");
    let url = format!("http://{}/mcp", server.address);
    let output = Command::new(WEIR)
        .args([
            "bench",
            &url,
            "--duration",
            "300ms",
            "--warm-up",
            "0s",
            "--html",
            &page,
            "--plot",
        ])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("latency by percentile") && text.contains("90 %"),
        "{text}"
    );
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, format!("weir: page written to {page}\n"));
    let page = fs::read_to_string(page).unwrap();
    assert!(
        page.contains("Latency by percentile") && page.contains("<svg"),
        "{page}"
    );
    assert!(!page.contains("<script") && page.ends_with("</html>\n"));
    let output = Command::new(WEIR)
        .args(["bench", &url, "--html", "/nowhere/x.html"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "before any load");
}

#[test]
fn a_run_without_a_good_answer_has_a_page_that_says_so() {
    let server = Server::start(&[]);
    let scratch = Scratch::new("pages-none");
    let page = scratch.text("bench.html");
    let url = format!("http://{}/mcp", server.address);
    let output = Command::new(WEIR)
        .args(["bench", &url, "--tool", "fail", "--args", r#"{"how":"error"}"#])
        .args(["--duration", "300ms", "--warm-up", "0s", "--html", &page])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "nothing was answered well");
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("<dt>P99</dt><dd>none answered</dd>"), "{page}");
    assert!(
        page.contains("What they had instead is in the table below"),
        "{page}"
    );
    assert!(!page.contains("<svg"), "there is nothing to draw: {page}");
}

#[test]
fn refusals_are_one_outcome_and_clients_do_not_hang_up_on_calls() {
    let server = Server::start(&["--shards", "1", "--pool-size", "1", "--queue-depth", "1"]);
    let scratch = Scratch::new("pages-refused");
    let page = scratch.text("bench.html");
    let url = format!("http://{}/mcp", server.address);
    let output = Command::new(WEIR)
        .args(["bench", &url, "--tool", "sleep", "--args", r#"{"ms":50}"#])
        .args([
            "--clients",
            "4",
            "--duration",
            "300ms",
            "--warm-up",
            "0s",
            "--html",
            &page,
        ])
        .output()
        .unwrap();
    assert!(output.status.success());
    let page = fs::read_to_string(page).unwrap();
    assert_eq!(page.matches("Retry-After").count(), 1, "{page}");
    assert!(page.contains("as refusals said (Retry-After): "), "{page}");
    let cancelled = [("error_type", "cancelled")];
    let series = server
        .metrics()
        .count("mcp_server_operation_duration_seconds_count", &cancelled);
    assert_eq!(series, 0, "calls were left by their clients");
}

#[test]
fn the_report_is_a_page_at_a_signal_and_at_exit() {
    let scratch = Scratch::new("pages-report");
    let page = scratch.text("report.html");
    let report = format!("html:{page}");
    let flags = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "off",
        "--report",
        &report,
    ];
    let mut server = Process::start(&flags);
    eventually("it serves", || server.stderr().contains("serving"));
    server.signal(Signal::USR1);
    eventually("there is a page", || {
        fs::read_to_string(&page).is_ok_and(|page| page.ends_with("</html>\n"))
    });
    fs::remove_file(&page).unwrap();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let said = server.stderr();
    assert!(said.contains("page written") && said.contains(&page), "{said}");
    let text = fs::read_to_string(&page).unwrap();
    assert!(
        text.contains("What this server did") && text.contains("Balance between shards"),
        "{text}"
    );
}

#[test]
fn a_page_that_could_not_be_written_is_refused_at_the_start() {
    let mut server = Process::start(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--report",
        "html:/nowhere/x.html",
    ]);
    assert_eq!(server.wait().code(), Some(1));
    let said = server.stderr();
    assert!(said.contains("/nowhere/x.html cannot be written"), "{said}");
    for (value, part) in [
        ("html:", "names no file"),
        ("htm:x", "not one of text, json, none, html:FILE"),
    ] {
        let mut server = Process::start(&["serve", "--report", value]);
        assert_eq!(server.wait().code(), Some(2));
        assert!(server.stderr().contains(part), "{}", server.stderr());
    }
}
