//! `find_files`: paths that match a glob.

use std::ops::ControlFlow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Cancel;
use super::error::FileError;
use super::progress::{Looked, Progress};
use super::root::Root;
use super::walk::{Omitted, PathGlob, walk};

/// Arguments of `find_files`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct FindFiles {
    /// Glob: `*` and `?` within one part of a path, `**` across parts, `[a-z]`, `{one,other}`. Without a slash it is
    /// matched against names anywhere (`*.rs`), with one against whole paths from the served directory
    /// (`src/**/*.rs`).
    pub glob: String,
}

/// Paths that match a glob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Found {
    /// Paths relative to the served directory, in order; regular files and symbolic links.
    pub paths: Vec<String>,
    /// Whether there are more matches than one answer holds; a narrower glob shows them.
    pub truncated: bool,
    /// What was not looked at, and why.
    pub omitted: Omitted,
}

/// Finds files by a glob.
///
/// # Errors
/// The glob does not parse; the call was cancelled.
pub fn find_files(
    root: &Root,
    args: &FindFiles,
    cancel: Cancel<'_>,
    progress: Progress<'_>,
) -> Result<Found, FileError> {
    let limits = root.limits();
    let glob = PathGlob::new(&args.glob, limits)?;
    let (mut paths, mut truncated) = (Vec::new(), false);
    let mut bytes_left = limits.answer_bytes_max;
    let mut looked = Looked::default();
    let omitted = walk(root, cancel, |met, _| {
        looked.files += 1;
        if glob.is_match(&met) {
            if paths.len() >= limits.find_results_max || met.path.len() > bytes_left {
                truncated = true;
                return Ok(ControlFlow::Break(()));
            }
            bytes_left -= met.path.len();
            paths.push(met.path.to_owned());
            looked.found = paths.len();
        }
        progress(looked);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Found {
        paths,
        truncated,
        omitted,
    })
}
