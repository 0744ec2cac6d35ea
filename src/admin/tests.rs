//! The listener over real sockets on free ports.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::*;
use crate::transport::http::HealthSource;
use crate::transport::http::admission::Probe;
use crate::units::ShardId;

/// Longer than anything here may take; a test that runs into it fails.
const PATIENCE: Duration = Duration::from_secs(20);

fn free_port() -> AdminSettings {
    AdminSettings::At((Ipv4Addr::LOCALHOST, 0).into())
}

fn start(view: AdminView, limits: AdminLimits) -> (AdminHandle, Arc<AdminView>) {
    let view = Arc::new(view);
    let listener = Admin::bind(free_port()).unwrap().unwrap();
    let handle = Admin::start(listener, view.clone(), &AllowList::default(), limits).unwrap();
    (handle, view)
}

fn serving() -> (AdminHandle, Arc<AdminView>) {
    start(
        AdminView::new(Arc::default(), || "weir_up 1\n".to_owned()),
        AdminLimits::default(),
    )
}

fn connect(handle: &AdminHandle) -> TcpStream {
    let stream = TcpStream::connect(handle.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Everything until the listener closes.
fn read_all(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn exchange(handle: &AdminHandle, request: &str) -> String {
    let mut stream = connect(handle);
    stream.write_all(request.as_bytes()).unwrap();
    read_all(stream)
}

fn get(handle: &AdminHandle, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    split(&exchange(handle, &request))
}

/// Status and body, after checking what every answer must have.
fn split(response: &str) -> (u16, String) {
    let (head, body) = response
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{response:?}"));
    assert!(head.contains("\r\nConnection: close"), "{head}");
    assert!(head.contains("\r\nDate: "), "{head}");
    let length = format!("\r\nContent-Length: {}", body.len());
    assert!(head.contains(&length), "{head}");
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    (status.unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn health_and_readiness_follow_the_server() {
    let health = Arc::<Health>::default();
    let (handle, view) = start(
        AdminView::new(Arc::clone(&health), String::new),
        AdminLimits::default(),
    );
    // On the port of MCP the same is said.
    let told = |path: &str, probe| {
        let told = get(&handle, path);
        let (status, text) = view.answer(probe);
        assert_eq!((status.code(), &text), (told.0, &told.1));
        told
    };
    let is_well = || told("/healthz", Probe::Health);
    let is_ready = || told("/readyz", Probe::Readiness);
    assert_eq!(is_well(), (200, "ok\n".to_owned()));
    assert_eq!(is_ready(), (503, "starting\n".to_owned()));
    view.advance(Lifecycle::Serving);
    assert_eq!(is_ready(), (200, "serving\n".to_owned()));
    view.advance(Lifecycle::Draining);
    assert_eq!(is_ready(), (503, "draining\n".to_owned()));
    assert_eq!(is_well().0, 200);
    health.on_shard_ended(ShardId(3));
    let unwell = (503, "unwell: shard 3 has ended; restart the process\n".to_owned());
    assert_eq!((is_well(), is_ready()), (unwell.clone(), unwell));
}

#[test]
fn a_server_that_serves_may_not_be_ready_for_a_reason() {
    let reason = Arc::new(std::sync::Mutex::new(None));
    let told = Arc::clone(&reason);
    let view = AdminView::new(Arc::default(), String::new).with_not_ready(move || {
        let told = told.lock().unwrap().clone();
        assert_ne!(told.as_deref(), Some("a fault"));
        told
    });
    let (handle, view) = start(view, AdminLimits::default());
    *reason.lock().unwrap() = Some("the disk is gone".to_owned());
    assert_eq!(get(&handle, "/readyz"), (503, "starting\n".to_owned()));
    view.advance(Lifecycle::Serving);
    assert_eq!(get(&handle, "/readyz"), (503, "the disk is gone\n".to_owned()));
    assert_eq!(get(&handle, "/healthz"), (200, "ok\n".to_owned()));
    *reason.lock().unwrap() = None;
    assert_eq!(get(&handle, "/readyz"), (200, "serving\n".to_owned()));
    *reason.lock().unwrap() = Some("a fault".to_owned());
    assert_eq!(get(&handle, "/readyz").0, 503);
    assert_eq!(get(&handle, "/healthz").0, 200);
}

#[test]
fn metrics_have_prometheus_media_type() {
    let (handle, _) = serving();
    let response = exchange(&handle, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(
        response.contains("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{response}"
    );
    assert_eq!(split(&response), (200, "weir_up 1\n".to_owned()));
}

#[test]
fn what_is_true_now_is_not_cached_and_nothing_depends_on_an_origin() {
    let (handle, _) = serving();
    for (path, is_live) in [
        ("/healthz", true),
        ("/readyz", true),
        ("/metrics", true),
        ("/other", false),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\r\n");
        let response = exchange(&handle, &request);
        assert_eq!(
            response.contains("\r\nCache-Control: no-store\r\n"),
            is_live,
            "{response}"
        );
        for absent in ["Vary", "Access-Control", "Mcp-"] {
            assert!(!response.contains(absent), "{response}");
        }
        split(&response);
    }
}

#[test]
fn a_long_exposition_arrives_whole() {
    let line = "weir_x{a=\"b\"} 1\n";
    let (handle, _) = start(
        AdminView::new(Arc::default(), move || line.repeat(500_000)),
        AdminLimits::default(),
    );
    let (status, body) = get(&handle, "/metrics");
    assert_eq!((status, body.len()), (200, line.len() * 500_000));
}

#[test]
fn a_panic_while_rendering_leaves_the_rest_alone() {
    let (handle, _) = start(
        AdminView::new(Arc::default(), || panic!("a figure is broken")),
        AdminLimits::default(),
    );
    assert_eq!(get(&handle, "/metrics").0, 500);
    assert_eq!(get(&handle, "/healthz").0, 200);
}

#[test]
fn head_says_what_get_would_and_sends_no_body() {
    let (handle, _) = serving();
    let response = exchange(&handle, "HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    assert!(response.contains("\r\nContent-Length: 3\r\n"), "{response}");
    assert!(response.ends_with("\r\n\r\n"), "{response}");
}

#[test]
fn other_paths_methods_and_hosts_are_refused() {
    let (handle, _) = serving();
    let cases = [
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        ("GET /metrics/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        ("GET /healthz?verbose HTTP/1.1\r\nHost: localhost\r\n\r\n", 200),
        (
            "GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
            200,
        ),
        (
            "GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
            403,
        ),
        (
            "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
            405,
        ),
        ("BREW /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        ("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
        ("GET /metrics HTTP/1.1\r\nHost: evil.example:9464\r\n\r\n", 403),
        ("GET /healthz HTTP/1.1\r\n\r\n", 400),
        (
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
            400,
        ),
        ("GET /healthz HTTP/1.0\r\n\r\n", 200),
    ];
    for (request, expected) in cases {
        assert_eq!(split(&exchange(&handle, request)).0, expected, "{request:?}");
    }
    let response = exchange(&handle, "DELETE /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(response.contains("\r\nAllow: GET, HEAD\r\n"), "{response}");
}

#[test]
fn garbage_is_refused_and_leaves_the_rest_alone() {
    let (handle, _) = serving();
    let long_field = format!(
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
        "x".repeat(9_000)
    );
    let long_line = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(70_000));
    let cases = [
        ("\u{16}\u{3}\u{1}\0\r\n\r\n", 400),
        ("{\"jsonrpc\":\"2.0\"}\n", 400),
        ("GET /healthz\r\n\r\n", 400),
        (&long_field, 431),
    ];
    for (request, expected) in cases {
        assert_eq!(
            split(&exchange(&handle, request)).0,
            expected,
            "{}",
            &request[..10]
        );
    }
    // More than is read behind a refusal: the connection may be reset, the listener goes on.
    let mut stream = connect(&handle);
    let _ = stream.write_all(long_line.as_bytes());
    drop(stream);
    assert_eq!(get(&handle, "/healthz").0, 200);
}

#[test]
fn a_head_may_come_in_any_two_pieces() {
    let (handle, _) = serving();
    let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for split_at in 1..request.len() {
        let mut stream = connect(&handle);
        stream.set_nodelay(true).unwrap();
        stream.write_all(&request[..split_at]).unwrap();
        stream.write_all(&request[split_at..]).unwrap();
        assert_eq!(split(&read_all(stream)).0, 200, "split at {split_at}");
    }
}

#[test]
fn slow_clients_are_given_up() {
    let limits = AdminLimits {
        read: Duration::from_millis(50),
        ..AdminLimits::default()
    };
    let (handle, _) = start(AdminView::new(Arc::default(), String::new), limits);
    let begun = Instant::now();
    let silent = connect(&handle);
    let mut halting = connect(&handle);
    halting.write_all(b"GET /heal").unwrap();
    assert_eq!(read_all(silent), "");
    assert_eq!(split(&read_all(halting)).0, 408);
    assert!(begun.elapsed() >= Duration::from_millis(50));
}

#[test]
fn trickling_does_not_extend_the_deadline() {
    let limits = AdminLimits {
        read: Duration::from_millis(100),
        ..AdminLimits::default()
    };
    let (handle, _) = start(AdminView::new(Arc::default(), String::new), limits);
    let mut stream = connect(&handle);
    stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let begun = Instant::now();
    let mut answer = [0; 12];
    // The read's own timeout paces the trickle.
    while stream.read_exact(&mut answer).is_err() {
        assert!(begun.elapsed() < PATIENCE, "a trickle kept its place");
        let _ = stream.write_all(b"x");
    }
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[test]
fn silent_clients_do_not_keep_a_prober_out() {
    let (handle, _) = serving();
    let places = AdminLimits::default().connections_max;
    let silent: Vec<TcpStream> = (0..places * 4).map(|_| connect(&handle)).collect();
    let begun = Instant::now();
    assert_eq!(get(&handle, "/healthz").0, 200);
    // Well before the silent ones' own deadline.
    assert!(
        begun.elapsed() < AdminLimits::default().read,
        "{:?}",
        begun.elapsed()
    );
    drop(silent);
}

#[test]
fn clients_that_do_not_read_cost_only_themselves() {
    const EXPOSITION_BYTES: usize = 32 << 20;
    let limits = AdminLimits {
        read: Duration::from_millis(100),
        write: Duration::from_millis(50),
        ..AdminLimits::default()
    };
    let (handle, _) = start(
        AdminView::new(Arc::default(), || "x".repeat(EXPOSITION_BYTES)),
        limits,
    );
    let mut greedy: Vec<TcpStream> = (0..3).map(|_| connect(&handle)).collect();
    for stream in &mut greedy {
        socket2::SockRef::from(&*stream)
            .set_recv_buffer_size(64 << 10)
            .unwrap();
        stream
            .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .unwrap();
    }
    assert_eq!(get(&handle, "/healthz").0, 200);
    // A silent client is given up later than they are, so they have been by now.
    assert_eq!(read_all(connect(&handle)), "");
    for mut stream in greedy {
        let mut received = Vec::new();
        let _ = stream.read_to_end(&mut received);
        assert!(received.len() < EXPOSITION_BYTES, "{} bytes", received.len());
    }
}

#[test]
fn many_clients_at_once_are_all_answered() {
    let (handle, view) = serving();
    view.advance(Lifecycle::Serving);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for path in ["/healthz", "/readyz", "/metrics"].iter().cycle().take(60) {
                    assert_eq!(get(&handle, path).0, 200);
                }
            });
        }
    });
}

#[test]
fn clients_that_reset_leave_nothing_behind() {
    let (handle, _) = serving();
    for _ in 0..200 {
        let mut stream = connect(&handle);
        socket2::SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\n");
    }
    assert_eq!(get(&handle, "/healthz").0, 200);
}

#[test]
fn stopping_ends_the_thread_and_frees_the_port() {
    let (handle, _) = serving();
    let address = handle.address();
    let waiting = connect(&handle);
    let (done, stopped) = mpsc::channel();
    std::thread::spawn(move || {
        handle.stop();
        let _ = done.send(());
    });
    stopped.recv_timeout(PATIENCE).expect("the thread must end");
    assert!(matches!((&waiting).read(&mut [0; 1]), Ok(0) | Err(_)));
    let again = AdminSettings::At(address);
    assert!(Admin::bind(again).unwrap().is_some());
}

#[test]
fn a_busy_port_is_an_error_only_if_it_was_asked_for() {
    let (handle, _) = serving();
    assert!(
        Admin::bind(AdminSettings::IfFree(handle.address()))
            .unwrap()
            .is_none()
    );
    let error = Admin::bind(AdminSettings::At(handle.address()))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&handle.address().to_string()) && error.contains("--admin"),
        "{error}"
    );
    assert!(Admin::bind(AdminSettings::Off).unwrap().is_none());
}
