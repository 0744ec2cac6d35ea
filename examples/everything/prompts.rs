//! Prompts: with and without arguments, with a resource, with a picture, and one that asks the user first.

use serde::Deserialize;
use weir::{
    CallContext, CompletionRequest, ContentBlock, Elicit, Prompt, PromptArgument, PromptArguments,
    PromptMessage, Property, RegistryBuilder, RegistryError, ResourceContents, Role,
};

use crate::media::PNG;
use crate::rounds::text_of;

/// Arguments of `test_prompt_with_arguments`.
#[derive(Deserialize)]
struct Two {
    arg1: String,
    arg2: String,
}

/// Arguments of `test_prompt_with_embedded_resource`.
#[derive(Deserialize)]
struct Embedded {
    #[serde(rename = "resourceUri")]
    resource_uri: String,
}

/// Proposals for `arg1`.
const PROPOSALS: [&str; 4] = ["paris", "park", "party", "test"];

pub(crate) fn register(registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
    registry.add(
        Prompt::new("test_simple_prompt")
            .title("Simple prompt")
            .description("A prompt without arguments.")
            .run(|_: CallContext, _: PromptArguments| async { Ok("This is a simple prompt for testing.") }),
    )?;
    registry.add(with_arguments())?;
    registry.add(
        Prompt::new("test_prompt_with_embedded_resource")
            .title("Prompt with a resource")
            .description("A prompt with a resource and its contents in it.")
            .argument(PromptArgument::required("resourceUri").description("Where the resource is."))
            .run(|_: CallContext, args: Embedded| async move { Ok(about_resource(args.resource_uri)) }),
    )?;
    registry.add(
        Prompt::new("test_prompt_with_image")
            .title("Prompt with a picture")
            .description("A prompt with a picture in it.")
            .run(|_: CallContext, _: PromptArguments| async {
                Ok(vec![
                    user(ContentBlock::image(PNG, "image/png")),
                    PromptMessage::user("Please analyze the image above."),
                ])
            }),
    )?;
    registry.add(
        Prompt::new("test_input_required_result_prompt")
            .title("Prompt that asks")
            .description("Asks the user for the context of the prompt.")
            .run(|ctx: CallContext, _: PromptArguments| async move {
                let form = Elicit::form("What context should the prompt use?")
                    .property("context", Property::string());
                let context = text_of(ctx.ask("user_context", form).await?, "context")?;
                Ok(format!("Answer in the context of {context}."))
            }),
    )?;
    Ok(())
}

fn with_arguments() -> Prompt {
    Prompt::new("test_prompt_with_arguments")
        .title("Prompt with arguments")
        .description("A prompt that repeats its arguments.")
        .argument(PromptArgument::required("arg1").description("The first; it can be completed."))
        .argument(PromptArgument::required("arg2").description("The second."))
        .complete("arg1", |_: CallContext, request: CompletionRequest| async move {
            let mut proposals = PROPOSALS.to_vec();
            proposals.retain(|proposal| proposal.starts_with(request.value()));
            Ok(proposals)
        })
        .run(|_: CallContext, args: Two| async move {
            Ok(format!(
                "Prompt with arguments: arg1='{}', arg2='{}'",
                args.arg1, args.arg2
            ))
        })
}

fn about_resource(uri: String) -> Vec<PromptMessage> {
    let contents = ResourceContents::text(
        uri,
        Some("text/plain".to_owned()),
        "Embedded resource content for testing.",
    );
    vec![
        user(ContentBlock::resource(contents)),
        PromptMessage::user("Please process the embedded resource above."),
    ]
}

fn user(content: ContentBlock) -> PromptMessage {
    PromptMessage {
        role: Role::User,
        content,
    }
}
