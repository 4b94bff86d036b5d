//! How often memory was allocated.

#![allow(unsafe_code)] // `GlobalAlloc` is an unsafe trait; every call is handed on as it came.

use core::cell::Cell;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::alloc::{GlobalAlloc, Layout};

/// An allocator that counts what it hands on: about 5 ns an allocation, on a line of the thread's
/// own. Where a program has none, records say `null`.
#[derive(Debug)]
pub struct Counting<A>(pub A);

/// Allocations so far of all threads, those that have ended included; a growth in place counts as
/// one. `None` where no [`Counting`] is the program's allocator.
pub fn count() -> Option<u64> {
    let sum: u64 = COUNTS.iter().map(|line| line.0.load(Ordering::Relaxed)).sum();
    (sum > 0).then_some(sum)
}

/// Counters, each on two cache lines, which are fetched together.
#[repr(align(128))]
struct Line(AtomicU64);

/// More than a pipeline has threads on two cores; further threads share.
const LINES: usize = 128;
static COUNTS: [Line; LINES] = [const { Line(AtomicU64::new(0)) }; LINES];
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static LINE: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn note() {
    // A thread that is ending may have no cell any more: it shares the first line.
    let line = LINE.try_with(|line| {
        if line.get() == usize::MAX {
            line.set(NEXT.fetch_add(1, Ordering::Relaxed) % LINES);
        }
        line.get()
    });
    COUNTS[line.unwrap_or(0)].0.fetch_add(1, Ordering::Relaxed);
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
        thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
        assert_eq!(
            count().unwrap() - before,
            12,
            "an allocation, a growth and a zeroed one, by four"
        );
    }
}
