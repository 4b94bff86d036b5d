//! Asking for memory before it is needed.

/// Tells the core that a value will be read or written soon, so that its cache line is on its way while
/// something else is done. A hint without effect on any result; where a processor has no such
/// instruction, nothing.
#[inline]
pub fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction is of every x86-64 processor, and an address is all that it takes: it
        // reads nothing that a program sees, and cannot fault.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(core::ptr::from_ref(value).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
