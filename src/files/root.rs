//! The served directory: the only way any `files` tool reaches the file system.
//!
//! Paths are resolved by the kernel beneath the directory's descriptor (`openat2` with `RESOLVE_BENEATH` and
//! `RESOLVE_NO_MAGICLINKS`; without it cap-std walks component by component, never following a link out). What
//! this file decides about a path's spelling is a convenience; the confinement does not rest on it.
//!
//! The toolset serves whatever directory has the root's name: when that becomes another one (replaced, renamed, a
//! symbolic link switched), it is opened anew, and while there is none, every call fails with [`FileError::NoRoot`]. A
//! call takes one [`Served`] at its start and sees nothing but that directory until its end.
//!
//! Invariant: nothing but a regular file is ever read, and opening one never waits: the kind is checked first, so that
//! devices and FIFOs are not disturbed, and again on the opened handle, which no race can swap.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "workers share what is open, and opening it may block; a shard waits neither for a lock nor for a disk"
)]

use std::borrow::Cow;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions, OpenOptionsExt};
use thiserror::Error;

use super::cached;
use super::entry::Kind;
use super::error::{FileError, ShownPath};
use super::limits::FilesLimits;

/// The longest path the kernel takes (`PATH_MAX`, its NUL included).
const PATH_BYTES_MAX: usize = libc::PATH_MAX as usize - 1;

/// A directory to serve, by its name; cheap to clone.
#[derive(Clone, Debug)]
pub struct Root {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The path as the operator gave it, made absolute.
    path: PathBuf,
    limits: FilesLimits,
    /// `None` while there is no such directory.
    opened: Mutex<Option<Arc<Opened>>>,
    /// The same fact for callers that must not wait for a lock.
    is_there: AtomicBool,
    /// How often the root became another directory, or none, or one again. The number grows with the lock held.
    changes: AtomicU64,
}

/// A directory while it is served.
#[derive(Debug)]
struct Opened {
    dir: Dir,
    /// Device and inode, which no other directory has while this one is open.
    identity: Identity,
    /// Absolute names of the directory: the operator's own, and the one without links.
    names: Vec<PathBuf>,
    /// Whether files that are in memory can be read without waiting, as far as is known.
    has_cached: AtomicBool,
}

/// The directory that a call sees.
#[derive(Clone, Debug)]
pub(super) struct Served {
    root: Root,
    opened: Arc<Opened>,
}

/// Device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity(u64, u64);

/// The root cannot be served. For the operator.
#[derive(Debug, Error)]
#[error("root = {path:?} cannot be served: {source}; give a directory this user can read")]
pub struct RootError {
    path: PathBuf,
    source: io::Error,
}

impl Root {
    /// Opens `path`, relative to the current directory, to be served with the default limits.
    ///
    /// # Errors
    /// It is not a directory this process can list.
    pub fn open(path: impl AsRef<Path>) -> Result<Root, RootError> {
        Root::with_limits(path, FilesLimits::default())
    }

    /// Like [`open`](Self::open), with other limits.
    ///
    /// # Errors
    /// It is not a directory this process can list.
    pub fn with_limits(path: impl AsRef<Path>, limits: FilesLimits) -> Result<Root, RootError> {
        let given = path.as_ref();
        let open = || {
            let path = absolute(given)?;
            let opened = Opened::open(&path)?;
            Ok((path, opened))
        };
        let (path, opened) = open().map_err(|source| RootError {
            path: given.to_owned(),
            source,
        })?;
        Ok(Root {
            inner: Arc::new(Inner {
                path,
                limits,
                opened: Mutex::new(Some(Arc::new(opened))),
                is_there: AtomicBool::new(true),
                changes: AtomicU64::new(0),
            }),
        })
    }

    /// The limits in force.
    pub fn limits(&self) -> &FilesLimits {
        &self.inner.limits
    }

    /// Whether there was a directory to serve at the last look. This does not block.
    pub fn is_there(&self) -> bool {
        self.inner.is_there.load(Ordering::Acquire)
    }

    /// The directory that has the root's name at this moment.
    ///
    /// # Errors
    /// [`FileError::NoRoot`].
    pub(super) fn served(&self) -> Result<Served, FileError> {
        self.look().0.ok_or(FileError::NoRoot)
    }

    /// The same directory, or `None`, and a number that differs after each change of what is served.
    pub(super) fn look(&self) -> (Option<Served>, u64) {
        let found = Identity::of(&self.inner.path);
        let mut current = self.inner.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let is_current = match (&*current, &found) {
            (Some(opened), Ok(identity)) => opened.identity == *identity,
            _ => false,
        };
        if !is_current {
            match found.and_then(|_| Opened::open(&self.inner.path)) {
                Ok(opened) => self.replace(&mut current, opened),
                Err(error) => self.lose(&mut current, &error),
            }
        }
        let served = current.as_ref().map(|opened| Served {
            root: self.clone(),
            opened: Arc::clone(opened),
        });
        (served, self.inner.changes.load(Ordering::Acquire))
    }

