//! A run whose measured spans are sampled.

use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use quorumark_report::Folded;

use super::{ProfileError, Profiler};
use crate::progress::{Live, Phase, Progress};

/// Hears how a run gets on, has the profiler look while a trial is measured, and passes on what it
/// hears.
pub struct Sampled<'a> {
    listener: &'a dyn Progress,
    state: Mutex<State>,
}

struct State {
    profiler: Profiler,
    /// Whether the work that goes on is a trial, and no warm-up.
    in_trial: bool,
    looking: bool,
    failed: Option<ProfileError>,
}

impl<'a> Sampled<'a> {
    /// `profiler` is paused until a measured span begins.
    pub fn new(profiler: Profiler, listener: &'a dyn Progress) -> Sampled<'a> {
        let state = State { profiler, in_trial: false, looking: false, failed: None };
        Sampled { listener, state: Mutex::new(state) }
    }

    /// After the run: what was seen.
    ///
    /// # Errors
    /// The first that went wrong with the profiler.
    pub fn finish(self) -> Result<Folded, ProfileError> {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        state.failed.map_or_else(|| state.profiler.finish(), Err)
    }

    /// A panic elsewhere leaves nothing half done that matters here.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Sampled<'_> {
    fn phase(&self, phase: Phase) {
        match phase {
            Phase::Trial { .. } => self.state().in_trial = true,
            // Within a trial.
            Phase::Sign { .. } => {}
            Phase::Prepare(_) | Phase::WarmUp | Phase::Check(_) => self.state().in_trial = false,
        }
        self.listener.phase(phase);
    }

    fn advance(&self, done: f64) {
        self.listener.advance(done);
    }

    fn looks_every(&self) -> Option<Duration> {
        self.listener.looks_every()
    }

    fn live(&self, live: &Live) {
        self.listener.live(live);
    }

    fn span_begins(&self) {
        self.listener.span_begins();
        let mut state = self.state();
        if state.in_trial && state.failed.is_none() {
            state.failed = state.profiler.resume().err();
            state.looking = state.failed.is_none();
        }
    }

    fn span_ends(&self) {
        let mut state = self.state();
        if core::mem::take(&mut state.looking) {
            state.failed = state.profiler.pause().err();
        }
        drop(state);
        self.listener.span_ends();
    }
}
