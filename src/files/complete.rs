//! Completion of paths: a bounded number of entries of the directory that was typed so far.
//!
//! Hidden names and names that `.gitignore` files exclude are proposed only if no other name begins with the text; a
//! user who types the dot, or the excluded directory's name, wants them. Entries that a client could not read are not
//! proposed. The directory is read once, whatever its size, and only the names that are proposed are kept.

use std::collections::BinaryHeap;
use std::io;
use std::path::{Component, Path};

use cap_std::fs::Dir;

use super::directory::{CANCEL_ENTRIES, kind_of};
use super::error::FileError;
use super::root::{Root, Served, open_subdirectory};
use super::walk::{self, GIT, is_excluded, read_exclude, read_gitignore};
use super::{Cancel, Kind};
use crate::registry::{COMPLETION_VALUES_MAX, Completion};

/// Paths that begin with the typed text, in order; directories with a slash, so that typing goes on.
pub(super) fn complete_path(root: &Root, typed: &str, cancel: Cancel<'_>) -> Result<Completion, FileError> {
    let root = &root.served()?;
    let (directory, start) = match typed.rfind('/') {
        Some(slash) => typed.split_at(slash + 1),
        None => ("", typed),
    };
    // The same proposals serve URIs and tools, and a URI's path begins at the root.
    if directory.starts_with('/') {
        return Ok(Completion::default());
    }
    let dir = match root.open_dir(directory.trim_end_matches('/')) {
        Ok(dir) => dir,
        // There is nothing to propose, whatever the reason.
        Err(error) => return nothing(error),
    };
    let rules = Rules::of(root, directory);
    let entries_max = root.limits().directory_entries_max;
    let names = match Names::read(&dir, start, &rules, entries_max, cancel)? {
        Ok(names) => names,
        Err(error) => return nothing(FileError::from_io(typed, error)),
    };
    let (names, has_more) = names.chosen();
    let values = names
        .into_iter()
        .filter_map(|(name, kind)| {
            let path = format!("{directory}{name}");
            match kind {
                Kind::Symlink => match root.dir().metadata(&path).ok()? {
                    end if end.is_dir() => Some(path + "/"),
                    end => end.is_file().then_some(path),
                },
                Kind::Directory => Some(path + "/"),
                _ => Some(path),
            }
        })
        .collect();
    Ok(if has_more {
        Completion::some(values)
    } else {
        Completion::all(values)
    })
}

fn nothing(error: FileError) -> Result<Completion, FileError> {
    match error {
        FileError::Cancelled | FileError::NoRoot | FileError::System { .. } => Err(error),
        _ => Ok(Completion::default()),
    }
}

/// The first names that begin with the text, ordered by name.
#[derive(Default)]
struct Names {
    plain: First,
    /// Hidden or excluded names.
    other: First,
    /// Whether the directory has more entries than a call may look at.
    is_cut: bool,
}

impl Names {
    fn read(
        dir: &Dir,
        start: &str,
        rules: &Rules,
        entries_max: usize,
        cancel: Cancel<'_>,
    ) -> Result<io::Result<Names>, FileError> {
        let mut names = Names::default();
        let entries = match dir.entries() {
            Ok(entries) => entries,
            Err(error) => return Ok(Err(error)),
        };
        for (seen, entry) in entries.enumerate() {
            if seen.is_multiple_of(CANCEL_ENTRIES) && cancel() {
                return Err(FileError::Cancelled);
            }
            if seen >= entries_max {
                names.is_cut = true;
                break;
            }
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return Ok(Err(error)),
            };
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if !name.starts_with(start) {
                continue;
            }
            let kind = kind_of(&entry);
            if matches!(kind, Kind::File | Kind::Directory | Kind::Symlink) {
                let is_hidden = name.starts_with('.') && !start.starts_with('.');
                let is_plain = !is_hidden && !rules.exclude(&name, kind);
                let first = if is_plain {
                    &mut names.plain
                } else {
                    &mut names.other
                };
                first.push(name, kind);
            }
        }
        Ok(Ok(names))
    }

    /// The names to propose, and whether there are more.
    fn chosen(self) -> (Vec<(String, Kind)>, bool) {
        let chosen = if self.plain.heap.is_empty() {
            self.other
        } else {
            self.plain
        };
        (chosen.heap.into_sorted_vec(), chosen.is_full || self.is_cut)
    }
}

/// As many names as are proposed, the last on top.
#[derive(Default)]
struct First {
    heap: BinaryHeap<(String, Kind)>,
    is_full: bool,
}

impl First {
    fn push(&mut self, name: String, kind: Kind) {
        self.heap.push((name, kind));
        if self.heap.len() > COMPLETION_VALUES_MAX {
            self.heap.pop();
            self.is_full = true;
        }
    }
}

/// The rules that exclude names, from the root down to a directory, the deepest last.
struct Rules {
    /// The directory's own path, without links and with a slash behind it; empty for the root.
    prefix: String,
    /// Rules, each with the length of its directory's own prefix.
    levels: Vec<(usize, walk::Rules)>,
}

impl Rules {
    /// Reads as many rules as possible: they only decide which names come first.
    fn of(root: &Served, directory: &str) -> Rules {
        let mut rules = Rules {
            prefix: String::new(),
            levels: Vec::new(),
        };
        let relative = if directory.is_empty() { "." } else { directory };
        let (Ok(real), Ok(mut dir)) = (root.dir().canonicalize(relative), root.dir().try_clone()) else {
            return rules;
        };
        rules
            .levels
            .extend(read_exclude(&dir, root.limits()).map(|rules| (0, rules)));
        rules.push(root, &dir);
        for part in real.components().take(root.limits().walk_depth_max) {
            let Component::Normal(name) = part else { continue };
            let (Some(name), Ok(below)) = (name.to_str(), open_subdirectory(&dir, Path::new(name))) else {
                break;
            };
            dir = below;
            rules.prefix.push_str(name);
            rules.prefix.push('/');
            rules.push(root, &dir);
        }
        rules
    }

    fn push(&mut self, root: &Served, dir: &Dir) {
        let own = read_gitignore(dir, root.limits());
        self.levels.extend(own.map(|rules| (self.prefix.len(), rules)));
    }

    fn exclude(&self, name: &str, kind: Kind) -> bool {
        let deepest_first = self.levels.iter().rev().map(|(length, rules)| (*length, rules));
        name == GIT || is_excluded(deepest_first, &format!("{}{name}", self.prefix), kind)
    }
}
