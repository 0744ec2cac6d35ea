//! Watching files for changes, by inotify on a thread of its own.
//!
//! The thread starts with the first file that is watched and ends with the last. While it runs, it checks now and then
//! whether the root is still the same directory. Bursts of changes are notified once they pause ([`debounce`]); the
//! directories and links on which a path depends are followed ([`watch_set`]). Only paths below the root can be
//! watched, and only as the readers would follow them.
//!
//! Notifications name nothing but paths inside the root, and say only that something happened.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "no shard comes here: the lock and the clock are between the watching thread and those who subscribe"
)]

mod change_time;
mod debounce;
mod directories;
mod error;
mod event_fd;
#[cfg(test)]
mod tests;
mod watch_set;

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use self::directories::Key;
pub(super) use self::error::WatchError;
use self::event_fd::EventFd;
use self::watch_set::{WatchSet, What};
use super::root::Root;

/// The time between two reads of events. The kernel merges equal events meanwhile: a thousand writes are one event
/// then.
const NAP: Duration = Duration::from_millis(10);

/// The time between two checks whether the root is the same directory: no event tells of everything that can happen
/// above it, mounts least of all.
const ROOT_LOOK: Duration = Duration::from_secs(1);
/// The same time while there is no root, and every call waits for one.
const NO_ROOT_LOOK: Duration = Duration::from_millis(250);

/// The function that is told that a file changed. It runs on the watching thread, and must not block it.
pub(super) type OnChange = Arc<dyn Fn() + Send + Sync>;

/// Watches files of one root; cheap to clone.
#[derive(Clone)]
pub(super) struct Watcher {
    shared: Arc<Shared>,
}

struct Shared {
    root: Root,
    /// The thread; `None` while nothing is watched.
    watching: Mutex<Option<Watching>>,
}

struct Watching {
    watch_set: Arc<Mutex<WatchSet<OnChange>>>,
    wake_up: Arc<EventFd>,
    /// Ends the thread when it is closed.
    _alive: PipeWriter,
}

/// A watched file; when this is dropped, the watch ends.
pub(super) struct Watched {
    shared: Arc<Shared>,
    watch_set: Arc<Mutex<WatchSet<OnChange>>>,
    wake_up: Arc<EventFd>,
    key: Key,
}

impl Watcher {
    /// Nothing is watched yet.
    pub(super) fn new(root: Root) -> Watcher {
        let watching = Mutex::new(None);
        Watcher {
            shared: Arc::new(Shared { root, watching }),
        }
    }

    /// Watches `path`, relative to the root, whether there is a file yet or not. It notifies of changes from now on,
    /// and of those at `since` or later as far as the file's own times show them; a change that both see is notified
    /// once.
    ///
    /// # Errors
    /// The path is not below the root; a limit is reached; the system fails.
    pub(super) fn watch(
        &self,
        path: &Path,
        since: Option<SystemTime>,
        on_change: OnChange,
    ) -> Result<Watched, WatchError> {
        let watched = self.begin(What::File(path.to_owned()), on_change)?;
        // This comes last, when no change can escape any more.
        if since.is_some_and(|since| change_time::has_changed(&self.shared.root, path, since)) {
            lock(&watched.watch_set).on_change(watched.key, Instant::now());
            watched.wake_up.signal();
        }
        Ok(watched)
    }

    /// Watches the list of the files in the root itself.
    ///
    /// # Errors
    /// A limit is reached; the system fails.
    pub(super) fn watch_list(&self, on_change: OnChange) -> Result<Watched, WatchError> {
        self.begin(What::List, on_change)
    }

    fn begin(&self, what: What, on_change: OnChange) -> Result<Watched, WatchError> {
        let mut watching = lock(&self.shared.watching);
        let running = match &*watching {
            Some(running) => running,
            None => watching.insert(Watching::begin(self.shared.root.clone())?),
        };
        let (watch_set, wake_up) = (Arc::clone(&running.watch_set), Arc::clone(&running.wake_up));
        let added = add(&watch_set, what, on_change);
        // This is for events that were taken in on the walk.
        wake_up.signal();
        match added {
            Ok(key) => Ok(Watched {
                shared: Arc::clone(&self.shared),
                watch_set,
                wake_up,
                key,
            }),
            Err(error) => {
                watching.take_if(|_| lock(&watch_set).is_empty());
                Err(error)
            }
        }
    }
}

