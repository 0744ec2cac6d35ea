//! The client against servers in this process: every revision, every way to run a tool, and time.

mod remote;
mod tasks;
mod time;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::*;
use crate::registry::{
    BlockingContext, CallContext, Elicit, ElicitAnswer, LogLevel, NoArguments, Prompt, PromptArgument,
    PromptArguments, Property, Registry, Resource, ResourceTemplate, Role, Sample, Structured, TaskSupport,
    Tool, ToolError,
};
use crate::time::{now, sleep, timeout};

#[derive(Deserialize, JsonSchema)]
struct Named {
    name: String,
}

#[derive(Deserialize, JsonSchema)]
struct Lasting {
    seconds: u64,
}

#[derive(Serialize, JsonSchema)]
struct Sum {
    sum: i64,
}

fn registry() -> Registry {
    let mut registry = Registry::builder();
    registry
        .add(
            Tool::new("greet")
                .run(|_: CallContext, args: Named| async move { Ok(format!("Hello, {}!", args.name)) }),
        )
        .unwrap()
        .add(Tool::new("sum").run(|_: CallContext, _: NoArguments| async { Ok(Structured(Sum { sum: 7 })) }))
        .unwrap()
        .add(Tool::new("fail").run(|_: CallContext, _: NoArguments| async {
            Err::<String, _>(ToolError::message("it is closed"))
        }))
        .unwrap()
        .add(
            Tool::new("speak").run(|call: CallContext, _: NoArguments| async move {
                for step in 1..=3 {
                    call.progress((step, 3));
                    call.log_as("voice", LogLevel::Info, format!("step {step}"));
                    sleep(Duration::from_secs(1)).await;
                }
                Ok("spoken")
            }),
        )
        .unwrap()
        .add(
            Tool::new("book").run(|call: CallContext, _: NoArguments| async move {
                let who = Elicit::form("Who travels?").property("name", Property::string());
                let ElicitAnswer::Accept(who) = call.ask("who", who).await? else {
                    return Ok("nobody travels".to_owned());
                };
                Ok(format!("booked for {}", who["name"].as_str().unwrap_or_default()))
            }),
        )
        .unwrap()
        .add(Tool::new("wait").run(wait))
        .unwrap()
        .add(Tool::new("wait_elsewhere").run_tokio(wait))
        .unwrap()
        .add(
            Tool::new("block").run_blocking(|call: &BlockingContext, args: Lasting| {
                let began = now();
                call.sleep(Duration::from_secs(args.seconds))?;
                Ok(format!("{:?}", now() - began))
            }),
        )
        .unwrap()
        .add(
            Resource::new("test://about", "about")
                .mime_type("text/plain")
                .read(|_: CallContext| async { Ok("About it.") }),
        )
        .unwrap()
        .add(
            ResourceTemplate::new("test://greeting/{name}", "greeting")
                .complete("name", |_: CallContext, _| async { Ok(vec!["Ada", "Grace"]) })
                .read(|_: CallContext, args: Named| async move { Ok(format!("Hello, {}!", args.name)) }),
        )
        .unwrap()
        .add(
            Prompt::new("review")
                .argument(PromptArgument::required("code"))
                .run(|_: CallContext, args: PromptArguments| async move {
                    Ok(format!("Review {}.", args.get("code").unwrap_or_default()))
                }),
        )
        .unwrap();
    registry.build()
}

async fn wait(_: CallContext, args: Lasting) -> Result<String, ToolError> {
    let began = now();
    sleep(Duration::from_secs(args.seconds)).await;
    Ok(format!("{:?}", now() - began))
}

fn client(revision: Revision) -> Client {
    Client::new(registry()).revision(revision)
}

