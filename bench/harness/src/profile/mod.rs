//! Sampling a run: where its threads are found on a core, many times a second.
//!
//! A [`Profiler`] is attached to this process, looks only between [`Profiler::resume`] and
//! [`Profiler::pause`], and leaves [`Folded`] stacks, each below its thread and its stage. It needs
//! neither root nor hardware counters. [`Sampled`] does this for the measured spans of a run: what
//! is signed or checked around them is left out.
//!
//! Two backends look: Linux's `perf` from outside, by its software clock, and pprof from within by a
//! timer's signal, where the build has the feature `pprof`. Both follow frame pointers, which every
//! build of ours has.

// Without perf nothing reads what the system or perf calls a thread.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
mod names;
#[cfg(target_os = "linux")]
mod perf;
#[cfg(feature = "pprof")]
mod pprof;
mod sampled;
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
mod script;

use quorumark_report::Folded;
use thiserror::Error;

pub use sampled::Sampled;

/// Samples per second and core: a prime, so as not to beat with anything periodic.
pub const FREQUENCY_HZ: u32 = 997;

/// Who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// `perf record`, a program of its own.
    Perf,
    /// The pprof crate, in this process.
    Pprof,
}

/// Why nothing was sampled. One line: what failed, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProfileError {
    /// The program `perf` is missing, or may not look.
    #[error(
        "perf cannot sample: {0}; install Linux's perf, set kernel.perf_event_paranoid to 2 or \
         less, or build with `--features pprof`"
    )]
    Perf(String),
    /// The build has no pprof in it.
    #[error(
        "this build has no pprof; build with `cargo build --release --features pprof`, or choose \
         --backend perf"
    )]
    NotBuilt,
    /// pprof failed.
    #[error("pprof cannot sample: {0}; choose --backend perf")]
    Pprof(String),
    /// The sampler ended on its own.
    #[error("{backend} stopped sampling: {cause}; run again")]
    Lost {
        /// Who.
        backend: Backend,
        /// What it said.
        cause: String,
    },
}

/// A sampler of one kind.
trait Sampling: Send {
    fn resume(&mut self) -> Result<(), ProfileError>;
    fn pause(&mut self) -> Result<(), ProfileError>;
    fn finish(self: Box<Self>) -> Result<Folded, ProfileError>;
}

/// A sampler that is attached to this process, and paused at first.
pub struct Profiler {
    backend: Backend,
    sampling: Box<dyn Sampling>,
}

impl Profiler {
    /// Attaches the first backend of `backends` that works.
    ///
    /// # Errors
    /// Why the first of them does not, when none does.
    pub fn attach(backends: &[Backend]) -> Result<Profiler, ProfileError> {
        let mut refused = None;
        for &backend in backends {
            match sampling(backend) {
                Ok(sampling) => return Ok(Profiler { backend, sampling }),
                Err(error) => {
                    refused.get_or_insert(error);
                }
            }
        }
        Err(refused.unwrap_or(ProfileError::NotBuilt))
    }

    /// Who looks.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Looks from now on.
    ///
    /// # Errors
    /// [`ProfileError`] when the backend is gone.
    pub fn resume(&mut self) -> Result<(), ProfileError> {
        self.sampling.resume()
    }

    /// Looks no more, until it is resumed.
    ///
    /// # Errors
    /// As [`Profiler::resume`].
    pub fn pause(&mut self) -> Result<(), ProfileError> {
        self.sampling.pause()
    }

    /// Detaches; what was seen, each stack below its stage and its thread.
    ///
    /// # Errors
    /// As [`Profiler::resume`].
    pub fn finish(self) -> Result<Folded, ProfileError> {
        self.sampling.finish()
    }
}

fn sampling(backend: Backend) -> Result<Box<dyn Sampling>, ProfileError> {
    match backend {
        #[cfg(target_os = "linux")]
        Backend::Perf => Ok(Box::new(perf::Perf::attach()?)),
        #[cfg(not(target_os = "linux"))]
        Backend::Perf => Err(ProfileError::Perf("it is Linux's".to_owned())),
        #[cfg(feature = "pprof")]
        Backend::Pprof => Ok(Box::new(pprof::Pprof::default())),
        #[cfg(not(feature = "pprof"))]
        Backend::Pprof => Err(ProfileError::NotBuilt),
    }
}

impl core::fmt::Display for Backend {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Backend::Perf => "perf",
            Backend::Pprof => "pprof",
        })
    }
}