    /// The same directory as [`served`](Self::served), if that can be told without waiting and files in it may be read
    /// by [`Served::read_cached`].
    pub(super) fn served_at_once(&self) -> Option<Served> {
        let opened = Arc::clone(self.inner.opened.try_lock().ok()?.as_ref()?);
        let is_current = opened.has_cached.load(Ordering::Relaxed)
            && Identity::of(&self.inner.path).is_ok_and(|found| found == opened.identity);
        is_current.then(|| Served {
            root: self.clone(),
            opened,
        })
    }

    fn replace(&self, current: &mut Option<Arc<Opened>>, opened: Opened) {
        let before = current.as_ref().map(|before| before.identity);
        if before == Some(opened.identity) {
            // Another thread was faster.
            return;
        }
        *current = Some(Arc::new(opened));
        self.on_change(true);
        let root = &self.inner.path;
        match before {
            Some(_) => tracing::info!(?root, "another directory has the root's name now, and is served"),
            None => tracing::info!(?root, "the root is there again, and is served"),
        }
    }

    fn lose(&self, current: &mut Option<Arc<Opened>>, error: &io::Error) {
        if current.take().is_some() {
            self.on_change(false);
            tracing::warn!(
                root = ?self.inner.path,
                %error,
                "the root is gone or cannot be read: files are not served until it is there again"
            );
        }
    }

    /// Must be called with the lock held, so that both agree with what the lock holds.
    fn on_change(&self, is_there: bool) {
        self.inner.is_there.store(is_there, Ordering::Release);
        self.inner.changes.fetch_add(1, Ordering::AcqRel);
    }
}

impl Opened {
    fn open(path: &Path) -> io::Result<Opened> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        // The handle alone does not show that it can be listed.
        drop(dir.entries()?);
        let identity = Identity::of_dir(&dir)?;
        let mut names = vec![path.to_owned()];
        for other in [Some(without_dots(path)), path.canonicalize().ok()]
            .into_iter()
            .flatten()
        {
            let is_its_name = Identity::of(&other).is_ok_and(|other| other == identity);
            if is_its_name && !names.contains(&other) {
                names.push(other);
            }
        }
        let has_cached = cached::may_be_read(&dir, names.iter().map(PathBuf::as_path));
        Ok(Opened {
            dir,
            identity,
            names,
            has_cached: AtomicBool::new(has_cached),
        })
    }
}

impl Identity {
    fn of(path: &Path) -> io::Result<Identity> {
        let metadata = fs::metadata(path)?;
        Ok(Identity(metadata.dev(), metadata.ino()))
    }

    fn of_dir(dir: &Dir) -> io::Result<Identity> {
        use cap_std::fs::MetadataExt;
        let metadata = dir.dir_metadata()?;
        Ok(Identity(metadata.dev(), metadata.ino()))
    }
}

/// `path` from the top, with the names that the operator uses, also for the current directory, whose links only the
/// shell knows.
fn absolute(path: &Path) -> io::Result<PathBuf> {
    if path.is_absolute() {
        return Ok(path.components().collect());
    }
    let here = std::env::current_dir()?;
    let by_shell = std::env::var_os("PWD").map(PathBuf::from).filter(|shell| {
        let is_here = |at| Some(Identity::of(shell).ok()? == at);
        shell.is_absolute() && Identity::of(&here).ok().and_then(is_here) == Some(true)
    });
    let whole = by_shell.unwrap_or(here).join(path);
    Ok(whole.components().collect())
}

/// `path` with each `..` removed together with the name before it, which is what people mean by it and not always what
/// the kernel does.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

impl Served {
    /// The limits in force.
    pub(super) fn limits(&self) -> &FilesLimits {
        self.root.limits()
    }

    pub(super) fn dir(&self) -> &Dir {
        &self.opened.dir
    }

