//! The `files` functions as tools: their descriptions for the model, and how errors are answered.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::FileError;
use super::progress::{Progress, report_progress};
use super::read::{FileText, ReadFile, read_file_at_once};
use super::root::Root;
use super::{Cancel, file_info, find_files, list_directory, prompts, read_file, resources, search};
use crate::registry::{
    BlockingContext, ContentBlock, DerivedSchema, IntoOutput, RegistryBuilder, RegistryError, Structured,
    Tool, ToolBuilder, ToolError, ToolOutput, Toolset, UnknownArguments,
};

/// The tools, the prompts, and the files as resources. Several directories have their place in one server under
/// prefixes:
///
/// ```no_run
/// use weir::Registry;
/// use weir::files::Root;
///
/// let mut registry = Registry::builder();
/// registry.mount("manual", Root::open("/srv/manual")?)?;
/// registry.mount("laws", Root::open("/srv/laws")?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl Toolset for Root {
    fn register(&self, registry: &mut RegistryBuilder) -> Result<(), RegistryError> {
        let words = Words {
            name: "read_file",
            title: "Read a file",
            description: "Reads a text file, or a piece of it: `limit` lines from line `offset`. The answer is the text as \
            it stands; if that is cut, a second block of text says with which `offset` or `start_byte` to go on.",
        };
        registry.add(words.tool().run_blocking_unless(
            |root: &Root, args: &ReadFile| {
                Some(
                    read_file_at_once(root, args)?
                        .map(as_text)
                        .map_err(FileError::told),
                )
            },
            |root: &Root, context: &BlockingContext, args: ReadFile| {
                let read = read_file(root, &args, &|| context.is_cancelled());
                read.map(as_text).map_err(FileError::told)
            },
        ))?;
        let words = Words {
            name: "list_directory",
            title: "List a directory",
            description: "Lists the entries of a directory by name, with kind and size. Does not descend.",
        };
        registry.add(tool(words, list_directory, Structured))?;
        let words = Words {
            name: "find_files",
            title: "Find files",
            description: "Finds files and directories whose names or paths match a glob, such as `*.rs`, `src/**/mod.rs` \
            or `tests/`. What `.gitignore` excludes is left out.",
        };
        registry.add(walking_tool(words, find_files))?;
        let words = Words {
            name: "search",
            title: "Search in files",
            description: "Finds lines that match a regular expression, or contain a text (`literal`), in all text files \
            or those that match `glob`. What `.gitignore` excludes is left out, and so are binary files.",
        };
        registry.add(walking_tool(words, search))?;
        let words = Words {
            name: "file_info",
            title: "Describe a file",
            description: "Tells what a path is: kind, size, time of the last change, and where a symbolic link leads.",
        };
        registry.add(tool(words, |root, args, _| file_info(root, args), Structured))?;
        prompts::register(registry)?;
        resources::register(registry, self)?;
        let root = self.clone();
        registry.not_ready_while("the served directory is not there", move || !root.is_there());
        Ok(())
    }
}

struct Words {
    name: &'static str,
    title: &'static str,
    description: &'static str,
}

impl Words {
    fn tool(self) -> ToolBuilder<DerivedSchema> {
        Tool::new(self.name)
            .title(self.title)
            .description(self.description)
            .read_only()
            .idempotent()
            .open_world(false)
            // The model that misspelt `limit` should learn of it.
            .unknown_arguments(UnknownArguments::Report)
    }
}

/// A file's text, and a note about it. There is no structured part: clients that get one show nothing else to their
/// models, and it would be the text once more, escaped.
fn as_text(file: FileText) -> ToolOutput {
    match file.note() {
        // A result that is nothing but a text leaves in pieces if it is large, and others have their turns meanwhile.
        None => ToolOutput::text(file.text),
        Some(note) => ToolOutput::blocks(vec![
            ContentBlock::text(file.text),
            ContentBlock::text(format!("[{note}]")),
        ]),
    }
}

fn tool<A, T, O>(
    words: Words,
    function: impl Fn(&Root, &A, Cancel<'_>) -> Result<T, FileError> + Send + Sync + 'static,
    show: impl Fn(T) -> O + Send + Sync + 'static,
) -> Tool
where
    A: DeserializeOwned + JsonSchema + Send + 'static,
    O: IntoOutput + 'static,
{
    let function = move |root: &Root, args: &A, context: &BlockingContext| {
        function(root, args, &|| context.is_cancelled()).map(&show)
    };
    contextual_tool(words, function)
}

/// A tool that may take long, and reports its progress.
fn walking_tool<A, T>(
    words: Words,
    function: impl Fn(&Root, &A, Cancel<'_>, Progress<'_>) -> Result<T, FileError> + Send + Sync + 'static,
) -> Tool
where
    A: DeserializeOwned + JsonSchema + Send + 'static,
    T: Serialize + JsonSchema + 'static,
{
    let function = move |root: &Root, args: &A, context: &BlockingContext| {
        let cancel: Cancel<'_> = &|| context.is_cancelled();
        report_progress(context, |progress| function(root, args, cancel, progress)).map(Structured)
    };
    contextual_tool(words, function)
}

fn contextual_tool<A, O>(
    words: Words,
    function: impl Fn(&Root, &A, &BlockingContext) -> Result<O, FileError> + Send + Sync + 'static,
) -> Tool
where
    A: DeserializeOwned + JsonSchema + Send + 'static,
    O: IntoOutput + 'static,
{
    words
        .tool()
        .run_blocking(move |root: &Root, context: &BlockingContext, args: A| {
            function(root, &args, context).map_err(FileError::told)
        })
}

impl FileError {
    /// What a client is told of it.
    pub(super) fn told(self) -> ToolError {
        match self {
            FileError::Cancelled => ToolError::Cancelled,
            // The client could do nothing with an error number, but the operator can.
            FileError::System { .. } => ToolError::internal(self),
            other => ToolError::message(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Content;

    #[test]
    fn a_text_without_a_note_is_nothing_else() {
        let file = FileText {
            text: "all of it".to_owned(),
            first_line: Some(1),
            lines: 1,
            start_byte: 0,
            size_bytes: 9,
            truncated: false,
            next_offset: None,
            next_start_byte: None,
            decoded_from: None,
            has_replaced: false,
        };
        assert_eq!(
            *as_text(file.clone()).content(),
            Content::Text("all of it".to_owned())
        );
        let replaced = FileText {
            has_replaced: true,
            ..file
        };
        assert!(matches!(as_text(replaced).content(), Content::Blocks(blocks) if blocks.len() == 2));
    }
}
