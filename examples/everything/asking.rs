//! Tools that ask their client's user or model one thing. The same code serves clients that answer on the stream of a
//! running call and those that call again with their answer.

use schemars::JsonSchema;
use serde::Deserialize;
use weir::{
    CallContext, Elicit, ElicitAnswer, NoArguments, Property, RegistryBuilder, RegistryError, Role, Sample,
    TextFormat, Tool, ToolError,
};

#[derive(Deserialize, JsonSchema)]
struct Prompt {
    /// The prompt for the model.
    prompt: String,
}

#[derive(Deserialize, JsonSchema)]
struct Message {
    /// The question for the user.
    message: String,
}

pub(crate) fn register(registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
    registry.add(
        Tool::new("test_sampling")
            .description("Has the client's model answer a prompt.")
            .run(|ctx: CallContext, args: Prompt| async move {
                let answer = ctx
                    .ask("sample", Sample::new(100).message(Role::User, args.prompt))
                    .await?;
                Ok(format!("LLM response: {}", answer.text()))
            }),
    )?;
    registry.add(
        Tool::new("test_missing_capability")
            .description("Needs a client that can sample.")
            .run(|ctx: CallContext, _: NoArguments| async move {
                let question = Sample::new(10).message(Role::User, "Say hello.");
                Ok(ctx.ask("sample", question).await?.text())
            }),
    )?;
    registry.add(
        Tool::new("test_elicitation")
            .description("Asks the user for a name and an address.")
            .run(|ctx: CallContext, args: Message| async move {
                let form = Elicit::form(args.message)
                    .property("username", Property::string().description("User's response"))
                    .property(
                        "email",
                        Property::string()
                            .description("User's email address")
                            .format(TextFormat::Email),
                    );
                let answer = ctx.ask("contact", form).await?;
                Ok(format!("User response: {}", describe(&answer)))
            }),
    )?;
    registry.add(
        Tool::new("test_streaming_elicitation")
            .description("Reports progress and asks the user to confirm.")
            .run(|ctx: CallContext, _: NoArguments| async move {
                ctx.progress((1, 2));
                let answer = ctx.ask("confirm", confirmation("Go on?")).await?;
                ctx.progress((2, 2));
                Ok(format!("Elicitation completed: {}", describe(&answer)))
            }),
    )?;
    registry.add(
        Tool::new("test_elicitation_sep1034_defaults")
            .description("Shows the user a form that is filled in already.")
            .run(|ctx: CallContext, _: NoArguments| fill_in(ctx, defaults())),
    )?;
    registry.add(
        Tool::new("test_elicitation_sep1330_enums")
            .description("Lets the user choose in every way there is.")
            .run(|ctx: CallContext, _: NoArguments| fill_in(ctx, choices())),
    )?;
    registry.add(
        Tool::new("test_url_elicitation")
            .description("Sends the user to a page outside.")
            .run(|ctx: CallContext, _: NoArguments| async move {
                let page = Elicit::url("Please confirm on this page.", "https://example.com/confirm");
                let id = page.id().to_owned();
                let answer = ctx.ask("page", page).await?;
                // A real server would send this once the page was filled in.
                ctx.elicitation_complete(id);
                Ok(format!(
                    "The user {}",
                    if answer.accepted().is_some() {
                        "agreed"
                    } else {
                        "did not agree"
                    }
                ))
            }),
    )?;
    Ok(())
}

async fn fill_in(ctx: CallContext, form: Elicit) -> Result<String, ToolError> {
    let answer = ctx.ask("form", form).await?;
    Ok(format!("Elicitation completed: {}", describe(&answer)))
}

/// Yes or no.
pub(crate) fn confirmation(message: &str) -> Elicit {
    Elicit::form(message).property("ok", Property::boolean())
}

/// The user's action, and the values they filled in.
fn describe(answer: &ElicitAnswer) -> String {
    match answer {
        ElicitAnswer::Accept(content) => format!("action=accept, content={content}"),
        ElicitAnswer::Decline => "action=decline, content={}".to_owned(),
        ElicitAnswer::Cancel => "action=cancel, content={}".to_owned(),
    }
}

fn defaults() -> Elicit {
    let status = Property::choice(["active", "inactive", "pending"]).default("active");
    Elicit::form("Please review the form.")
        .property("name", Property::string().default("John Doe"))
        .property("age", Property::integer().default(30))
        .property("score", Property::number().default(95.5))
        .property("status", status)
        .property("verified", Property::boolean().default(true))
}

fn choices() -> Elicit {
    let options = ["option1", "option2", "option3"];
    let titled = |what: &str| {
        [("value1", "First"), ("value2", "Second"), ("value3", "Third")]
            .map(|(value, place)| (value, format!("{place} {what}")))
    };
    let named = [
        ("opt1", "Option One"),
        ("opt2", "Option Two"),
        ("opt3", "Option Three"),
    ];
    Elicit::form("Please choose.")
        .property("untitledSingle", Property::choice(options))
        .property("titledSingle", Property::titled_choice(titled("Option")))
        .property("legacyEnum", Property::named_choice(named))
        .property("untitledMulti", Property::choices(options))
        .property("titledMulti", Property::titled_choices(titled("Choice")))
}
