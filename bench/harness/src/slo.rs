//! The highest offered rate that holds an objective: p99 of the response time at most so much.
//!
//! A [`Ladder`] decides which rate to offer next and knows neither clock nor machine. A rate is
//! looked at twice; where both trials keep the objective it likely holds. Rates are doubled, or
//! halved, until one that likely holds and one that does not are known, then the geometric middle
//! is looked at until they are close. The one that likely holds is then **confirmed** by trials of
//! its own: six of six within the objective, or eight of nine. Were the median of p99 beyond the
//! objective, that happened by chance in less than 1/64 and in less than 10/512 of all cases (the
//! sign test), so the largest of the six, or the second of the nine, is an upper bound of it with
//! more than 95 % confidence. A rate that is not confirmed has failed, and the search goes on below
//! it. A trial whose rate was not offered or not served is one beyond the objective.

use core::time::Duration;

use serde::{Deserialize, Serialize};

/// Trials by which a rate likely holds, where all keep the objective.
const LOOKS: usize = 2;
/// Trials of a confirmation without one beyond the objective, and with one.
const CLEAN: usize = 6;
const WITH_ONE: usize = 9;
/// A rate that likely holds and one that does not are close at this ratio.
const CLOSE: f64 = 1.02;
/// How rates grow, and shrink, until both are known.
const STEP: f64 = 1.6;
/// Disturbed trials of one rate after which nothing is known of it.
const DISTURBED_MAX: u32 = 4;

/// What is looked for, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// The p99 of the response time that has to be kept, in nanoseconds.
    pub p99_ns: f64,
    /// The lowest rate that is offered, per second.
    pub rate_min: f64,
    /// The first rate that is offered, per second.
    pub rate_first: f64,
    /// How long all of it may take, in nanoseconds.
    pub budget_ns: u64,
}

/// What a trial at a rate gave.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// The p99 of the response time, in nanoseconds.
    P99Ns(f64),
    /// The rate was not offered, or not served.
    Void,
    /// The machine did something else; nothing is known.
    Disturbed,
}

/// One rate and its trials.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Requests a second.
    pub rate: f64,
    /// Whether it is confirmed, and not only looked at.
    pub confirming: bool,
    /// What its trials gave.
    pub readings: Vec<Reading>,
    /// Whether it holds; `None` where that is open.
    pub holds: Option<bool>,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "found")]
pub enum Found {
    /// A rate that holds.
    Holds {
        /// Requests a second.
        rate: f64,
        /// The upper bound of its p99, in nanoseconds.
        p99_ns_bound: f64,
        /// The lowest rate that was found not to hold.
        failed_rate: Option<f64>,
    },
    /// Even the lowest rate does not hold.
    Unmet,
    /// There was no time, or no quiet, to confirm any rate.
    Open,
}

/// The search.
#[derive(Debug, Clone, PartialEq)]
pub struct Ladder {
    objective: Objective,
    spent: Duration,
    longest: Duration,
    steps: Vec<Step>,
    disturbed: u32,
    ended: bool,
}

impl Ladder {
    /// Nothing has been offered yet.
    ///
    /// # Panics
    /// When a number of the objective is not above 0.
    pub fn new(objective: Objective) -> Ladder {
        let Objective { p99_ns, rate_min, rate_first, .. } = objective;
        assert!(p99_ns > 0.0 && rate_min > 0.0 && rate_first > 0.0, "{objective:?}");
        let (spent, longest) = (Duration::ZERO, Duration::ZERO);
        Ladder { objective, spent, longest, steps: Vec::new(), disturbed: 0, ended: false }
    }

    /// The rate to offer next, for one trial; `None` at the end.
    pub fn next_rate(&mut self) -> Option<f64> {
        let budget = Duration::from_nanos(self.objective.budget_ns);
        if !self.ended && !self.steps.is_empty() && self.spent + self.longest > budget {
            self.ended = true;
        }
        while !self.ended {
            match self.steps.last() {
                Some(step) if step.holds.is_none() && self.disturbed < DISTURBED_MAX => {
                    return Some(step.rate);
                }
                Some(step) if step.holds.is_none() => self.ended = true,
                _ => self.advance(),
            }
        }
        None
    }

