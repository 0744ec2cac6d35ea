//! Descriptors and memory: they are bounded under load, and given back when clients leave.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Client, Process, Server, case, echo, eventually, tool};

/// The resources that a server holds when nobody is connected.
#[derive(Debug)]
struct Baseline {
    descriptors: usize,
    resident_kib: u64,
}

impl Baseline {
    /// The figure after everything was made that is made on first use.
    fn of(server: &Server) -> Self {
        let mut clients: Vec<Client> = (0..32).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.ask(&echo(1, "warm")).assert_echo(1, "warm");
        }
        let large = "w".repeat(3 << 20);
        server.ask(&echo(2, &large)).assert_echo(2, &large);
        drop(clients);
        eventually("the warm-up is over", || {
            server.metric("weir_connections", &[]) == 0
        });
        Self {
            descriptors: server.descriptors(),
            resident_kib: server.resident_kib(),
        }
    }

    /// Fails unless all of it comes back.
    fn assert_restored(&self, server: &Server) {
        eventually("all connections are closed", || {
            server.metric("weir_connections", &[]) == 0
        });
        // One more is for the scrape of a moment ago.
        eventually("all descriptors are closed", || {
            server.descriptors() <= self.descriptors + 1
        });
        let resident_kib_max = self.resident_kib + self.resident_kib / 100 + 2048;
        eventually("the memory is back", || server.resident_kib() <= resident_kib_max);
    }
}

#[test]
fn ten_thousand_connections_come_and_go() {
    let server = Server::start(&["--prefault", "on"]);
    let baseline = Baseline::of(&server);
    for cycle in 0..10_000 {
        let mut client = server.connect();
        match cycle % 8 {
            0 => client.ask(&echo(cycle, "x")).assert_echo(cycle, "x"),
            1 => client.send(&echo(cycle, "unread")),
            2 => client.send_bytes(b"POST /mcp HTTP/1.1\r\nHost: local"),
            // A FIN leaves TIME_WAIT behind on our side, so there are not too many.
            3 if cycle % 80 == 3 => continue,
            _ => {}
        }
        client.reset();
    }
    baseline.assert_restored(&server);
    assert!(server.metric("weir_connections_accepted_total", &[]) >= 10_000);
}

#[test]
fn aborted_work_leaves_nothing_behind() {
    let server = Server::start(&["--pool-size", "8", "--workers", "1", "--prefault", "on"]);
    let baseline = Baseline::of(&server);
    let large = echo(1, &"l".repeat(1 << 20)).encode();
    for turn in 0..40 {
        let mut clients: Vec<Client> = (0..6).map(|_| server.connect()).collect();
        clients[0].send(&tool(1, "sleep", json!({"ms": 60_000})));
        clients[1].send(&tool(1, "spin", json!({"ms": 60_000})));
        clients[2].send(&tool(1, "blob", json!({"bytes": 3 << 20})));
        let _ = clients[3].try_send_bytes(&large[..(turn + 1) * 20_000]);
        let _ = clients[4].try_send_bytes(&large);
        clients[5].send_bytes(&echo(1, "x").encode().repeat(50));
        match turn % 2 {
            0 => drop(clients),
            _ => clients.into_iter().for_each(Client::reset),
        }
    }
    eventually("all handlers are free", || server.busy_handlers() == 0);
    eventually("the worker is free", || {
        server.metric("weir_worker_busy", &[]) == 0
    });
    baseline.assert_restored(&server);
}

/// Preallocated memory becomes resident with its use, or at start where that is wanted.
#[test]
fn an_idle_server_is_small_and_a_shard_adds_little() {
    let resident_kib = |flags: &[&str]| {
        let server = Server::start(flags);
        server.ask(&echo(1, "x")).assert_echo(1, "x");
        server.resident_kib()
    };
    let [one, four] = ["1", "4"].map(|shards| resident_kib(&["--shards", shards]));
    let each_kib = four.saturating_sub(one) / 3;
    assert!(each_kib < 5 << 10, "{one} KiB, {four} KiB with four shards");
    let prefaulted = resident_kib(&["--shards", "1", "--prefault", "on"]);
    assert!(
        prefaulted > one + (14 << 10),
        "{one} KiB, {prefaulted} KiB from the start"
    );
}

#[test]
fn idle_connections_cost_little() {
    let server = Server::start(&["--prefault", "on"]);
    let baseline = Baseline::of(&server);
    let count = 1_000;
    let mut clients: Vec<Client> = (0..count).map(|_| server.connect()).collect();
    for client in clients.iter_mut().step_by(2) {
        client.ask(&echo(1, "x")).assert_echo(1, "x");
    }
    eventually("all are open", || server.metric("weir_connections", &[]) == count);
    let grown = server.resident_kib().saturating_sub(baseline.resident_kib);
    assert!(grown < count * 2, "{grown} KiB for {count} connections");
    drop(clients);
    baseline.assert_restored(&server);
}

#[test]
fn connections_past_the_cap_wait_or_are_refused() {
    let cap = 10;
    let server = Server::start(&["--connections-max", "10"]);
    let before = server.descriptors();
    let mut clients: Vec<Client> = (0..cap + 6).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&echo(1, "x"));
    }
    for (number, client) in clients.iter_mut().take(cap).enumerate() {
        let _case = case(format!("client {number}"));
        client.receive().assert_echo(1, "x");
    }
    eventually("the cap is reached", || {
        server.metric("weir_connections", &[]) as usize == cap
    });
    assert!(server.descriptors() <= before + cap + 2);
    let mut waiting = clients.split_off(cap);
    assert!(waiting.iter().all(Client::is_silent));
    drop(clients);
    for client in &mut waiting {
        client.receive().assert_echo(1, "x");
    }
}

/// Seconds of processor time a process has used.
fn cpu_seconds(server: &Server) -> f64 {
    server.metrics().sum("process_cpu_seconds_total", &[])
}

#[test]
fn out_of_descriptors_it_neither_ends_nor_spins() {
    let flags = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--toolset",
        "demo",
        "--shards",
        "1",
        "--workers",
        "1",
    ];
    let mut server = Server::over(Process::start_under("ulimit -n 64", &flags));
    let mut clients: Vec<Client> = (0..200).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&echo(1, "x"));
    }
    clients[0].receive().assert_echo(1, "x");
    let (before, window) = (cpu_seconds(&server), Duration::from_secs(1));
    // Nothing happens in this second, which is what the test observes.
    std::thread::sleep(window);
    let spent = cpu_seconds(&server) - before;
    assert!(
        spent < window.as_secs_f64() / 2.0,
        "{spent} s of processor time while starved"
    );
    assert!(server.is_running());
    drop(clients);
    server.ask(&echo(2, "back")).assert_echo(2, "back");
}
