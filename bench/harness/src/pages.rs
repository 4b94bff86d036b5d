//! Whether memory may come in transparent huge pages.

#![allow(unsafe_code)] // `prctl` is a C function; its call is below.

/// Lets the kernel give this process, and what it starts, memory in transparent huge pages, or keeps
/// it from that. Elsewhere than on Linux nothing happens, and so on a kernel that does not know them.
///
/// A huge page is resident whole, however little of it is in use: the allocator's pages of many sizes,
/// of which each thread has its own, then weigh two MiB each.
pub(crate) fn allow_huge(allowed: bool) {
    #[cfg(target_os = "linux")]
    {
        let (disable, unused) = (libc::c_ulong::from(!allowed), 0 as libc::c_ulong);
        // SAFETY: PR_SET_THP_DISABLE takes a flag and three zeros, and touches no memory of ours. That
        // it may be refused is no matter: then pages are as large as the kernel likes.
        unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, disable, unused, unused, unused) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = allowed;
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_does_what_was_asked_of_it() {
        allow_huge(false);
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let enabled = status.lines().find_map(|line| line.strip_prefix("THP_enabled:"));
        // A kernel without them has no such line.
        assert_ne!(enabled.map(str::trim), Some("1"));
    }
}
