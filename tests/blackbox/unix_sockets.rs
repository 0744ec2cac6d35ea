//! Unix sockets: who reaches the file, who is behind a connection, and whose the file is when servers come and go.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::process::{Signal, geteuid};
use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use serde_json::json;

use crate::harness::{
    Client, Dialect, Ending, Process, Request, Server, WebSocket, case, echo, eventually, tool,
};

/// A user whom no test runs as.
const OTHER_USER: u32 = 65_534;

/// A directory of short paths, gone with its test.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("weir-unix-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("s")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn address(path: &Path) -> String {
    format!("unix:{}", path.display())
}

/// A server on a port and on this socket, with these flags besides.
fn start(path: &Path, flags: &[&str]) -> Server {
    let unix = address(path);
    Server::start(&[&["--listen", "127.0.0.1:0", "--listen", &unix], flags].concat())
}

/// The output of a server that does not start.
#[track_caller]
fn refusal(flags: &[&str]) -> String {
    let usual = ["serve", "--admin", "off", "--toolset", "demo", "--report", "none"];
    let mut refused = Process::start(&[&usual, flags].concat());
    let code = refused.wait().code();
    assert!(
        matches!(code, Some(1 | 2)),
        "{flags:?}: {code:?}: {}",
        refused.stderr()
    );
    refused.stderr()
}

#[track_caller]
fn assert_serves(path: &Path) {
    Client::connect_unix(path)
        .ask(&echo(1, "here"))
        .assert_echo(1, "here");
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

/// A stream of another user's process; `None`, and a note, if this process may not become one.
fn connect_as_other(path: &Path) -> Option<std::io::Result<UnixStream>> {
    if !geteuid().is_root() {
        eprintln!("skipped: only root can connect as another user");
        return None;
    }
    let path = path.to_owned();
    // The identity is one thread's.
    let connecting = std::thread::spawn(move || {
        let (other, group) = (Uid::from_raw(OTHER_USER), Gid::from_raw(OTHER_USER));
        set_thread_groups(&[]).unwrap();
        set_thread_res_gid(Some(group), Some(group), Some(group)).unwrap();
        set_thread_res_uid(Some(other), Some(other), Some(other)).unwrap();
        UnixStream::connect(path)
    });
    Some(connecting.join().unwrap())
}

#[test]
fn a_port_and_sockets_are_served_at_once_and_each_has_a_url() {
    let place = Place::new();
    let (one, two) = (place.0.join("one"), place.0.join("two"));
    for shards in ["1", "2"] {
        let server = start(&one, &["--listen", &address(&two), "--shards", shards]);
        for path in [&one, &two] {
            let url = format!("http://unix:{}:/mcp", path.display());
            assert!(server.stderr().contains(&url), "{}", server.stderr());
            assert!(fs::symlink_metadata(path).unwrap().file_type().is_socket());
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let mut clients = [
            server.connect(),
            Client::connect_unix(&one),
            Client::connect_unix(&two),
        ];
        for id in 0..20 {
            for client in &mut clients {
                client.ask(&echo(id, "all")).assert_echo(id, "all");
            }
        }
        drop(clients);
        server.stop();
        assert_eq!(place.names(), Vec::<String>::new());
    }
}

#[test]
fn a_server_of_nothing_but_a_socket_serves() {
    let place = Place::new();
    let path = place.socket();
    let usual = ["serve", "--admin", "off", "--toolset", "demo", "--report", "none"];
    let mut server = Process::start(&[&usual[..], &["--listen", &address(&path)]].concat());
    eventually("it serves", || server.stderr().contains("serving"));
    let large = "x".repeat(3 << 20);
    Client::connect_unix(&path)
        .ask(&echo(1, &large))
        .assert_echo(1, &large);
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0), "{}", server.stderr());
    assert_eq!(place.names(), Vec::<String>::new());
}

#[test]
fn the_rules_about_hosts_and_origins_hold() {
    let place = Place::new();
    let server = start(&place.socket(), &["--allow-host", "mcp.example"]);
    let ask = |request: &Request| Client::connect_unix(&place.socket()).ask(request);
    for host in ["localhost", "127.0.0.1:8080", "mcp.example"] {
        ask(&echo(1, host).with("Host", host)).assert_echo(1, host);
    }
    for request in [
        echo(2, "x").with("Host", "evil.example"),
        echo(2, "x").plus("Origin", "http://evil.example"),
    ] {
        assert_eq!(ask(&request).status, 403);
    }
    ask(&echo(3, "page").plus("Origin", "http://localhost:3000")).assert_echo(3, "page");
    server.stop();
}

