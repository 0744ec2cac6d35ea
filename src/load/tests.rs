//! Runs against a server that does everything wrong, each thing so often, and is counted as it is.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use super::*;
use crate::mcp::Revision;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sin {
    None,
    WrongId,
    Twice,
    /// The second answer comes by itself, when nothing is asked.
    TwiceLater,
    Half,
    Hangup,
    Never,
    WrongText,
    ToolError,
    Error,
    NotFound,
    Garbage,
    NoJson,
    Refused,
    RefusedWithoutTime,
    TooMany,
    Huge,
    /// No sins, though rare: a body that ends with its connection, 100 before the answer, an end without a word.
    ToTheEnd,
    Continue,
    Close,
    /// An answer in a stream of events that does not end.
    LeftOpen,
    /// Chunks without an end, and heads.
    Chunks,
    Head,
}

const SINS: [(Sin, &str); 16] = [
    (Sin::WrongId, "wrong_id"),
    (Sin::Twice, "twice"),
    (Sin::TwiceLater, "twice"),
    (Sin::Half, "cut"),
    (Sin::Hangup, "reset"),
    (Sin::Never, "timed_out"),
    (Sin::WrongText, "wrong"),
    (Sin::ToolError, "tool_error"),
    (Sin::Error, "failed"),
    (Sin::NotFound, "status_404"),
    (Sin::Garbage, "malformed"),
    (Sin::NoJson, "malformed"),
    (Sin::Refused, "refused_handlers"),
    (Sin::RefusedWithoutTime, "refused_no_retry_after"),
    (Sin::TooMany, "refused_too_many"),
    (Sin::Huge, "too_large"),
];

/// A server that commits these sins one after the other, with some good answers before each, and is good then.
struct Sinner {
    address: std::net::SocketAddr,
    requests: Arc<AtomicUsize>,
    open: Arc<(Mutex<bool>, Condvar)>,
}

/// Good answers before each sin.
const GOOD: usize = 3;

impl Sinner {
    fn start(sins: Vec<Sin>) -> Sinner {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sinner = Sinner {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            open: Arc::new((Mutex::new(true), Condvar::new())),
        };
        let (requests, open) = (Arc::clone(&sinner.requests), Arc::clone(&sinner.open));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (requests, open, sins) = (Arc::clone(&requests), Arc::clone(&open), sins.clone());
                thread::spawn(move || serve(&stream.unwrap(), &sins, &requests, &open));
            }
        });
        sinner
    }

    /// Answers wait while it is closed.
    fn set_open(&self, is_open: bool) {
        *self.open.0.lock().unwrap() = is_open;
        self.open.1.notify_all();
    }
}

fn serve(mut stream: &TcpStream, sins: &[Sin], requests: &AtomicUsize, open: &(Mutex<bool>, Condvar)) {
    let mut reader = BufReader::new(stream);
    while let Some(body) = request(&mut reader) {
        drop(open.1.wait_while(open.0.lock().unwrap(), |is_open| !*is_open));
        let number = requests.fetch_add(1, Ordering::Relaxed);
        let is_due = number % (GOOD + 1) == GOOD;
        let sin = sins
            .get(number / (GOOD + 1))
            .filter(|_| is_due)
            .copied()
            .unwrap_or(Sin::None);
        let id = serde_json::from_str::<serde_json::Value>(&body).unwrap()["id"]
            .as_u64()
            .unwrap();
        if stream.write_all(answer(sin, id).as_bytes()).is_err() {
            return;
        }
        match sin {
            Sin::Half | Sin::Hangup | Sin::ToTheEnd | Sin::Close => return,
            Sin::Chunks => {
                let chunks = "7\r\n: ping\n\r\n".repeat(1_000);
                while stream.write_all(chunks.as_bytes()).is_ok() {}
                return;
            }
            Sin::Head => {
                let fields = "a: b\r\n".repeat(1_000);
                while stream.write_all(fields.as_bytes()).is_ok() {}
                return;
            }
            Sin::TwiceLater => {
                // Whether or not the next request is already here, this is the answer to the one before.
                let _ = stream.write_all(answer(Sin::None, id).as_bytes());
            }
            _ => {}
        }
    }
}

fn request(reader: &mut BufReader<&TcpStream>) -> Option<String> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
        if let Some(text) = line.strip_prefix("content-length: ") {
            length = text.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    String::from_utf8(body).ok()
}

