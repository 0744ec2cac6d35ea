//! `weir top` in a terminal, and as text.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener};
use std::process::Command;
use std::thread;

use rustix::process::Signal;
use serde_json::json;

use crate::harness::{InTerminal, Process, Server, case, echo, eventually, example, hold, tool};

/// Rows and columns that every terminal has.
const USUAL: (u16, u16) = (24, 80);

/// A server of two shards at these addresses, at which another one may have been.
fn serve(listen: &str, admin: &str, pool_size: &str) -> Server {
    let arguments = [
        "serve",
        "--listen",
        listen,
        "--admin",
        admin,
        "--toolset",
        "demo",
        "--shards",
        "2",
    ];
    Server::over(Process::start(
        &[arguments.as_slice(), &["--pool-size", pool_size]].concat(),
    ))
}

/// Whether a line of the text has these words, one behind the other.
fn has_words(text: &str, words: &[&str]) -> bool {
    text.lines().any(|line| {
        let line: Vec<&str> = line.split_whitespace().collect();
        line.windows(words.len()).any(|window| window == words)
    })
}

#[test]
fn a_server_is_watched_with_keys_and_outlived() {
    let server = serve("127.0.0.1:0", "127.0.0.1:0", "8");
    let (listen, admin) = (server.address.to_string(), server.admin.unwrap().to_string());
    let _held = hold(&server);
    server.ask(&echo(1, "x")).result();
    let mut top = InTerminal::start(USUAL, &["top", &admin, "--interval", "100ms"], &[]);
    // One of 16 handlers is held, so one shard has one of 8.
    let screen = top.eventually("a leased handler and a tool", |text| {
        has_words(text, &["1/8", "12%"]) && text.contains("\necho ")
    });
    assert!(screen.starts_with(&admin), "{screen}");
    assert!(screen.contains("handlers 1/16 6%"), "{screen}");
    assert!(
        screen.lines().last().unwrap().starts_with("q quit  p pause"),
        "{screen}"
    );
    assert!(top.is_taken());

    // Arrows and Enter open a shard, Escape goes back.
    top.press("\x1b[B\x1b[B\r");
    top.eventually_shows("shard 1 ");
    top.press("\x1b[A");
    top.eventually_shows("shard 0 ");
    top.press("\x1b");
    top.eventually_shows("SHARD");
    top.press("s");
    top.eventually_shows("sort: latency");
    top.press("?");
    top.eventually_shows("page up, page down");
    top.press("?");
    top.eventually_shows("SHARD");

    // A wider terminal shows more, a smaller one less, at once.
    top.resize((30, 140));
    top.eventually("every column", |text| {
        text.lines().nth(29).is_some_and(|line| line.ends_with("? help"))
    });
    top.resize((10, 40));
    top.eventually("the keys on the last line", |text| {
        text.lines().nth(9).is_some_and(|line| line.starts_with("q quit"))
    });
    top.resize(USUAL);
    top.eventually_shows("STALLS");

    // The server goes, and another comes to its address.
    server.kill();
    top.eventually("it is away", |text| {
        text.contains("away for ") && text.contains("Connection refused")
    });
    let server = serve(&listen, &admin, "16");
    let screen = top.eventually("the new server", |text| {
        text.contains("restarted ") && text.contains("handlers 0/32 ")
    });
    assert!(!screen.contains("away for"), "{screen}");

    // A paused screen stays.
    top.press("p");
    top.eventually_shows("PAUSED");
    let _held = hold(&server);
    assert!(top.text().contains("handlers 0/32 "), "{}", top.text());
    top.press("p");
    top.eventually_shows("handlers 1/32 ");

    top.press("q");
    assert!(top.assert_given_back().success());
}

#[test]
fn every_end_gives_the_terminal_back() {
    let server = Server::start(&[]);
    let admin = server.admin.unwrap().to_string();
    for end in ["\x03", "TERM", "INT", "HUP"] {
        let _case = case(end.escape_debug().to_string());
        let mut top = InTerminal::start(USUAL, &["top", &admin], &[]);
        top.eventually_shows("SHARD");
        assert!(top.is_taken());
        match end {
            "TERM" => top.signal(Signal::TERM),
            "INT" => top.signal(Signal::INT),
            "HUP" => top.signal(Signal::HUP),
            key => top.press(key),
        }
        assert!(top.assert_given_back().success());
    }
}

