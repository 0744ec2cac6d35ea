//! One walk through the root, in order: what `find_files` and `search` have in common.
//!
//! Depth first, entries by name, files and directories alike; so two walks over the same tree give the same order.
//! Symbolic links are shown and never descended, `.git` is skipped, and so is what `.gitignore` files inside the
//! root exclude; those above it, and a user's own excludes, are out of reach on purpose. The `ignore` crate's own
//! walker takes paths and would leave the root's descriptor; only its matchers are used.
//!
//! What cannot be walked (unreadable, gone meanwhile, too deep, too many) is left out and counted, never fatal.

use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::Path;
use std::vec;

use cap_std::fs::{Dir, Metadata};
use globset::{GlobBuilder, GlobSet};
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use schemars::JsonSchema;
use serde::Serialize;

use super::Cancel;
use super::directory::SortedEntries;
use super::entry::Kind;
use super::error::FileError;
use super::limits::FilesLimits;
use super::root::{Root, open_regular, open_subdirectory};

/// What an answer leaves out, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Omitted {
    /// More directory entries than one call visits: the rest of the tree was not looked at.
    #[serde(default, skip_serializing_if = "is_false")]
    pub entries_beyond_limit: bool,
    /// Directories nested too deep to descend into.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub directories_too_deep: usize,
    /// Files and directories that could not be read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unreadable: usize,
    /// Names that are not UTF-8.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub names_not_utf8: usize,
    /// Binary files, which are not searched.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub binary_files: usize,
    /// Files with a line too long to be searched.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub files_with_too_long_lines: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn is_false(fact: &bool) -> bool {
    !fact
}

/// A file or symbolic link met on a walk.
pub(super) struct Met<'a> {
    /// Relative to the root.
    pub(super) path: &'a str,
    /// The last part of `path`, an entry of `dir`.
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    pub(super) dir: &'a Dir,
}

/// Walks the whole root until `visit` breaks.
pub(super) fn walk(
    root: &Root,
    cancel: Cancel<'_>,
    mut visit: impl FnMut(Met<'_>, &mut Omitted) -> Result<ControlFlow<()>, FileError>,
) -> Result<Omitted, FileError> {
    let limits = root.limits();
    let mut walk = Walk {
        limits,
        cancel,
        levels: Vec::new(),
        omitted: Omitted::default(),
        entries_left: limits.walk_entries_max,
    };
    // A handle of its own: the levels own theirs.
    let top = root
        .dir()
        .try_clone()
        .map_err(|error| FileError::from_io(".", error))?;
    walk.descend(top, String::new())?;
    while let Some(level) = walk.levels.last_mut() {
        let Some((name, kind)) = level.entries.next() else {
            walk.levels.pop();
            continue;
        };
        if cancel() {
            return Err(FileError::Cancelled);
        }
        let path = format!("{}{name}", level.prefix);
        if name == GIT || walk.is_ignored(&path, kind) {
            continue;
        }
        let Some(level) = walk.levels.last() else { break };
        if kind == Kind::Directory {
            walk.enter(&name, path)?;
        } else if matches!(kind, Kind::File | Kind::Symlink) {
            let met = Met {
                path: &path,
                name: &name,
                kind,
                dir: &level.dir,
            };
            if visit(met, &mut walk.omitted)?.is_break() {
                break;
            }
        }
    }
    Ok(walk.omitted)
}

struct Walk<'a> {
    limits: &'a FilesLimits,
    cancel: Cancel<'a>,
    /// The directories from the root to here, each with a descriptor.
    levels: Vec<Level>,
    omitted: Omitted,
    entries_left: usize,
}

struct Level {
    dir: Dir,
    /// Path from the root with a slash behind it; empty for the root.
    prefix: String,
    entries: vec::IntoIter<(String, Kind)>,
    gitignore: Option<Gitignore>,
}

