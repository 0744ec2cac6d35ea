//! Calls that are made once more when their child dies.

use serde_json::{Value, json};

use super::front::{Front, legacy};
use super::sinner::act;
use crate::harness::{Scratch, case, eventually};

/// The answer to a call of which the first child that gets it dies, and so does the second if `twice`; it is to be made
/// once more so often.
fn answer(child: &str, pool: &str, twice: bool, repeated: u64) -> Value {
    let scratch = Scratch::new(&format!(
        "bridge-repeating-{}",
        pool.len() + child.len() + usize::from(twice)
    ));
    let death = |name: &str| {
        let file = scratch.path().join(name);
        json!(["once", format!("{}:exit:9", file.to_str().unwrap())])
    };
    let mut steps = vec![death("one")];
    steps.extend(twice.then(|| death("two")));
    steps.push(json!("pid"));
    let mut front = Front::with(&[child], pool, &["--shards", "2"]);
    let server = front.weir();
    let session = server.open_session(&legacy());
    let answer = server.ask(&session.tool(1, "act", act(steps)));
    eventually("it is counted", || {
        server.metric("weir_child_calls_repeated_total", &[]) == repeated
    });
    answer.json().clone()
}

#[test]
fn a_call_that_changes_nothing_survives_its_child() {
    for pool in [
        "mode=shared,max=1",
        "mode=session,on_loss=restart",
        "mode=call,max=2",
    ] {
        let _case = case(pool);
        let repeating = format!("{pool},retry=read_only");
        let saved = answer("mcp:[read-only]", &repeating, false, 1);
        assert!(saved.get("result").is_some(), "{saved}");
        for (child, pool, twice) in [
            ("mcp:[read-only]", &*repeating, true),
            ("mcp:[read-only]", pool, false),
            ("mcp", &*repeating, false),
        ] {
            let lost = answer(child, pool, twice, u64::from(twice));
            assert_eq!(lost["error"]["code"], -32603, "{child} {pool} {twice}: {lost}");
        }
    }
}
