//! The embedded `demo` toolset: small tools, resources and a prompt for trials, tests and benchmarks.
//!
//! It has one tool for each way a call can go: answered at once, pending, on a worker, failing, large, reporting
//! progress, asking the user; a resource at a fixed URI, and two templates, one of which takes some time. None of them
//! touches anything outside the server.

#[cfg(test)]
mod tests;
mod tools;

use std::time::Duration;

use serde::Deserialize;

use crate::registry::{
    CacheScope, Caching, CallContext, CompletionRequest, Prompt, PromptArgument, RegistryBuilder,
    RegistryError, Resource, ResourceTemplate, ToolError, Toolset,
};

/// Variables of `demo://greeting/{name}`.
#[derive(Deserialize)]
struct Greeting {
    name: String,
}

/// Variables of `demo://sleep/{ms}`.
#[derive(Deserialize)]
struct Nap {
    ms: u64,
}

/// Arguments of `summarize`.
#[derive(Deserialize)]
struct Summarize {
    text: String,
    style: Option<String>,
}

/// The text of the demo's resource.
const ABOUT: &str =
    "Weir's demo toolset: tools, resources and a prompt that touch nothing outside the server.\n";

/// The names that completion proposes for a greeting.
const NAMES: [&str; 4] = ["Ada", "Alan", "Barbara", "Grace"];

const STYLES: [&str; 3] = ["brief", "bullets", "detailed"];

/// The longest time that reading may take, as for the tool.
const NAP_MS_MAX: u64 = 60_000;

/// The toolset: the tools `echo`, `sleep`, `spin`, `fail`, `blob`, `progress` and `ask`; the resource `demo://about`;
/// the templates `demo://greeting/{name}` and `demo://sleep/{ms}`; and the prompt `summarize`.
#[derive(Clone, Copy, Debug)]
pub struct Demo;

impl Toolset for Demo {
    fn register(&self, registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
        tools::register(registry)?;
        register_resources(registry)?;
        registry.add(summarize())?;
        Ok(())
    }
}

fn register_resources(registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
    registry.add(
        Resource::new("demo://about", "about")
            .title("About the demo")
            .description("What the demo toolset is.")
            .mime_type("text/plain")
            .size_bytes(ABOUT.len() as u64)
            .caching(Caching::new(Duration::from_secs(300), CacheScope::Public))
            .read(|_: CallContext| async { Ok(ABOUT) }),
    )?;
    registry.add(
        ResourceTemplate::new("demo://greeting/{name}", "greeting")
            .title("A greeting")
            .description("Greets by name.")
            .mime_type("text/plain")
            .complete("name", |_: CallContext, request: CompletionRequest| async move {
                Ok(beginning_with(&NAMES, request.value()))
            })
            .read(|_: CallContext, args: Greeting| async move { Ok(format!("Hello, {}!", args.name)) }),
    )?;
    registry.add(
        ResourceTemplate::new("demo://sleep/{ms}", "sleep")
            .title("A nap")
            .description("Takes as many milliseconds to read as its URI says.")
            .mime_type("text/plain")
            .read(|_: CallContext, args: Nap| async move {
                match args.ms {
                    ms @ 0..=NAP_MS_MAX => tools::nap(ms).await,
                    _ => Err(ToolError::not_found("it takes a minute at most")),
                }
            }),
    )?;
    Ok(())
}

fn summarize() -> Prompt {
    Prompt::new("summarize")
        .title("Summarize")
        .description("Asks for a summary of a text.")
        .argument(PromptArgument::required("text").description("What to summarize."))
        .argument(PromptArgument::optional("style").description("brief, bullets or detailed."))
        .complete("style", |_: CallContext, request: CompletionRequest| async move {
            Ok(beginning_with(&STYLES, request.value()))
        })
        .run(|_: CallContext, args: Summarize| async move {
            let style = args.style.as_deref().unwrap_or("brief");
            if STYLES.contains(&style) {
                Ok(format!(
                    "Give a summary ({style}) of the following text.\n\n{}",
                    args.text
                ))
            } else {
                Err(ToolError::invalid("`style` is brief, bullets or detailed"))
            }
        })
}

fn beginning_with(known: &[&'static str], start: &str) -> Vec<&'static str> {
    let is_meant = |name: &&&str| {
        name.get(..start.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(start))
    };
    known.iter().filter(is_meant).copied().collect()
}