#[test]
fn permissions_decide_who_connects() {
    let place = Place::new();
    let path = place.socket();
    for (mode, is_open) in [("0600", false), ("0660", false), ("0666", true)] {
        let _case = case(mode);
        let server = start(&path, &["--unix-mode", mode, "--access-log", "all"]);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            u32::from_str_radix(mode, 8).unwrap()
        );
        assert_serves(&path);
        let own = format!("peer=\"unix:uid={},gid=", geteuid().as_raw());
        eventually("it is logged", || server.stderr().contains(&own));
        match connect_as_other(&path) {
            Some(Ok(stream)) if is_open => {
                Client::over_unix(stream)
                    .ask(&echo(2, "other"))
                    .assert_echo(2, "other");
                let other = format!("peer=\"unix:uid={OTHER_USER},gid=");
                eventually("it is logged", || server.stderr().contains(&other));
            }
            Some(connected) => {
                let refused = connected.unwrap_err();
                assert!(
                    !is_open && refused.kind() == std::io::ErrorKind::PermissionDenied,
                    "{refused}"
                );
            }
            None => {}
        }
        server.stop();
    }
}

#[test]
fn a_file_can_have_an_owner() {
    let place = Place::new();
    let path = place.socket();
    let other = OTHER_USER.to_string();
    if geteuid().is_root() {
        for (owner, expected) in [
            (format!("{other}:{other}"), (OTHER_USER, OTHER_USER)),
            (format!(":{other}"), (0, OTHER_USER)),
            ("root:root".to_owned(), (0, 0)),
        ] {
            let server = start(&path, &["--unix-owner", &owner, "--unix-mode", "0660"]);
            let found = fs::metadata(&path).unwrap();
            assert_eq!((found.uid(), found.gid()), expected);
            assert_eq!(found.permissions().mode() & 0o777, 0o660);
            server.stop();
        }
    } else {
        let said = refusal(&["--listen", &address(&path), "--unix-owner", "root"]);
        assert!(said.contains("leave --unix-owner out"), "{said}");
    }
    let said = refusal(&["--listen", &address(&path), "--unix-owner", "no-such-user"]);
    assert!(said.contains("unix-owner names `no-such-user`"), "{said}");
    assert_eq!(place.names(), Vec::<String>::new());
}

#[test]
fn only_listed_users_are_served() {
    let place = Place::new();
    let path = place.socket();
    let own = geteuid().as_raw().to_string();
    let server = start(&path, &["--unix-mode", "0666", "--unix-peers", &own]);
    assert_serves(&path);
    if let Some(stream) = connect_as_other(&path) {
        let mut client = Client::over_unix(stream.unwrap());
        let _ = client.try_send_bytes(&echo(1, "secret").encode());
        let ending = client.ending();
        assert!(
            matches!(&ending, Ending::Closed(bytes) | Ending::Reset(bytes) if bytes.is_empty()),
            "{ending:?}"
        );
        eventually("it is counted", || {
            server.metric("weir_unix_peers_refused_total", &[]) == 1
        });
        let peer = format!("unix:uid={OTHER_USER},gid=");
        eventually("it is logged", || {
            let said = server.stderr();
            said.contains(&peer) && said.contains("--unix-peers")
        });
    }
    // Clients of the port are none of the rule's concern.
    server.ask(&echo(2, "port")).assert_echo(2, "port");
    server.stop();

    // This process's user is not listed.
    let server = start(&path, &["--unix-peers", &OTHER_USER.to_string()]);
    let mut client = Client::connect_unix(&path);
    let _ = client.try_send_bytes(&echo(1, "secret").encode());
    assert!(matches!(client.ending(), Ending::Closed(bytes) | Ending::Reset(bytes) if bytes.is_empty()));
    server.stop();
    let said = refusal(&["--listen", &address(&path), "--unix-peers", "no-such-user"]);
    assert!(said.contains("unix-peers names `no-such-user`"), "{said}");
}

#[test]
fn connections_per_ip_are_per_user() {
    let place = Place::new();
    let path = place.socket();
    let server = start(&path, &["--connections-per-ip", "1", "--unix-mode", "0666"]);
    let mut first = Client::connect_unix(&path);
    first.ask(&echo(1, "first")).assert_echo(1, "first");
    let refused = Client::connect_unix(&path).ask(&echo(2, "second"));
    assert_eq!(refused.status, 503);
    if let Some(stream) = connect_as_other(&path) {
        Client::over_unix(stream.unwrap())
            .ask(&echo(3, "other"))
            .assert_echo(3, "other");
    }
    drop(first);
    eventually("its place is free", || {
        Client::connect_unix(&path).ask(&echo(4, "again")).status == 200
    });
    server.stop();
}

