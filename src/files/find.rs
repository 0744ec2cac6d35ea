//! `find_files`: files and directories by a glob over names or paths.

use std::ops::ControlFlow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Cancel;
use super::answer_bytes::AnswerBytes;
use super::entry::Kind;
use super::error::FileError;
use super::progress::{Looked, Progress};
use super::root::Root;
use super::walk::{Case, Omitted, PathGlob, walk};

/// Arguments of `find_files`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct FindFiles {
    /// Glob: `*` and `?` within one part of a path, `**` across parts, `[a-z]`, `{one,other}`. Without a slash it is
    /// matched against names anywhere (`*.rs`), with one against whole paths from the served directory
    /// (`src/**/*.rs`). With a slash at its end it finds directories alone (`test*/`). A path as it stands, with
    /// brackets and all, finds itself.
    pub glob: String,
    /// Whether letters of both cases are the same. Default: false.
    pub ignore_case: Option<bool>,
}

/// Paths that match a glob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Found {
    /// Paths relative to the served directory, in order: regular files, symbolic links, and directories with a slash
    /// at their end. The path that the glob itself is, if there is one, comes first.
    pub paths: Vec<String>,
    /// Whether there are more matches than one answer holds; a narrower glob shows them.
    pub truncated: bool,
    /// What was not looked at, and why.
    pub omitted: Omitted,
}

/// Finds files and directories by a glob.
///
/// # Errors
/// The glob does not parse; there is no root; the call was cancelled.
pub fn find_files(
    root: &Root,
    args: &FindFiles,
    cancel: Cancel<'_>,
    progress: Progress<'_>,
) -> Result<Found, FileError> {
    let root = &root.served()?;
    let glob = PathGlob::new(root, &args.glob, Case::ignored_if(args.ignore_case))?;
    let mut found = Finding {
        paths: Vec::new(),
        truncated: false,
        bytes: AnswerBytes::new(root.limits()),
        paths_max: root.limits().find_results_max,
    };
    let literal = glob.literal();
    if let Some((path, kind)) = literal {
        found.take(path, kind);
    }
    let mut looked = Looked::default();
    let omitted = walk(root, cancel, |met, _| {
        looked.files += u64::from(met.kind != Kind::Directory);
        let is_there_already = literal.is_some_and(|(path, _)| path == met.path);
        if glob.is_match(&met) && !is_there_already && !found.take(met.path, met.kind) {
            return Ok(ControlFlow::Break(()));
        }
        looked.found = found.paths.len();
        progress(looked);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Found {
        paths: found.paths,
        truncated: found.truncated,
        omitted,
    })
}

/// The paths that were found, as many as fit.
struct Finding {
    paths: Vec<String>,
    truncated: bool,
    bytes: AnswerBytes,
    paths_max: usize,
}

impl Finding {
    /// Adds a path, and returns whether there was room for it.
    fn take(&mut self, path: &str, kind: Kind) -> bool {
        let mut shown = path.to_owned();
        if kind == Kind::Directory {
            shown.push('/');
        }
        self.truncated = self.paths.len() >= self.paths_max || !self.bytes.take(&shown);
        if !self.truncated {
            self.paths.push(shown);
        }
        !self.truncated
    }
}
