//! Calls that do not simply return: timeouts, clients that leave, panics, large answers.

use serde_json::json;

use crate::harness::{Client, Dialect, Ending, Revision, Server, case, echo, eras, eventually, tool};

/// The largest text `blob` makes.
const BLOB_BYTES: usize = 3 << 20;

/// A way for a client to go.
type Leave = (&'static str, fn(Client));

const LEAVES: [Leave; 2] = [("close", drop), ("reset", Client::reset)];

fn legacy() -> Dialect {
    Dialect::legacy(Revision::NEWEST_LEGACY)
}

#[track_caller]
fn outcomes(server: &Server, outcome: &str) -> u64 {
    server.metric("weir_operations_total", &[("outcome", outcome)])
}

#[test]
fn a_call_past_its_time_is_answered_and_its_handler_free() {
    let server = Server::start(&["--pool-size", "2", "--workers", "1", "--call-timeout", "500ms"]);
    let mut client = server.connect();
    let mut timeouts = 0;
    for dialect in eras() {
        for name in ["sleep", "spin"] {
            let _case = case(format!("{name} in {}", dialect.revision.0));
            let answered = client.ask(&dialect.tool("late", name, json!({"ms": 60_000})));
            assert!(answered.is_tool_error());
            assert_eq!(answered.result()["content"][0]["text"], "the call timed out");
            assert_eq!(answered.json()["id"], "late");
            timeouts += 1;
            assert_eq!(outcomes(&server, "timeout"), timeouts);
            eventually("the handler is free", || server.busy_handlers() == 0);
            client.ask(&dialect.echo(2, "on")).assert_echo(2, "on");
        }
        // The worker was told, and noticed.
        eventually("the worker is free", || {
            server.metric("weir_worker_busy", &[]) == 0
        });
        assert_eq!(
            client.ask(&dialect.tool(3, "spin", json!({"ms": 1}))).tool_text(),
            "spun 1 ms"
        );
    }
    assert_eq!(server.metric("weir_worker_abandoned", &[]), 0);
}

#[test]
fn a_call_that_waits_for_a_worker_times_out_too() {
    let server = Server::start(&["--workers", "1", "--call-timeout", "300ms"]);
    let mut clients: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&tool(1, "spin", json!({"ms": 60_000})));
    }
    for client in &mut clients {
        assert!(client.receive().is_tool_error());
    }
    assert_eq!(outcomes(&server, "timeout"), 3);
    eventually("nothing runs or waits", || {
        server.metric("weir_worker_busy", &[]) + server.metric("weir_worker_queued", &[]) == 0
    });
}

#[test]
fn a_modern_client_that_leaves_cancels_its_call() {
    let server = Server::start(&["--pool-size", "1", "--workers", "1"]);
    let mut hang_ups = 0;
    for name in ["sleep", "spin"] {
        for (how, leave) in LEAVES {
            let _case = case(format!("{name}, {how}"));
            let mut client = server.connect();
            client.send(&tool(1, name, json!({"ms": 60_000})));
            eventually("it runs", || server.busy_handlers() == 1);
            leave(client);
            eventually("the handler is free", || server.busy_handlers() == 0);
            eventually("the worker is free", || {
                server.metric("weir_worker_busy", &[]) == 0
            });
            server.ask(&echo(2, "next")).assert_echo(2, "next");
            hang_ups += 1;
            assert_eq!(
                server.metric("weir_evictions_total", &[("reason", "hang_up")]),
                hang_ups
            );
        }
    }
}

#[test]
fn a_legacy_client_that_leaves_lets_its_call_finish() {
    let server = Server::start(&["--pool-size", "1", "--workers", "1"]);
    let mut done = 0;
    for name in ["sleep", "spin"] {
        for (how, leave) in LEAVES {
            let _case = case(format!("{name}, {how}"));
            let mut client = server.connect();
            client.send(&legacy().tool(1, name, json!({"ms": 700})));
            eventually("it runs", || server.busy_handlers() == 1);
            leave(client);
            eventually("the client is gone", || {
                server.metric("weir_connections", &[]) == 0
            });
            done += 1;
            eventually("the call has finished", || outcomes(&server, "ok") == done);
            eventually("the handler is free", || server.busy_handlers() == 0);
        }
    }
    assert_eq!(outcomes(&server, "cancelled"), 0);
}

