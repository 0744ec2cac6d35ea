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
