//! Changes of files, told to whoever watches them, by inotify on a thread of its own.
//!
//! The thread starts with the first file that is watched and ends with the last. While it runs it looks now and then
//! whether the root is the directory it was. Bursts of changes are told once they
//! pause ([`pace`]); what a path hangs on is followed through directories and links ([`subjects`]). Only paths below
//! the root can be watched, and only as the readers would follow them.
//!
//! Of nothing but names inside the root is ever told, and of those only that something happened.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "no shard comes here: the lock and the clock are between the watching thread and those who subscribe"
)]

mod bell;
mod directories;
mod lately;
mod pace;
mod subjects;
#[cfg(test)]
mod tests;

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use thiserror::Error;

use self::bell::Bell;
use self::directories::Key;
use self::subjects::{Subjects, What};
use super::root::Root;

/// Between two looks at what happens the kernel merges what is alike: a writer's thousand writes are one event then.
const NAP: Duration = Duration::from_millis(10);

/// Between two looks at whether the root is the directory it was: no event tells of all that can happen above it, of
/// mounts least of all.
const ROOT_LOOK: Duration = Duration::from_secs(1);
/// The same while there is none, and everybody waits.
const NO_ROOT_LOOK: Duration = Duration::from_millis(250);

/// A file cannot be watched. For the operator.
#[derive(Debug, Error)]
pub(super) enum WatchError {
    /// The path leads nowhere below the root.
    #[error("the path is not below the served directory")]
    NotBelowRoot,
    /// Our own limit.
    #[error("{files_max} files are watched already, the toolset's limit (watched_files_max)")]
    Files {
        /// The limit.
        files_max: usize,
    },
    /// Our own limit.
    #[error(
        "{directories_max} directories are watched already, the toolset's limit (watched_directories_max)"
    )]
    Directories {
        /// The limit.
        directories_max: usize,
    },
    /// The kernel's limit, for all processes of a user.
    #[error("this user's inotify watches are used up; raise the sysctl fs.inotify.max_user_watches")]
    KernelWatches,
    /// The kernel's limit, for all processes of a user, or this process's limit of descriptors.
    #[error("no inotify instance is left; raise the sysctl fs.inotify.max_user_instances, or ulimit -n")]
    KernelInstances,
    /// The system failed otherwise.
    #[error("inotify: {0}")]
    System(#[source] io::Error),
}

/// Whoever is told that a file changed. Called on the watching thread, which it must not hold up.
pub(super) type Told = Arc<dyn Fn() + Send + Sync>;

/// Watches files of one root; cheap to clone.
#[derive(Clone)]
pub(super) struct Watcher {
    shared: Arc<Shared>,
}

struct Shared {
    root: Root,
    /// While anything is watched.
    watching: Mutex<Option<Watching>>,
}

struct Watching {
    subjects: Arc<Mutex<Subjects<Told>>>,
    bell: Arc<Bell>,
    /// Ends the thread when it is closed.
    _alive: PipeWriter,
}

/// A watched file; dropped, it is watched no more.
pub(super) struct Watched {
    shared: Arc<Shared>,
    subjects: Arc<Mutex<Subjects<Told>>>,
    bell: Arc<Bell>,
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

    /// Watches `path`, relative to the root, whether there is a file yet or not. Tells of changes from now on, and
    /// of those at `since` or later as far as the file's own times tell; of one that both meet, once.
    ///
    /// # Errors
    /// The path is not below the root; a limit is reached; the system fails.
    pub(super) fn watch(
        &self,
        path: &Path,
        since: Option<SystemTime>,
        told: Told,
    ) -> Result<Watched, WatchError> {
        let watched = self.begin(What::File(path.to_owned()), told)?;
        // Now that nothing escapes any more.
        if since.is_some_and(|since| lately::has_changed(&self.shared.root, path, since)) {
            lock(&watched.subjects).on_change(watched.key, Instant::now());
            watched.bell.ring();
        }
        Ok(watched)
    }

