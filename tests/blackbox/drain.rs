//! Stopping: no accepted request is lost, and calls that do not end are cut off.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{
    Client, Dialect, Ending, Request, Revision, Server, echo, eventually, eventually_some, tool,
};

/// Signals the server and waits until it says that it drains.
fn begin_drain(server: &Server) {
    server.signal(Signal::TERM);
    eventually("it says that it drains", || {
        server.ask_admin(&Request::new("GET", "/readyz")).status == 503
    });
}

/// Clients with a call of `ms` in flight.
fn callers(server: &Server, count: u64, ms: u64) -> Vec<Client> {
    let call = |id| {
        let mut client = server.connect();
        client.send(&tool(id, "sleep", json!({"ms": ms})));
        client
    };
    let clients = (0..count).map(call).collect();
    eventually("the calls run", || server.busy_handlers() == count);
    clients
}

#[test]
fn what_is_in_flight_finishes_and_parked_connections_get_a_fin() {
    let mut server = Server::start(&[]);
    let mut idle: Vec<Client> = (0..10).map(|_| server.connect()).collect();
    for client in &mut idle[..5] {
        client.ask(&echo(1, "x")).assert_echo(1, "x");
    }
    let mut busy = callers(&server, 6, 2_000);
    // Another call waits behind one call, and half a request behind another.
    busy[0].send(&echo("behind", "x"));
    let raw = echo("half", "x").encode();
    busy[1].send_bytes(&raw[..raw.len() / 2]);
    begin_drain(&server);
    server
        .ask_admin(&Request::new("GET", "/healthz"))
        .assert_status(200);
    for client in &mut idle {
        client.assert_closed();
    }
    assert!(server.is_running() && server.busy_handlers() == 6);
    for (id, client) in busy.iter_mut().enumerate() {
        let answered = client.receive();
        assert_eq!(answered.json()["id"], id);
        assert_eq!(answered.tool_text(), "slept 2000 ms");
        assert!(answered.closes());
        client.assert_closed();
    }
    assert_eq!(server.wait().code(), Some(0));
}

/// The end of one request of the load.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Answered,
    AnsweredAndClosed,
    /// The drain's FIN crossed the request on a connection that had been used before.
    Crossed,
}

/// Sends requests until nobody listens any more.
fn ask_until_gone(server: &Server, seed: u64, answered: &AtomicUsize) -> Vec<Fate> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut fates = Vec::new();
    loop {
        let Ok(stream) = TcpStream::connect_timeout(&server.address, Duration::from_secs(3)) else {
            return fates;
        };
        let mut client = Client::over(stream);
        for turn in 0..random.usize(1..12) {
            let text = random.u64(..).to_string().repeat(random.usize(1..200));
            let request = match random.u8(..4) {
                0 => tool(turn, "sleep", json!({"ms": random.u64(1..120)})),
                1 => tool(turn, "spin", json!({"ms": 1})),
                2 => Dialect::legacy(Revision::NEWEST_LEGACY).echo(turn, &text),
                _ => echo(turn, &text),
            };
            let sent = client.try_send_bytes(&request.encode());
            match sent.map_or_else(|error| panic!("{error}"), |()| client.try_receive()) {
                Ok(response) => {
                    assert_eq!(response.json()["id"], turn);
                    assert_eq!(response.status, 200, "{}", response.text());
                    answered.fetch_add(1, Ordering::Relaxed);
                    fates.push(if response.closes() {
                        Fate::AnsweredAndClosed
                    } else {
                        Fate::Answered
                    });
                    if response.closes() {
                        client.assert_closed();
                        break;
                    }
                }
                Err(ending) => {
                    assert_eq!(
                        ending,
                        Ending::Closed(Vec::new()),
                        "reset or cut, request {turn} of its connection"
                    );
                    fates.push(Fate::Crossed);
                    break;
                }
            }
        }
    }
}

