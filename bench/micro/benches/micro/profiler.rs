//! Flamegraphs of what a suite spends its time on, for `--profile-time`.
//!
//! pprof's own support is for another major of criterion; its unwinder by frame pointers is used,
//! because the default one can crash in a signal handler.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use criterion::profiler::Profiler;
use pprof::{ProfilerGuard, ProfilerGuardBuilder};

/// Samples per second of CPU time: a prime, so as not to beat with anything periodic. A kernel
/// whose tick is slower takes as many as it has ticks.
const FREQUENCY_HZ: i32 = 997;
/// Libraries without frame pointers: a stack is not followed from or through them.
const BLOCKLIST: [&str; 4] = ["libc", "libgcc", "pthread", "vdso"];

/// Writes `flamegraph.svg` into the folder that criterion names for each id.
#[derive(Default)]
pub(crate) struct Flamegraphs {
    running: Option<ProfilerGuard<'static>>,
}

impl Profiler for Flamegraphs {
    fn start_profiling(&mut self, id: &str, _: &Path) {
        let builder = ProfilerGuardBuilder::default().frequency(FREQUENCY_HZ).blocklist(&BLOCKLIST);
        match builder.build() {
            Ok(guard) => self.running = Some(guard),
            Err(error) => say(&format!("no flamegraph of {id}: {error}")),
        }
    }

    fn stop_profiling(&mut self, id: &str, folder: &Path) {
        let Some(guard) = self.running.take() else { return };
        match write(&guard, folder) {
            Ok(file) => say(&format!("flamegraph: {}", file.display())),
            Err(error) => say(&format!("no flamegraph of {id}: {error}")),
        }
    }
}

fn write(guard: &ProfilerGuard<'_>, folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let report = guard.report().build()?;
    if report.data.is_empty() {
        return Err("no sample was taken; raise --profile-time".into());
    }
    // Drawn in memory first: pprof panics when its writer fails.
    let mut svg = Vec::new();
    report.flamegraph(&mut svg)?;
    fs::create_dir_all(folder)?;
    let file = folder.join("flamegraph.svg");
    fs::write(&file, svg)?;
    Ok(file)
}

/// One line beside criterion's own output; a closed stderr is nobody's loss.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
