//! Page-aligned anonymous memory, resident from the start or as it is used.
#![allow(unsafe_code, reason = "maps and unmaps memory")]

use std::io;
use std::ptr::{self, NonNull};

/// Unmapped on drop. Memory the kernel may still write must be leaked instead.
pub(super) struct Mapping {
    address: NonNull<u8>,
    bytes: usize,
}

/// The time when pages become resident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Residence {
    /// All of them at once.
    AtStart,
    /// Each when it is first written.
    WithUse,
}

impl Mapping {
    /// `bytes` zeroes, rounded up to whole pages by the kernel.
    pub(super) fn new(bytes: usize, residence: Residence) -> io::Result<Self> {
        let populate = match residence {
            Residence::AtStart => libc::MAP_POPULATE,
            Residence::WithUse => 0,
        };
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing of ours.
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | populate,
                -1,
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let address = NonNull::new(address.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Mapping { address, bytes })
    }

    pub(super) fn as_ptr(&self) -> *mut u8 {
        self.address.as_ptr()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `new` made exactly this mapping, and it is unmapped only here.
        unsafe { libc::munmap(self.address.as_ptr().cast(), self.bytes) };
    }
}
