//! Page-aligned anonymous memory, touched when made so that its cost falls at start.
#![allow(unsafe_code)]

use std::io;
use std::ptr::{self, NonNull};

/// Unmapped on drop. Memory the kernel may still write must be leaked instead.
pub(super) struct Mapping {
    address: NonNull<u8>,
    bytes: usize,
}

impl Mapping {
    /// `bytes` zeroes, rounded up to whole pages by the kernel.
    pub(super) fn new(bytes: usize) -> io::Result<Self> {
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing of ours.
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE,
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
