//! The allocator that counts, and a switch that stops the count.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static HELD_BYTES: Cell<isize> = const { Cell::new(0) };
    static IS_EXEMPT: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

fn count() {
    // Neither exists while the thread ends; then nobody counts any more.
    let is_exempt = IS_EXEMPT.try_with(Cell::get).unwrap_or(true);
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + usize::from(!is_exempt)));
}

fn hold(bytes: isize) {
    let _ = HELD_BYTES.try_with(|held| held.set(held.get() + bytes));
}

// SAFETY: everything is passed on to `System` as it came; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        hold(layout.size() as isize);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        hold(-(layout.size() as isize));
        // SAFETY: `memory` came from `System` with this layout, as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        hold(size as isize - layout.size() as isize);
        // SAFETY: `memory` came from `System` with this layout, as the caller promises.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations of this thread in `run`, exempt ones aside.
pub(crate) fn allocations_of(run: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    run();
    ALLOCATIONS.get() - before
}

/// Bytes that this thread allocated and has not freed, less those of other threads that it freed.
pub(crate) fn held_bytes() -> isize {
    HELD_BYTES.get()
}

/// Runs code that is not the server's own; its allocations do not count.
pub(crate) fn exempt<T>(run: impl FnOnce() -> T) -> T {
    let was_exempt = IS_EXEMPT.replace(true);
    let result = run();
    IS_EXEMPT.set(was_exempt);
    result
}
