//! Caps on connections: the process never exceeds its cap, a connection over an address's cap is refused politely, and
//! the server waits for used-up descriptors.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use crate::harness::{Client, Ending, Response, Server, case, echo, eventually, tool};

/// A client with this loopback address.
fn client_from(address: Ipv4Addr, server: SocketAddr) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
    socket.connect(&server.into()).unwrap();
    Client::over(socket.into())
}

/// Descriptors of a server without connections. A scrape's own may be among them.
fn descriptors_idle(server: &Server) -> usize {
    server.ask(&echo(1, "warm")).assert_echo(1, "warm");
    eventually("nobody is connected", || {
        server.metric("weir_connections", &[]) == 0
    });
    server.descriptors()
}

#[test]
fn several_shards_serve_as_many_as_the_cap_and_the_others_in_turn() {
    const CAP: usize = 10;
    let server = Server::start(&["--shards", "3", "--connections-max", "10"]);
    let mut waiting: Vec<Client> = (0..40).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.send(&echo(1, "x"));
    }
    let mut served = Vec::new();
    while !waiting.is_empty() {
        let _case = case(format!("{} wait", waiting.len()));
        // There are as many as there are places, not one less for a shard that waits in vain.
        eventually("the places are taken", || {
            let (answered, silent) = waiting.drain(..).partition(|client| !client.is_silent());
            waiting = silent;
            served.extend::<Vec<Client>>(answered);
            served.len() == CAP.min(served.len() + waiting.len())
        });
        assert_eq!(server.metric("weir_connections", &[]) as usize, served.len());
        for mut client in served.drain(..) {
            client.receive().assert_echo(1, "x");
        }
    }
}

#[test]
fn the_cap_holds_at_every_moment_of_a_rush() {
    const CAP: usize = 8;
    let server = Server::start(&["--shards", "4", "--connections-max", "8"]);
    let idle = descriptors_idle(&server);
    let is_over = AtomicBool::new(false);
    let most = AtomicUsize::new(0);
    thread::scope(|scope| {
        let looker = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                most.fetch_max(server.descriptors(), Ordering::Relaxed);
            }
        });
        let rush = |_| {
            scope.spawn(|| {
                for turn in 0..80 {
                    server.ask(&echo(turn, "x")).assert_echo(turn, "x");
                }
            })
        };
        let rushes: Vec<_> = (0..24).map(rush).collect();
        let ends: Vec<_> = rushes.into_iter().map(|rush| rush.join()).collect();
        is_over.store(true, Ordering::Relaxed);
        looker.join().unwrap();
        ends.into_iter().for_each(|end| end.unwrap());
    });
    let most = most.into_inner();
    assert!(most <= idle + CAP, "{idle} descriptors when idle, {most} at most");
    assert!(most >= idle + CAP / 2, "{most}: there was no rush");
}

#[test]
fn one_place_serves_every_shard() {
    let server = Server::start(&["--shards", "4", "--connections-max", "1"]);
    let mut clients: Vec<Client> = (0..24).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&echo(1, "x"));
    }
    while !clients.is_empty() {
        eventually("the place is taken", || {
            clients.iter().any(|client| !client.is_silent())
        });
        let at = clients.iter().position(|client| !client.is_silent()).unwrap();
        clients.swap_remove(at).receive().assert_echo(1, "x");
    }
}

#[track_caller]
fn assert_refused(response: &Response) {
    assert_eq!(response.status, 503);
    assert!(response.closes());
    let seconds: u32 = response.field("retry-after").unwrap().parse().unwrap();
    assert!(seconds >= 1);
    let error: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(error["error"]["code"], -31503);
    assert_eq!(error["error"]["data"]["reason"], "connections");
    assert!(error.get("id").is_none_or(Value::is_null));
}

