//! Whether standard output was open when the process began.
//!
//! Before `main`, Rust's runtime puts `/dev/null` in the place of a standard stream that is closed
//! (`>&-`), so that no file that is opened later takes its number. What is written there is lost
//! without an error, and nothing tells it from a `/dev/null` that was asked for. So the descriptor
//! is looked at before the runtime begins.

#![allow(unsafe_code)] // What runs before `main` is placed in a section by name; one C call.

use core::sync::atomic::{AtomicBool, Ordering};

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether the process was started with standard output closed. `false` where the system cannot
/// tell, which is everywhere but on Linux.
pub fn stdout_was_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

// SAFETY: the loader calls each entry of `.init_array` once, before `main`, as a C function with
// three arguments; one that takes none may be called so. It uses nothing that `main` sets up.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK_FIRST: extern "C" fn() = look;

#[cfg(target_os = "linux")]
extern "C" fn look() {
    // SAFETY: F_GETFD takes no third argument and reads no memory of ours.
    let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
    CLOSED.store(flags == -1, Ordering::Relaxed);
}
