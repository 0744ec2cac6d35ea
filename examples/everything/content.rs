//! Tools that answer at once, one for each kind of content.

use std::time::Duration;
use std::{io, thread};

use schemars::JsonSchema;
use serde::Deserialize;
use weir::{
    CallContext, ContentBlock, NoArguments, RegistryBuilder, RegistryError, ResourceContents, StreamedText,
    Tool, ToolBuilder, ToolError, ToolOutput,
};

use crate::media::{PNG, WAV};

pub(crate) fn register(registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
    registry.add(
        tool("test_simple_text", "Answers with a text.").run(|_: CallContext, _: NoArguments| async {
            Ok("This is a simple text response for testing.")
        }),
    )?;
    registry.add(
        tool("test_image_content", "Answers with a picture.")
            .run(|_: CallContext, _: NoArguments| async { Ok(ToolOutput::blocks(vec![picture()])) }),
    )?;
    registry.add(tool("test_audio_content", "Answers with a sound.").run(
        |_: CallContext, _: NoArguments| async {
            Ok(ToolOutput::blocks(vec![ContentBlock::audio(WAV, "audio/wav")]))
        },
    ))?;
    registry.add(
        tool(
            "test_embedded_resource",
            "Answers with a resource and its contents.",
        )
        .run(|_: CallContext, _: NoArguments| async { Ok(ToolOutput::blocks(vec![embedded_text()])) }),
    )?;
    registry.add(
        tool(
            "test_multiple_content_types",
            "Answers with a text, a picture and a resource.",
        )
        .run(|_: CallContext, _: NoArguments| async { Ok(ToolOutput::blocks(mixed())) }),
    )?;
    registry.add(
        tool("test_resource_link", "Answers with a link to a resource.").run(
            |_: CallContext, _: NoArguments| async {
                let link = ContentBlock::resource_link("test://static-text", "static-text");
                Ok(ToolOutput::blocks(vec![link]))
            },
        ),
    )?;
    registry.add(
        tool(
            "test_streamed_text",
            "Answers with many lines, which are read while they are sent.",
        )
        .run(|_: CallContext, args: Lines| async move { Ok(StreamedText::from_results(lines(args))) }),
    )?;
    registry.add(tool("test_error_handling", "Fails, whatever it is given.").run(
        |_: CallContext, _: NoArguments| async {
            Err::<String, _>(ToolError::message(
                "This tool intentionally returns an error for testing",
            ))
        },
    ))?;
    Ok(())
}

fn tool(name: &str, description: &str) -> ToolBuilder<weir::DerivedSchema> {
    Tool::new(name)
        .description(description)
        .read_only()
        .idempotent()
        .open_world(false)
}

#[derive(Deserialize, JsonSchema)]
struct Lines {
    /// How many.
    lines: u32,
    /// Whether there is an error behind them.
    #[serde(default)]
    fails: bool,
    /// How long each takes.
    #[serde(default)]
    pause_ms: u64,
}

#[expect(clippy::disallowed_methods, reason = "a worker thread may wait")]
fn lines(args: Lines) -> impl Iterator<Item = io::Result<String>> + Send {
    let pause = Duration::from_millis(args.pause_ms);
    let lines = (1..=args.lines).map(move |number| {
        thread::sleep(pause);
        Ok(format!("line {number}\n"))
    });
    let error = args.fails.then(|| Err(io::Error::other("this was intended")));
    lines.chain(error)
}

fn picture() -> ContentBlock {
    ContentBlock::image(PNG, "image/png")
}

fn embedded_text() -> ContentBlock {
    ContentBlock::resource(ResourceContents::text(
        "test://embedded-resource",
        Some("text/plain".to_owned()),
        "This is an embedded resource content.",
    ))
}

fn mixed() -> Vec<ContentBlock> {
    let resource = ResourceContents::text(
        "test://mixed-content-resource",
        Some("application/json".to_owned()),
        r#"{"test":"data","value":123}"#,
    );
    vec![
        ContentBlock::text("Multiple content types test:"),
        picture(),
        ContentBlock::resource(resource),
    ]
}
