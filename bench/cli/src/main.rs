//! The command line: `quorumark` and its commands, one file each under `cmd`.
//!
//! Invariant: standard output carries data alone, standard error everything else; every error is
//! one line and one exit code ([`exit::Exit`]). What is measured, and how, is decided elsewhere:
//! here arguments become a configuration, and records become text.

#![forbid(unsafe_code)]

mod args;
mod baselines;
mod cmd;
mod config_file;
mod exit;
mod input;
mod interrupt;
mod out;
mod progress;
mod refused;
mod settings;
mod terminal;

use std::process::ExitCode;

use quorumark_harness::allocations::Counting;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: Counting<mimalloc::MiMalloc> = Counting(mimalloc::MiMalloc);

#[cfg(not(feature = "mimalloc"))]
#[global_allocator]
static ALLOCATOR: Counting<std::alloc::System> = Counting(std::alloc::System);

/// What the records call the allocator within it.
const ALLOCATOR_NAME: &str = if cfg!(feature = "mimalloc") { "mimalloc" } else { "system" };

fn main() -> ExitCode {
    exit::say_panics_in_one_line();
    let outcome = exit::guarded(|| {
        let invocation = args::parse()?;
        cmd::dispatch(invocation)
    });
    exit::finish(outcome)
}
