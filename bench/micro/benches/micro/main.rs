//! Criterion suites for each hot path, in one target.
//!
//! Each module is one area of the grid and says what its timed spans contain. Everything else
//! (fixtures, the check of the answer, the release of what an operation returns) is outside.

mod hash;
mod merkle;
mod pbft;
mod pipeline;
mod pow;
mod profiler;
mod signature;
mod suite;
mod wire;

use std::process::ExitCode;

use suite::Suite;

fn main() -> ExitCode {
    Suite::main(&[
        hash::ROUTINES,
        signature::ROUTINES,
        merkle::ROUTINES,
        pow::ROUTINES,
        wire::ROUTINES,
        pbft::ROUTINES,
        pipeline::ROUTINES,
    ])
}
