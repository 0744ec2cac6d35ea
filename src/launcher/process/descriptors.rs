//! Closing all descriptors above the standard streams.
#![allow(
    unsafe_code,
    reason = "close_range has no wrapper, and glibc's name for it is younger than some we run on"
)]

use std::io;

/// The first descriptor that is no standard stream.
const FIRST: libc::c_uint = 3;

/// Closes what this process inherited, before it opens anything: a listening socket of the server would stay open when
/// the server has ended.
pub(super) fn close_inherited() -> io::Result<()> {
    close_range(0)
}

/// Has every descriptor closed by exec. For use between fork and exec, where `Command` tells errors over one of them.
pub(super) fn close_on_exec() -> io::Result<()> {
    close_range(libc::CLOSE_RANGE_CLOEXEC)
}

fn close_range(flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: the call takes three plain integers. Descriptors are closed only when nothing of this process owns any
    // yet, or, in a process between fork and exec, by the exec.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, FIRST, libc::c_uint::MAX, flags) };
    if closed == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
