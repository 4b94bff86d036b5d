//! Criterion suites for each hot path, in one target, and after them the rivals.
//!
//! Each module is one area of the grid and says what its timed spans contain. Everything else
//! (fixtures, the check of the answer, the release of what an operation returns) is outside.

mod hash;
mod merkle;
mod pbft;
mod pipeline;
mod pow;
mod profiler;
mod recovery;
mod rivals;
mod signature;
mod suite;
mod wire;

use std::io::{self, Write};
use std::process::ExitCode;

use suite::Suite;

fn main() -> ExitCode {
    let suites = Suite::main(&[
        hash::ROUTINES,
        signature::ROUTINES,
        merkle::ROUTINES,
        pow::ROUTINES,
        wire::ROUTINES,
        pbft::ROUTINES,
        recovery::ROUTINES,
        pipeline::ROUTINES,
    ]);
    if suites != ExitCode::SUCCESS {
        return suites;
    }
    match rivals::hold() {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "standard output: {error}");
            ExitCode::FAILURE
        }
    }
}
