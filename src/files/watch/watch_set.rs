//! The watched paths: the entries on which each depends, which have changed, and when that is notified.
//!
//! A path depends on every entry on its way: on directories that may be replaced, on symbolic links and where they
//! lead. All of them are watched, up to the first that does not exist, and followed anew when one of them changes. The
//! way is walked as the kernel walks it for readers, from the root's handle and never out of it; it ends at a link that
//! leads out. When the root becomes another directory, all ways begin anew, and all paths have changed; while there is
//! no root, there is nothing to watch.
//!
//! This module neither waits nor reads a clock.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cap_std::fs::Dir;

use super::debounce::Debounce;
use super::directories::{Change, Changes, Directories, Key, Place};
use super::error::WatchError;
use crate::files::root::{Root, Served, open_subdirectory};

/// The most symbolic links on one path; the kernel follows no more either (path_resolution(7)).
const LINKS_MAX: usize = 40;
/// A path whose way could not be watched to its end is tried again this often.
const RETRY: Duration = Duration::from_secs(5);

/// Watched paths; `T` is what their owner gets for each change.
#[derive(Debug)]
pub(super) struct WatchSet<T> {
    root: Root,
    /// The directory that has the root's name, as of the last look.
    served: Option<Served>,
    /// The root's own number for that.
    root_changes: u64,
    directories: Directories,
    subjects: HashMap<Key, Subject<T>>,
    key_next: u64,
    /// The paths with a change that was not notified yet.
    changed: BTreeSet<Key>,
    /// The paths that could not be watched to the end of their way, because a limit was reached since they began.
    blind: BTreeSet<Key>,
    retry_at: Option<Instant>,
}

#[derive(Debug)]
struct Subject<T> {
    what: What,
    places: Vec<Place>,
    debounce: Debounce,
    callback: T,
}

/// The subject that may change.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// The file at this path, relative to the root.
    File(PathBuf),
    /// The list of the files in the root itself.
    List,
}

impl<T: Clone> WatchSet<T> {
    pub(super) fn new(root: Root) -> Result<WatchSet<T>, WatchError> {
        let directories = Directories::new(root.limits().watched_directories_max)?;
        let (served, root_changes) = root.look();
        Ok(WatchSet {
            root,
            served,
            root_changes,
            directories,
            subjects: HashMap::new(),
            key_next: 0,
            changed: BTreeSet::new(),
            blind: BTreeSet::new(),
            retry_at: None,
        })
    }

    /// Readable when there are changes.
    pub(super) fn descriptor(&self) -> Arc<OwnedFd> {
        self.directories.descriptor()
    }

    /// Begins to watch a path, whether there is a file yet or not.
    pub(super) fn add(&mut self, what: What, callback: T) -> Result<Key, WatchError> {
        if matches!(&what, What::File(path) if !begins_below(path)) {
            return Err(WatchError::NotBelowRoot);
        }
        let files_max = self.root.limits().watched_files_max;
        if self.subjects.len() >= files_max {
            return Err(WatchError::Files { files_max });
        }
        let key = Key(self.key_next);
        self.key_next += 1;
        let mut places = Vec::new();
        let followed = self.follow(&what, key, &mut places);
        if let Err(error) = followed {
            places
                .iter()
                .for_each(|place| self.directories.release(place, key));
            return Err(error);
        }
        let subject = Subject {
            what,
            places,
            debounce: Debounce::default(),
            callback,
        };
        self.subjects.insert(key, subject);
        Ok(key)
    }

    /// Ends a watch; a change that was not notified yet is dropped.
    pub(super) fn remove(&mut self, key: Key) {
        if let Some(subject) = self.subjects.remove(&key) {
            let places = subject.places.iter();
            places.for_each(|place| self.directories.release(place, key));
        }
        self.changed.remove(&key);
        self.blind.remove(&key);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }

    /// Notes that the path of `key` has changed; it is notified together with what else happens to it about now.
    pub(super) fn on_change(&mut self, key: Key, now: Instant) {
        if let Some(subject) = self.subjects.get_mut(&key) {
            subject.debounce.on_change(now);
            self.changed.insert(key);
        }
    }

