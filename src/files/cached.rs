//! Small files that the kernel has in memory, read without waiting for a disk.
//!
//! The path is looked up in the kernel's cache of names only (`RESOLVE_CACHED`), beneath the directory as everywhere
//! else, and the bytes are copied from its cache of pages only (`RWF_NOWAIT`). So this may run on a shard. Whatever it
//! does not do at once is left to the way that may block, which says what is wrong with a file if something is.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{self, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, ReadWriteFlags};

/// `f_type` of ext2 to ext4, XFS and Btrfs (`linux/magic.h`): they have both, and never ask anybody else.
const LOCAL: [i64; 3] = [0xef53, 0x5846_5342, 0x9123_683e];
/// The same of tmpfs and overlayfs, which have not, though paths may lead through them.
const PASSABLE: [i64; 2] = [0x0102_1994, 0x794c_7630];

/// Whether files beneath a directory, which has these names, can be read so.
pub(super) fn may_be_read<'a>(dir: impl AsFd, mut names: impl Iterator<Item = &'a Path>) -> bool {
    let is_local = fs::fstatfs(dir).is_ok_and(|system| LOCAL.contains(&system.f_type));
    let is_passable = |above: &Path| {
        let system = fs::statfs(above).map(|system| system.f_type);
        system.is_ok_and(|kind| LOCAL.contains(&kind) || PASSABLE.contains(&kind))
    };
    is_local && names.all(|name| name.ancestors().skip(1).all(is_passable))
}

/// All bytes of the regular file at `path` beneath `dir`, if it has no more than `bytes_max` and lies on `device`,
/// which is `dir`'s.
///
/// # Errors
/// It cannot be read without waiting, or is no such file, or the kernel does not know how ([`is_unsupported`]).
pub(super) fn read(
    dir: BorrowedFd<'_>,
    device: u64,
    path: &Path,
    bytes_max: usize,
) -> Result<Vec<u8>, Errno> {
    // What is no regular file is not opened, lest it notice.
    size_bytes(&open(dir, path, OFlags::PATH)?, device, bytes_max)?;
    let file = open(dir, path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    // Something else may have taken its place since.
    let size_bytes = size_bytes(&file, device, bytes_max)?;
    // One byte more shows whether it has grown.
    let mut bytes = vec![0; size_bytes + 1];
    let read = rustix::io::preadv2(
        &file,
        &mut [IoSliceMut::new(&mut bytes)],
        0,
        ReadWriteFlags::NOWAIT,
    )?;
    if read != size_bytes {
        return Err(Errno::AGAIN);
    }
    bytes.truncate(size_bytes);
    Ok(bytes)
}

/// Whether no other file can be read so either.
pub(super) fn is_unsupported(error: Errno) -> bool {
    // A filter of system calls may say `EPERM`. So may a file, but then its directory is a rare one.
    matches!(
        error,
        Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM
    )
}

fn open(dir: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::CACHED;
    fs::openat2(dir, path, flags | OFlags::CLOEXEC, Mode::empty(), within)
}

fn size_bytes(file: &OwnedFd, device: u64, bytes_max: usize) -> Result<usize, Errno> {
    let seen = fs::fstat(file)?;
    let size = usize::try_from(seen.st_size).unwrap_or(usize::MAX);
    let is_small =
        FileType::from_raw_mode(seen.st_mode).is_file() && seen.st_dev == device && size <= bytes_max;
    if is_small { Ok(size) } else { Err(Errno::AGAIN) }
}