/// Adds a path that is notified of events from now on. Events that are already in the kernel's queue happened before,
/// and are taken out first.
fn add(watch_set: &Mutex<WatchSet<OnChange>>, what: What, on_change: OnChange) -> Result<Key, WatchError> {
    let mut watch_set = lock(watch_set);
    watch_set.look(Instant::now()).map_err(WatchError::System)?;
    watch_set.add(what, on_change)
}

impl Drop for Watched {
    fn drop(&mut self) {
        // The locks are taken in this order everywhere, so that no watch begins while the last one ends.
        let mut watching = lock(&self.shared.watching);
        let mut watch_set = lock(&self.watch_set);
        watch_set.remove(self.key);
        watching.take_if(|_| watch_set.is_empty());
    }
}

impl Watching {
    /// Starts the thread.
    fn begin(root: Root) -> Result<Watching, WatchError> {
        let watch_set = WatchSet::new(root)?;
        let (ended, alive) = io::pipe().map_err(WatchError::System)?;
        let inotify = watch_set.descriptor();
        let watch_set = Arc::new(Mutex::new(watch_set));
        let wake_up = Arc::new(EventFd::new().map_err(WatchError::System)?);
        let loops = Loop {
            watch_set: Arc::clone(&watch_set),
            inotify,
            wake_up: Arc::clone(&wake_up),
            ended,
        };
        thread::Builder::new()
            .name("weir-files".into())
            .spawn(move || loops.run())
            .map_err(WatchError::System)?;
        Ok(Watching {
            watch_set,
            wake_up,
            _alive: alive,
        })
    }
}

/// The loop of the thread.
struct Loop {
    watch_set: Arc<Mutex<WatchSet<OnChange>>>,
    inotify: Arc<OwnedFd>,
    wake_up: Arc<EventFd>,
    ended: PipeReader,
}

impl Loop {
    fn run(self) {
        if let Err(error) = self.work() {
            tracing::error!(
                "changes of files are not announced any more until all subscriptions have ended: {error}"
            );
        }
    }

    fn work(&self) -> io::Result<()> {
        let mut due = Some(Instant::now() + ROOT_LOOK);
        while self.wait(due, true)? == Woken::ByEvents && self.wait(nap(), false)? == Woken::ByEvents {
            self.wake_up.clear();
            let mut watch_set = lock(&self.watch_set);
            watch_set.look(Instant::now())?;
            let callbacks = watch_set.take_due(Instant::now());
            let root_look = if watch_set.has_root() {
                ROOT_LOOK
            } else {
                NO_ROOT_LOOK
            };
            let look_at = Instant::now() + root_look;
            due = Some(watch_set.next_due().map_or(look_at, |due| due.min(look_at)));
            // The callbacks may take locks of its own.
            drop(watch_set);
            callbacks.iter().for_each(|callback| callback());
        }
        Ok(())
    }

    /// Sleeps until there are events or the wake-up is signalled, if they may wake it, or something is due.
    fn wait(&self, due: Option<Instant>, by_events: bool) -> io::Result<Woken> {
        let mut sources = vec![PollFd::new(&self.ended, PollFlags::empty())];
        if by_events {
            sources.push(PollFd::new(&*self.inotify, PollFlags::IN));
            sources.push(PollFd::new(&*self.wake_up, PollFlags::IN));
        }
        let timeout = due.map(|due| due.saturating_duration_since(Instant::now()));
        // A timeout that does not fit is too far away to matter.
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match poll(&mut sources, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ended = sources.first().is_none_or(|ended| !ended.revents().is_empty());
        Ok(if is_ended { Woken::ByEnd } else { Woken::ByEvents })
    }
}

fn nap() -> Option<Instant> {
    Some(Instant::now() + NAP)
}

#[derive(PartialEq, Eq)]
enum Woken {
    ByEnd,
    ByEvents,
}

/// Locks in spite of a panic under the lock, which left nothing half done that matters: at worst a change that is not
/// notified.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