#[test]
fn past_its_cap_an_address_is_told_and_others_are_served() {
    let server = Server::start(&["--shards", "2", "--connections-per-ip", "3"]);
    let mut served: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut served {
        client.ask(&echo(1, "in")).assert_echo(1, "in");
    }
    let large = echo(2, &"l".repeat(200_000));
    let requests = [
        ("whole", echo(2, "x").encode()),
        ("large", large.encode()),
        ("half", large.encode()[..1000].to_vec()),
        ("no request", b"\x16\x03\x01".to_vec()),
    ];
    for (name, bytes) in requests {
        let _case = case(name);
        let mut client = server.connect();
        client.send_bytes(&bytes);
        assert_refused(&client.receive());
        client.assert_closed();
    }
    // A client that sends nothing is told as well.
    let mut silent = server.connect();
    assert_refused(&silent.receive());
    silent.assert_closed();
    let refused = [("reason", "connections")];
    assert_eq!(server.metric("weir_refusals_total", &refused), 5);
    let elsewhere = Ipv4Addr::new(127, 0, 0, 2);
    client_from(elsewhere, server.address)
        .ask(&echo(3, "other"))
        .assert_echo(3, "other");
    // A place that becomes free is used again.
    served.pop();
    eventually("there is a place", || {
        let mut client = server.connect();
        client.ask(&echo(4, "back")).status == 200
    });
    for client in &mut served {
        client.ask(&echo(5, "still in")).assert_echo(5, "still in");
    }
    // This leaves room for the last check of the server.
    drop(served);
    drop(silent);
    eventually("all have left", || server.metric("weir_connections", &[]) == 0);
}

#[test]
fn a_network_of_64_bits_is_one_address() {
    let server = Server::start(&["--listen", "[::1]:0", "--connections-per-ip", "2"]);
    let mut served = [server.connect(), server.connect()];
    for client in &mut served {
        client.ask(&echo(1, "x")).assert_echo(1, "x");
    }
    let mut third = server.connect();
    third.send(&echo(2, "x"));
    assert_refused(&third.receive());
    drop((served, third));
    eventually("all have left", || server.metric("weir_connections", &[]) == 0);
}

#[test]
fn one_address_cannot_take_the_places_of_others_by_being_refused() {
    let server = Server::start(&["--connections-per-ip", "4", "--connections-max", "12"]);
    let crowd: Vec<Client> = (0..200).map(|_| server.connect()).collect();
    let mut other = client_from(Ipv4Addr::new(127, 0, 0, 2), server.address);
    other.ask(&echo(1, "other")).assert_echo(1, "other");
    eventually("all were looked at", || {
        server.metric("weir_refusals_total", &[("reason", "connections")]) == 196
    });
    assert!(server.metric("weir_connections", &[]) <= 9);
    drop(crowd);
    eventually("the crowd has left", || {
        server.metric("weir_connections", &[]) == 1
    });
}

/// Gives a running server a limit of descriptors; returns the old one.
fn set_descriptor_limit(server: &Server, limit: u64) -> u64 {
    let pid = Pid::from_raw(server.pid().try_into().unwrap());
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    let limits = Rlimit {
        current: Some(limit),
        maximum,
    };
    prlimit(pid, Resource::Nofile, limits).unwrap().current.unwrap()
}

#[test]
fn used_up_descriptors_are_waited_for_and_reported_in_a_few_lines() {
    let server = Server::start(&[]);
    let in_use = descriptors_idle(&server);
    let before = set_descriptor_limit(&server, in_use as u64 + 8);
    let began = Instant::now();
    let mut clients: Vec<Client> = (0..60).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&echo(1, "x"));
    }
    let lines = |words: &str| {
        let said = server.stderr();
        let lines = said.lines().filter(|line| line.contains(words));
        lines.count()
    };
    eventually("descriptors are used up", || lines("accepting fails") == 1);
    let prober = Client::connect(server.admin.unwrap());
    eventually("it says so, of both listeners, and that it goes on", || {
        lines("accepting fails") == 2 && lines("accepting still fails") >= 1
    });
    let spent = began.elapsed();
    let said = lines("accepting");
    assert!(
        said <= 2 * (2 + spent.as_secs() as usize / 5),
        "{said} lines in {spent:?}"
    );
    set_descriptor_limit(&server, before);
    for client in &mut clients {
        client.receive().assert_echo(1, "x");
    }
    drop(prober);
    // The server tried again every 50 ms, not all the time.
    let failures = server.metric("weir_accept_failures_total", &[]);
    let failures_max = began.elapsed().as_millis() as u64 / 50 + 2;
    assert!(
        (2..=failures_max).contains(&failures),
        "{failures} of at most {failures_max}"
    );
    eventually("it says that it is over, of both", || {
        lines("accepting works again") == 2
    });
}