    /// Takes in the changes since the last look.
    ///
    /// # Errors
    /// The kernel's events cannot be read: a fault of this program.
    pub(super) fn look(&mut self, now: Instant) -> io::Result<()> {
        self.look_at_root(now);
        let changes = self.directories.read()?;
        self.on_changes(changes, now);
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry(now);
        }
        Ok(())
    }

    /// Starts over if the root is another directory, or none, since the last look.
    fn look_at_root(&mut self, now: Instant) {
        let (served, root_changes) = self.root.look();
        if root_changes == self.root_changes {
            return;
        }
        (self.served, self.root_changes) = (served, root_changes);
        let keys: Vec<Key> = self.subjects.keys().copied().collect();
        for key in keys {
            self.on_change(key, now);
            self.follow_anew(key, now);
        }
    }

    /// Whether there is a root.
    pub(super) fn has_root(&self) -> bool {
        self.served.is_some()
    }

    /// The owners that must be told now.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<T> {
        let mut due = Vec::new();
        self.changed.retain(|key| {
            let Some(subject) = self.subjects.get_mut(key) else {
                return false;
            };
            let is_due = subject.debounce.try_notify(now);
            if is_due {
                due.push(subject.callback.clone());
            }
            !is_due
        });
        due
    }

    /// When the caller should look again even if nothing happens.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let changed = self.changed.iter().filter_map(|key| self.subjects.get(key));
        let dues = changed.filter_map(|subject| subject.debounce.due());
        dues.chain(self.retry_at).min()
    }

    fn on_changes(&mut self, mut changes: Changes, now: Instant) {
        if changes.has_gap {
            tracing::debug!("inotify lost events: all watched files count as changed");
            let all = self.subjects.keys().map(|&key| (key, Change::Place));
            changes.of = all.collect();
        }
        for (key, change) in changes.of {
            self.on_change(key, now);
            if change == Change::Place {
                self.follow_anew(key, now);
            }
        }
    }

    /// Follows the way of `key` again, which may have changed.
    fn follow_anew(&mut self, key: Key, now: Instant) {
        let Some(subject) = self.subjects.get_mut(&key) else {
            return;
        };
        let before = std::mem::take(&mut subject.places);
        let what = subject.what.clone();
        let mut places = Vec::new();
        let followed = self.follow(&what, key, &mut places);
        let left = before.iter().filter(|place| !places.contains(place));
        left.for_each(|place| self.directories.release(place, key));
        if let Some(subject) = self.subjects.get_mut(&key) {
            subject.places = places;
        }
        match followed {
            Ok(()) => {
                self.blind.remove(&key);
            }
            Err(error) => {
                if self.blind.is_empty() {
                    let retry_s = RETRY.as_secs();
                    tracing::warn!("a watched file is out of sight, tried again every {retry_s} s: {error}");
                }
                self.blind.insert(key);
                self.retry_at.get_or_insert(now + RETRY);
            }
        }
    }

    /// Tries the paths again that could not be watched to their end. What happened to them meanwhile is unknown.
    fn retry(&mut self, now: Instant) {
        self.retry_at = None;
        for key in self.blind.clone() {
            self.follow_anew(key, now);
            if !self.blind.contains(&key) {
                self.on_change(key, now);
            }
        }
    }

    /// Watches the entries on which a path depends. An entry is watched before it is looked at, so that an event in
    /// between is seen twice rather than never. After a failure `places` holds what was watched until then.
    fn follow(&mut self, what: &What, key: Key, places: &mut Vec<Place>) -> Result<(), WatchError> {
        let Some(served) = &self.served else {
            return Ok(());
        };
        let path = match what {
            What::File(path) => path,
            What::List => {
                places.push(self.directories.watch_all_names(served.dir(), key)?);
                return Ok(());
            }
        };
        let mut walk = PathWalk::new(served, path)?;
        while let Some(name) = walk.next_name()? {
            places.push(self.directories.watch(&walk.dir, &name, key)?);
            if !walk.step(&name).or_else(gone)? {
                break;
            }
        }
        Ok(())
    }

    /// Directories that are watched now.
    #[cfg(test)]
    pub(super) fn directories_len(&self) -> usize {
        self.directories.len()
    }

    /// Acts as if inotify had lost events.
    #[cfg(test)]
    pub(super) fn lose_events(&mut self, now: Instant) {
        use rustix::fs::inotify::ReadFlags;
        let mut changes = Changes::default();
        self.directories
            .on_event(-1, ReadFlags::QUEUE_OVERFLOW, b"", &mut changes);
        self.on_changes(changes, now);
    }
}

