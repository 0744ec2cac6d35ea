//! Page-aligned anonymous memory, resident from the start or as it is used.
#![allow(unsafe_code, reason = "maps and unmaps memory")]

use std::io;
use std::ops::Range;
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

    /// Gives the pages of a range back to the kernel: its bytes are zeroes from now on, and its pages become resident
    /// when they are next written. Ranges of other than whole pages stay as they are.
    pub(super) fn release(&self, range: Range<usize>) {
        let is_whole = [range.start, range.end]
            .iter()
            .all(|end| end.is_multiple_of(page_bytes()));
        if !is_whole || range.end > self.bytes || range.is_empty() {
            return;
        }
        // SAFETY: the range lies within this mapping, which is private and anonymous, so that nothing else is named by
        // these pages; whoever owns the range knows that its bytes are lost. A failure leaves them resident.
        unsafe {
            let first = self.address.as_ptr().add(range.start);
            libc::madvise(first.cast(), range.len(), libc::MADV_DONTNEED);
        }
    }

    /// Bytes of it that are resident.
    #[cfg(test)]
    pub(super) fn resident_bytes(&self) -> usize {
        let page_bytes = page_bytes();
        let mut pages = vec![0_u8; self.bytes.div_ceil(page_bytes)];
        // SAFETY: the mapping is this one, and there is a byte for each of its pages.
        let outcome = unsafe { libc::mincore(self.address.as_ptr().cast(), self.bytes, pages.as_mut_ptr()) };
        assert_eq!(outcome, 0, "{}", io::Error::last_os_error());
        pages.iter().filter(|page| *page & 1 == 1).count() * page_bytes
    }
}

/// The bytes of a page; if the system does not say, no range is of whole pages.
fn page_bytes() -> usize {
    // SAFETY: this takes a plain number and may be called at any time.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).unwrap_or(usize::MAX).max(1)
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `new` made exactly this mapping, and it is unmapped only here.
        unsafe { libc::munmap(self.address.as_ptr().cast(), self.bytes) };
    }
}
