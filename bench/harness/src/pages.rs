//! Whether memory may come in transparent huge pages.

#![allow(unsafe_code)] // `prctl` is a C function; its calls are below.

/// While it lives, the kernel may give this process, and what it starts, memory in transparent huge
/// pages, or may not. Elsewhere than on Linux nothing happens, and so on a kernel that does not know them.
///
/// A huge page is resident whole, however little of it is in use: the allocator's pages of many sizes,
/// of which each thread has its own, then weigh two MiB each.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub(crate) struct HugePages {
    /// Whether they were kept off before.
    before: bool,
}

impl HugePages {
    pub(crate) fn allow(allowed: bool) -> HugePages {
        let before = is_kept_off();
        keep_off(!allowed);
        HugePages { before }
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        keep_off(self.before);
    }
}

fn is_kept_off() -> bool {
    #[cfg(target_os = "linux")]
    // SAFETY: PR_GET_THP_DISABLE takes four zeros and touches no memory of ours.
    return unsafe { libc::prctl(libc::PR_GET_THP_DISABLE, NONE, NONE, NONE, NONE) } == 1;
    #[cfg(not(target_os = "linux"))]
    false
}

fn keep_off(off: bool) {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: PR_SET_THP_DISABLE takes a flag and three zeros, and touches no memory of ours. That
        // it may be refused is no matter: then pages are as large as the kernel likes.
        unsafe {
            libc::prctl(libc::PR_SET_THP_DISABLE, libc::c_ulong::from(off), NONE, NONE, NONE)
        };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = off;
}

#[cfg(target_os = "linux")]
const NONE: libc::c_ulong = 0;

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_does_what_was_asked_of_it() {
        let _pages = HugePages::allow(false);
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let enabled = status.lines().find_map(|line| line.strip_prefix("THP_enabled:"));
        // A kernel without them has no such line.
        assert_ne!(enabled.map(str::trim), Some("1"));
        assert!(enabled.is_none() || is_kept_off());
    }
}
