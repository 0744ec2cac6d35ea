//! Whether a file changed between a client's subscription and the beginning of its watch.
//!
//! The times at which the kernel itself last changed an inode (ctime) decide, because programs cannot set them back as
//! they do with times of modification. They do not show that a link or a directory on the way was exchanged in that
//! moment for one that leads to an older file.

use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cap_std::fs::{Metadata, MetadataExt};

use crate::files::Root;

/// The kernel stamps files by a clock that is up to one of its ticks behind: 10 ms at HZ = 100.
const CLOCK_BEHIND_MAX: Duration = Duration::from_millis(10);

/// Whether the file at `path`, or its absence, may be of `since` or later. In doubt the answer is yes.
pub(super) fn has_changed(root: &Root, path: &Path, since: SystemTime) -> bool {
    let Ok(root) = root.served() else {
        // It is gone, and the time is unknown.
        return true;
    };
    let since = since.checked_sub(CLOCK_BEHIND_MAX).unwrap_or(since);
    let mut at = Some(path);
    while let Some(entry) = at {
        let is_root = entry.as_os_str().is_empty();
        let found = if is_root {
            root.dir().dir_metadata()
        } else {
            root.dir().metadata(entry)
        };
        match found {
            // This is the file itself, or for a missing one the time at which something left the directory above.
            Ok(metadata) => return status_changed(&metadata).is_none_or(|changed| changed >= since),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                at = entry.parent();
            }
            Err(_) => return false,
        }
    }
    false
}

fn status_changed(metadata: &Metadata) -> Option<SystemTime> {
    let seconds = u64::try_from(metadata.ctime()).ok()?;
    let nanoseconds = u32::try_from(metadata.ctime_nsec()).ok()?;
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests::Tree;

    #[test]
    fn what_changed_since_is_seen_and_what_was_before_is_not() {
        let tree = Tree::new();
        tree.file("a.txt", "1");
        let root = tree.root();
        let changed = |path: &str, since| has_changed(&root, Path::new(path), since);
        let served = root.served().unwrap();
        let metadata = served.dir().metadata("a.txt").unwrap();
        let written = status_changed(&metadata).unwrap();
        assert!(changed("a.txt", written));
        assert!(changed("a.txt", written + CLOCK_BEHIND_MAX));
        assert!(!changed("a.txt", written + 2 * CLOCK_BEHIND_MAX));
        // A missing file left its directory, or the nearest one that exists.
        let left = status_changed(&served.dir().dir_metadata().unwrap()).unwrap();
        for missing in ["b.txt", "no/such/b.txt", "a.txt/b"] {
            assert!(changed(missing, left), "{missing}");
            assert!(
                !changed(missing, left.max(written) + 2 * CLOCK_BEHIND_MAX),
                "{missing}"
            );
        }
    }
}