#[test]
fn a_name_without_a_file_needs_a_list_of_users() {
    let name = format!("weir-blackbox-{}", std::process::id());
    let listen = format!("unix:@{name}");
    let said = refusal(&["--listen", &listen]);
    assert!(said.contains("--unix-peers $(id -u)"), "{said}");
    let own = geteuid().as_raw().to_string();
    let flags = [
        "--listen",
        "127.0.0.1:0",
        "--listen",
        &listen,
        "--unix-peers",
        &own,
    ];
    let server = Server::start(&flags);
    let connect = || {
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        let connected = socket.connect(&socket2::SockAddr::unix(format!("\0{name}")).unwrap());
        connected.map(|()| Client::over_unix(socket.into()))
    };
    connect()
        .unwrap()
        .ask(&echo(1, "abstract"))
        .assert_echo(1, "abstract");
    for more in [&[][..], &["--reuse-port", "on"]] {
        let said = refusal(&[&["--listen", &listen, "--unix-peers", &own], more].concat());
        assert!(said.contains("cannot be taken over"), "{said}");
    }
    server.stop();
    assert!(connect().is_err());
}

#[test]
fn a_path_has_107_bytes_at_most() {
    let place = Place::new();
    let of = |bytes: usize| {
        let path = place.0.join("x".repeat(bytes - place.0.as_os_str().len() - 1));
        assert_eq!(path.as_os_str().len(), bytes);
        path
    };
    let server = start(&of(107), &[]);
    assert_serves(&of(107));
    let successor = start(&of(107), &["--reuse-port", "on"]);
    server.stop();
    assert_serves(&of(107));
    successor.stop();
    let said = refusal(&["--listen", &address(&of(108))]);
    assert!(
        said.contains("of 108 bytes") && said.contains("at most 107"),
        "{said}"
    );
    assert_eq!(place.names(), Vec::<String>::new());
}