    /// Watches which files the root itself has.
    ///
    /// # Errors
    /// A limit is reached; the system fails.
    pub(super) fn watch_list(&self, told: Told) -> Result<Watched, WatchError> {
        self.begin(What::List, told)
    }

    fn begin(&self, what: What, told: Told) -> Result<Watched, WatchError> {
        let mut watching = lock(&self.shared.watching);
        let running = match &*watching {
            Some(running) => running,
            None => watching.insert(Watching::begin(self.shared.root.clone())?),
        };
        let (subjects, bell) = (Arc::clone(&running.subjects), Arc::clone(&running.bell));
        let added = add(&subjects, what, told);
        // For what was taken in on the way.
        bell.ring();
        match added {
            Ok(key) => Ok(Watched {
                shared: Arc::clone(&self.shared),
                subjects,
                bell,
                key,
            }),
            Err(error) => {
                watching.take_if(|_| lock(&subjects).is_empty());
                Err(error)
            }
        }
    }
}

/// Adds it to those that hear of events from now on: what is in the kernel's queue already was before.
fn add(subjects: &Mutex<Subjects<Told>>, what: What, told: Told) -> Result<Key, WatchError> {
    let mut subjects = lock(subjects);
    subjects.look(Instant::now()).map_err(WatchError::System)?;
    subjects.add(what, told)
}

impl Drop for Watched {
    fn drop(&mut self) {
        // In this order everywhere, so that none is begun while the last ends.
        let mut watching = lock(&self.shared.watching);
        let mut subjects = lock(&self.subjects);
        subjects.remove(self.key);
        watching.take_if(|_| subjects.is_empty());
    }
}

impl Watching {
    /// Starts the thread.
    fn begin(root: Root) -> Result<Watching, WatchError> {
        let subjects = Subjects::new(root)?;
        let (ended, alive) = io::pipe().map_err(WatchError::System)?;
        let inotify = subjects.descriptor();
        let subjects = Arc::new(Mutex::new(subjects));
        let bell = Arc::new(Bell::new().map_err(WatchError::System)?);
        let loops = Loop {
            subjects: Arc::clone(&subjects),
            inotify,
            bell: Arc::clone(&bell),
            ended,
        };
        thread::Builder::new()
            .name("weir-files".into())
            .spawn(move || loops.run())
            .map_err(WatchError::System)?;
        Ok(Watching {
            subjects,
            bell,
            _alive: alive,
        })
    }
}

/// What the thread does.
struct Loop {
    subjects: Arc<Mutex<Subjects<Told>>>,
    inotify: Arc<OwnedFd>,
    bell: Arc<Bell>,
    ended: PipeReader,
}

impl Loop {
    fn run(self) {
        if let Err(error) = self.work() {
            tracing::error!(
                "changes of files are not told any more until all subscriptions have ended: {error}"
            );
        }
    }

    fn work(&self) -> io::Result<()> {
        let mut due = Some(Instant::now() + ROOT_LOOK);
        while self.wait(due, true)? == Woken::ByEvents && self.wait(nap(), false)? == Woken::ByEvents {
            self.bell.hush();
            let mut subjects = lock(&self.subjects);
            subjects.look(Instant::now())?;
            let told = subjects.take_due(Instant::now());
            let root_look = if subjects.has_root() {
                ROOT_LOOK
            } else {
                NO_ROOT_LOOK
            };
            let look_at = Instant::now() + root_look;
            due = Some(subjects.next_due().map_or(look_at, |due| due.min(look_at)));
            // Whoever is told may have locks of its own.
            drop(subjects);
            told.iter().for_each(|tell| tell());
        }
        Ok(())
    }

    /// Sleeps until there are events or the bell rings, if they may wake it, or something is due.
    fn wait(&self, due: Option<Instant>, by_events: bool) -> io::Result<Woken> {
        let mut sources = vec![PollFd::new(&self.ended, PollFlags::empty())];
        if by_events {
            sources.push(PollFd::new(&*self.inotify, PollFlags::IN));
            sources.push(PollFd::new(&*self.bell, PollFlags::IN));
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

/// A panic while it was held left nothing half done that matters: a change untold at worst.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