#[test]
fn everything_is_served_in_every_revision() {
    for revision in Revision::ALL {
        let mut client = client(revision);
        let answer = client.call("greet", json!({"name": "Ada"}));
        assert_eq!(answer.text(), "Hello, Ada!", "{revision:?}");
        assert!(!answer.is_error());
        let names = |list: Vec<Value>| -> Vec<String> {
            list.iter()
                .map(|entry| entry["name"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(names(client.list_tools())[..3], ["greet", "sum", "fail"]);
        assert_eq!(names(client.list_resources()), ["about"]);
        assert_eq!(names(client.list_templates()), ["greeting"]);
        assert_eq!(names(client.list_prompts()), ["review"]);
        assert_eq!(client.read("test://about").text(), "About it.");
        assert_eq!(client.read("test://greeting/Grace").text(), "Hello, Grace!");
        let missing = client.read("test://nothing");
        assert!(missing.is_error() && missing.error_code().is_some(), "{missing}");
        assert_eq!(
            client.prompt("review", json!({"code": "it"})).text(),
            "Review it."
        );
        let template = "test://greeting/{name}";
        assert_eq!(
            client.complete_template(template, "name", "", json!({})),
            ["Ada", "Grace"]
        );
        assert_eq!(client.elapsed(), Duration::ZERO, "nothing waits for anything");
    }
}

#[test]
fn results_are_what_the_tool_made_of_them() {
    for revision in Revision::ALL {
        let mut client = client(revision);
        let sum = client.call("sum", json!({}));
        let expected = if revision >= Revision::V2025_06_18 {
            json!({"sum": 7})
        } else {
            Value::Null
        };
        assert_eq!(sum.structured(), &expected, "{revision:?}");
        let failed = client.call("fail", json!({}));
        assert!(failed.is_error() && failed.error_code().is_none());
        assert_eq!(failed.to_string(), "error: it is closed");
        let wrong = client.call("greet", json!({"name": 7}));
        assert!(wrong.is_error());
        assert_eq!(client.call("no_such_tool", json!({})).error_code(), Some(-32602));
    }
}

#[test]
fn what_a_call_says_comes_with_its_answer() {
    for revision in Revision::ALL {
        let mut client = client(revision);
        let answer = client.call("speak", json!({}));
        assert_eq!(answer.text(), "spoken");
        let steps: Vec<_> = answer
            .progress()
            .iter()
            .map(|said| (said.progress, said.total))
            .collect();
        assert_eq!(
            steps,
            [(1.0, Some(3.0)), (2.0, Some(3.0)), (3.0, Some(3.0))],
            "{revision:?}"
        );
        let logs: Vec<_> = answer.logs().iter().map(|log| &log.data).collect();
        assert_eq!(logs, ["step 1", "step 2", "step 3"]);
        assert_eq!(answer.logs()[0].level, "info");
        assert_eq!(client.elapsed(), Duration::from_secs(3));
    }
    let mut quiet = client(Revision::V2026_07_28).log_level(None);
    assert_eq!(quiet.call("speak", json!({})).logs(), []);
}

#[test]
fn a_closure_answers_in_either_era() {
    for revision in [
        Revision::V2025_06_18,
        Revision::V2025_11_25,
        Revision::V2026_07_28,
    ] {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let mut client = client(revision).answer(move |question| {
            assert_eq!(question.message(), "Who travels?");
            match count.fetch_add(1, Ordering::SeqCst) {
                0 => Reply::accept(json!({"name": "Ada"})),
                _ => Reply::decline(),
            }
        });
        assert_eq!(
            client.call("book", json!({})).text(),
            "booked for Ada",
            "{revision:?}"
        );
        assert_eq!(client.call("book", json!({})).text(), "nobody travels");
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }
    let mut nobody = client(Revision::V2025_11_25);
    assert!(nobody.call("book", json!({})).is_error(), "it cannot be asked");
}

#[test]
fn sleeps_take_no_time_in_every_kind_of_tool() {
    for tool in ["wait", "wait_elsewhere", "block"] {
        let mut client = client(Revision::V2026_07_28).configure(|options| {
            options.timeouts.call = Duration::from_secs(24 * 3600);
        });
        let answer = client.call(tool, json!({"seconds": 20 * 3600}));
        assert_eq!(answer.text(), "72000s", "{tool}");
    }
}

#[test]
fn time_stands_still_until_somebody_waits() {
    let mut client = client(Revision::V2026_07_28);
    let calls = ["wait", "wait_elsewhere", "block"].map(|tool| client.begin(tool, json!({"seconds": 30})));
    assert_eq!(client.elapsed(), Duration::ZERO);
    client.advance(Duration::from_secs(29));
    assert_eq!(client.elapsed(), Duration::from_secs(29));
    for call in calls {
        assert_eq!(client.finish(call).text(), "30s");
    }
    assert_eq!(client.elapsed(), Duration::from_secs(30));
}

#[test]
fn a_limit_ends_what_takes_longer() {
    let mut registry = Registry::builder();
    let limited = |_: CallContext, _: NoArguments| async {
        let late = timeout(Duration::from_secs(5), sleep(Duration::from_secs(6))).await;
        Ok(late.unwrap_err().to_string())
    };
    registry.add(Tool::new("here").run(limited)).unwrap();
    registry.add(Tool::new("elsewhere").run_tokio(limited)).unwrap();
    let mut client = Client::new(registry.build());
    for tool in ["here", "elsewhere"] {
        assert_eq!(client.call(tool, json!({})).text(), "not done within 5s");
    }
    assert_eq!(client.elapsed(), Duration::from_secs(10));
}

#[test]
fn a_call_that_is_cancelled_is_dropped() {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    for revision in Revision::ALL {
        let drops = Arc::new(AtomicUsize::new(0));
        let mut registry = Registry::builder();
        let counted = Arc::clone(&drops);
        let hang = move |_: CallContext, _: NoArguments| {
            let dropped = Dropped(Arc::clone(&counted));
            async move {
                let _dropped = dropped;
                std::future::pending::<()>().await;
                Ok("never")
            }
        };
        registry.add(Tool::new("hang").run(hang)).unwrap();
        let mut client = Client::new(registry.build()).revision(revision);
        let call = client.begin("hang", json!({}));
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        client.cancel(call);
        assert_eq!(drops.load(Ordering::SeqCst), 1, "{revision:?}");
        let call = client.begin("hang", json!({}));
        let timed_out = client.finish(call);
        assert!(
            timed_out.is_error() && timed_out.text().contains("timed out"),
            "{timed_out}"
        );
        assert_eq!(drops.load(Ordering::SeqCst), 2);
    }
}

/// A server whose blocking tool `stubborn` is given up soon, and then does this.
fn stubborn(rest: impl Fn() + Send + Sync + 'static) -> Client {
    let mut registry = Registry::builder();
    let tool = Tool::new("stubborn").timeout(Duration::from_millis(50));
    let tool = tool.run_blocking(move |call: &BlockingContext, _: NoArguments| {
        while !call.is_cancelled() {
            thread::sleep(Duration::from_millis(1));
        }
        rest();
        Ok("too late")
    });
    registry.add(tool).unwrap();
    let mut client = Client::new(registry.build());
    let answer = client.call("stubborn", json!({}));
    assert!(
        answer.is_error() && answer.text().contains("timed out"),
        "{answer}"
    );
    client
}

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn the_clock_does_not_run_ahead_of_a_blocking_function_that_was_given_up() {
    let (ended, end) = mpsc::channel();
    let began = now();
    let mut client = stubborn(move || {
        // It cleans up, which takes a while by the real clock.
        thread::sleep(Duration::from_millis(100));
        let _ = ended.send(now());
    });
    client.advance(HOUR);
    let end = end.try_recv().expect("it has ended before the hour went by");
    assert!(end - began < HOUR / 2, "{:?}", end - began);
    assert!(client.elapsed() >= HOUR);
}

#[test]
fn a_function_that_never_ends_holds_the_clock_up_for_a_moment_only() {
    let (hold, held) = mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let mut client = stubborn(move || {
        let _ = held.lock().unwrap().recv();
    });
    // It would take as long by the real clock.
    client.advance(HOUR);
    assert!(client.elapsed() >= HOUR);
    drop(hold);
}

#[test]
fn changes_are_heard_by_those_who_listen() {
    for revision in Revision::ALL {
        let mut registry = registry().edit();
        registry.tools_list_changed();
        let mut client = Client::new(registry.build()).revision(revision);
        client.listen();
        client.subscribe("test://about");
        assert_eq!(client.notifications(), [] as [Value; 0]);
        let server = client.server();
        server.resource_updated("test://about");
        let updated = client.next_notification();
        assert_eq!(updated["params"]["uri"], "test://about", "{revision:?}");
        let late = Tool::new("late").run(|_: CallContext, _: NoArguments| async { Ok("here") });
        server
            .edit_registry(move |registry| registry.add(late).map(|_| ()))
            .unwrap();
        assert_eq!(
            client.next_notification()["method"],
            "notifications/tools/list_changed"
        );
        assert_eq!(client.call("late", json!({})).text(), "here");
    }
}

#[test]
fn clients_of_one_server_are_apart() {
    let mut first = client(Revision::V2025_11_25);
    let mut second = first.another();
    let call = first.begin("wait", json!({"seconds": 5}));
    assert_eq!(second.call("greet", json!({"name": "B"})).text(), "Hello, B!");
    assert_eq!(first.finish(call).text(), "5s");
    assert_eq!(second.elapsed(), Duration::from_secs(5), "it is one server");
}

#[test]
fn a_tool_may_sample() {
    let mut registry = Registry::builder();
    let tell = Tool::new("tell").run(|call: CallContext, _: NoArguments| async move {
        let told = call
            .ask("tale", Sample::new(100).message(Role::User, "Tell a tale."))
            .await?;
        Ok(told.text())
    });
    registry.add(tell).unwrap();
    let registry = registry.build();
    for revision in Revision::ALL {
        let mut client = Client::new(registry.clone())
            .revision(revision)
            .answer(|question| {
                assert_eq!(question.method(), "sampling/createMessage");
                Reply::sampled("Once upon a time.")
            });
        assert_eq!(
            client.call("tell", json!({})).text(),
            "Once upon a time.",
            "{revision:?}"
        );
    }
}

#[test]
fn a_task_is_looked_at_answered_and_finished() {
    let mut registry = Registry::builder();
    let reindex = Tool::new("reindex").task(TaskSupport::Optional);
    let reindex = reindex.run(|call: CallContext, _: NoArguments| async move {
        sleep(Duration::from_secs(30)).await;
        let who = call
            .ask(
                "who",
                Elicit::form("Who wants it?").property("name", Property::string()),
            )
            .await?;
        sleep(Duration::from_secs(30)).await;
        let who = who
            .accepted()
            .ok_or_else(|| ToolError::message("nobody wants it"))?;
        Ok(format!("made for {}", who["name"].as_str().unwrap_or_default()))
    });
    registry.add(reindex).unwrap();
    let registry = registry.build();
    for revision in [Revision::V2025_11_25, Revision::V2026_07_28] {
        let mut client = Client::new(registry.clone()).revision(revision);
        client = client.answer(|_| Reply::accept(json!({"name": "Ada"})));
        let task = client.begin_task("reindex", json!({}));
        assert_eq!(client.task(&task).result()["status"], "working");
        client.advance(Duration::from_secs(29));
        assert_eq!(client.task(&task).result()["status"], "working");
        assert_eq!(client.finish_task(&task).text(), "made for Ada", "{revision:?}");
        assert_eq!(client.elapsed(), Duration::from_secs(60));
        let task = client.begin_task("reindex", json!({}));
        assert!(client.cancel_task(&task).error_code().is_none());
        assert_eq!(client.task(&task).result()["status"], "cancelled");
    }
}

#[test]
#[should_panic(expected = "nobody answers elicitation/create")]
fn a_question_that_nobody_answers_is_told() {
    let elicits = json!({"elicitation": {}});
    client(Revision::V2026_07_28)
        .capabilities(elicits)
        .call("book", json!({}));
}

#[test]
fn a_client_comes_back_to_a_stream_that_the_server_closes() {
    let mut registry = Registry::builder();
    let polled = Tool::new("polled").run(|call: CallContext, _: NoArguments| async move {
        call.progress((1, 2));
        call.close_stream(Duration::from_secs(3));
        sleep(Duration::from_secs(10)).await;
        call.progress((2, 2));
        Ok("back")
    });
    registry.add(polled).unwrap();
    let registry = registry.build();
    for revision in Revision::ALL {
        let mut client = Client::new(registry.clone()).revision(revision);
        let answer = client.call("polled", json!({}));
        assert_eq!(
            (answer.text().as_str(), answer.progress().len()),
            ("back", 2),
            "{revision:?}"
        );
        assert_eq!(client.elapsed(), Duration::from_secs(10));
    }
}
