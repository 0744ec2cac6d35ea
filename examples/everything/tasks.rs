//! Tools whose calls go on as tasks, for clients that know tasks.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use weir::time::sleep;
use weir::{
    CallContext, ClientCapabilities, Elicit, ForClient, NoArguments, Property, RegistryBuilder,
    RegistryError, TaskSupport, Tool, ToolError,
};

use super::rounds::{name_form, text_of};

/// How long a job takes that fails.
const FAILING: Duration = Duration::from_millis(500);

#[derive(Deserialize, JsonSchema)]
struct Greet {
    /// Who is greeted.
    name: String,
}

#[derive(Deserialize, JsonSchema)]
struct Compute {
    /// How long it takes.
    #[schemars(range(min = 0.0, max = 3600.0))]
    seconds: f64,
    /// What it is called.
    #[serde(default)]
    label: String,
}

#[derive(Deserialize, JsonSchema)]
struct Delete {
    /// What is deleted; not really.
    filename: String,
}

pub(crate) fn register(registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
    registry.add(
        Tool::new("greet")
            .description("Greets somebody at once; never a task.")
            .read_only()
            .run(|_: CallContext, args: Greet| async move { Ok(format!("Hello, {}!", args.name)) }),
    )?;
    registry.add(
        Tool::new("slow_compute")
            .description("Takes as long as it is told.")
            .read_only()
            .task(TaskSupport::Optional)
            .run(|_: CallContext, args: Compute| compute(args)),
    )?;
    registry.add(
        Tool::new("failing_job")
            .description("Fails after half a second; always a task.")
            .read_only()
            .task(TaskSupport::Required)
            .run(|_: CallContext, _: NoArguments| async {
                sleep(FAILING).await;
                Err::<String, _>(ToolError::message("The job failed, as it always does."))
            }),
    )?;
    registry.add(
        Tool::new("protocol_error_job")
            .description("Ends with a JSON-RPC error.")
            .read_only()
            .task(TaskSupport::Optional)
            // This is not a panic, which the log would report as a fault.
            .run(|_: CallContext, _: NoArguments| async {
                Err::<String, _>(ToolError::MissingCapability(ClientCapabilities::ROOTS))
            }),
    )?;
    registry.add(
        Tool::new("confirm_delete")
            .description("Asks before it deletes.")
            .task(TaskSupport::Optional)
            .run(|ctx: CallContext, args: Delete| confirm_delete(ctx, args)),
    )?;
    registry.add(
        Tool::new("multi_input")
            .description("Asks two things at once.")
            .task(TaskSupport::Optional)
            .run(|ctx: CallContext, _: NoArguments| ask_both(ctx)),
    )?;
    registry.add(
        Tool::new("test_tool_with_task")
            .description("Asks for a name, then becomes a task.")
            .task(TaskSupport::Required)
            .ask_before_task("user_name")
            .run(|ctx: CallContext, _: NoArguments| async move {
                let answer = ctx.ask("user_name", name_form("What is your name?")).await?;
                Ok(format!("Hello from a task, {}!", text_of(answer, "name")?))
            }),
    )?;
    Ok(())
}

async fn compute(args: Compute) -> Result<String, ToolError> {
    let time = Duration::try_from_secs_f64(args.seconds).for_client()?;
    sleep(time).await;
    Ok(format!("Computed {:?} in {} s.", args.label, args.seconds))
}

async fn confirm_delete(ctx: CallContext, args: Delete) -> Result<String, ToolError> {
    let form = Elicit::form(format!("Delete {}?", args.filename)).property("confirm", Property::boolean());
    let answer = ctx.ask("confirm", form).await?;
    if answer
        .accepted()
        .is_some_and(|content| content["confirm"] == true)
    {
        Ok(format!("Deleted {}.", args.filename))
    } else {
        Ok(format!("Kept {}.", args.filename))
    }
}

async fn ask_both(ctx: CallContext) -> Result<String, ToolError> {
    let form = |message: &str| {
        let form = Elicit::form(message).property("name", Property::string());
        form.property("confirm", Property::boolean().optional())
    };
    let (first, second) = (
        ctx.ask("first", form("The first name?")),
        ctx.ask("second", form("The second?")),
    );
    let first = text_of(first.await?, "name")?;
    Ok(format!("{first} and {}", text_of(second.await?, "name")?))
}
