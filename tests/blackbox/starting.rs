//! Starts: beside another server, in place of one that ends, and by a client that expects another transport.

use std::io::Read;
use std::process::Command;

use rustix::process::Signal;
use serde_json::json;

use crate::harness::{Dialect, Process, Revision, Server, WEIR, echo, eventually};

/// The demo, with these flags besides.
fn serve(flags: &[&str]) -> Process {
    let usual = ["serve", "--admin", "off", "--toolset", "demo", "--report", "none"];
    Process::start(&[&usual, flags].concat())
}

/// The output of a server that does not start.
#[track_caller]
fn refusal(flags: &[&str]) -> String {
    let mut refused = serve(flags);
    assert_eq!(refused.wait().code(), Some(1), "{flags:?}: {}", refused.stderr());
    refused.stderr()
}

#[track_caller]
fn assert_serves(server: &Server) {
    server.ask(&echo(1, "here")).assert_echo(1, "here");
}

#[test]
fn a_second_server_on_the_same_port_is_refused_unless_it_is_meant() {
    for shards in ["1", "2"] {
        let first = Server::start(&["--shards", shards]);
        let address = first.address.to_string();
        let everywhere = format!(":{}", first.address.port());
        for listen in [&address, &everywhere] {
            for second in ["1", "2"] {
                let said = refusal(&["--listen", listen, "--shards", second, "--reuse-port", "off"]);
                assert!(
                    said.contains("another process of this user listens there")
                        && said.contains("--reuse-port on"),
                    "{said}"
                );
            }
        }
        assert_serves(&first);

        // The first server need not have said it: the second one means it.
        let mut second = Server::start(&["--listen", &address, "--reuse-port", "on", "--shards", shards]);
        assert_eq!(second.address, first.address);
        eventually("both are asked", || {
            assert_serves(&first);
            [&first, &second]
                .iter()
                .all(|server| server.metric("weir_requests_total", &[]) > 0)
        });
        // Two servers that share are no place for a third that does not.
        let said = refusal(&["--listen", &address]);
        assert!(said.contains("--reuse-port on"), "{said}");
        first.stop();
        for _ in 0..20 {
            assert_serves(&second);
        }
        second.signal(Signal::TERM);
        assert_eq!(second.wait().code(), Some(0));
    }
}

#[test]
fn a_port_of_somebody_else_is_refused_even_to_who_would_share_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flags in [["--reuse-port", "off"], ["--reuse-port", "on"]] {
        let said = refusal(&[&["--listen", &address], &flags[..]].concat());
        let start = format!("weir: listen: cannot listen on {address}: Address already in use");
        assert!(said.contains(&start), "{said}");
    }
}

/// `localhost` and IPv6 use the same port beside each other.
#[test]
fn addresses_that_do_not_meet_do_not_disturb_each_other() {
    let first = Server::start(&["--listen", "localhost:0"]);
    assert!(first.address.ip().is_loopback() && first.address.is_ipv4());
    let port = first.address.port();
    let beside = Server::start(&["--listen", &format!("[::1]:{port}")]);
    assert_serves(&first);
    assert_serves(&beside);
    let said = refusal(&["--listen", &format!("[::]:{port}")]);
    assert!(
        said.contains("another process of this user listens there"),
        "{said}"
    );
    let said = refusal(&["--listen", &format!("localhost:{port}")]);
    assert!(
        said.contains("another process of this user listens there"),
        "{said}"
    );
}

/// A draining server releases its port at once, however long its calls go on.
#[test]
fn a_server_can_take_the_place_of_one_that_drains() {
    let mut old = Server::start(&["--drain-timeout", "60s"]);
    let address = old.address.to_string();
    let mut client = old.connect();
    let dialect = Dialect::legacy(Revision::NEWEST_LEGACY);
    client.send(&dialect.tool(1, "sleep", json!({"ms": 60_000})));
    eventually("the call runs", || old.busy_handlers() == 1);
    old.signal(Signal::TERM);
    let new = Server::start(&["--listen", &address]);
    assert!(old.is_running());
    for _ in 0..20 {
        assert_serves(&new);
    }
    old.kill();
}

