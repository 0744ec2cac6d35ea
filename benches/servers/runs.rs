//! The same tool run in each way there is, for `scripts/runs.py`: what each costs.

use std::time::Duration;

use clap::Parser;
use schemars::JsonSchema;
use serde::Deserialize;
use weir::{BlockingContext, CallContext, Registry, Server, Tool, ToolError};

/// Serves an echo on the shard, on tokio and on a worker, and a sleep on the shard and on tokio.
#[derive(Parser)]
struct Arguments {
    /// Handlers of its one shard.
    #[arg(long, default_value_t = 256)]
    pool_size: u32,
}

#[derive(Deserialize, JsonSchema)]
struct Echo {
    message: String,
}

#[derive(Deserialize, JsonSchema)]
struct Sleep {
    ms: u64,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let mut tools = Registry::builder();
    tools.spawns_no_tasks();
    tools.add(Tool::new("echo").run(|_: CallContext, args: Echo| async move { Ok(args.message) }))?;
    tools.add(
        Tool::new("echo_tokio").run_tokio(|_: CallContext, args: Echo| async move { Ok(args.message) }),
    )?;
    tools.add(Tool::new("echo_blocking").run_blocking(|_: &BlockingContext, args: Echo| Ok(args.message)))?;
    tools.add(Tool::new("sleep").run(|_: CallContext, args: Sleep| async move {
        weir::time::sleep(Duration::from_millis(args.ms)).await;
        Ok("slept")
    }))?;
    tools.add(
        Tool::new("sleep_tokio").run_tokio(|_: CallContext, args: Sleep| async move {
            tokio::time::sleep(Duration::from_millis(args.ms)).await;
            Ok::<_, ToolError>("slept")
        }),
    )?;
    Server::builder("runs", "1.0.0")
        .listen("127.0.0.1:0".parse()?)
        .shards(1)
        .pool_size(arguments.pool_size)
        .configure(|options| options.timeouts.call = Duration::from_secs(600))
        .serve_until_signal(tools.build(), |server| println!("listening {}", server.address()))?;
    Ok(())
}