#[test]
fn a_panic_harms_its_own_call_only() {
    let mut server = Server::start(&["--pool-size", "4"]);
    server.may_panic = true;
    let mut bystander = server.connect();
    bystander.send(&tool("by", "sleep", json!({"ms": 400})));
    for dialect in eras() {
        let mut client = server.connect();
        for turn in 0..20 {
            let _case = case(format!("turn {turn}"));
            client.send(&dialect.tool(turn, "fail", json!({"how": "panic"})));
            client.send(&dialect.echo(100, "behind it"));
            let error = client.receive();
            let error = error.assert_error(200, -32603, turn);
            assert!(
                !error["message"].as_str().unwrap().contains("as asked"),
                "{error}"
            );
            client.receive().assert_echo(100, "behind it");
        }
        let failed = client.ask(&dialect.tool(1, "fail", json!({"how": "error"})));
        assert!(failed.is_tool_error());
        assert_eq!(failed.result()["content"][0]["text"], "failed as asked");
    }
    assert_eq!(bystander.receive().tool_text(), "slept 400 ms");
    assert_eq!(server.metric("weir_panics_total", &[]), 40);
    assert_eq!(outcomes(&server, "-32603"), 40);
    eventually("all handlers are free", || server.busy_handlers() == 0);
    // There is one record of the panic, on one line, one of its request, and nothing else.
    let panics = || server.stderr().matches(" ERROR ").count();
    eventually("every panic is told", || panics() == 40);
    let said = server.stderr();
    let is_usual = |line: &str| line.contains(" INFO ") || line.contains(" weir::access: ");
    assert!(
        said.lines()
            .all(|line| is_usual(line) || line.contains(" ERROR ")),
        "{said}"
    );
}

/// The text of `blob`.
fn alphabet(bytes: usize) -> String {
    ('a'..='z').cycle().take(bytes).collect()
}

#[test]
fn slow_readers_of_large_answers_hold_no_handler() {
    let server = Server::start(&["--pool-size", "2"]);
    let mut readers: Vec<Client> = (0..8)
        .map(|_| Client::with_small_window(server.address))
        .collect();
    for (id, reader) in readers.iter_mut().enumerate() {
        reader.send(&tool(id, "blob", json!({"bytes": BLOB_BYTES})));
        eventually("the answer is made", || outcomes(&server, "ok") == id as u64 + 1);
        eventually("its handler is free", || server.busy_handlers() == 0);
    }
    let good = server.ask(&echo(1, "not behind them"));
    good.assert_echo(1, "not behind them");
    for (id, reader) in readers.iter_mut().enumerate() {
        let answered = reader.receive();
        assert_eq!(answered.json()["id"], id);
        assert_eq!(answered.tool_text(), alphabet(BLOB_BYTES));
        reader.ask(&echo(2, "and on")).assert_echo(2, "and on");
    }
}

#[test]
fn large_answers_come_whole_in_any_order_of_sizes() {
    let server = Server::start(&["--pool-size", "2"]);
    let mut client = server.connect();
    for bytes in [0, 1, 15_000, 16 << 10, 70_000, BLOB_BYTES, 5, 1 << 20, 26] {
        let _case = case(format!("{bytes} bytes"));
        assert_eq!(
            client.ask(&tool(1, "blob", json!({"bytes": bytes}))).tool_text(),
            alphabet(bytes)
        );
    }
    let long = "m".repeat(4_000_000);
    client.ask(&echo(2, &long)).assert_echo(2, &long);
}

/// A large text is escaped while it is sent, to readers that take little at a time.
#[test]
fn texts_full_of_escapes_come_whole_and_what_follows_them_comes_behind() {
    let server = Server::start(&["--pool-size", "2"]);
    let text = "a \"line\"\\\n\t\u{1}\u{e9}\u{1f980}".repeat(60_000);
    for dialect in eras() {
        let _case = case(dialect.revision.0);
        let mut client = Client::with_small_window(server.address);
        client.send(&dialect.echo(1, &text));
        client.send(&dialect.tool(2, "blob", json!({"bytes": 400_000})));
        client.send(&dialect.echo(3, "behind"));
        assert!(client.receive().tool_text() == text);
        assert!(client.receive().tool_text() == alphabet(400_000));
        client.receive().assert_echo(3, "behind");
    }
}

#[test]
fn a_reader_that_takes_nothing_is_cut_off() {
    let server = Server::start(&["--write-timeout", "300ms", "--prefault", "on"]);
    let before = server.resident_kib();
    let mut readers: Vec<Client> = (0..6)
        .map(|_| Client::with_small_window(server.address))
        .collect();
    for reader in &mut readers {
        reader.send(&tool(1, "blob", json!({"bytes": BLOB_BYTES})));
    }
    eventually("all are cut off", || {
        server.metric("weir_evictions_total", &[("reason", "write_stall")]) == 6
    });
    eventually("all are closed", || server.metric("weir_connections", &[]) == 0);
    for mut reader in readers {
        let (Ending::Closed(bytes) | Ending::Reset(bytes)) = reader.try_receive().unwrap_err();
        assert!(bytes.len() < BLOB_BYTES);
    }
    eventually("the memory is back", || server.resident_kib() < before + 4096);
}
