//! Every limit that is a time: what a client sees of it is the same by the test's clock and by the real one.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::*;
use crate::config::Options;
use crate::registry::TaskSupport;
use crate::server::Server;

const SHORT: Duration = Duration::from_millis(150);
/// The shortest that there is.
const TTL: Duration = Duration::from_secs(1);
/// How late the store may notice that a time-to-live is over.
const TTL_LATE: Duration = Duration::from_millis(1_100);
const LONG: Duration = Duration::from_secs(3600);

/// One limit.
struct Case {
    name: &'static str,
    revision: Revision,
    set: fn(&mut Options),
    /// What a client does and sees.
    see: fn(&mut Watcher) -> String,
    /// What it must see.
    seen: &'static str,
    /// How long that takes at least.
    lasts: Duration,
}

/// A client, and its clock.
struct Watcher {
    client: Client,
    is_here: bool,
}

impl Watcher {
    fn call(&mut self, tool: &str) -> String {
        let answer = self.client.call(tool, json!({}));
        format!("{} {answer}", answer.status())
    }

    fn pass(&mut self, time: Duration) {
        if self.is_here {
            self.client.advance(time);
        } else {
            thread::sleep(time);
        }
    }
}

fn tools() -> Registry {
    let mut registry = Registry::builder();
    let hang = |_: CallContext, _: NoArguments| async {
        sleep(LONG).await;
        Ok("it was waited for")
    };
    let hang_blocking = |call: &BlockingContext, _: NoArguments| {
        call.sleep(LONG)?;
        Ok("it was waited for")
    };
    let slow = |_: CallContext, _: NoArguments| async {
        let began = now();
        sleep(SHORT).await;
        Ok(if now() - began >= SHORT {
            "slept"
        } else {
            "woken early"
        })
    };
    let hurried = |_: CallContext, _: NoArguments| async {
        Ok(match timeout(SHORT, sleep(LONG)).await {
            Ok(()) => "in time".to_owned(),
            Err(error) => error.to_string(),
        })
    };
    let ask = |call: CallContext, _: NoArguments| async move {
        call.ask(
            "sure",
            Elicit::form("Sure?").property("sure", Property::boolean()),
        )
        .await?;
        Ok("answered")
    };
    registry
        .add(Tool::new("hang").run(hang))
        .unwrap()
        .add(Tool::new("hang_tokio").run_tokio(hang))
        .unwrap()
        .add(Tool::new("hang_blocking").run_blocking(hang_blocking))
        .unwrap()
        .add(Tool::new("brief").timeout(SHORT).run(hang))
        .unwrap()
        .add(Tool::new("slow").run(slow))
        .unwrap()
        .add(Tool::new("slow_tokio").run_tokio(slow))
        .unwrap()
        .add(Tool::new("hurried").run(hurried))
        .unwrap()
        .add(Tool::new("hurried_tokio").run_tokio(hurried))
        .unwrap()
        .add(Tool::new("ask").run(ask))
        .unwrap()
        .add(Tool::new("ask_tokio").run_tokio(ask))
        .unwrap()
        .add(Tool::new("long").task(TaskSupport::Optional).run(hang))
        .unwrap();
    registry.build()
}

fn calls(options: &mut Options) {
    options.timeouts.call = SHORT;
}

fn asks(options: &mut Options) {
    options.timeouts.ask = SHORT;
}

fn nothing(_: &mut Options) {}

fn queue(options: &mut Options) {
    options.machine.pool_size = Some(1);
    options.queue.depth_max = Some(4);
    options.queue.timeout = SHORT;
    options.queue.timeout_agent = Some(SHORT);
}

fn tasks(options: &mut Options) {
    options.tasks.ttl_given = Some(TTL);
    options.tasks.ttl_max = TTL;
}

const TIMED_OUT: &str = "200 error: the call timed out";

const CASES: [Case; 14] = [
    case("call", calls, |client| client.call("hang"), TIMED_OUT),
    case(
        "call, tokio",
        calls,
        |client| client.call("hang_tokio"),
        TIMED_OUT,
    ),
    case(
        "call, blocking",
        calls,
        |client| client.call("hang_blocking"),
        TIMED_OUT,
    ),
    legacy("call, legacy", calls, |client| client.call("hang"), TIMED_OUT),
    case("one tool's", nothing, |client| client.call("brief"), TIMED_OUT),
    legacy("ask", asks, |client| client.call("ask"), TIMED_OUT),
    legacy("ask, tokio", asks, |client| client.call("ask_tokio"), TIMED_OUT),
    case("sleep", nothing, |client| client.call("slow"), "200 slept"),
    case(
        "sleep, tokio",
        nothing,
        |client| client.call("slow_tokio"),
        "200 slept",
    ),
    case(
        "timeout",
        nothing,
        |client| client.call("hurried"),
        "200 not done within 150ms",
    ),
    case(
        "timeout, tokio",
        nothing,
        |client| client.call("hurried_tokio"),
        "200 not done within 150ms",
    ),
    case("queue", queue, wait_in_queue, "503 error: queue_timeout"),
    case("task", tasks, outlive, "working, then -32602"),
    legacy("task, legacy", tasks, outlive, "working, then -32602"),
];