fn answer(sin: Sin, id: u64) -> String {
    let with = |status: &str, head: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\n{head}content-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let result = |id: u64, text: &str, is_error: bool| {
        let result = serde_json::json!({"content": [{"type": "text", "text": text}], "isError": is_error});
        with(
            "200 OK",
            "",
            &serde_json::json!({"id": id, "result": result}).to_string(),
        )
    };
    let good = result(id, "hello", false);
    let overload = format!(r#"{{"id":{id},"error":{{"code":-31503,"data":{{"reason":"handlers"}}}}}}"#);
    match sin {
        Sin::None | Sin::TwiceLater | Sin::Close => good,
        Sin::WrongId => result(id + 50, "hello", false),
        Sin::Twice => good.clone() + &good,
        Sin::Half => good[..good.len() - 9].to_owned(),
        Sin::Hangup | Sin::Never => String::new(),
        Sin::WrongText => result(id, "hullo", false),
        Sin::ToolError => result(id, "hello", true),
        Sin::Error => with(
            "200 OK",
            "",
            &format!(r#"{{"id":{id},"error":{{"code":-32603}}}}"#),
        ),
        Sin::NotFound => with("404 Not Found", "", "{}"),
        Sin::Garbage => "SSH-2.0-OpenSSH_9.9\r\n\r\n".to_owned(),
        Sin::NoJson => with("200 OK", "", "<html>"),
        Sin::Refused => with("503 Service Unavailable", "retry-after: 3\r\n", &overload),
        Sin::RefusedWithoutTime => with("503 Service Unavailable", "", &overload),
        Sin::Huge => "HTTP/1.1 200 OK\r\ncontent-length: 33554433\r\n\r\n{".to_owned(),
        Sin::ToTheEnd => {
            let body = good.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            format!("HTTP/1.0 200 OK\r\n\r\n{body}")
        }
        Sin::Continue => "HTTP/1.1 100 Continue\r\n\r\n".repeat(3) + &good,
        Sin::Chunks => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(),
        Sin::Head => "HTTP/1.1 200 OK\r\n".to_owned(),
        Sin::LeftOpen => {
            let body = good.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            let (head, event) = (
                "content-type: text/event-stream\r\ntransfer-encoding: chunked",
                format!("data: {body}\n\n"),
            );
            format!(
                "HTTP/1.1 200 OK\r\n{head}\r\n\r\n{:x}\r\n{event}\r\n",
                event.len()
            )
        }
        Sin::TooMany => with("429 Too Many Requests", "retry-after: 7\r\n", ""),
    }
}

fn plan(sinner: &Sinner, clients: usize, pace: Pace) -> Plan {
    let endpoint = target(&format!("http://{}/mcp", sinner.address), None, Vec::new()).unwrap();
    let revision = Revision::V2026_07_28;
    let dialect = Dialect { revision };
    Plan {
        speaker: Speaker { endpoint, dialect },
        work: Work::Calls(vec![Call {
            tool: "echo".to_owned(),
            weight: 1.0,
            arguments: "{}".parse().unwrap(),
            expectation: Expectation::Text("hello".to_owned()),
            output: None,
            params: Vec::new(),
        }]),
        pace,
        warm_up: Duration::ZERO,
        clients,
        source_ports: Vec::new(),
        requests_per_connection: None,
        timeout: Duration::from_secs(2),
        seed: 1,
        threads: 1,
        cpus: Vec::new(),
        idle: 0,
        streams: 0,
        server: None,
        interrupt: Arc::default(),
    }
}

fn closed(millis: u64) -> Pace {
    Pace::Closed {
        length: Duration::from_millis(millis),
        think: Duration::ZERO,
    }
}

fn open(rate: f64, millis: u64) -> Pace {
    Pace::Open(OpenLoop {
        phases: vec![Phase {
            rate,
            length: Duration::from_millis(millis),
        }],
        arrivals: Arrivals::Constant,
        clients_max: 64,
        patience: Duration::from_secs(20),
        window: Duration::from_millis(100),
    })
}

#[test]
fn every_sin_is_counted_as_what_it_is() {
    let sinner = Sinner::start(SINS.iter().map(|(sin, _)| *sin).collect());
    let mut expected = std::collections::BTreeMap::<&str, u64>::new();
    SINS.iter()
        .for_each(|(_, outcome)| *expected.entry(outcome).or_default() += 1);
    // An open loop of fewer requests than sins and good answers need would not see all of them.
    let requests = SINS.len() * (GOOD + 1) + 40;
    let mut plan = plan(&sinner, 1, open(requests as f64, 1_000));
    if let Pace::Open(open) = &mut plan.pace {
        open.clients_max = 1;
    }
    let measurement = run(&plan, |_, _| {}).unwrap();
    let report = measurement.report(&plan.open().unwrap().phases);
    let found: std::collections::BTreeMap<&str, u64> = report["others"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, count)| (name.as_str(), count.as_u64().unwrap()))
        .collect();
    assert_eq!(found, expected, "{report:?}");
    assert_eq!(report["refused"], 3);
    assert_eq!(report["retry_after_seconds"], serde_json::json!({"3": 1, "7": 1}));
    let good = report["requests"].as_u64().unwrap();
    let least = report["phases"][0]["offered"].as_u64().unwrap() - SINS.len() as u64;
    // A second answer that comes for itself spoils the first only when both are read together.
    assert!((least..=least + 2).contains(&good), "{good} of {least}");
}

#[test]
fn what_servers_may_do_is_good() {
    let rare = [Sin::ToTheEnd, Sin::Continue, Sin::Close].repeat(20);
    let sinner = Sinner::start(rare);
    let measurement = run(&plan(&sinner, 2, closed(1_500)), |_, _| {}).unwrap();
    let report = measurement.report(&[]);
    assert_eq!(report["errors"], 0, "{report:?}");
    assert!(
        sinner.requests.load(Ordering::Relaxed) > 60 * (GOOD + 1),
        "{report:?}"
    );
}

#[test]
fn a_request_that_crosses_with_the_end_of_its_connection_is_asked_again() {
    // Each connection ends behind its fourth answer.
    let sinner = Sinner::start([Sin::Close].repeat(100_000));
    let measurement = run(&plan(&sinner, 4, closed(2_000)), |_, _| {}).unwrap();
    let report = measurement.report(&[]);
    assert_eq!(report["others"], serde_json::json!({}), "{report:?}");
    assert!(report["reconnects"].as_u64().unwrap() > 50, "{report:?}");
}

#[test]
fn an_answer_in_a_stream_that_stays_open_is_an_answer() {
    let sinner = Sinner::start([Sin::LeftOpen].repeat(100_000));
    let mut plan = plan(&sinner, 2, closed(2_500));
    plan.timeout = Duration::from_secs(1);
    let measurement = run(&plan, |_, _| {}).unwrap();
    let report = measurement.report(&[]);
    assert_eq!(report["others"], serde_json::json!({}), "{report:?}");
    assert_eq!(report["errors"], 0, "{report:?}");
    // Only the first of them are waited for, and that is no latency.
    assert!(report["requests"].as_u64().unwrap() > 100, "{report:?}");
    assert!(report["p99_micros"].as_f64().unwrap() < 400_000.0, "{report:?}");
}

#[test]
fn an_answer_without_end_is_given_up() {
    for (sin, outcomes) in [
        (Sin::Chunks, &["timed_out", "too_large"][..]),
        (Sin::Head, &["malformed"]),
    ] {
        let sinner = Sinner::start([sin].repeat(1_000));
        let mut plan = plan(&sinner, 4, closed(600));
        plan.timeout = Duration::from_millis(200);
        let begun = std::time::Instant::now();
        let measurement = run(&plan, |_, _| {}).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        let report = measurement.report(&[]);
        let others = report["others"].as_object().unwrap();
        assert!(!others.is_empty(), "{report:?}");
        assert!(
            others.keys().all(|name| outcomes.contains(&name.as_str())),
            "{report:?}"
        );
    }
}

#[test]
fn an_interrupted_run_has_what_it_waited_for() {
    for pace in [closed(60_000), open(100.0, 60_000)] {
        let sinner = Sinner::start(Vec::new());
        let plan = plan(&sinner, 2, pace);
        let begun = std::time::Instant::now();
        let measurement = run(&plan, |at, _| {
            sinner.set_open(at < Duration::from_millis(300));
            let is_enough = at > Duration::from_millis(900);
            plan.interrupt.store(is_enough, Ordering::Relaxed);
        })
        .unwrap();
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        let report = measurement.report(&plan.phases(measurement.interrupted));
        assert!(
            report["interrupted_after_seconds"].as_f64().unwrap() > 0.8,
            "{report:?}"
        );
        assert!(report["seconds"].as_f64().unwrap() < 30.0, "{report:?}");
        assert!(report["requests"].as_u64().unwrap() > 0, "{report:?}");
        assert!(report["unanswered"].as_u64().unwrap() >= 2, "{report:?}");
        assert_eq!(report["errors"], 0, "{report:?}");
    }
}

#[test]
fn a_stall_shows_in_the_latencies_of_an_open_loop() {
    let sinner = Sinner::start(Vec::new());
    let mut plan = plan(&sinner, 4, open(400.0, 2_000));
    plan.timeout = Duration::from_secs(30);
    let mut is_stalled = false;
    let measurement = run(&plan, |at, _| {
        // From 0.2 s on for a second, of two in which requests are due.
        let stalls = at < Duration::from_millis(1_200);
        if stalls != is_stalled {
            is_stalled = stalls;
            sinner.set_open(!stalls);
        }
    })
    .unwrap();
    let report = measurement.report(&plan.open().unwrap().phases);
    assert_eq!(report["errors"], 0, "{report:?}");
    assert_eq!(report["requests"], 799, "constant gaps");
    // Half of the requests were due while nothing was answered: a quarter waited for more than half a second. A machine
    // that is busy only makes it worse.
    assert!(report["p90_micros"].as_f64().unwrap() > 500_000.0, "{report:?}");
    assert!(report["max_micros"].as_f64().unwrap() > 900_000.0, "{report:?}");
}

#[test]
fn a_server_that_dies_and_comes_back_is_counted_and_found_again() {
    // Every third request of these ends a connection.
    let sinner = Sinner::start([Sin::Hangup].repeat(10));
    let mut plan = plan(&sinner, 3, closed(2_000));
    plan.requests_per_connection = Some(100);
    plan.threads = 3;
    let measurement = run(&plan, |_, _| {}).unwrap();
    let report = measurement.report(&[]);
    assert_eq!(report["others"], serde_json::json!({"reset": 10}));
    assert_eq!(report["reconnects"], 10);
    assert!(report["requests"].as_u64().unwrap() > 100, "{report:?}");
}

#[test]
fn nobody_is_asked_again_at_once_while_nobody_is_there() {
    for pace in [closed(1_500), open(400.0, 1_500)] {
        let is_open = matches!(pace, Pace::Open(_));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sinner = Sinner {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            open: Arc::new((Mutex::new(true), Condvar::new())),
        };
        // Each connection has a good answer, then the server is gone: the listener first.
        let requests = Arc::clone(&sinner.requests);
        thread::spawn(move || {
            let streams: Vec<TcpStream> = (0..4).map(|_| listener.accept().unwrap().0).collect();
            drop(listener);
            thread::sleep(Duration::from_millis(100));
            for stream in &streams {
                let mut reader = BufReader::new(stream);
                if request(&mut reader).is_some() {
                    requests.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let mut plan = plan(&sinner, 4, pace);
        if let Pace::Open(open) = &mut plan.pace {
            (open.clients_max, open.patience) = (1_000, Duration::from_millis(100));
        }
        let measurement = run(&plan, |_, _| {}).unwrap();
        let report = measurement.report(&plan.phases(None));
        // Eight tries of each of four clients in one and a half seconds: 5 to 10 ms, 10 to 20, … 640 to 1,280.
        let failed = report["others"]["no_connection"].as_u64().unwrap();
        let clients = measurement.clients as u64;
        assert!((4..=9 * clients).contains(&failed), "{report:?}");
        assert!(report["reconnects"].as_u64().unwrap() <= 4, "{report:?}");
        if is_open {
            // Nothing that was due is missing, and no connections were made for all of it.
            assert_eq!(report["phases"][0]["offered"], 599, "{report:?}");
            assert!(report["unreached"].as_u64().unwrap() > 400, "{report:?}");
            assert!(
                report["others"]["unanswered"].as_u64().unwrap() > 400,
                "{report:?}"
            );
            assert!(clients < 60, "{clients}");
        }
    }
}

#[test]
fn what_waited_while_nobody_was_there_counts_from_when_it_was_due() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let sinner = Sinner::start(Vec::new());
    let behind = sinner.address;
    thread::spawn(move || {
        // The first connection ends with the listener, once it is used; a second later there is a server again.
        let (first, _) = listener.accept().unwrap();
        drop(listener);
        request(&mut BufReader::new(&first)).unwrap();
        drop(first);
        thread::sleep(Duration::from_secs(1));
        let again = TcpListener::bind(address).unwrap();
        for stream in again.incoming() {
            let (mut near, mut far) = (stream.unwrap(), TcpStream::connect(behind).unwrap());
            let (mut near_too, mut far_too) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut near, &mut far));
            thread::spawn(move || std::io::copy(&mut far_too, &mut near_too));
        }
    });
    let front = Sinner {
        address,
        requests: Arc::default(),
        open: Arc::new((Mutex::new(true), Condvar::new())),
    };
    let plan = plan(&front, 1, open(200.0, 2_000));
    let measurement = run(&plan, |_, _| {}).unwrap();
    let report = measurement.report(&plan.phases(None));
    assert_eq!(report["phases"][0]["offered"], 399, "{report:?}");
    assert!(report["requests"].as_u64().unwrap() > 350, "{report:?}");
    // What was due at the beginning waited for at least half of the second in which nobody listened.
    assert!(report["max_micros"].as_f64().unwrap() > 500_000.0, "{report:?}");
}

#[test]
fn planned_closes_are_no_broken_connections() {
    let sinner = Sinner::start(Vec::new());
    let mut plan = plan(&sinner, 2, closed(500));
    plan.requests_per_connection = Some(5);
    let report = run(&plan, |_, _| {}).unwrap().report(&[]);
    assert_eq!(report["reconnects"], 0, "{report:?}");
    assert_eq!(report["server_closes"], 0, "{report:?}");
    let (closes, requests) = (&report["planned_closes"], &report["requests"]);
    let closes = closes.as_u64().unwrap();
    assert!(
        closes > 0 && closes.abs_diff(requests.as_u64().unwrap() / 5) <= 2,
        "{report:?}"
    );
    // Those that the server ends with its answer are counted by themselves.
    let sinner = Sinner::start([Sin::ToTheEnd].repeat(30));
    let report = run(&self::plan(&sinner, 2, closed(1_000)), |_, _| {})
        .unwrap()
        .report(&[]);
    assert_eq!(report["reconnects"], 0, "{report:?}");
    assert_eq!(report["planned_closes"], 0, "{report:?}");
    let closes = report["server_closes"].as_u64().unwrap();
    assert!((1..=30).contains(&closes), "{report:?}");
}

#[test]
fn a_server_that_is_not_there_is_said() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sinner = Sinner {
        address: nobody,
        requests: Arc::default(),
        open: Arc::new((Mutex::new(true), Condvar::new())),
    };
    let error = run(&plan(&sinner, 2, closed(100)), |_, _| {}).err().unwrap();
    assert!(!error.to_string().is_empty());
    let endpoint = target(&format!("http://{nobody}/mcp"), None, Vec::new()).unwrap();
    let error = discover(&endpoint, None).unwrap_err();
    assert!(error.contains("there is no server"), "{error}");
}

#[test]
fn a_thread_that_cannot_begin_keeps_no_other_waiting() {
    let sinner = Sinner::start(Vec::new());
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut plan = plan(&sinner, 2, closed(100));
    plan.threads = 2;
    // Two connections from one port to the same address cannot be.
    plan.source_ports = vec![port, port];
    assert!(run(&plan, |_, _| {}).is_err());
}

#[test]
fn more_than_the_generator_can_do_is_said() {
    let sinner = Sinner::start(Vec::new());
    let mut plan = plan(&sinner, 1, open(50_000_000.0, 10));
    if let Pace::Open(open) = &mut plan.pace {
        (open.clients_max, open.patience) = (1, Duration::ZERO);
    }
    let measurement = run(&plan, |_, _| {}).unwrap();
    let own = measurement.own;
    assert!(measurement.hindrance(true).is_some(), "{own:?}");
    let report = measurement.report(&plan.open().unwrap().phases);
    assert_eq!(
        report["phases"][0]["offered"], 499_999,
        "what was not even tried counts"
    );
    assert!(report["others"]["unanswered"].as_u64().unwrap() > 400_000);
}
