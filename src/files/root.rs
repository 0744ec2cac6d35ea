//! The served directory: the only way any `files` tool reaches the file system.
//!
//! Paths are resolved by the kernel beneath the root's descriptor (`openat2` with `RESOLVE_BENEATH` and
//! `RESOLVE_NO_MAGICLINKS`; without it cap-std walks component by component, never following a link out). What
//! this file decides about a path's spelling is a convenience; the confinement does not rest on it.
//!
//! Invariant: nothing but a regular file is ever read, and opening one waits for nobody: the kind is looked at
//! first, so that devices and FIFOs are not disturbed, and again on the opened handle, which no race can swap.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions, OpenOptionsExt};
use thiserror::Error;

use super::entry::Kind;
use super::error::{FileError, ShownPath};
use super::limits::FilesLimits;

/// The longest path the kernel takes (`PATH_MAX`, its NUL included).
const PATH_BYTES_MAX: usize = libc::PATH_MAX as usize - 1;

/// A served directory, cheap to clone.
#[derive(Clone, Debug)]
pub struct Root {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: Dir,
    canonical: PathBuf,
    limits: FilesLimits,
}

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
        let path = path.as_ref();
        let open = || {
            let canonical = path.canonicalize()?;
            let dir = Dir::open_ambient_dir(&canonical, ambient_authority())?;
            // The handle alone does not show that it can be listed.
            drop(dir.entries()?);
            Ok(Inner {
                dir,
                canonical,
                limits,
            })
        };
        match open() {
            Ok(inner) => Ok(Root {
                inner: Arc::new(inner),
            }),
            Err(source) => Err(RootError {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// The limits in force.
    pub fn limits(&self) -> &FilesLimits {
        &self.inner.limits
    }

    pub(super) fn dir(&self) -> &Dir {
        &self.inner.dir
    }

    /// A client's path as one relative to the root; not yet known to stay inside.
    ///
    /// An absolute path is taken if it begins with the root's own, since people speak to agents in absolute
    /// paths; every other is outside. An empty path is the root. Nothing is decoded: `%2e` and `~` are names.
    pub(super) fn relative<'p>(&self, path: &'p str) -> Result<Cow<'p, Path>, FileError> {
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
            relative = relative
                .strip_prefix(&self.inner.canonical)
                .map_err(|_| FileError::OutsideRoot {
                    path: ShownPath::new(path),
                })?;
        }
        if relative.as_os_str().is_empty() {
            relative = Path::new(".");
        }
        Ok(Cow::Borrowed(relative))
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

/// Opens `path` beneath `dir` if it is a regular file; otherwise says what it is.
pub(super) fn open_regular(dir: &Dir, path: &Path) -> io::Result<Result<(File, Metadata), Kind>> {
    let kind = Kind::from(dir.metadata(path)?.file_type());
    if kind != Kind::File {
        return Ok(Err(kind));
    }
    // Whatever has taken the file's place since: opening it neither waits nor makes it our terminal.
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
