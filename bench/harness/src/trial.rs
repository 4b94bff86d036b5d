//! The driver: prepare, warm up, measure `repeat` times, check, assemble the record.

use core::sync::atomic::AtomicBool;
use core::time::Duration;
use std::time::{Instant, SystemTime};

use quorumark_report::{Point, Record};
use thiserror::Error;

use crate::assemble::{self, Trial, Trials};
use crate::environment::{self, Before};
use crate::latency::Latency;
use crate::parameter::{ParameterError, ParameterSet};
use crate::progress::{Phase, Progress, Quiet};
use crate::scenario::{Control, Measured, Scenario, Session};
use crate::schedule::Schedule;

/// What the program around the harness knows: who listens, how it is interrupted, what it is.
#[derive(Clone, Copy)]
pub struct Host<'a> {
    /// Set by Ctrl-C; what was measured so far is kept.
    pub interrupt: &'a AtomicBool,
    /// Who hears how the run gets on.
    pub progress: &'a dyn Progress,
    /// The global allocator, such as `mimalloc` or `system`.
    pub allocator: &'a str,
    /// Version of the tool.
    pub tool_version: &'a str,
}

impl Host<'static> {
    /// Nobody listens or interrupts; the allocator is the system's.
    pub fn quiet() -> Host<'static> {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Host {
            interrupt: &NEVER,
            progress: &Quiet,
            allocator: "system",
            tool_version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// Why a run gave no record.
#[derive(Debug, Error)]
pub enum RunError {
    /// The configuration is wrong (exit code 2).
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// The machine or the system under test failed (exit code 1).
    #[error("{what}; {remedy}")]
    Failed {
        /// What failed.
        what: String,
        /// What to do about it.
        remedy: String,
    },
    /// Interrupted before anything was measured (exit code 130).
    #[error("interrupted before anything was measured")]
    Interrupted,
}

/// A finished run: the record, and what stands beside it in the run's folder.
#[derive(Debug)]
pub struct Run {
    /// The record.
    pub record: Record,
    /// Latencies, one entry a trial and name.
    pub latencies: Vec<LatencyInterval>,
    /// The time series over all trials.
    pub series: Vec<Point>,
    /// When it began.
    pub started: SystemTime,
    /// Whether it was interrupted: the record holds what was measured until then.
    pub interrupted: bool,
}

/// The latencies of one trial.
#[derive(Debug, Clone, PartialEq)]
pub struct LatencyInterval {
    /// What was timed, such as `response_time_ns`.
    pub name: &'static str,
    /// When the trial's measured span began, counted from the first one's, others left out.
    pub start: Duration,
    /// Length of the measured span.
    pub span: Duration,
    /// What was recorded.
    pub latency: Latency,
}

/// Runs `scenario` with `parameters`, which are a set of its own table.
///
/// # Errors
/// [`RunError`]. A violated safety check is no error but a verdict.
pub fn run(
    scenario: &dyn Scenario,
    parameters: &ParameterSet,
    host: Host<'_>,
) -> Result<Run, RunError> {
    scenario.check(parameters)?;
    let control = Control { interrupt: host.interrupt, progress: host.progress };
    let before = Before::now();
    host.progress.phase(Phase::Prepare(scenario.preparation()));
    let mut session = scenario.prepare(parameters)?;
    let mut trials = Trials::begin(scenario.spec(), SystemTime::now());
    measure(session.as_mut(), parameters, &control, &mut trials)?;
    if !trials.interrupted && !trials.is_empty() {
        host.progress.phase(Phase::Check(scenario.conclusion()));
    }
    conclude(session, trials, &before, parameters, &host)
}

/// Checks answers after the last trial, and assembles the record.
pub(crate) fn conclude(
    mut session: Box<dyn Session>,
    trials: Trials,
    before: &Before,
    parameters: &ParameterSet,
    host: &Host<'_>,
) -> Result<Run, RunError> {
    if trials.is_empty() {
        return Err(RunError::Interrupted);
    }
    let mut metrics = trials.medians();
    let closing = session.finish(&mut metrics)?;
    let environment = environment::capture(before);
    Ok(assemble::run(trials, metrics, closing, environment, parameters, host))
}

/// Load before the first trial, where any is asked for.
pub(crate) fn warm_up(
    session: &mut dyn Session,
    parameters: &ParameterSet,
    control: &Control<'_>,
) -> Result<(), RunError> {
    let warmup = parameters.duration("warmup");
    if warmup.is_zero() {
        return Ok(());
    }
    control.progress.phase(Phase::WarmUp);
    session.warm_up(warmup, control)
}

fn measure(
    session: &mut dyn Session,
    parameters: &ParameterSet,
    control: &Control<'_>,
    trials: &mut Trials,
) -> Result<(), RunError> {
    warm_up(session, parameters, control)?;
    let of = u32::try_from(parameters.integer("repeat")).unwrap_or(u32::MAX);
    for index in 0..of {
        if control.interrupted() {
            break;
        }
        control.progress.phase(Phase::Trial { index, of });
        match one(session, parameters, control) {
            Ok((measured, cpu_share)) => {
                trials.push(Trial { measured, cpu_share, cut: control.interrupted() });
            }
            // It was not even begun: the trials before it stand.
            Err(RunError::Interrupted) => break,
            Err(error) => return Err(error),
        }
    }
    trials.interrupted = control.interrupted();
    Ok(())
}

/// One trial, and the share of the CPU time that the process wanted during it and got.
pub(crate) fn one(
    session: &mut dyn Session,
    parameters: &ParameterSet,
    control: &Control<'_>,
) -> Result<(Measured, Option<f64>), RunError> {
    let schedule = Schedule::now();
    let started = Instant::now();
    let mut measured = session.trial(parameters.duration("duration"), control)?;
    if measured.span.is_zero() {
        measured.span = started.elapsed();
    }
    // A session whose own threads wait for each other, or end within the trial, tells it itself.
    let seen = measured.metrics.get("cpu_share");
    let cpu_share = seen.or_else(|| schedule.and_then(|before| before.cpu_share_since()));
    Ok((measured, cpu_share))
}
