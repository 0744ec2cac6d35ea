//! Prompts over the served files. A person picks them from a menu; they come with the files' contents.

use serde::Deserialize;

use super::complete::complete_path;
use super::error::{FileError, ShownPath};
use super::progress::{Progress, report_progress};
use super::read::{ReadFile, read_file};
use super::resources::uri_of;
use super::root::Root;
use super::search::{SearchResult, find_text};
use super::{Cancel, mime_type};
use crate::registry::{
    BlockingContext, CompletionRequest, ContentBlock, Prompt, PromptArgument, PromptMessage, PromptOutput,
    RegistryBuilder, RegistryError, ResourceContents, Role, ToolError,
};

/// Arguments of `explain-file`.
#[derive(Debug, Deserialize)]
struct ExplainFile {
    path: String,
}

/// Arguments of `find-in-files`.
#[derive(Debug, Deserialize)]
struct FindInFiles {
    query: String,
    #[serde(default)]
    path: Option<String>,
}

/// Adds the prompts of a root.
pub(super) fn register(registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
    registry.add(
        Prompt::new("explain-file")
            .title("Explain a file")
            .description("Explains a text file, which comes with the prompt.")
            .argument(
                PromptArgument::required("path")
                    .description("Path of the file, relative to the served directory."),
            )
            .complete_blocking("path", complete)
            .run_blocking(|root: &Root, context: &BlockingContext, args: ExplainFile| {
                explain_file(root, &args.path, &|| context.is_cancelled()).map_err(FileError::told)
            }),
    )?;
    registry.add(
        Prompt::new("find-in-files")
            .title("Find in files")
            .description(
                "Tells where a text occurs in the files and what for; the lines come with the prompt.",
            )
            .argument(PromptArgument::required("query").description("The text, as it stands in the files."))
            .argument(
                PromptArgument::optional("path")
                    .description("Only this file, or the files below this directory. Default: all."),
            )
            .complete_blocking("path", complete)
            .run_blocking(|root: &Root, context: &BlockingContext, args: FindInFiles| {
                let cancel: Cancel<'_> = &|| context.is_cancelled();
                report_progress(context, |progress| find_in_files(root, &args, cancel, progress))
                    .map_err(FileError::told)
            }),
    )?;
    Ok(())
}

fn complete(
    root: &Root,
    context: &BlockingContext,
    request: CompletionRequest,
) -> Result<crate::registry::Completion, ToolError> {
    complete_path(root, request.value(), &|| context.is_cancelled()).map_err(FileError::told)
}

/// The request, then the file as an embedded resource.
fn explain_file(root: &Root, path: &str, cancel: Cancel<'_>) -> Result<PromptOutput, FileError> {
    let shown = ShownPath::new(path);
    let arguments = ReadFile {
        path: path.to_owned(),
        ..ReadFile::default()
    };
    let file = read_file(root, &arguments, cancel)?;
    let mut request = format!(
        "Explain the file {shown}: what it is for, how it is built, and what somebody who changes it should know."
    );
    if let Some(note) = file.note() {
        request.push_str(&format!(" Of what follows: {note}."));
    }
    let mime_type = Some(mime_type::of(path, true).to_owned());
    let contents = ResourceContents::text(uri_of(&plain(root, path)?), mime_type, file.text);
    Ok(PromptOutput {
        description: Some(format!("Explain {shown}")),
        messages: vec![
            PromptMessage::user(request),
            PromptMessage {
                role: Role::User,
                content: ContentBlock::resource(contents),
            },
        ],
        ..PromptOutput::default()
    })
}

/// The path as URIs have it: relative to the root, without redundant parts.
fn plain(root: &Root, path: &str) -> Result<String, FileError> {
    let root = root.served()?;
    let relative = root.relative(path)?;
    let parts = relative
        .components()
        .map(|part| part.as_os_str().to_string_lossy());
    Ok(parts.filter(|part| part != ".").collect::<Vec<_>>().join("/"))
}

/// The request, then the lines.
fn find_in_files(
    root: &Root,
    args: &FindInFiles,
    cancel: Cancel<'_>,
    progress: Progress<'_>,
) -> Result<PromptOutput, FileError> {
    let beneath = args.path.as_deref().filter(|path| !path.is_empty());
    let result = find_text(root, &args.query, beneath, cancel, progress)?;
    let query = ShownPath::new(&args.query);
    let place = match beneath {
        Some(path) => format!("below {}", ShownPath::new(path)),
        None => "in the served directory".to_owned(),
    };
    let request = match result.matches.len() {
        0 => format!("No line {place} contains the text {query}. Say so, and propose what else to look for."),
        _ => format!(
            "Tell where {query} occurs {place} and what for, by the lines that follow; look around them with \
             read_file where they do not say enough."
        ),
    };
    let mut messages = vec![PromptMessage::user(request)];
    if !result.matches.is_empty() {
        messages.push(PromptMessage::user(lines(&result)));
    }
    Ok(PromptOutput {
        description: Some(format!("Find {query} {place}")),
        messages,
        ..PromptOutput::default()
    })
}

/// The lines as `grep -n` prints them, and what is missing.
fn lines(result: &SearchResult) -> String {
    let mut text = String::new();
    for found in &result.matches {
        text.push_str(&format!("{}:{}: {}\n", found.path, found.line, found.text));
    }
    if result.truncated {
        text.push_str("(There are more.)\n");
    }
    text
}
