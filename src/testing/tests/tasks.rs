//! Tasks, and how long they live.

use std::time::Duration;

use serde_json::json;

use crate::registry::{CallContext, NoArguments, Registry, TaskSupport, Tool};
use crate::testing::{Client, Revision};
use crate::time::sleep;

const REVISIONS: [Revision; 2] = [Revision::V2025_11_25, Revision::V2026_07_28];

/// A tool that takes 30 minutes, of which a task lives for 15 unless its tool says otherwise.
fn registry() -> Registry {
    let mut registry = Registry::builder();
    let tool = |name| Tool::new(name).task(TaskSupport::Optional);
    let work = async |_: CallContext, _: NoArguments| {
        sleep(Duration::from_secs(1_800)).await;
        Ok("done")
    };
    registry.add(tool("brief").run(work)).unwrap();
    let long = tool("long").task_ttl(Duration::from_secs(2_400));
    registry.add(long.run(work)).unwrap();
    registry.build()
}

#[test]
fn a_task_lives_as_long_as_its_tool_says() {
    for revision in REVISIONS {
        let mut client = Client::new(registry()).revision(revision);
        let task = client.begin_task("long", json!({}));
        let made = client.task(&task);
        let ttl = ["ttl", "ttlMs"].map(|name| made.result()[name].as_u64());
        assert!(ttl.contains(&Some(2_400_000)), "{revision:?}: {}", made.result());
        assert_eq!(client.finish_task(&task).text(), "done", "{revision:?}");
        assert_eq!(client.elapsed(), Duration::from_secs(1_800));
    }
}

#[test]
fn a_task_that_is_not_done_in_its_life_says_so() {
    for revision in REVISIONS {
        let mut client = Client::new(registry()).revision(revision);
        let task = client.begin_task("brief", json!({}));
        let end = client.finish_task(&task);
        assert!(end.is_error(), "{revision:?}: {end}");
        assert_eq!(
            end.text(),
            "the task was not done within its time to live; a longer one is asked for by the client (`ttl`), or set by the \
             tool (`task_ttl`) or the server (`--task-ttl`)",
            "{revision:?}"
        );
        assert_eq!(client.elapsed(), Duration::from_secs(900));
    }
}

#[test]
fn the_server_has_the_last_word() {
    let mut client =
        Client::new(registry()).configure(|options| options.tasks.ttl_max = Duration::from_secs(60));
    let task = client.begin_task("long", json!({}));
    assert!(client.finish_task(&task).text().contains("`--task-ttl`"));
    assert_eq!(client.elapsed(), Duration::from_secs(60));
}