    /// What the trial gave, and what it took.
    ///
    /// # Panics
    /// When no rate was asked for.
    pub fn tell(&mut self, reading: Reading, cost: Duration) {
        self.spent += cost;
        self.longest = self.longest.max(cost);
        let p99_ns = self.objective.p99_ns;
        let step = self.steps.last_mut().expect("a rate was asked for");
        match reading {
            Reading::Disturbed => self.disturbed += 1,
            _ => step.readings.push(reading),
        }
        step.holds = step.verdict(p99_ns);
    }

    /// What is known now.
    pub fn found(&self) -> Found {
        let holds = |step: &&Step| step.confirming && step.holds == Some(true);
        let confirmed = self.steps.iter().filter(holds).max_by(|a, b| a.rate.total_cmp(&b.rate));
        if let Some(step) = confirmed {
            let (rate, p99_ns_bound) = (step.rate, step.bound());
            return Found::Holds { rate, p99_ns_bound, failed_rate: self.failed() };
        }
        let lowest = self.objective.rate_min * (1.0 + 1e-9);
        match self.failed().is_some_and(|failed| failed <= lowest) {
            true => Found::Unmet,
            false => Found::Open,
        }
    }

    /// Every rate that was offered, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What all trials together took.
    pub fn spent(&self) -> Duration {
        self.spent
    }

    /// The lowest rate that does not hold.
    fn failed(&self) -> Option<f64> {
        let failed = self.steps.iter().filter(|step| step.holds == Some(false));
        failed.map(|step| step.rate).min_by(f64::total_cmp)
    }

    /// The highest rate that likely holds, below all that do not, and whether it is confirmed.
    fn held(&self) -> Option<(f64, bool)> {
        let below = self.failed().unwrap_or(f64::INFINITY);
        let held = self.steps.iter().filter(|s| s.holds == Some(true) && s.rate < below);
        let best = held.map(|step| (step.rate, step.confirming));
        best.max_by(|(a, x), (b, y)| a.total_cmp(b).then(x.cmp(y)))
    }

    /// Decides which rate comes next.
    fn advance(&mut self) {
        let trials = |count: usize| self.longest * count as u32;
        let left = Duration::from_nanos(self.objective.budget_ns).saturating_sub(self.spent);
        let lowest = self.objective.rate_min;
        // So much is set aside to confirm what is held.
        let narrow = left >= trials(WITH_ONE + LOOKS);
        let (rate, confirming) = match (self.held(), self.failed()) {
            (None, None) => (self.objective.rate_first.max(lowest), false),
            (None, Some(failed)) if failed <= lowest => return self.ended = true,
            (None, Some(failed)) => ((failed / STEP).max(lowest), false),
            (Some((held, _)), None) if narrow => (held * STEP, false),
            (Some((held, _)), Some(failed)) if narrow && failed / held > CLOSE => {
                ((held * failed).sqrt(), false)
            }
            (Some((held, false)), _) => (held, true),
            (Some((_, true)), _) => return self.ended = true,
        };
        self.disturbed = 0;
        self.steps.push(Step { rate, confirming, readings: Vec::new(), holds: None });
    }
}

impl Step {
    /// Whether the rate holds, once its trials say so.
    fn verdict(&self, p99_ns: f64) -> Option<bool> {
        let keeps = |reading: &&Reading| matches!(reading, Reading::P99Ns(ns) if *ns <= p99_ns);
        let kept = self.readings.iter().filter(keeps).count();
        let beyond = self.readings.len() - kept;
        if !self.confirming {
            return match beyond {
                0 => (kept >= LOOKS).then_some(true),
                _ => Some(false),
            };
        }
        match beyond {
            0 => (kept >= CLEAN).then_some(true),
            1 => (kept + 1 >= WITH_ONE).then_some(true),
            _ => Some(false),
        }
    }

    /// The upper bound of the median p99 of a confirmed rate: the largest, or of nine the second.
    fn bound(&self) -> f64 {
        let ns = |reading: &Reading| match reading {
            Reading::P99Ns(ns) => *ns,
            Reading::Void | Reading::Disturbed => f64::INFINITY,
        };
        let mut all: Vec<f64> = self.readings.iter().map(ns).collect();
        all.sort_by(f64::total_cmp);
        let place = if all.len() >= WITH_ONE { 2 } else { 1 };
        all[all.len() - place]
    }
}
