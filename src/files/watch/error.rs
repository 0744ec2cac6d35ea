//! Why a file cannot be watched.

use std::io;

use thiserror::Error;

/// Why a file cannot be watched, in words for the operator.
#[derive(Debug, Error)]
pub(in crate::files) enum WatchError {
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
