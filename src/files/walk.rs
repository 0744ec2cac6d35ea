//! One walk through the root, in order, which `find_files` and `search` share.
//!
//! A walk goes depth first, with the entries of a directory ordered by name, so two walks over the same tree give the
//! same order. Symbolic links are shown and never followed. `.git` is skipped, and so is everything that `.gitignore`
//! files inside the root, or its own `.git/info/exclude`, exclude; those above the root, and a user's own excludes, are
//! not read on purpose.
//!
//! Entries that cannot be walked (unreadable, gone meanwhile, too deep, too many) are left out and counted, and never
//! end the walk.

use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::{Component, Path, PathBuf};
use std::vec;

use cap_std::fs::{Dir, Metadata};
use globset::{GlobBuilder, GlobSet};
use schemars::JsonSchema;
use serde::Serialize;

use super::Cancel;
use super::directory::SortedEntries;
use super::entry::Kind;
use super::error::FileError;
use super::gitignore::{Gitignore, Verdict};
use super::limits::FilesLimits;
use super::root::{Served, open_regular, open_subdirectory};

/// The parts that an answer leaves out, and why.
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
    /// `.gitignore` files that are too long: what the rest of their rules excludes was not left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gitignores_cut: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

fn is_false(fact: &bool) -> bool {
    !fact
}

/// A file, directory or symbolic link met on a walk.
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
    root: &Served,
    cancel: Cancel<'_>,
    mut visit: impl FnMut(Met<'_>, &mut Omitted) -> Result<ControlFlow<()>, FileError>,
) -> Result<Omitted, FileError> {
    let limits = root.limits();
    let mut walk = Walk {
        limits,
        cancel,
        levels: Vec::new(),
        exclude: read_exclude(root.dir(), limits),
        omitted: Omitted::default(),
        entries_left: limits.walk_entries_max,
    };
    // It needs a handle of its own, because the levels own theirs.
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
        if matches!(kind, Kind::File | Kind::Symlink | Kind::Directory) {
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
        if kind == Kind::Directory {
            walk.enter(&name, path)?;
        }
    }
    Ok(walk.omitted)
}

struct Walk<'a> {
    limits: &'a FilesLimits,
    cancel: Cancel<'a>,
    /// The directories from the root to here, each with a descriptor.
    levels: Vec<Level>,
    /// The rules of the root's own repository, which apply unless a `.gitignore` decides otherwise.
    exclude: Option<Rules>,
    omitted: Omitted,
    entries_left: usize,
}

struct Level {
    dir: Dir,
    /// Path from the root with a slash behind it; empty for the root.
    prefix: String,
    entries: vec::IntoIter<(String, Kind)>,
    gitignore: Option<Rules>,
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
        self.omitted.gitignores_cut += usize::from(gitignore.as_ref().is_some_and(|rules| rules.is_cut));
        self.levels.push(Level {
            dir,
            prefix,
            entries: sorted.entries.into_iter(),
            gitignore,
        });
        Ok(())
    }

    /// The deepest `.gitignore` with a matching rule decides. Directories above were checked on the way down.
    fn is_ignored(&self, path: &str, kind: Kind) -> bool {
        let levels = self.levels.iter().rev();
        let deepest_first = levels.filter_map(|level| Some((level.prefix.len(), level.gitignore.as_ref()?)));
        is_excluded(
            deepest_first.chain(self.exclude.as_ref().map(|rules| (0, rules))),
            path,
            kind,
        )
    }
}

/// git's own directory.
pub(super) const GIT: &str = ".git";
const GITIGNORE: &str = ".gitignore";

/// The rules of a file.
pub(super) struct Rules {
    rules: Gitignore,
    /// Whether the file has more rules than are read.
    is_cut: bool,
}

/// Whether rules exclude `path`; each come with the length of the path, and its slash, to where they lie.
pub(super) fn is_excluded<'a>(
    mut deepest_first: impl Iterator<Item = (usize, &'a Rules)>,
    path: &str,
    kind: Kind,
) -> bool {
    let verdict = deepest_first.find_map(|(prefix_bytes, file)| {
        let beneath = path.get(prefix_bytes..).unwrap_or(path);
        file.rules.verdict(beneath, kind == Kind::Directory)
    });
    verdict == Some(Verdict::Excluded)
}

/// The rules of `dir`'s `.gitignore`. One that is a symbolic link has none, as in git.
pub(super) fn read_gitignore(dir: &Dir, limits: &FilesLimits) -> Option<Rules> {
    let kind = dir.symlink_metadata(GITIGNORE).ok()?.file_type();
    (Kind::from(kind) == Kind::File)
        .then(|| read_rules(dir, Path::new(GITIGNORE), limits))
        .flatten()
}

