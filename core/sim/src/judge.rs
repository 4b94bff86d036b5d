//! Runs with their verdict: one seed, or many at once.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use quorumark_primitives::ed25519::Signature;
use quorumark_primitives::signed::{KeyDirectory, Signer, stand_in};

use crate::check::{CheckSet, Checks, RealSignatures, SignatureCheck};
use crate::run::{self, Ran};
use crate::scenario::{Scenario, ScenarioError, Template};
use crate::trace::{Event, Fact};
use crate::verdict::{About, Expectation, Verdict};

/// The most seeds that run at once.
pub const JOBS_MAX: usize = 256;

/// What bounds runs, and what their verdicts tell of the tool.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Things that may happen in one run; a run that needs more is inconclusive.
    pub events_max: u64,
    /// Seeds that run at once. No result depends on it.
    pub jobs: usize,
    /// The version of the tool.
    pub version: &'static str,
    /// The commit that it was built from, if it is known.
    pub commit: Option<String>,
}

/// A run, judged.
#[derive(Debug, Clone)]
pub struct Judged {
    /// What was found of it.
    pub verdict: Verdict,
    /// How it ended.
    pub ran: Ran,
}

/// Runs every seed of a range; results come in the order of the seeds.
///
/// # Errors
/// [`ScenarioError`] for the lowest seed whose draws are impossible.
pub fn seeds(
    template: &Template,
    seeds: Range<u64>,
    setting: &Setting,
) -> Result<Vec<Judged>, ScenarioError> {
    let asked = seeds.end.saturating_sub(seeds.start);
    let judged = seeds_until(template, seeds, setting, || false)?;
    assert_eq!(judged.len() as u64, asked, "each seed is judged once");
    Ok(judged)
}

/// [`seeds`] until `ended` says so: no seed is begun after that, and those at work are finished, so
/// that what is judged is a range from the first seed on.
///
/// # Errors
/// As [`seeds`].
pub fn seeds_until(
    template: &Template,
    seeds: Range<u64>,
    setting: &Setting,
    ended: impl Fn() -> bool + Sync,
) -> Result<Vec<Judged>, ScenarioError> {
    let next = AtomicU64::new(seeds.start);
    let judged = Mutex::new(Vec::new());
    let work = || {
        while !ended() {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let result = one(template, seed, setting, |_| ());
            judged.lock().expect("no judge panics").push((seed, result));
        }
    };
    thread::scope(|scope| {
        for _ in 0..setting.jobs.clamp(1, JOBS_MAX) {
            scope.spawn(work);
        }
    });
    let mut judged = judged.into_inner().expect("no judge panics");
    judged.sort_by_key(|(seed, _)| *seed);
    let in_turn = (seeds.start..).zip(&judged).all(|(place, (seed, _))| place == *seed);
    assert!(in_turn, "each seed is judged once, and none is left out before the last");
    judged.into_iter().map(|(_, result)| result).collect()
}

/// Runs one seed and judges it; each event of its trace goes to `observer` too.
///
/// # Errors
/// [`ScenarioError`] for draws that are impossible.
pub fn one(
    template: &Template,
    seed: u64,
    setting: &Setting,
    mut observer: impl FnMut(&Event),
) -> Result<Judged, ScenarioError> {
    let scenario = template.scenario(seed)?;
    let begun = Instant::now();
    let words = scenario.expect.checks.iter().map(String::as_str);
    let set = CheckSet::from_words(words).expect("the scenario was checked");
    let mut checks = None;
    let ran = run::run(&scenario, template.sha256(), setting.events_max, |events| {
        if let Some(Event { fact: Fact::Begun(header), .. }) = events.first() {
            let header = header.as_ref().clone();
            checks = Some(Checks::new(set, header, signatures(&scenario)));
        }
        if let Some(checks) = &mut checks {
            checks.observe_all(events);
        }
        events.iter().for_each(&mut observer);
    });
    let report = checks.expect("a trace begins with its header").finish();
    let about = About {
        name: scenario.name.clone(),
        scenario: template.file().to_owned(),
        scenario_sha256: template.sha256(),
        seed,
        version: setting.version,
        commit: setting.commit.clone(),
        trace_hash: ran.trace_hash,
        wall: begun.elapsed(),
    };
    let expected = Expectation {
        outcome: scenario.expect.outcome,
        operations_min: scenario.expect.min_operations,
    };
    Ok(Judged { verdict: Verdict::new(report, expected, about), ran })
}

fn signatures(scenario: &Scenario) -> Box<dyn SignatureCheck> {
    let directory = run::directory(scenario);
    match scenario.real_crypto {
        true => Box::new(RealSignatures::new(directory)),
        false => Box::new(StandInSignatures { directory }),
    }
}

/// Stand-in signatures under a run's secret.
#[derive(Debug)]
struct StandInSignatures {
    directory: KeyDirectory,
}

impl SignatureCheck for StandInSignatures {
    fn is_valid(&mut self, signer: Signer, message: &[u8], signature: &Signature) -> bool {
        let key = self.directory.key(signer);
        key.is_some_and(|key| stand_in::accepts(key, message, signature))
    }
}