/// Whether the first step on `path` is one into the root.
fn begins_below(path: &Path) -> bool {
    let first = path.components().find(|part| *part != Component::CurDir);
    matches!(first, Some(Component::Normal(_)))
}

/// A walk along a path from the root, one entry after the other.
struct PathWalk<'a> {
    root: &'a Served,
    /// The place that the walk has reached: the handle, and its path without links.
    dir: Dir,
    at: PathBuf,
    /// The entries that are left, the next one last.
    left: Vec<OsString>,
    links_left: usize,
}

impl<'a> PathWalk<'a> {
    fn new(root: &'a Served, path: &Path) -> Result<PathWalk<'a>, WatchError> {
        let mut walk = PathWalk {
            root,
            dir: root.dir().try_clone().map_err(WatchError::System)?,
            at: PathBuf::new(),
            left: Vec::new(),
            links_left: LINKS_MAX,
        };
        walk.push_path(path);
        Ok(walk)
    }

    /// The next entry of `dir` on the path; `None` at its end, or where it leaves the root.
    fn next_name(&mut self) -> Result<Option<OsString>, WatchError> {
        while let Some(name) = self.left.pop() {
            if name != ".." {
                return Ok(Some(name));
            }
            if !self.at.pop() {
                return Ok(None);
            }
            // The directory is opened by its path, because keeping every handle on the way would cost a descriptor
            // each.
            let up = if self.at.as_os_str().is_empty() {
                self.root.dir().try_clone()
            } else {
                self.root.dir().open_dir(&self.at)
            };
            match up {
                Ok(up) => self.dir = up,
                // It was moved away a moment ago: that is a change, and the walk begins anew.
                Err(_) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Goes through the entry `name`; `false` where the walk ends.
    fn step(&mut self, name: &OsString) -> io::Result<bool> {
        let metadata = self.dir.symlink_metadata(name)?;
        if metadata.is_symlink() {
            let target = self.dir.read_link_contents(name)?;
            let may_follow = self.links_left > 0;
            self.links_left = self.links_left.saturating_sub(1);
            return Ok(may_follow && self.push_path(&target));
        }
        if !metadata.is_dir() || self.left.is_empty() {
            return Ok(false);
        }
        self.dir = open_subdirectory(&self.dir, name)?;
        self.at.push(name);
        Ok(true)
    }

    /// Puts the entries of `path` in front of those that are left. Returns false if the path leads out of the root.
    fn push_path(&mut self, path: &Path) -> bool {
        let parts = path.components().rev();
        for part in parts {
            match part {
                Component::Normal(name) => self.left.push(name.to_owned()),
                Component::ParentDir => self.left.push("..".into()),
                Component::CurDir => {}
                Component::RootDir | Component::Prefix(_) => {
                    self.left.clear();
                    return false;
                }
            }
        }
        true
    }
}

/// An entry that is not there, or not what it was a moment ago, ends the walk; one that hides what is behind it is a
/// failure.
fn gone(error: io::Error) -> Result<bool, WatchError> {
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::NotFound | io::ErrorKind::NotADirectory, _) => Ok(false),
        // A link became something else between two looks, or the reverse: an event will show it.
        (_, Some(libc::ELOOP | libc::EINVAL)) => Ok(false),
        _ => Err(WatchError::System(error)),
    }
}
