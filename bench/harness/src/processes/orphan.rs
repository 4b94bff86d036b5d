//! A child that does not outlive who started it.

#![allow(unsafe_code)] // `prctl` is a C function; its call is below.

/// Asks the kernel to kill this process when the thread that started it ends. Elsewhere than on Linux
/// nothing happens: the process ends when its socket closes.
pub(super) fn die_with_the_parent() {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: PR_SET_PDEATHSIG takes a signal's number and touches no memory of ours.
        let status = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        assert_eq!(status, 0, "SIGKILL is a signal");
    }
}