const fn case(
    name: &'static str,
    set: fn(&mut Options),
    see: fn(&mut Watcher) -> String,
    seen: &'static str,
) -> Case {
    Case {
        name,
        revision: Revision::V2026_07_28,
        set,
        see,
        seen,
        lasts: SHORT,
    }
}

const fn legacy(
    name: &'static str,
    set: fn(&mut Options),
    see: fn(&mut Watcher) -> String,
    seen: &'static str,
) -> Case {
    Case {
        revision: Revision::V2025_11_25,
        ..case(name, set, see, seen)
    }
}

/// A call that waits for the handler that another one has.
fn wait_in_queue(watcher: &mut Watcher) -> String {
    let first = watcher.client.begin("hang", json!({}));
    let answer = watcher.client.call("slow", json!({}));
    watcher.client.cancel(first);
    let shown = answer.to_string();
    assert!(shown.contains(r#""reason":"queue_timeout""#), "{shown}");
    format!(
        "{} error: {}",
        answer.status(),
        answer.error_data()["reason"].as_str().unwrap()
    )
}

/// A task that is still running when its time-to-live is over.
fn outlive(watcher: &mut Watcher) -> String {
    let task = watcher.client.begin_task("long", json!({}));
    let working = watcher.client.task(&task);
    watcher.pass(TTL + TTL_LATE);
    let gone = watcher.client.task(&task);
    let status = working.result()["status"].as_str().unwrap();
    format!("{status}, then {}", gone.error_code().unwrap())
}

/// What a client sees, and how long that takes by its server's clock.
fn watch(case: &Case, mut client: Client, is_here: bool) -> (String, Duration) {
    client = client.revision(case.revision).answer(|_| Reply::nothing());
    let mut watcher = Watcher { client, is_here };
    let began = Instant::now();
    let seen = (case.see)(&mut watcher);
    let lasted = if is_here {
        watcher.client.elapsed()
    } else {
        began.elapsed()
    };
    (seen, lasted)
}

#[test]
fn a_limit_is_the_same_by_either_clock() {
    for case in &CASES {
        let here = Client::new(tools()).configure(case.set);
        let (seen, lasted) = watch(case, here, true);
        assert_eq!(seen, case.seen, "{}, by the test's clock", case.name);
        // A blocking call is looked at in real time, and a timer may be a tick late.
        let most = case.lasts + TTL + TTL_LATE;
        assert!((case.lasts..most).contains(&lasted), "{}: {lasted:?}", case.name);
        let builder = Server::builder("test", "1").listen(([127, 0, 0, 1], 0).into());
        let builder = builder.shards(1).pool_size(4).configure(case.set);
        let server = builder.start(tools()).unwrap();
        let (seen, lasted) = watch(case, Client::connect(&server.url()), false);
        assert_eq!(seen, case.seen, "{}, by the real clock", case.name);
        assert!(lasted >= case.lasts, "{}: {lasted:?}", case.name);
    }
}

/// As by the real clock, nothing keeps a session whose client is silent.
#[test]
fn a_silent_session_ends_unless_something_holds_it() {
    let client = || Client::new(registry()).revision(Revision::V2025_11_25);
    let silence = Duration::from_secs(20 * 60);
    let mut silent = client();
    let mut polling = client();
    let mut listening = client();
    listening.listen();
    for client in [&mut silent, &mut polling, &mut listening] {
        assert_eq!(client.call("brief", json!({})).status(), 200);
        client.advance(silence);
    }
    polling.request("ping", json!({}));
    for client in [&mut silent, &mut polling, &mut listening] {
        client.advance(silence);
    }
    assert_eq!(silent.call("brief", json!({})).status(), 404);
    assert_eq!(silent.another().call("brief", json!({})).status(), 200);
    assert_eq!(polling.call("brief", json!({})).status(), 200);
    assert_eq!(listening.call("brief", json!({})).status(), 200);
}
