//! Tools that need one or more answers before they have their own: several questions at once, one after the other, and
//! only those that a client can answer.
//!
//! Each is written as if the call waited. A client since 2026-07-28 calls again for every round, and the tool runs
//! again from its beginning, with the answers it has by then.

use serde_json::Value;
use weir::{
    CallContext, ClientCapabilities, Elicit, ElicitAnswer, ForClient, ListRoots, NoArguments, Property,
    RegistryBuilder, RegistryError, Role, Root, Sample, Tool, ToolError,
};

use crate::asking::confirmation;

pub(crate) fn register(registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
    registry.add(
        Tool::new("test_input_required_result_elicitation")
            .description("Asks the user for a name and greets them.")
            .run(|ctx: CallContext, _: NoArguments| async move {
                let answer = ctx.ask("user_name", name_form("What is your name?")).await?;
                Ok(format!("Hello, {}!", text_of(answer, "name")?))
            }),
    )?;
    registry.add(
        Tool::new("test_input_required_result_sampling")
            .description("Asks the model for a capital.")
            .run(|ctx: CallContext, _: NoArguments| async move {
                let question = Sample::new(100).message(Role::User, "What is the capital of France?");
                Ok(ctx.ask("capital_question", question).await?.text())
            }),
    )?;
    registry.add(
        Tool::new("test_input_required_result_list_roots")
            .description("Asks the client for its roots.")
            .run(|ctx: CallContext, _: NoArguments| async move {
                let roots = ctx.ask("client_roots", ListRoots).await?;
                Ok(format!("The client works in {}", places(&roots)))
            }),
    )?;
    registry.add(
        Tool::new("test_input_required_result_request_state")
            .description("Asks the user to confirm; the state between the rounds is sealed.")
            .run(|ctx: CallContext, _: NoArguments| confirm(ctx)),
    )?;
    registry.add(
        Tool::new("test_input_required_result_tampered_state")
            .description("The same, for clients that change the state.")
            .run(|ctx: CallContext, _: NoArguments| confirm(ctx)),
    )?;
    registry.add(
        Tool::new("test_input_required_result_multiple_inputs")
            .description("Asks the user, the model and the client, all at once.")
            .run(|ctx: CallContext, _: NoArguments| ask_all(ctx)),
    )?;
    registry.add(
        Tool::new("test_input_required_result_multi_round")
            .description("Asks the user for a name, then for a color.")
            .run(|ctx: CallContext, _: NoArguments| async move {
                let name = ctx.ask("step1", name_form("Step 1: What is your name?")).await?;
                let name = text_of(name, "name")?;
                let form = Elicit::form("Step 2: What is your favorite color?")
                    .property("color", Property::string());
                let color = text_of(ctx.ask("step2", form).await?, "color")?;
                Ok(format!("{name} likes {color}."))
            }),
    )?;
    registry.add(
        Tool::new("test_input_required_result_capabilities")
            .description("Asks only what the client can answer.")
            .run(|ctx: CallContext, _: NoArguments| ask_what_can_be(ctx)),
    )?;
    Ok(())
}

/// A form for a name.
pub(crate) fn name_form(message: &str) -> Elicit {
    Elicit::form(message).property("name", Property::string())
}

/// The value that the user filled into a property that the form requires.
pub(crate) fn text_of(answer: ElicitAnswer, property: &str) -> Result<String, ToolError> {
    let content = answer.accepted().ok_or("the user did not answer").for_client()?;
    let text = content.get(property).and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| ToolError::internal(format!("no {property} in what the form required")))
}

fn places(roots: &[Root]) -> String {
    let uris: Vec<&str> = roots.iter().map(|root| root.uri.as_str()).collect();
    uris.join(", ")
}

async fn confirm(ctx: CallContext) -> Result<&'static str, ToolError> {
    let answer = ctx.ask("confirm", confirmation("Please confirm")).await?;
    if answer.accepted().is_some_and(|content| content["ok"] == true) {
        Ok("state-ok: confirmed")
    } else {
        Ok("state-ok: not confirmed")
    }
}

/// All questions are asked before the first answer is awaited, so that they go out together.
async fn ask_all(ctx: CallContext) -> Result<String, ToolError> {
    let name = ctx.ask("user_name", name_form("What is your name?"));
    let greeting = ctx.ask(
        "greeting",
        Sample::new(50).message(Role::User, "Generate a greeting"),
    );
    let roots = ctx.ask("client_roots", ListRoots);
    let name = text_of(name.await?, "name")?;
    Ok(format!(
        "{} {name}, who works in {}",
        greeting.await?.text(),
        places(&roots.await?)
    ))
}

async fn ask_what_can_be(ctx: CallContext) -> Result<String, ToolError> {
    let can = |capability| ctx.client().contains(capability);
    let name = can(ClientCapabilities::ELICITATION_FORM)
        .then(|| ctx.ask("user_name", name_form("What is your name?")));
    let greeting = can(ClientCapabilities::SAMPLING).then(|| {
        ctx.ask(
            "greeting",
            Sample::new(50).message(Role::User, "Generate a greeting"),
        )
    });
    let roots = can(ClientCapabilities::ROOTS).then(|| ctx.ask("client_roots", ListRoots));
    let mut answers = Vec::new();
    if let Some(name) = name {
        answers.push(format!("name: {}", text_of(name.await?, "name")?));
    }
    if let Some(greeting) = greeting {
        answers.push(format!("greeting: {}", greeting.await?.text()));
    }
    if let Some(roots) = roots {
        answers.push(format!("roots: {}", places(&roots.await?)));
    }
    Ok(format!("{} answers: {}", answers.len(), answers.join("; ")))
}
