//! `weir tune` against the real server. Its judgement is tested on simulated servers, where nothing else takes their
//! time; here it is whether it reads a real one rightly, and what it says when something goes wrong.

use std::fs;
use std::process::{Command, Output};

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Process, Scratch, Server, eventually};

const WEIR: &str = env!("CARGO_BIN_EXE_weir");
const SLEEP: [&str; 4] = ["--tool", "sleep", "--args", r#"{"ms":20}"#];

fn served(pool_size: &str) -> (Server, String, String) {
    let server = Server::start(&["--shards", "1", "--pool-size", pool_size]);
    let url = format!("http://{}/mcp", server.address);
    let admin = server.admin.unwrap().to_string();
    (server, url, admin)
}

fn tune(arguments: &[&str]) -> Output {
    Command::new(WEIR).arg("tune").args(arguments).output().unwrap()
}

#[test]
fn a_pool_that_is_the_limit_is_found_and_what_follows_is_said() {
    let (server, url, admin) = served("4");
    let scratch = Scratch::new("tune");
    let (out, html) = (scratch.text("out.json"), scratch.text("page.html"));
    let flags = [
        "--admin",
        &admin,
        "--p99",
        "2s",
        "--max-time",
        "30s",
        "--out",
        &out,
        "--html",
        &html,
    ];
    let output = tune(&[&[url.as_str()], &flags[..], &SLEEP].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text} {said}");
    assert_eq!(said, format!("weir: page written to {html}\n"));
    let page = fs::read_to_string(&html).unwrap();
    // The table has the flags as they are, and the command can be typed again.
    for part in [
        "<th scope=\"row\">--pool-size</th><td>4</td>",
        "<th scope=\"row\">--queue-depth</th><td>32</td>",
        "--tool sleep --args &#39;{&quot;ms&quot;:20}&#39;</pre>",
        "99 of 100 answers within 2.00 s, as --p99 says",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let cancelled = [("error_type", "cancelled")];
    let series = server
        .metrics()
        .count("mcp_server_operation_duration_seconds_count", &cancelled);
    assert_eq!(series, 0, "calls were left by their clients");
    for part in [
        "calls of sleep",
        "its pool: 4 handlers on 1 shard, 32 places to wait",
        "1 client ",
        "The limit is the pool: every handler was busy.",
        "Little's law: ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Half a minute is not enough for all, on a machine that is busy.
    let is_whole = text.contains("weir serve --shards 1 --pool-size 4 ");
    assert_ne!(is_whole, text.contains("so there are no flags"), "{text}");
    let report: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    assert_eq!(report["saturation"]["limit"]["kind"], "pool", "{report}");
    // Four handlers of 20 ms can carry no more, on any machine.
    let rate = report["saturation"]["rate"].as_f64().unwrap();
    assert!(rate > 10.0 && rate <= 204.0, "{rate}");
    assert_eq!(report["url"], url);
    let most = report["steps"].as_array().unwrap().iter();
    assert!(most.clone().count() > 0, "{report}");
    assert!(
        most.clone()
            .all(|step| step["load"]["rate"].as_f64().unwrap() <= rate * 1.1),
        "{report}"
    );
}

#[test]
fn without_metrics_it_finds_rates_until_it_is_interrupted() {
    let (server, url, _) = served("4");
    let before = server.metrics().sum("weir_requests_total", &[]);
    let mut tune = Process::start(&[&["tune", &url, "--admin", "127.0.0.1:1"], &SLEEP[..]].concat());
    eventually("load has begun", || {
        server.metrics().sum("weir_requests_total", &[]) > before + 150.0
    });
    tune.signal(Signal::INT);
    assert_eq!(tune.wait().code(), Some(130), "{}", tune.stderr());
    let text = tune.stdout();
    assert!(
        text.contains("INTERRUPTED") && text.contains("1 client "),
        "{text}"
    );
    let said = tune.stderr();
    assert!(
        said.contains("only rates can be found and no flags") && said.contains("--admin"),
        "{said}"
    );
}

#[test]
fn a_server_that_dies_is_told_with_what_was_known() {
    let (server, url, admin) = served("4");
    let before = server.metrics().sum("weir_requests_total", &[]);
    let mut tune = Process::start(&[&["tune", &url, "--admin", &admin], &SLEEP[..]].concat());
    eventually("load has begun", || {
        server.metrics().sum("weir_requests_total", &[]) > before + 150.0
    });
    drop(server);
    assert_eq!(tune.wait().code(), Some(1), "{}", tune.stderr());
    let text = tune.stdout();
    assert!(text.contains("The server stopped answering: "), "{text}");
    assert!(text.contains("1 client "), "{text}");
}

#[test]
fn what_cannot_be_is_refused_before_any_load() {
    let (server, url, admin) = served("4");
    let before = server.metrics().sum("weir_requests_total", &[("class", "work")]);
    for (flags, part) in [
        (&["--p99", "0s"][..], "holds nowhere"),
        (&["--max-time", "1s"], "in which nothing can be found"),
        (&["--rate-max", "0"], "no number of requests"),
        (&["--clients-max", "0"], "asks nothing"),
        (&["--out", "/nowhere/x"], "cannot be written"),
    ] {
        let output = tune(&[&[url.as_str(), "--admin", &admin], flags].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {said}");
        assert!(said.contains(part), "{flags:?}: {said}");
    }
    let output = tune(&[&url, "--admin", "https://x"]);
    assert_eq!(output.status.code(), Some(2));
    let output = tune(&[&url, "--tool", "none"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        server.metrics().sum("weir_requests_total", &[("class", "work")]),
        before
    );
}
