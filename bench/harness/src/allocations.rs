//! How often memory was allocated.

#![allow(unsafe_code)] // `GlobalAlloc` is an unsafe trait; every call is handed on as it came.

use core::cell::Cell;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::alloc::{GlobalAlloc, Layout};

/// An allocator that counts what it hands on, on a line of the thread's own that nobody else writes:
/// so the count is a plain addition. Where a program has none, records say `null`.
#[derive(Debug)]
pub struct Counting<A>(pub A);

/// Allocations so far of all threads, those that have ended included; a growth in place counts as
/// one. `None` where no [`Counting`] is the program's allocator.
pub fn count() -> Option<u64> {
    let lines = COUNTS.iter().chain([&SHARED]);
    let sum: u64 = lines.map(|line| line.0.load(Ordering::Relaxed)).sum();
    (sum > 0).then_some(sum)
}

/// Counters, each on two cache lines, which are fetched together.
#[repr(align(128))]
struct Line(AtomicU64);

/// More than a pipeline has threads on two cores; those that come later share one line more.
const LINES: usize = 128;
static COUNTS: [Line; LINES] = [const { Line(AtomicU64::new(0)) }; LINES];
static SHARED: Line = Line(AtomicU64::new(0));
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static LINE: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn note() {
    // A thread that is ending may have no cell any more: it shares the common line.
    let line = LINE.try_with(|line| {
        if line.get() == usize::MAX {
            line.set(NEXT.fetch_add(1, Ordering::Relaxed).min(LINES));
        }
        line.get()
    });
    match COUNTS.get(line.unwrap_or(LINES)) {
        // No line is given out twice, so nobody writes between the load and the store.
        Some(Line(own)) => own.store(own.load(Ordering::Relaxed) + 1, Ordering::Relaxed),
        None => drop(SHARED.0.fetch_add(1, Ordering::Relaxed)),
    }
}

// SAFETY: each method hands its arguments to the inner allocator as they are and returns what that
// returns, so the inner allocator's guarantees are kept; counting neither allocates nor unwinds.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counting<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller keeps the contract of this method, which is the inner one's.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above; `memory` came from the inner allocator.
        unsafe { self.0.dealloc(memory, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: as above.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: as above; `memory` came from the inner allocator.
        unsafe { self.0.realloc(memory, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::System;
    use std::thread;

    #[test]
    fn each_allocation_of_each_thread_is_counted_once() {
        let allocator = Counting(System);
        let layout = Layout::new::<[u64; 8]>();
        let before = count().unwrap_or(0);
        let work = || {
            // SAFETY: the layout is not empty, and each block is released once with its layout.
            unsafe {
                let first = allocator.alloc(layout);
                let grown = allocator.realloc(first, layout, 128);
                allocator.dealloc(grown, Layout::from_size_align_unchecked(128, layout.align()));
                allocator.dealloc(allocator.alloc_zeroed(layout), layout);
            }
        };
        // More threads than lines: the last ones share.
        let threads = LINES + 4;
        thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
        let each = 3; // An allocation, a growth and a zeroed one.
        assert_eq!(count().unwrap() - before, (each * threads) as u64);
    }
}