#[test]
fn a_drain_at_the_cap_serves_who_waits_in_the_backlog() {
    let mut server = Server::start(&["--shards", "2", "--connections-max", "4"]);
    let mut clients: Vec<Client> = (0..24).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&tool(1, "sleep", json!({"ms": 20})));
    }
    eventually("the cap is reached", || {
        server.metric("weir_connections", &[]) == 4
    });
    server.signal(rustix::process::Signal::TERM);
    for (number, client) in clients.iter_mut().enumerate() {
        let _case = case(format!("client {number}"));
        assert_eq!(client.receive().tool_text(), "slept 20 ms");
        assert!(matches!(client.ending(), Ending::Closed(_)));
    }
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn ten_thousand_clients_of_all_kinds_leave_every_count_where_it_was() {
    let server = Server::start(&["--shards", "2", "--connections-per-ip", "500", "--prefault", "on"]);
    let idle = descriptors_idle(&server);
    let resident_kib = server.resident_kib();
    thread::scope(|scope| {
        for hand in 0..4 {
            let server = &server;
            scope.spawn(move || {
                // Each has an address of its own, so that TIME_WAIT of one does not use up the ports of all.
                let address = Ipv4Addr::new(127, 0, 1, hand);
                for cycle in 0..2_500 {
                    let mut client = client_from(address, server.address);
                    match cycle % 5 {
                        0 => client.ask(&echo(cycle, "x")).assert_echo(cycle, "x"),
                        1 => client.send(&echo(cycle, "unread")),
                        2 => client.send_bytes(b"POST /mcp HTTP/1.1\r\nHost: local"),
                        3 if cycle % 10 == 3 => continue,
                        _ => {}
                    }
                    client.reset();
                }
            });
        }
    });
    eventually("all connections are closed", || {
        server.metric("weir_connections", &[]) == 0
    });
    let count = |name: &str| server.metric(name, &[]);
    let accepted = count("weir_connections_accepted_total");
    assert!(
        accepted >= 8_000,
        "{accepted}: those reset in the backlog may be missing"
    );
    assert_eq!(count("weir_connections_closed_total"), accepted);
    assert_eq!(count("weir_requests_in_flight"), 0);
    assert_eq!(
        server.metric("weir_refusals_total", &[("reason", "connections")]),
        0
    );
    eventually("all descriptors are closed", || server.descriptors() <= idle + 1);
    let resident_kib_max = resident_kib + resident_kib / 100 + 2048;
    eventually("the memory is back", || server.resident_kib() <= resident_kib_max);
    // Every place is free again: as many can connect at once as the cap allows, and not one more.
    let mut clients: Vec<Client> = (0..500).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.ask(&echo(1, "in")).assert_echo(1, "in");
    }
    let mut beyond = server.connect();
    beyond.send(&echo(1, "beyond"));
    assert_refused(&beyond.receive());
    drop((clients, beyond));
    eventually("all have left", || server.metric("weir_connections", &[]) == 0);
}

#[test]
fn told_to_stop_while_starting_it_stops() {
    let arguments = [
        "serve",
        "--toolset",
        "demo",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "off",
        "--pool-size",
        "1",
        "--shards",
        "64",
    ];
    let mut process = crate::harness::Process::start(&arguments);
    let tasks = format!("/proc/{}/task", process.pid());
    let is_shard = |task: std::fs::DirEntry| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.starts_with("weir-shard"))
    };
    eventually("the first shard starts", || {
        std::fs::read_dir(&tasks).unwrap().flatten().any(is_shard)
    });
    process.signal(rustix::process::Signal::TERM);
    let began = Instant::now();
    assert_eq!(process.wait().code(), Some(0));
    let said = process.stderr();
    assert!(
        said.contains("told to stop while starting"),
        "{said}; after {:?}",
        began.elapsed() + Duration::ZERO
    );
    assert!(!said.contains("/mcp"), "{said}");
}
