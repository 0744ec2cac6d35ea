//! Tools that send their client something while they run: log messages, progress, and when to come back.

use std::time::Duration;

use weir::time::sleep;
use weir::{CallContext, LogLevel, NoArguments, RegistryBuilder, RegistryError, Tool, ToolError};

/// The time between two messages.
const STEP: Duration = Duration::from_millis(50);
/// How long a client that was sent away stays away.
const RETRY: Duration = Duration::from_millis(100);

pub(crate) fn register(registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
    registry.add(
        Tool::new("test_tool_with_logging")
            .description("Sends three log messages, 50 ms apart.")
            .read_only()
            .run(|ctx: CallContext, _: NoArguments| log_steps(ctx)),
    )?;
    registry.add(
        Tool::new("test_logging_tool")
            .description("Sends a log message of each level to clients that want it.")
            .read_only()
            .run(|ctx: CallContext, _: NoArguments| async move {
                for level in LogLevel::ALL {
                    ctx.log_as(
                        "everything",
                        level,
                        format!("A message of level {}", level.as_str()),
                    );
                }
                Ok("Sent a message of each level.")
            }),
    )?;
    registry.add(
        Tool::new("test_tool_with_progress")
            .description("Reports progress three times, 50 ms apart.")
            .read_only()
            .run(|ctx: CallContext, _: NoArguments| report_progress(ctx)),
    )?;
    registry.add(
        Tool::new("test_reconnection")
            .description("Lets the client's connection go and answers when it has come back.")
            .read_only()
            .run(|ctx: CallContext, _: NoArguments| async move {
                ctx.close_stream(RETRY);
                sleep(RETRY).await;
                Ok("The connection was closed, and this is the answer all the same.")
            }),
    )?;
    Ok(())
}

async fn log_steps(ctx: CallContext) -> Result<&'static str, ToolError> {
    ctx.log(LogLevel::Info, "Tool execution started");
    sleep(STEP).await;
    ctx.log(LogLevel::Info, "Tool processing data");
    sleep(STEP).await;
    ctx.log(LogLevel::Info, "Tool execution completed");
    Ok("Sent three log messages.")
}

async fn report_progress(ctx: CallContext) -> Result<&'static str, ToolError> {
    ctx.progress((0, 100));
    sleep(STEP).await;
    ctx.progress((50, 100));
    sleep(STEP).await;
    ctx.progress((100, 100));
    Ok("Reported progress three times.")
}
