//! A ladder of offered rates, from what the system can do.

use std::sync::atomic::AtomicBool;

use quorumark_harness::sweep::{Axis, PLAN_FILE};
use quorumark_harness::{ParameterSet, RunError, Scenario};
use quorumark_report::units;

use super::SweepArgs;
use super::folder::read_plan;
use crate::cmd::run::measure;
use crate::exit;
use crate::interrupt;
use crate::progress::ProgressLine;
use crate::refused::Refused;
use crate::terminal::Terminal;

/// The parameter that a ladder sweeps.
const RATE: &str = "rate";

/// The figure that says what the system can do.
const THROUGHPUT: &str = "throughput_tx_per_s";

/// Rungs in hundredths of that: latency hardly moves before the half, and turns at the end.
const RUNGS: [u64; 9] = [10, 25, 50, 70, 80, 90, 95, 100, 110];

/// `axes` with rates; those of a sweep that was begun in the same folder, or of a closed loop that
/// is measured now.
pub(super) fn with(
    args: &SweepArgs,
    scenario: &'static dyn Scenario,
    shared: &ParameterSet,
    mut axes: Vec<Axis>,
    interrupt: &AtomicBool,
    terminal: &Terminal,
) -> anyhow::Result<Vec<Axis>> {
    if !shared.contains(RATE) {
        let problem = format!("{} has no {RATE}", scenario.spec().name);
        return Err(Refused::new("--rate-ladder", problem, "sweep a pipeline").into());
    }
    let twice = axes.iter().any(|axis| axis.name == RATE);
    if twice || args.settings.flag_that_sets(RATE).is_some() {
        let problem = "offers rates, and so does another flag";
        return Err(Refused::new("--rate-ladder", problem, "keep one of them").into());
    }
    let begun = args.out.as_ref().filter(|out| out.join(PLAN_FILE).exists());
    if let Some(out) = begun {
        axes.extend(read_plan(out)?.axes.into_iter().filter(|axis| axis.name == RATE));
        return Ok(axes);
    }
    exit::say_debug_build();
    let title = "what the system can do, in a closed loop";
    if !terminal.progress() {
        terminal.note(title);
    }
    let progress = ProgressLine::new(terminal, title);
    let run = measure(scenario, shared, interrupt, &progress)?;
    drop(progress);
    if interrupt::interrupted() {
        return Err(RunError::Interrupted.into());
    }
    let Some(reached) = run.record.metrics.get(THROUGHPUT) else {
        let reason = run.record.verdict_reason.unwrap_or_default();
        anyhow::bail!("the closed loop has no throughput to make a ladder of: {reason}");
    };
    terminal.note(&format!("the system can do {}", units::metric(THROUGHPUT, Some(reached))));
    let rung = |hundredths: &u64| round(reached * *hundredths as f64 / 100.0).to_string();
    let mut values: Vec<String> = RUNGS.iter().map(rung).collect();
    values.dedup();
    let listed = format!("{RATE}={}", values.join(","));
    axes.push(Axis::parse(&listed, shared, 1)?);
    Ok(axes)
}

/// Three significant digits, at least 1.
fn round(rate: f64) -> u64 {
    let unit = 10_f64.powf((rate.max(1.0).log10().floor() - 2.0).max(0.0));
    ((rate / unit).round() * unit).max(1.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_are_round_numbers() {
        let rounded = [0.2, 7.6, 123.4, 25_676.8, 1_234_567.0].map(round);
        assert_eq!(rounded, [1, 8, 123, 25_700, 1_230_000]);
    }
}