#[test]
fn a_drain_under_load_loses_nothing() {
    let mut server = Server::start(&["--shards", "2", "--pool-size", "64"]);
    let answered = AtomicUsize::new(0);
    let clients = 24;
    let fates: Vec<Fate> = std::thread::scope(|scope| {
        let (server, answered) = (&server, &answered);
        let threads: Vec<_> = (0..clients)
            .map(|seed| scope.spawn(move || ask_until_gone(server, seed, answered)))
            .collect();
        eventually("the load is on", || answered.load(Ordering::Relaxed) > 400);
        server.signal(Signal::TERM);
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(server.wait().code(), Some(0));
    let mut counts = BTreeMap::new();
    for fate in &fates {
        *counts.entry(format!("{fate:?}")).or_insert(0) += 1;
    }
    // Each client has one connection at a time, so at most one FIN can cross each client's request.
    let crossed = fates.iter().filter(|fate| **fate == Fate::Crossed).count() as u64;
    assert!(crossed <= clients, "{counts:?}");
    assert!(fates.contains(&Fate::AnsweredAndClosed), "{counts:?}");
    let report = report(&server);
    let done = report["all"]["operations"]["ok"].as_u64().unwrap();
    assert_eq!(
        done,
        answered.load(Ordering::Relaxed) as u64,
        "calls that ran and were not answered: {counts:?}"
    );
    assert_eq!(report["all"]["handlers"]["busy"], 0);
    assert_eq!(report["all"]["connections_open"], 0);
}

/// The last report it printed.
#[track_caller]
fn report(server: &Server) -> Value {
    serde_json::from_str(server.stdout().lines().last().expect("a report")).unwrap()
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for second in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(&["--drain-timeout", "10m"]);
        let mut busy = callers(&server, 2, 60_000);
        begin_drain(&server);
        assert!(server.is_running());
        server.signal(Signal::USR1);
        // Signals within a quarter of a second of the first count as the first.
        eventually("it ends", || {
            server.signal(second);
            !server.is_running()
        });
        assert_eq!(server.wait().code(), Some(1));
        assert_eq!(report(&server)["all"]["handlers"]["busy"], 2);
        for client in &mut busy {
            let (Ending::Closed(bytes) | Ending::Reset(bytes)) = client.ending();
            assert!(bytes.is_empty());
        }
    }
}

#[test]
fn a_signal_that_comes_twice_at_once_is_one() {
    let mut server = Server::start(&[]);
    let mut busy = callers(&server, 1, 700);
    // The stopped server meets all of them in one moment, whatever the machine does meanwhile.
    server.signal(Signal::STOP);
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        server.signal(signal);
    }
    server.signal(Signal::CONT);
    assert_eq!(busy[0].receive().tool_text(), "slept 700 ms");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_hang_up_is_ignored_with_a_line_in_the_log() {
    let mut server = Server::start(&[]);
    let mut busy = callers(&server, 1, 700);
    server.signal(Signal::HUP);
    eventually("it says so", || server.stderr().contains("SIGHUP is ignored"));
    assert_eq!(busy[0].receive().tool_text(), "slept 700 ms");
    assert!(server.is_running());
    // The same holds while the server drains.
    let mut busy = callers(&server, 1, 700);
    begin_drain(&server);
    server.signal(Signal::HUP);
    assert_eq!(busy[0].receive().tool_text(), "slept 700 ms");
    assert_eq!(server.wait().code(), Some(0));
    assert_eq!(server.stderr().matches("SIGHUP is ignored").count(), 2);
}

#[test]
fn the_drain_timeout_ends_it() {
    let mut server = Server::start(&["--drain-timeout", "300ms", "--workers", "1"]);
    let _busy = callers(&server, 1, 60_000);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(1));
    assert!(server.stderr().contains("cut short"), "{}", server.stderr());
    assert_eq!(report(&server)["all"]["handlers"]["busy"], 1);
}

