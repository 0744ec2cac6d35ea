//! How many calls a second the client for tests makes, all on one thread.
//!
//! `cargo run --example test_client [CALLS]`
#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use std::time::{Duration, Instant};

use serde_json::json;
use weir::testing::{Client, Revision};
use weir::time::sleep;
use weir::{CallContext, NoArguments, Registry, RegistryError, Tool};

fn registry() -> Result<Registry, RegistryError> {
    let mut registry = Registry::builder();
    registry
        .add(Tool::new("ready").run(|_: CallContext, _: NoArguments| async { Ok("done") }))?
        .add(Tool::new("sleeps").run(|_: CallContext, _: NoArguments| async {
            sleep(Duration::from_secs(10)).await;
            Ok("done")
        }))?
        .add(Tool::new("elsewhere").run_tokio(|_: CallContext, _: NoArguments| async { Ok("done") }))?;
    Ok(registry.build())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let calls: u32 = std::env::args().nth(1).map_or(Ok(2_000), |calls| calls.parse())?;
    let mut began = Instant::now();
    for revision in [Revision::V2025_11_25, Revision::V2026_07_28] {
        let mut client = Client::new(registry()?).revision(revision);
        client.call("ready", json!({}));
        println!(
            "{}: the first answer after {:?}",
            revision.as_str(),
            began.elapsed()
        );
        for tool in ["ready", "sleeps", "elsewhere"] {
            began = Instant::now();
            for _ in 0..calls {
                assert_eq!(client.call(tool, json!({})).text(), "done");
            }
            let rate = f64::from(calls) / began.elapsed().as_secs_f64();
            println!("{}: {tool}: {rate:.0} calls/s", revision.as_str());
        }
        began = Instant::now();
    }
    Ok(())
}
