//! The `files` functions as tools: their words for the model, and what an error becomes.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::FileError;
use super::root::Root;
use super::{Cancel, file_info, find_files, list_directory, read_file, resources, search};
use crate::registry::{BlockingContext, RegistryBuilder, RegistryError, Structured, Tool, ToolError};

/// Adds the toolset to `tools`, serving `root`.
///
/// # Errors
/// A tool of the same name, or its resource template, is there already.
pub fn register(tools: &mut RegistryBuilder, root: &Root) -> Result<(), RegistryError> {
    let words = Words {
        name: "read_file",
        title: "Read a file",
        description: "Reads a text file, or a piece of it: `limit` lines from line `offset`. A long answer is cut \
            and says where to go on (`next_offset`, `next_start_byte`).",
    };
    tools.add(tool(root, words, read_file))?;
    let words = Words {
        name: "list_directory",
        title: "List a directory",
        description: "Lists the entries of a directory by name, with kind and size. Does not descend.",
    };
    tools.add(tool(root, words, list_directory))?;
    let words = Words {
        name: "find_files",
        title: "Find files",
        description: "Finds files whose names or paths match a glob, such as `*.rs` or `src/**/mod.rs`. What \
            `.gitignore` excludes is left out.",
    };
    tools.add(tool(root, words, find_files))?;
    let words = Words {
        name: "search",
        title: "Search in files",
        description: "Finds lines that match a regular expression, in all text files or those that match `glob`. \
            What `.gitignore` excludes is left out, and so are binary files.",
    };
    tools.add(tool(root, words, search))?;
    let words = Words {
        name: "file_info",
        title: "Describe a file",
        description: "Tells what a path is: kind, size, time of the last change, and where a symbolic link leads.",
    };
    tools.add(tool(root, words, |root, args, _| file_info(root, args)))?;
    resources::register(tools, root)
}

struct Words {
    name: &'static str,
    title: &'static str,
    description: &'static str,
}

fn tool<A, T>(
    root: &Root,
    words: Words,
    function: impl Fn(&Root, &A, Cancel<'_>) -> Result<T, FileError> + Send + Sync + 'static,
) -> Tool
where
    A: DeserializeOwned + JsonSchema + Send + 'static,
    T: Serialize + JsonSchema + 'static,
{
    let root = root.clone();
    Tool::new(words.name)
        .title(words.title)
        .description(words.description)
        .read_only()
        .idempotent()
        .open_world(false)
        .run_blocking(move |context: &BlockingContext, args: A| {
            function(&root, &args, &|| context.is_cancelled())
                .map(Structured)
                .map_err(ToolError::from)
        })
}

impl From<FileError> for ToolError {
    fn from(error: FileError) -> ToolError {
        match error {
            FileError::Cancelled => ToolError::Cancelled,
            // The client could do nothing with an error number, the operator can.
            FileError::System { .. } => ToolError::internal(error),
            other => ToolError::message(other),
        }
    }
}