#[test]
fn a_killed_servers_file_is_replaced_and_what_is_no_socket_is_not() {
    let place = Place::new();
    let path = place.socket();
    start(&path, &[]).kill();
    // The kernel may take a moment to close a killed process's sockets, which a start waits for.
    assert!(path.exists());
    let server = start(&path, &[]);
    assert_serves(&path);
    server.stop();
    fs::write(&path, "precious").unwrap();
    for more in [&[][..], &["--reuse-port", "on"]] {
        let said = refusal(&[&["--listen", &address(&path)], more].concat());
        assert!(
            said.contains("no socket") && said.contains("another path with --listen"),
            "{said}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
    let said = refusal(&["--listen", &address(&place.0.join("missing/s"))]);
    assert!(said.contains("create the directory"), "{said}");
    assert_eq!(place.names(), ["s"]);
}

#[test]
fn a_second_server_on_the_path_is_refused_unless_it_is_meant() {
    let place = Place::new();
    let path = place.socket();
    let first = start(&path, &[]);
    let own = inode(&path);
    let said = refusal(&["--listen", &address(&path)]);
    assert!(
        said.contains("a server accepts connections there") && said.contains("--reuse-port on"),
        "{said}"
    );
    // A program that is no server of ours is treated likewise.
    let stranger = place.0.join("stranger");
    let listener = UnixListener::bind(&stranger).unwrap();
    assert!(refusal(&["--listen", &address(&stranger)]).contains("a server accepts connections there"));
    drop(listener);
    assert_eq!(inode(&path), own);
    assert_serves(&path);

    let mut early = Client::connect_unix(&path);
    early.ask(&echo(1, "early")).assert_echo(1, "early");
    let second = start(&path, &["--reuse-port", "on"]);
    assert_ne!(inode(&path), own);
    assert_serves(&path);
    assert_eq!(second.metric("weir_requests_total", &[]), 1);
    // The first one goes on for those it has, and leaves the second one's file alone when it goes.
    early.ask(&echo(2, "early")).assert_echo(2, "early");
    drop(early);
    first.stop();
    assert_serves(&path);
    second.stop();
    assert_eq!(place.names(), ["stranger"]);
}

#[test]
fn of_servers_that_start_at_once_one_gets_the_path() {
    let place = Place::new();
    let path = place.socket();
    start(&path, &[]).kill();
    let unix = address(&path);
    let usual = [
        "serve",
        "--admin",
        "off",
        "--toolset",
        "demo",
        "--report",
        "none",
        "--shards",
        "1",
    ];
    let flags = [&usual[..], &["--listen", &unix]].concat();
    let mut servers: Vec<Process> = (0..4).map(|_| Process::start(&flags)).collect();
    eventually("three have given up", || {
        servers
            .iter_mut()
            .filter_map(|server| (!server.is_running()).then_some(()))
            .count()
            == 3
    });
    assert_serves(&path);
    servers.retain_mut(Process::is_running);
    servers[0].signal(Signal::TERM);
    assert_eq!(servers[0].wait().code(), Some(0));
    assert_eq!(place.names(), Vec::<String>::new());
}

/// Clients that only come and go see no gap while one server replaces another.
#[test]
fn a_successor_takes_over_without_a_gap() {
    const REPLACEMENTS: usize = 4;
    let place = Place::new();
    let path = place.socket();
    let mut server = start(&path, &["--reuse-port", "on", "--shards", "2"]);
    let (is_over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let request = echo(1, "gap").plus("Connection", "close").encode();
                while !is_over.load(Ordering::Relaxed) {
                    let mut stream = UnixStream::connect(&path).unwrap();
                    stream.write_all(&request).unwrap();
                    let mut answer = Vec::new();
                    stream.read_to_end(&mut answer).unwrap();
                    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{answer:?}");
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..REPLACEMENTS {
            let successor = start(&path, &["--reuse-port", "on", "--shards", "2"]);
            std::mem::replace(&mut server, successor).stop();
            let before = answered.load(Ordering::Relaxed);
            eventually("clients go on", || answered.load(Ordering::Relaxed) > before + 20);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    server.stop();
    assert_eq!(place.names(), Vec::<String>::new());
}

#[test]
fn a_drain_serves_who_is_queued_and_refuses_newcomers() {
    let place = Place::new();
    let path = place.socket();
    let mut server = start(&path, &["--connections-max", "1"]);
    let mut first = Client::connect_unix(&path);
    first.send(&tool(1, "sleep", json!({"ms": 800})));
    eventually("the call runs", || server.busy_handlers() == 1);
    let mut queued = Client::connect_unix(&path);
    queued.send(&echo(2, "queued"));
    server.signal(Signal::TERM);
    eventually("the file is gone", || !path.exists());
    assert!(UnixStream::connect(&path).is_err());
    assert_eq!(first.receive().status, 200);
    queued.receive().assert_echo(2, "queued");
    drop((first, queued));
    assert_eq!(server.wait().code(), Some(0), "{}", server.stderr());
    assert_eq!(place.names(), Vec::<String>::new());
}

#[test]
fn a_client_that_hangs_up_is_noticed_and_the_wire_is_the_same() {
    let place = Place::new();
    let path = place.socket();
    let server = start(&path, &[]);
    let mut leaver = Client::connect_unix(&path);
    leaver.send(&Dialect::modern().tool(1, "sleep", json!({"ms": 60_000})));
    eventually("the call runs", || server.busy_handlers() == 1);
    drop(leaver);
    eventually("the call is cancelled", || server.busy_handlers() == 0);

    // A client that has finished sending still gets its answers, pipelined ones too.
    let mut half = Client::connect_unix(&path);
    for id in 0..3 {
        half.send(&echo(id, "half"));
    }
    half.finish();
    for id in 0..3 {
        half.receive().assert_echo(id, "half");
    }
    half.assert_closed();

    let events = Client::connect_unix(&path);
    drop(events.open(&Dialect::modern().progress(5, 3, 20)));
    drop(WebSocket::upgrade(Client::connect_unix(&path)));
    eventually("all have gone", || server.metric("weir_connections", &[]) == 0);
    server.stop();
}

#[test]
fn every_shard_gets_its_share_of_connections() {
    const CONNECTIONS: u64 = 60;
    let place = Place::new();
    let path = place.socket();
    let server = start(&path, &["--shards", "3"]);
    for is_burst in [false, true] {
        let mut clients = Vec::new();
        for id in 0..CONNECTIONS {
            let mut client = Client::connect_unix(&path);
            if !is_burst {
                client.ask(&echo(id, "spread")).assert_echo(id, "spread");
            }
            clients.push(client);
        }
        for (id, client) in (0..CONNECTIONS).zip(&mut clients) {
            client.ask(&echo(id, "spread")).assert_echo(id, "spread");
        }
        for shard in ["0", "1", "2"] {
            let open = server.metric("weir_connections", &[("shard", shard)]);
            assert!(
                open >= CONNECTIONS / 6,
                "shard {shard} has {open}, burst: {is_burst}"
            );
        }
        drop(clients);
        eventually("all have gone", || server.metric("weir_connections", &[]) == 0);
    }
    server.stop();
}