/// A rolling restart: the new one comes before the old one goes.
#[test]
fn a_rolling_restart_needs_an_admin_address_each() {
    let old = Server::start(&["--reuse-port", "on"]);
    let address = old.address.to_string();
    let admin = old.admin.unwrap().to_string();
    let mut refused = Process::start(&[
        "serve",
        "--listen",
        &address,
        "--admin",
        &admin,
        "--reuse-port",
        "on",
        "--toolset",
        "demo",
    ]);
    assert_eq!(refused.wait().code(), Some(1));
    let said = refused.stderr();
    assert!(
        said.contains(&format!("weir: admin: cannot listen on {admin}")) && said.contains("need one each"),
        "{said}"
    );
    let new = Server::start(&["--listen", &address, "--reuse-port", "on"]);
    old.stop();
    for _ in 0..20 {
        assert_serves(&new);
    }
}

/// A client starts a server without saying `stdio`.
#[test]
fn serving_http_to_pipes_says_what_to_write_and_prints_nothing_to_them() {
    for (flags, is_on_stdout) in [
        ([].as_slice(), false),
        (&["--report", "text"], true),
        (&["--report", "none"], false),
    ] {
        let mut command = Command::new(WEIR);
        command
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
            ])
            .args(flags);
        let (mut process, input, mut output) = Process::spawn_piped(command);
        eventually("it serves", || process.stderr().contains("serving"));
        let said = process.stderr();
        assert!(
            said.contains("write `weir stdio` in place of `weir serve`"),
            "{said}"
        );
        process.signal(Signal::TERM);
        let mut printed = String::new();
        output.read_to_string(&mut printed).unwrap();
        assert_eq!(process.wait().code(), Some(0));
        drop(input);
        assert_eq!(printed.contains("weir report"), is_on_stdout, "{printed}");
        assert_eq!(printed.is_empty(), !is_on_stdout, "{printed}");
        let said = process.stderr();
        assert_eq!(said.contains("weir report"), flags.is_empty(), "{said}");
    }
    // The note comes even where nothing is logged.
    let mut command = Command::new(WEIR);
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "off",
        "--log-level",
        "off",
    ]);
    let (process, _input, _output) = Process::spawn_piped(command);
    eventually("it says what to write", || {
        process.stderr().starts_with("weir: stdin and stdout are pipes")
    });
    // One pipe alone is a shell's.
    let server = Server::start(&[]);
    assert!(!server.stderr().contains("weir stdio"));
}

/// A report that was asked for too early is printed when there is one.
#[test]
fn a_report_asked_for_while_starting_is_printed_once_it_serves() {
    let flags = [
        "--toolset",
        "demo",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "off",
        "--pool-size",
        "1",
    ];
    let mut process =
        Process::start(&[&["serve", "--shards", "32", "--report", "json"], &flags[..]].concat());
    let tasks = format!("/proc/{}/task", process.pid());
    let is_shard = |task: std::fs::DirEntry| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.starts_with("weir-shard"))
    };
    eventually("the first shard starts", || {
        std::fs::read_dir(&tasks).unwrap().flatten().any(is_shard)
    });
    process.signal(Signal::USR1);
    eventually("a report is printed", || process.stdout().lines().count() == 1);
    eventually("it is logged", || process.stderr().contains("serving"));
    process.signal(Signal::TERM);
    assert_eq!(process.wait().code(), Some(0));
    assert_eq!(process.stdout().lines().count(), 2);
}

/// A container has no variables but those of its platform.
#[test]
fn it_serves_with_the_environment_of_a_container() {
    let mut command = Command::new("env");
    command.args([
        "-i",
        "WEIR_SERVICE_HOST=10.0.0.7",
        "WEIR_PORT=tcp://10.0.0.7:8080",
    ]);
    command.args([
        "WEIR_VERSION=1.2",
        "WEIR_POOLSIZE=8",
        "WEIR_SHARDS=1",
        WEIR,
        "serve",
    ]);
    command.args(["--listen", "localhost:0", "--admin", "off", "--toolset", "demo"]);
    let server = Server::over(Process::spawn(command));
    assert_serves(&server);
    let said = server.stderr();
    assert!(
        said.contains("WARN") && said.contains("did you mean `WEIR_POOL_SIZE`?"),
        "{said}"
    );
    assert!(said.contains("WEIR_VERSION is set in the environment"), "{said}");
    assert!(
        !said.contains("WEIR_PORT") && !said.contains("WEIR_SERVICE"),
        "{said}"
    );
}
