//! The directories that inotify watches, and which watched paths depend on which of their entries.
//!
//! inotify watches directories and not files, because a file that is replaced by rename, or deleted and created again,
//! is another file under the same name, and only its directory shows that. It does not show writes through a hard link
//! in another directory or a memory map, nor changes that another host makes on a network file system.
//!
//! Invariant: a directory is watched exactly while some watched path depends on an entry of it, or on its list of
//! files. Its watch is made by the handle with which it was opened, so that no path can lead it elsewhere, and costs no
//! descriptor.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use cap_std::fs::Dir;
use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init, remove_watch};
use rustix::io::Errno;

use super::error::WatchError;

/// One read's worth of events: some hundred of usual names.
const BUFFER_BYTES: usize = 16 << 10;
/// Events that are taken in one go; further ones wait for the next.
const EVENTS_MAX: usize = 16 << 10;

/// Events that may mean another file, or other content.
const INTEREST: WatchFlags = WatchFlags::MODIFY
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ONLYDIR);

/// Events after which a directory has other names.
const OF_NAMES: ReadFlags = ReadFlags::CREATE
    .union(ReadFlags::DELETE)
    .union(ReadFlags::MOVED_FROM)
    .union(ReadFlags::MOVED_TO);

/// Events that leave a name with the file it had.
const OF_CONTENT: ReadFlags = ReadFlags::MODIFY.union(ReadFlags::CLOSE_WRITE);

/// The watched path that is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(pub(super) u64);

/// An entry of a watched directory, or all of its files' names together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// inotify's number for the directory; it does not use one again soon.
    directory: i32,
    name: Option<Box<[u8]>>,
}

/// The kind of change of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    /// The file was written to.
    Content,
    /// The name was added or removed, or may stand for something else now.
    Place,
}

/// The changes since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// The paths that are concerned.
    pub(super) of: BTreeMap<Key, Change>,
    /// Whether events were lost: then anything may have happened to any path.
    pub(super) has_gap: bool,
}

type Interested = BTreeSet<Key>;

/// A watched directory.
#[derive(Debug, Default)]
struct Watched {
    by_name: HashMap<Box<[u8]>, Interested>,
    /// The keys that depend on the list of files.
    by_all_names: Interested,
}

#[derive(Debug)]
pub(super) struct Directories {
    inotify: Arc<OwnedFd>,
    watched: HashMap<i32, Watched>,
    directories_max: usize,
}

impl Directories {
    pub(super) fn new(directories_max: usize) -> Result<Directories, WatchError> {
        let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(|error| match error {
            Errno::MFILE => WatchError::KernelInstances,
            error => WatchError::System(error.into()),
        })?;
        Ok(Directories {
            inotify: Arc::new(inotify),
            watched: HashMap::new(),
            directories_max,
        })
    }

    /// Readable when there are changes.
    pub(super) fn descriptor(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.inotify)
    }

    /// Watches the entry `name` of `dir` for `key`, whether it exists or not.
    pub(super) fn watch(&mut self, dir: &Dir, name: &OsStr, key: Key) -> Result<Place, WatchError> {
        let directory = self.watch_directory(dir)?;
        let name: Box<[u8]> = name.as_bytes().into();
        let watched = self.watched.entry(directory).or_default();
        watched.by_name.entry(name.clone()).or_default().insert(key);
        Ok(Place {
            directory,
            name: Some(name),
        })
    }

    /// Watches for `key` the list of the files in `dir`.
    pub(super) fn watch_all_names(&mut self, dir: &Dir, key: Key) -> Result<Place, WatchError> {
        let directory = self.watch_directory(dir)?;
        self.watched
            .entry(directory)
            .or_default()
            .by_all_names
            .insert(key);
        Ok(Place {
            directory,
            name: None,
        })
    }

    fn watch_directory(&mut self, dir: &Dir) -> Result<i32, WatchError> {
        // The handle's own name: a path would be looked up again, and could lead elsewhere by now.
        let handle = format!("/proc/self/fd/{}", dir.as_raw_fd());
        let directory = add_watch(&self.inotify, handle, INTEREST).map_err(|error| match error {
            Errno::NOSPC => WatchError::KernelWatches,
            error => WatchError::System(error.into()),
        })?;
        let is_new = !self.watched.contains_key(&directory);
        if is_new && self.watched.len() >= self.directories_max {
            self.unwatch(directory);
            return Err(WatchError::Directories {
                directories_max: self.directories_max,
            });
        }
        Ok(directory)
    }

    /// Notes that `key` does not depend on `place` any more.
    pub(super) fn release(&mut self, place: &Place, key: Key) {
        let Some(watched) = self.watched.get_mut(&place.directory) else {
            // The directory itself is gone.
            return;
        };
        match &place.name {
            Some(name) => {
                if let Some(interested) = watched.by_name.get_mut(name) {
                    interested.remove(&key);
                    if interested.is_empty() {
                        watched.by_name.remove(name);
                    }
                }
            }
            None => {
                watched.by_all_names.remove(&key);
            }
        }
        if watched.by_name.is_empty() && watched.by_all_names.is_empty() {
            self.watched.remove(&place.directory);
            self.unwatch(place.directory);
        }
    }

    /// The changes since the last look. This does not wait.
    pub(super) fn read(&mut self) -> io::Result<Changes> {
        let inotify = self.descriptor();
        let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
        let mut reader = Reader::new(&*inotify, &mut buffer);
        let mut changes = Changes::default();
        let mut seen = 0;
        // Events that are in the buffer already would be lost.
        while seen < EVENTS_MAX || !reader.is_buffer_empty() {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| name.to_bytes()).unwrap_or_default();
                    self.on_event(event.wd(), event.events(), name, &mut changes);
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            seen += 1;
        }
        Ok(changes)
    }

    /// One event, as inotify(7) describes it.
    pub(super) fn on_event(&mut self, directory: i32, events: ReadFlags, name: &[u8], changes: &mut Changes) {
        if events.contains(ReadFlags::QUEUE_OVERFLOW) {
            changes.has_gap = true;
            return;
        }
        if events.contains(ReadFlags::IGNORED) {
            // The directory is gone, or its file system. After an `unwatch` it is not known any more.
            let watched = self.watched.remove(&directory).unwrap_or_default();
            let by_name = watched.by_name.into_values().flatten();
            for key in by_name.chain(watched.by_all_names) {
                changes.of.insert(key, Change::Place);
            }
            return;
        }
        let Some(watched) = self.watched.get(&directory) else {
            return;
        };
        if OF_NAMES.intersects(events) && !events.contains(ReadFlags::ISDIR) {
            for &key in &watched.by_all_names {
                changes.of.entry(key).or_insert(Change::Content);
            }
        }
        let interested = watched.by_name.get(name);
        let change = if OF_CONTENT.contains(events) {
            Change::Content
        } else {
            Change::Place
        };
        for &key in interested.into_iter().flatten() {
            let known = changes.of.entry(key).or_insert(change);
            *known = change.max(*known);
        }
    }

    /// Directories that are watched now.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.watched.len()
    }

    fn unwatch(&self, directory: i32) {
        // This fails if the directory has just gone, and its watch with it, which is the purpose.
        let _ = remove_watch(&self.inotify, directory);
    }
}