impl Walk<'_> {
    /// Opens a subdirectory of the deepest level and makes it the deepest.
    fn enter(&mut self, name: &str, path: String) -> Result<(), FileError> {
        let Some(level) = self.levels.last() else {
            return Ok(());
        };
        if self.levels.len() > self.limits.walk_depth_max {
            self.omitted.directories_too_deep += 1;
            return Ok(());
        }
        match open_subdirectory(&level.dir, name) {
            Ok(dir) => self.descend(dir, path + "/"),
            Err(_) => {
                self.omitted.unreadable += 1;
                Ok(())
            }
        }
    }

    fn descend(&mut self, dir: Dir, prefix: String) -> Result<(), FileError> {
        let entries_max = self.limits.directory_entries_max.min(self.entries_left);
        let Ok(sorted) = SortedEntries::read(&dir, entries_max, self.cancel)? else {
            self.omitted.unreadable += 1;
            return Ok(());
        };
        self.entries_left -= (sorted.entries.len() + sorted.not_utf8).min(self.entries_left);
        self.omitted.names_not_utf8 += sorted.not_utf8;
        self.omitted.entries_beyond_limit |= sorted.is_cut;
        let has_gitignore = sorted.entries.iter().any(|(name, _)| name == GITIGNORE);
        let gitignore = has_gitignore.then(|| read_gitignore(&dir, self.limits)).flatten();
        self.levels.push(Level {
            dir,
            prefix,
            entries: sorted.entries.into_iter(),
            gitignore,
        });
        Ok(())
    }

    /// The deepest `.gitignore` with an opinion decides. Directories above were asked on the way down.
    fn is_ignored(&self, path: &str, kind: Kind) -> bool {
        let levels = self.levels.iter().rev();
        let deepest_first = levels.filter_map(|level| Some((level.prefix.len(), level.gitignore.as_ref()?)));
        is_excluded(deepest_first, path, kind)
    }
}

/// git's own directory.
pub(super) const GIT: &str = ".git";
const GITIGNORE: &str = ".gitignore";

/// Whether rules exclude `path`; each come with the length of the path, and its slash, to where they lie.
pub(super) fn is_excluded<'a>(
    deepest_first: impl Iterator<Item = (usize, &'a Gitignore)>,
    path: &str,
    kind: Kind,
) -> bool {
    for (prefix_bytes, rules) in deepest_first {
        let beneath = path.get(prefix_bytes..).unwrap_or(path);
        match rules.matched(beneath, kind == Kind::Directory) {
            Match::Ignore(_) => return true,
            Match::Whitelist(_) => return false,
            Match::None => {}
        }
    }
    false
}

/// The rules of `dir`'s `.gitignore`; lines that do not parse have no effect, as in git.
pub(super) fn read_gitignore(dir: &Dir, limits: &FilesLimits) -> Option<Gitignore> {
    let (file, _) = open_regular(dir, Path::new(GITIGNORE)).ok()?.ok()?;
    let mut text = Vec::new();
    file.take(limits.gitignore_bytes_max as u64)
        .read_to_end(&mut text)
        .ok()?;
    let text = String::from_utf8_lossy(&text);
    let mut builder = GitignoreBuilder::new("");
    for line in text.trim_start_matches('\u{feff}').lines() {
        let _ = builder.add_line(None, line);
    }
    builder.build().ok()
}

/// A client's glob, matched against paths from the root. As in a `.gitignore`, one without a slash is matched
/// against the last part alone, so that `*.rs` finds what people mean by it.
pub(super) struct PathGlob {
    matcher: GlobSet,
    is_name_only: bool,
}

impl PathGlob {
    pub(super) fn new(glob: &str, limits: &FilesLimits) -> Result<PathGlob, FileError> {
        let bytes_max = limits.pattern_bytes_max;
        if glob.len() > bytes_max {
            return Err(FileError::BadGlob {
                reason: format!("it is longer than {bytes_max} bytes"),
            });
        }
        if glob.is_empty() {
            return Err(FileError::BadGlob {
                reason: "it is empty".into(),
            });
        }
        let beneath_root = glob.strip_prefix("./").or(glob.strip_prefix('/')).unwrap_or(glob);
        Ok(PathGlob {
            matcher: compile(&[beneath_root])?,
            is_name_only: !glob.contains('/'),
        })
    }

    /// The file or directory at `path`, which is a plain path from the root, and all that lies below it.
    pub(super) fn beneath(path: &str) -> Result<PathGlob, FileError> {
        let itself = globset::escape(path);
        let below = if path.is_empty() {
            "**".to_owned()
        } else {
            format!("{itself}/**")
        };
        Ok(PathGlob {
            matcher: compile(&[&itself, &below])?,
            is_name_only: false,
        })
    }

    pub(super) fn is_match(&self, met: &Met<'_>) -> bool {
        self.matcher
            .is_match(if self.is_name_only { met.name } else { met.path })
    }
}

/// Always a set: compiling a single glob panics where compiling a set fails.
fn compile(globs: &[&str]) -> Result<GlobSet, FileError> {
    let parsed = globs.iter().map(|glob| {
        GlobBuilder::new(glob)
            .literal_separator(true)
            .backslash_escape(true)
            .build()
    });
    let parsed = parsed.collect::<Result<Vec<_>, _>>();
    parsed.and_then(GlobSet::new).map_err(|error| FileError::BadGlob {
        reason: error.kind().to_string(),
    })
}

/// Opens a file met on a walk: `None` if it is gone, unreadable or no regular file any more.
pub(super) fn open_met(met: &Met<'_>) -> io::Result<Option<(File, Metadata)>> {
    Ok(open_regular(met.dir, Path::new(met.name))?.ok())
}
