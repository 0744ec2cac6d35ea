//! What a server that has nothing to do does: its ticks.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Server, echo, tool};

/// How often the shards' threads have gone to sleep.
fn sleeps(server: &Server) -> u64 {
    let threads = fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    let read = |path: std::path::PathBuf, name: &str| fs::read_to_string(path.join(name)).unwrap_or_default();
    threads
        .map(|thread| thread.unwrap().path())
        .filter(|path| read(path.clone(), "comm").starts_with("weir-shard"))
        .filter_map(|path| {
            let status = read(path, "status");
            let count = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
            count.trim().parse::<u64>().ok()
        })
        .sum()
}

/// Three times what two ticks in a tenth of a second come to.
const SLEEPS_PER_SECOND_MAX: f64 = 60.0;

#[test]
fn an_idle_shard_wakes_for_its_ticks_and_nothing_else() {
    let server = Server::start(&["--shards", "1"]);
    let mut client = server.connect();
    client.ask(&tool(1, "sleep", json!({"ms": 1}))).assert_status(200);
    client.ask(&echo(2, "x")).assert_echo(2, "x");
    // The client stays, and what it began is settled within a tick.
    let mut seen = (Instant::now(), sleeps(&server));
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let elapsed = seen.0.elapsed();
        if elapsed < Duration::from_secs(1) {
            std::thread::yield_now();
            std::thread::park_timeout(Duration::from_millis(20));
            continue;
        }
        let now = sleeps(&server);
        let rate = (now - seen.1) as f64 / elapsed.as_secs_f64();
        if rate < SLEEPS_PER_SECOND_MAX {
            return;
        }
        assert!(Instant::now() < deadline, "{rate} sleeps a second while idle");
        seen = (Instant::now(), now);
    }
}
