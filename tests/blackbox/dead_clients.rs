//! Peers that vanished: the kernel is told to probe them, and everything they held comes back.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Client, Server, echo, eventually, eventually_some, tool};

/// The keep-alive timer of the server's end of each connection, from `/proc/net/tcp`: when it runs out.
fn keepalive_timers(port: u16) -> Vec<Duration> {
    // proc(5), and `get_tcp4_sock` of the kernel: the sixth field is timer:expiry, timer 2 is keep-alive,
    // expiries are in hundredths of a second (USER_HZ); state 1 is established.
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let timers = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let local_port = u16::from_str_radix(fields[1].rsplit(':').next()?, 16).ok()?;
        let (timer, expiry) = fields[5].split_once(':')?;
        let is_ours = local_port == port && fields[3] == "01" && timer == "02";
        is_ours.then(|| Duration::from_millis(u64::from_str_radix(expiry, 16).unwrap() * 10))
    });
    timers.collect()
}

#[test]
fn the_kernel_looks_for_silent_peers() {
    let server = Server::start(&[]);
    let fresh = server.connect();
    let mut used = server.connect();
    used.ask(&echo(1, "x")).assert_echo(1, "x");
    let timers = eventually_some("both are watched", || {
        let timers = keepalive_timers(server.address.port());
        (timers.len() == 2).then_some(timers)
    });
    assert!(
        timers.iter().all(|timer| *timer <= Duration::from_secs(30)),
        "{timers:?}"
    );
    drop(fresh);
}

#[test]
fn whatever_a_peer_was_doing_what_it_held_comes_back() {
    let flags = [
        "--pool-size",
        "4",
        "--assembly-buffers",
        "4",
        "--idle-timeout",
        "300ms",
        "--read-timeout",
        "300ms",
        "--write-timeout",
        "300ms",
    ];
    let server = Server::start(&flags);
    let mut peers: Vec<Client> = (0..2).map(|_| server.connect()).collect();
    for bytes in [
        &b"POST /mcp HTTP/1.1\r\nHost: l"[..],
        &echo(1, "x").encode()[..300],
    ] {
        let mut slow = server.connect();
        slow.send_bytes(bytes);
        peers.push(slow);
    }
    let mut stalled = Client::with_small_window(server.address);
    stalled.send(&tool(1, "blob", json!({"bytes": 3 << 20})));
    peers.push(stalled);
    // None of them sends anything more, or leaves.
    let evictions = |reason| server.metric("weir_evictions_total", &[("reason", reason)]);
    eventually("each is given up for its reason", || {
        [
            evictions("idle"),
            evictions("read_timeout"),
            evictions("write_stall"),
        ] == [2, 2, 1]
    });
    eventually("all are closed", || server.metric("weir_connections", &[]) == 0);
    assert_eq!(evictions("vanished"), 0);
    assert_eq!(server.busy_handlers(), 0);
    assert_eq!(server.metric("weir_requests_in_flight", &[]), 0);
    drop(peers);
}
