//! One measurement of a scenario, for a search.

use core::time::Duration;
use std::time::{Instant, SystemTime};

use quorumark_report::verdict::CPU_SHARE_CONCLUSIVE_MIN;
use quorumark_report::{Metrics, Verdict};

use super::ask::{Reading, Sample};
use crate::assemble::{Trial, Trials};
use crate::parameter::{Origin, ParameterSet, Value};
use crate::scenario::{Control, Scenario};
use crate::trial::{self, RunError};

/// What came of a measurement.
#[derive(Debug, Clone, PartialEq)]
pub enum Live {
    /// Something to tell the search.
    Sample(Sample),
    /// Safety was violated: where, in words. Nothing more is measured.
    Unsafe(String),
}

/// Measures `scenario` under `parameters` for `span`, with the workload of `seed`: one trial of a
/// session of its own, prepared briefly. Of its figures those in `kept` are told. The floor is not
/// measured, so shares of a limit are absent.
///
/// # Errors
/// [`RunError`]; [`RunError::Interrupted`] also where it was interrupted within the trial.
pub fn measure(
    scenario: &dyn Scenario,
    parameters: &ParameterSet,
    (span, seed): (Duration, u64),
    kept: &[String],
    control: &Control<'_>,
) -> Result<Live, RunError> {
    let started = Instant::now();
    let mut parameters = parameters.clone();
    let origin = || Origin::Flag("--param".to_owned());
    parameters.set("duration", &Value::Duration(span).to_string(), origin())?;
    parameters.set("seed", &seed.to_string(), origin())?;
    scenario.check(&parameters)?;
    let mut session = scenario.prepare_briefly(&parameters)?;
    trial::warm_up(session.as_mut(), &parameters, control)?;
    let (measured, cpu_share) = trial::one(session.as_mut(), &parameters, control)?;
    drop(session);
    if control.interrupted() {
        return Err(RunError::Interrupted);
    }
    let mut trials = Trials::begin(scenario.spec(), SystemTime::now());
    trials.push(Trial { measured, cpu_share, cut: false });
    let trial = &trials.trials[0];
    let reading = match reading(trial, kept) {
        Ok(reading) => reading,
        Err(violation) => return Ok(Live::Unsafe(violation)),
    };
    let cost_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
    Ok(Live::Sample(Sample { cost_ns, reading }))
}

/// What a trial is worth; the violation where it was unsafe.
fn reading(trial: &Trial, kept: &[String]) -> Result<Reading, String> {
    let objection = trial.measured.objection.as_ref().map(|objection| objection.reason.clone());
    let reason = || objection.unwrap_or_default();
    if let Some(share) = trial.cpu_share.filter(|share| *share < CPU_SHARE_CONCLUSIVE_MIN) {
        let percent = share * 100.0;
        return Ok(Reading::Disturbed(format!("other work left it {percent:.0} % of the CPU")));
    }
    Ok(match trial.verdict() {
        Verdict::Fail => return Err(violation(trial)),
        Verdict::Void => Reading::Refused(reason()),
        Verdict::Inconclusive => Reading::Disturbed(reason()),
        Verdict::Ok => {
            let metrics = &trial.measured.metrics;
            let value = |name: &String| match name.as_str() {
                "cpu_share" => trial.cpu_share,
                name => metrics.get(name),
            };
            let told = kept.iter().filter_map(|name| Some((name.clone(), value(name)?)));
            Reading::Figures(told.collect::<Metrics>())
        }
    })
}

fn violation(trial: &Trial) -> String {
    let violated = trial.measured.oracle.iter().find(|(_, check)| check.violated > 0);
    let told = violated.map(|(name, check)| {
        format!("{name}: {}", check.first_violation.as_deref().unwrap_or("no details"))
    });
    told.unwrap_or_else(|| "safety was violated".to_owned())
}