#[test]
fn a_stopped_view_is_brought_back_whole() {
    let server = Server::start(&[]);
    let admin = server.admin.unwrap().to_string();
    let mut top = InTerminal::start_in_shell(USUAL, &["top", &admin]);
    for stop in ["\x1a", "TSTP"] {
        let _case = case(stop.escape_debug().to_string());
        top.eventually_shows("SHARD");
        match stop {
            "TSTP" => top.signal(Signal::TSTP),
            key => top.press(key),
        }
        top.eventually_given_back();
        assert!(!top.text().contains("SHARD"), "{}", top.text());
        top.eventually_typed_to_shell(true);
        top.press("\n");
        let screen = top.eventually_shows("SHARD");
        assert!(screen.starts_with(&admin), "{screen}");
        eventually("the terminal is taken again", || top.is_taken());
    }
    // Whatever others did to the screen meanwhile is drawn over.
    top.signal(Signal::STOP);
    top.eventually_typed_to_shell(true);
    top.press("\n");
    top.eventually_typed_to_shell(false);
    top.eventually_shows("SHARD");
    top.press("q");
    assert!(top.assert_given_back().success());
}

#[test]
fn a_view_that_no_shell_could_bring_back_does_not_stop() {
    let server = Server::start(&[]);
    let admin = server.admin.unwrap().to_string();
    let mut top = InTerminal::start(USUAL, &["top", &admin], &[]);
    top.eventually_shows("SHARD");
    top.press("\x1as");
    top.eventually_shows("sort: latency");
    assert!(top.is_taken());
    top.press("q");
    assert!(top.assert_given_back().success());
}

#[test]
fn colours_are_left_out_when_that_is_wished() {
    let server = Server::start(&["--pool-size", "1"]);
    let admin = server.admin.unwrap().to_string();
    let _held = hold(&server);
    for (variables, is_coloured) in [(&[][..], true), (&[("NO_COLOR", "1")], false)] {
        let top = InTerminal::start(USUAL, &["top", &admin], variables);
        top.eventually_shows("100%!!");
        assert_eq!(top.is_coloured(), is_coloured);
    }
}

#[test]
fn several_servers_and_their_children_are_shown() {
    let child = format!("{} ", example("echo_child").display());
    let first = Server::start(&["--stdio", child.trim(), "--pool", "mode=shared"]);
    let second = Server::start(&[]);
    let admins = [&first, &second].map(|server| server.admin.unwrap().to_string());
    let away = "127.0.0.1:1";
    let mut top = InTerminal::start(
        USUAL,
        &["top", &admins[0], &admins[1], away, "--interval", "100ms"],
        &[],
    );
    let screen = top.eventually("a line for each", |text| {
        text.contains(&admins[0]) && text.contains(&admins[1]) && text.matches(" up ").count() == 2
    });
    assert!(screen.starts_with("SERVER"), "{screen}");
    top.eventually_shows("127.0.0.1:1: Connection refused");
    top.press("1");
    top.eventually("the child", |text| {
        text.contains("PROGRAM") && text.contains("echo_child")
    });
    top.press("2");
    top.eventually("the other server, which has none", |text| {
        text.starts_with(&admins[1]) && !text.contains("PROGRAM")
    });
    top.press("\x1b");
    top.eventually_shows("SERVER");
    top.press("q");
    assert!(top.assert_given_back().success());
}

