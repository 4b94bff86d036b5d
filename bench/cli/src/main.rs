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
#[cfg(test)]
mod guides;
mod input;
mod interrupt;
mod out;
mod progress;
mod refused;
mod settings;
mod terminal;

use std::env;
use std::process::ExitCode;

use quorumark_harness::allocations::Counting;
use quorumark_harness::processes;

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
        // No command of the user's: `run` starts it, with processes=per-replica.
        if env::args_os().nth(1).is_some_and(|word| word == processes::ARGUMENT) {
            processes::replica_process()?;
            return Ok(exit::Exit::Done);
        }
        let invocation = args::parse()?;
        cmd::dispatch(invocation)
    });
    exit::finish(outcome)
}