/// The rules that belong to the root's repository, and to no commit.
pub(super) fn read_exclude(root: &Dir, limits: &FilesLimits) -> Option<Rules> {
    let git = open_subdirectory(root, GIT).ok()?;
    read_rules(&git, Path::new("info/exclude"), limits)
}

fn read_rules(dir: &Dir, path: &Path, limits: &FilesLimits) -> Option<Rules> {
    let (file, _) = open_regular(dir, path).ok()?.ok()?;
    let bytes_max = limits.gitignore_bytes_max;
    let mut text = Vec::new();
    file.take(bytes_max as u64 + 1).read_to_end(&mut text).ok()?;
    let is_cut = text.len() > bytes_max;
    if is_cut {
        // The front half of a rule is a different rule.
        let newline = memchr::memrchr(b'\n', text.get(..bytes_max).unwrap_or_default());
        text.truncate(newline.unwrap_or(0));
    }
    Some(Rules {
        rules: Gitignore::parse(&text),
        is_cut,
    })
}

/// A client's glob, matched against paths from the root. As in a `.gitignore`, one without a slash is matched only
/// against the last part, so that `*.rs` finds what people mean by it; with a slash at its end it is only for
/// directories. A path that is written out matches itself, whatever characters are in it.
pub(super) struct PathGlob {
    matcher: GlobSet,
    /// The entry that the glob names when none of its characters counts as special, though some could.
    literal: Option<(String, Kind)>,
    is_name_only: bool,
    is_for_directories: bool,
}

/// Whether letters of both cases are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Heeded,
    Ignored,
}

impl Case {
    pub(super) fn ignored_if(is_ignored: Option<bool>) -> Case {
        match is_ignored {
            Some(true) => Case::Ignored,
            _ => Case::Heeded,
        }
    }
}

impl PathGlob {
    pub(super) fn new(root: &Served, glob: &str, case: Case) -> Result<PathGlob, FileError> {
        let bytes_max = root.limits().pattern_bytes_max;
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
        let (glob, is_for_directories) = match glob.strip_suffix('/') {
            Some(glob) if !glob.is_empty() => (glob, true),
            _ => (glob, false),
        };
        let (pattern, is_whole_path) = root.relative_glob(glob);
        let literal = existing(root, pattern);
        let escaped = globset::escape(pattern);
        let matcher = compile(&[pattern, &escaped], case).or_else(|error| match literal {
            Some(_) => compile(&[&escaped], case),
            None => Err(error),
        })?;
        Ok(PathGlob {
            matcher,
            literal,
            is_name_only: !is_whole_path,
            is_for_directories,
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
            matcher: compile(&[&itself, &below], Case::Heeded)?,
            literal: None,
            is_name_only: false,
            is_for_directories: false,
        })
    }

    /// The path that the glob is when it is read as one, and a directory where it says so.
    pub(super) fn literal(&self) -> Option<(&str, Kind)> {
        let literal = self.literal.as_ref().map(|(path, kind)| (path.as_str(), *kind));
        literal.filter(|(_, kind)| *kind == Kind::Directory || !self.is_for_directories)
    }

    pub(super) fn is_match(&self, met: &Met<'_>) -> bool {
        let subject = if self.is_name_only { met.name } else { met.path };
        (met.kind == Kind::Directory || !self.is_for_directories) && self.matcher.is_match(subject)
    }
}

/// The entry at `pattern`, read as a plain path, if there is one and the path has characters that globs know.
fn existing(root: &Served, pattern: &str) -> Option<(String, Kind)> {
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(name) if name != GIT);
    let path = Path::new(pattern);
    if globset::escape(pattern) == pattern || !path.components().all(is_plain) {
        return None;
    }
    let kind = Kind::from(root.dir().symlink_metadata(path).ok()?.file_type());
    let path: PathBuf = path.components().collect();
    let is_shown = matches!(kind, Kind::File | Kind::Symlink | Kind::Directory);
    is_shown
        .then(|| Some((path.to_str()?.to_owned(), kind)))
        .flatten()
}

/// Compiles a set even for one glob: compiling a single glob panics where compiling a set fails.
fn compile(globs: &[&str], case: Case) -> Result<GlobSet, FileError> {
    let parsed = globs.iter().map(|glob| {
        GlobBuilder::new(glob)
            .literal_separator(true)
            .backslash_escape(true)
            .case_insensitive(case == Case::Ignored)
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