/// `weir top` without a terminal: its status, stdout and stderr.
fn once(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(crate::harness::WEIR)
        .arg("top")
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn without_a_terminal_it_is_printed_once() {
    let server = Server::start(&["--shards", "2", "--pool-size", "8"]);
    let _held = hold(&server);
    server.ask(&tool(1, "echo", json!({"message": "x"}))).result();
    eventually("the echo is counted", || {
        server.metric(
            "mcp_server_operation_duration_seconds_count",
            &[("gen_ai_tool_name", "echo")],
        ) == 1
    });
    let admin = server.admin.unwrap().to_string();
    let (status, told, errors) = once(&[&format!("http://{admin}"), "--interval=100ms"]);
    assert_eq!((status, errors.as_str()), (Some(0), ""));
    assert!(
        told.starts_with(&format!(
            "{admin}  up  weir {}  uptime ",
            env!("CARGO_PKG_VERSION")
        )),
        "{told}"
    );
    assert!(!told.contains('\x1b'), "{told}");
    let words: Vec<Vec<&str>> = told
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let row = |first: &str| {
        words
            .iter()
            .find(|row| row.first() == Some(&first))
            .unwrap_or_else(|| panic!("{told}"))
    };
    assert_eq!(row("SHARD").len(), row("0").len());
    assert_eq!(row("SHARD").last(), Some(&"STALLS"));
    let leased: Vec<&str> = ["0", "1"].map(|shard| row(shard)[2]).into();
    assert!(leased == ["0/8", "1/8"] || leased == ["1/8", "0/8"], "{told}");
    assert_eq!(row("echo")[..2], ["echo", "0"]);

    // Who is away is named on stderr, and the others are printed.
    let (status, told, errors) = once(&["127.0.0.1:1", &admin, "--once", "--interval=100ms"]);
    assert_eq!(status, Some(1));
    assert!(told.starts_with(&admin), "{told}");
    assert!(
        errors.starts_with("weir: 127.0.0.1:1: Connection refused"),
        "{errors}"
    );
}

/// A server of nothing but these metrics, for as long as the tests run.
fn serve_metrics(metrics: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = BufReader::new(socket.unwrap());
            let mut line = String::new();
            // The head ends at an empty line. Who has gone is no concern of this server.
            while socket.read_line(&mut line).is_ok_and(|count| count > 0) && !line.ends_with("\r\n\r\n") {}
            let _ = write!(socket.get_mut(), "HTTP/1.1 200 OK\r\n\r\n{metrics}")
                .and_then(|()| socket.get_mut().shutdown(Shutdown::Both));
        }
    });
    address
}

#[test]
fn a_server_cannot_write_to_the_terminal() {
    const NAME: &str = "\\u{1b}]0;owned\\u{7}\\u{1b}[31m";
    let address = serve_metrics(concat!(
        "weir_build_info{version=\"\u{1b}]0;owned\u{7}\u{1b}[31m\"} 1\n",
        "weir_pool_size{shard=\"0\"} 1\n",
        "weir_tool_in_flight_max{tool=\"\u{1b}]0;owned\u{7}\u{1b}[31m\"} 1\n",
    ));
    let (status, told, _) = once(&[&address, "--interval=100ms"]);
    assert_eq!(status, Some(0), "{told}");
    assert_eq!(told.matches(NAME).count(), 2, "{told}");
    assert!(!told.contains(['\x1b', '\x07']), "{told}");
    let mut top = InTerminal::start(USUAL, &["top", &address], &[]);
    top.eventually("both names", |text| text.matches(NAME).count() == 2);
    top.press("q");
    assert!(top.assert_given_back().success());
    let written = top.written();
    assert!(
        !written.contains("\x1b]0;") && !written.contains('\x07'),
        "{written:?}"
    );
}

#[test]
fn what_is_no_admin_listener_is_told() {
    let server = Server::start(&[]);
    let (status, told, errors) = once(&[&server.address.to_string(), "--interval=100ms"]);
    assert_eq!((status, told.as_str()), (Some(1), ""));
    assert!(
        errors.contains("404, not 200; is this the admin listener"),
        "{errors}"
    );
    for wrong in [
        &["https://a"][..],
        &["a b"],
        &["--interval=1ms"],
        &["--interval=soon"],
    ] {
        let (status, _, errors) = once(wrong);
        assert_eq!(status, Some(2), "{errors}");
    }
}