    /// A client's path as one relative to the root; not yet known to stay inside.
    ///
    /// An absolute path is taken if it begins with a name of the root, since people speak to agents in absolute
    /// paths; every other is outside. An empty path is the root. Nothing is decoded: `%2e` and `~` are names.
    pub(super) fn relative<'p>(&self, path: &'p str) -> Result<Cow<'p, Path>, FileError> {
        let beneath = |path: &'p Path| {
            // A directory above may have been renamed since, and this one with it.
            self.beneath(path).or_else(|| {
                let canonical = self.root.inner.path.canonicalize().ok()?;
                path.strip_prefix(canonical).ok()
            })
        };
        relative_by(path, beneath).map(Cow::Borrowed)
    }

    /// The part of a path behind a name of the root.
    fn beneath<'p>(&self, path: &'p Path) -> Option<&'p Path> {
        let known = self.opened.names.iter();
        known.filter_map(|name| path.strip_prefix(name).ok()).next()
    }

    /// All bytes of a regular file with no more than `bytes_max`, if they are in memory; this waits for nothing. `None`
    /// says nothing of the file.
    pub(super) fn read_cached(&self, path: &str, bytes_max: usize) -> Option<Vec<u8>> {
        let relative = relative_by(path, |path| self.beneath(path)).ok()?;
        let Identity(device, _) = self.opened.identity;
        let read = cached::read(self.dir().as_fd(), device, relative, bytes_max);
        if let Err(error) = read
            && cached::is_unsupported(error)
        {
            self.opened.has_cached.store(false, Ordering::Relaxed);
        }
        read.ok()
    }

    /// A client's glob relative to the root: a name of the root in front is removed, as it stands or with its special
    /// characters escaped. Also returns whether the glob is matched against whole paths, because it had a slash in it.
    pub(super) fn relative_glob<'g>(&self, glob: &'g str) -> (&'g str, bool) {
        let names = self.opened.names.iter().filter_map(|name| name.to_str());
        for name in names {
            let name = name.trim_end_matches('/');
            for spelling in [name, &globset::escape(name)] {
                match glob.strip_prefix(spelling) {
                    Some("") => return ("**", true),
                    Some(rest) if !name.is_empty() && rest.starts_with('/') => {
                        let rest = rest.trim_start_matches('/');
                        return (if rest.is_empty() { "**" } else { rest }, true);
                    }
                    _ => {}
                }
            }
        }
        let beneath = glob.strip_prefix("./").or(glob.strip_prefix('/')).unwrap_or(glob);
        (beneath, glob.contains('/'))
    }

    /// Opens a regular file for reading, with its metadata.
    pub(super) fn open_file(&self, path: &str) -> Result<(File, Metadata), FileError> {
        let relative = self.relative(path)?;
        let opened = open_regular(self.dir(), &relative).map_err(|error| FileError::from_io(path, error))?;
        opened.map_err(|kind| FileError::NotAFile {
            path: ShownPath::new(path),
            kind,
        })
    }

    /// Opens a directory.
    pub(super) fn open_dir(&self, path: &str) -> Result<Dir, FileError> {
        let relative = self.relative(path)?;
        self.dir()
            .open_dir(&relative)
            .map_err(|error| match error.kind() {
                // The kernel says the same for a path through a file; tell that apart.
                io::ErrorKind::NotADirectory if self.dir().symlink_metadata(&relative).is_ok() => {
                    FileError::NotADirectory {
                        path: ShownPath::new(path),
                    }
                }
                _ => FileError::from_io(path, error),
            })
    }
}

/// A client's path as a relative one; `beneath` gives the part of an absolute path behind a name of the root.
fn relative_by<'p>(
    path: &'p str,
    beneath: impl FnOnce(&'p Path) -> Option<&'p Path>,
) -> Result<&'p Path, FileError> {
    let invalid = |reason| FileError::InvalidPath {
        path: ShownPath::new(path),
        reason,
    };
    if path.len() > PATH_BYTES_MAX {
        return Err(invalid("it is too long"));
    }
    if path.contains('\0') {
        return Err(invalid("it contains a NUL"));
    }
    let mut relative = Path::new(path);
    if relative.is_absolute() {
        relative = beneath(relative).ok_or_else(|| FileError::OutsideRoot {
            path: ShownPath::new(path),
        })?;
    }
    if relative.as_os_str().is_empty() {
        relative = Path::new(".");
    }
    Ok(relative)
}

/// Opens `path` beneath `dir` if it is a regular file; otherwise returns its kind.
pub(super) fn open_regular(dir: &Dir, path: &Path) -> io::Result<Result<(File, Metadata), Kind>> {
    let kind = Kind::from(dir.metadata(path)?.file_type());
    if kind != Kind::File {
        return Ok(Err(kind));
    }
    // Something else may have taken the file's place since: opening it neither waits nor makes it our terminal.
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = dir.open_with(path, &options)?;
    let metadata = file.metadata()?;
    Ok(match Kind::from(metadata.file_type()) {
        Kind::File => Ok((file.into_std(), metadata)),
        other => Err(other),
    })
}

/// Opens the directory `name` in `dir`, if it is one and no link to one.
pub(super) fn open_subdirectory(dir: &Dir, name: impl AsRef<Path>) -> io::Result<Dir> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_NONBLOCK);
    Ok(Dir::from_std_file(dir.open_with(name, &options)?.into_std()))
}
