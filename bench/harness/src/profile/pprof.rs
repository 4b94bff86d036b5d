//! The pprof crate as the sampler: a timer's signal interrupts the thread that is on a core, and its
//! handler follows the frame pointers.

use pprof::{ProfilerGuard, ProfilerGuardBuilder};
use quorumark_report::Folded;

use super::names::MAIN;
use super::{FREQUENCY_HZ, ProfileError, Sampling, script};

/// Libraries without frame pointers: a stack is not followed from or through them.
const BLOCKLIST: [&str; 4] = ["libc", "libgcc", "pthread", "vdso"];

/// The profiler while it looks, and what it saw before.
#[derive(Default)]
pub(super) struct Pprof {
    running: Option<ProfilerGuard<'static>>,
    seen: Folded,
}

impl Sampling for Pprof {
    fn resume(&mut self) -> Result<(), ProfileError> {
        let frequency = i32::try_from(FREQUENCY_HZ).unwrap_or(i32::MAX);
        let builder = ProfilerGuardBuilder::default().frequency(frequency).blocklist(&BLOCKLIST);
        self.running = Some(builder.build().map_err(failed)?);
        Ok(())
    }

    fn pause(&mut self) -> Result<(), ProfileError> {
        let Some(guard) = self.running.take() else { return Ok(()) };
        let report = guard.report().build().map_err(failed)?;
        let program = std::env::current_exe().ok();
        let program = program.as_deref().and_then(|path| path.file_name()?.to_str());
        for (stack, count) in &report.data {
            let thread = match stack.thread_name_or_id() {
                name if Some(name.as_str()) == program => MAIN.to_owned(),
                name => name,
            };
            let frames: Vec<String> =
                stack.frames.iter().flatten().map(|symbol| symbol.name()).collect();
            for _ in 0..*count {
                script::add(&mut self.seen, &thread, frames.clone());
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Folded, ProfileError> {
        self.pause()?;
        Ok(self.seen)
    }
}

fn failed(error: pprof::Error) -> ProfileError {
    ProfileError::Pprof(error.to_string())
}