#[test]
fn an_interrupt_drains_as_well() {
    let mut server = Server::start(&[]);
    let mut busy = callers(&server, 1, 500);
    server.signal(Signal::INT);
    assert_eq!(busy[0].receive().tool_text(), "slept 500 ms");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn reports_on_request_and_at_the_end_count_what_was_done() {
    let server = Server::start(&["--pool-size", "1", "--queue-depth", "0"]);
    let legacy = Dialect::legacy(Revision::NEWEST_LEGACY);
    let mut client = server.connect();
    for id in 0..7 {
        client.ask(&echo(id, "x")).assert_echo(id, "x");
    }
    for id in 0..2 {
        assert!(
            client
                .ask(&legacy.tool(id, "fail", json!({"how": "error"})))
                .is_tool_error()
        );
    }
    for id in 0..3 {
        client.ask(&legacy.request(id, "ping", json!({}))).result();
    }
    client
        .ask(&echo(1, "x").with("Accept", "text/html"))
        .assert_status(406);
    let mut held = callers(&server, 1, 800);
    client.ask(&echo(1, "x")).assert_status(503);
    for reports in 1..=2 {
        server.signal(Signal::USR1);
        eventually("a report is printed", || {
            server.stdout().lines().count() == reports && server.stdout().ends_with('\n')
        });
        assert_eq!(report(&server)["all"]["operations"]["ok"], 10);
    }
    assert_eq!(held[0].receive().tool_text(), "slept 800 ms");
    drop((client, held));
    eventually("all are closed", || server.metric("weir_connections", &[]) == 0);
    let last = server.stop();
    for part in [&last["all"], &last["shards"][0]] {
        for (path, count) in [
            ("/requests_work", 11),
            ("/requests_control", 3),
            ("/requests_by_era/modern/work", 9),
            ("/requests_by_era/legacy/work", 2),
            ("/operations/ok", 11),
            ("/operations/tool_error", 2),
            ("/operations/-31503", 1),
            ("/refusals/handlers", 1),
            ("/refusals/workers", 0),
            ("/http_refusals/406", 1),
            ("/pool_size", 1),
            ("/pool_high_water", 1),
            ("/handlers/idle", 1),
            ("/connections_accepted", 2),
            ("/connections_closed", 2),
            ("/connections_open", 0),
            ("/panics", 0),
            ("/tools/echo/count", 7),
            ("/tools/fail/count", 2),
            ("/tools/sleep/count", 1),
            ("/tools/blob/count", 0),
            ("/stages/execute/count", 10),
        ] {
            assert_eq!(part.pointer(path), Some(&json!(count)), "{path} in {part}");
        }
        let slept = part
            .pointer("/tools/sleep/max_ns")
            .and_then(Value::as_u64)
            .unwrap();
        assert!(slept >= 790_000_000, "{slept}");
    }
}

#[test]
fn closed_pipes_for_output_are_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "off",
            "--toolset",
            "demo",
            "--shards",
            "1",
            "--log-level",
            "debug",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .find(|line| line.contains(" serving "));
    drop(child.stdout.take());
    let said = said.unwrap();
    let address = said
        .split_once("url=http://")
        .and_then(|(_, rest)| rest.split_once("/mcp"))
        .unwrap()
        .0;
    let address = address.parse().unwrap();
    let pid = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    let signal = |signal| rustix::process::kill_process(pid, signal).unwrap();
    let mut client = Client::connect(address);
    client
        .ask(&tool(1, "fail", json!({"how": "panic"})))
        .assert_error(200, -32603, 1);
    signal(Signal::USR1);
    client.ask(&echo(2, "still here")).assert_echo(2, "still here");
    signal(Signal::TERM);
    client.assert_closed();
    let status = eventually_some("it ends", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_killed_server_can_be_started_again_on_its_port() {
    let server = Server::start(&[]);
    let address = server.address.to_string();
    let mut clients: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.ask(&echo(1, "x")).assert_echo(1, "x");
    }
    server.kill();
    let again = Server::start(&["--listen", &address]);
    again.ask(&echo(1, "again")).assert_echo(1, "again");
}

/// Connects and asks once, as newcomers do, until told to stop. Returns how many were answered, and how many met the
/// moment in which a listener closed: a machine that takes the CPU away there makes it long.
fn come_and_go(address: SocketAddr, is_over: &AtomicBool) -> (usize, usize) {
    let (mut answered, mut reset) = (0, 0);
    while !is_over.load(Ordering::Relaxed) {
        // The kernel sends a packet that is not answered at once again, a second later.
        let stream = TcpStream::connect_timeout(&address, Duration::from_millis(900))
            .unwrap_or_else(|error| panic!("newcomer {answered}: {error}"));
        let mut client = Client::over(stream);
        let sent = client.try_send_bytes(&echo(answered, "new").encode());
        match sent.map(|()| client.try_receive()) {
            Ok(Ok(response)) => {
                response.assert_echo(answered, "new");
                answered += 1;
            }
            Ok(Err(Ending::Reset(bytes))) if bytes.is_empty() => reset += 1,
            Err(_) => reset += 1,
            Ok(Err(ending)) => panic!("newcomer {answered}: {ending:?}"),
        }
    }
    (answered, reset)
}

#[test]
fn a_rolling_restart_makes_nobody_wait_and_refuses_nobody() {
    const RESTARTS: usize = 5;
    let mut server = Server::start(&["--shards", "2"]);
    let address = server.address;
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let newcomers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| come_and_go(address, &is_over)))
            .collect();
        for _ in 0..RESTARTS {
            let address = address.to_string();
            let next = Server::start(&["--shards", "2", "--listen", &address, "--reuse-port", "on"]);
            let mut old = std::mem::replace(&mut server, next);
            old.signal(Signal::TERM);
            assert_eq!(old.wait().code(), Some(0));
            let said = old.stderr();
            assert!(said.contains("new connections go to another process"), "{said}");
        }
        is_over.store(true, Ordering::Relaxed);
        let counts = newcomers.into_iter().map(|newcomer| newcomer.join().unwrap());
        let (answered, reset) = counts.fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
        assert!(
            answered > 50 && reset <= 2 * RESTARTS,
            "{answered} answered, {reset} reset"
        );
    });
    // Nothing was left behind that leads connections to only one shard.
    eventually("both shards get newcomers", || {
        server.ask(&echo(1, "x")).assert_echo(1, "x");
        let accepted = |shard| server.metric("weir_connections_accepted_total", &[("shard", shard)]);
        accepted("0") > 3 && accepted("1") > 3
    });
}
