//! The best setup against the defaults, pair by pair, on seeds that nothing was chosen by.

use quorumark_report::Metrics;
use quorumark_report::compare::judge::{
    Finding, Limits, MetricComparison, PAIRS_MIN, Question, higher_is_better, judge,
};
use quorumark_report::stats::median;

use super::goal::{Direction, Goal};
use super::space::Setup;
use crate::pairs::a_is_first;

/// Samples beyond a limit that end a confirmation, where they are most of all.
const BROKEN_MIN: usize = 3;

/// Pairs that are planned at most.
const ORDERED: u32 = 64;

/// What the pairs have shown so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Confirmation {
    defaults: Setup,
    tuned: Setup,
    /// Which is measured first, pair by pair.
    defaults_first: Vec<bool>,
    /// What each side gave, where it counts.
    pairs: Vec<Pair>,
}

#[derive(Debug, Clone, PartialEq)]
struct Pair {
    number: u32,
    defaults: Option<Metrics>,
    tuned: Option<Metrics>,
}

impl Confirmation {
    pub(super) fn new(defaults: Setup, tuned: Setup, seed: u64) -> Confirmation {
        let defaults_first = a_is_first(ORDERED, seed);
        Confirmation { defaults, tuned, defaults_first, pairs: Vec::new() }
    }

    pub(super) fn tuned(&self) -> &Setup {
        &self.tuned
    }

    /// Pairs of which something is known.
    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// The two sides in the order in which they are measured next.
    pub(super) fn next_pair(&self) -> [Setup; 2] {
        let both = [self.defaults.clone(), self.tuned.clone()];
        let [defaults, tuned] = both;
        match self.defaults_first[self.pairs.len() % self.defaults_first.len()] {
            true => [defaults, tuned],
            false => [tuned, defaults],
        }
    }

    /// What a side of pair `number` gave.
    pub(super) fn add(&mut self, number: u32, setup: &Setup, metrics: &Metrics) {
        if self.pairs.last().is_none_or(|pair| pair.number != number) {
            self.pairs.push(Pair { number, defaults: None, tuned: None });
        }
        let pair = self.pairs.last_mut().expect("one was just added");
        let side = if *setup == self.tuned { &mut pair.tuned } else { &mut pair.defaults };
        *side = Some(metrics.clone());
    }

    /// Whether there are as many samples of the tuned side as a verdict takes.
    pub(super) fn is_enough(&self) -> bool {
        self.samples(|pair| &pair.tuned).count() >= PAIRS_MIN
    }

    /// Whether the tuned side is beyond a limit in most pairs, and often enough to give it up.
    pub(super) fn breaks(&self, goal: &Goal) -> bool {
        let all = self.samples(|pair| &pair.tuned).count();
        let broken =
            self.samples(|pair| &pair.tuned).filter(|metrics| !goal.is_kept(metrics)).count();
        broken >= BROKEN_MIN && 2 * broken > all
    }

    /// Whether the median over the pairs of each limited figure keeps its limit; `None` without
    /// any.
    pub(super) fn tuned_keeps(&self, goal: &Goal) -> Option<bool> {
        self.medians_keep(goal, |pair| &pair.tuned)
    }

    /// The same of the defaults.
    pub(super) fn defaults_keep(&self, goal: &Goal) -> Option<bool> {
        self.medians_keep(goal, |pair| &pair.defaults)
    }

    /// The change from the defaults to the tuned setup, over the whole pairs.
    pub(super) fn comparison(&self, goal: &Goal) -> MetricComparison {
        let value = |side: &Option<Metrics>| side.as_ref()?.get(&goal.metric);
        let both = |pair: &Pair| Some((value(&pair.defaults)?, value(&pair.tuned)?));
        let (a, b) = self.pairs.iter().filter_map(both).unzip();
        let metric = goal.metric.clone();
        let question = Question { metric, a, b, paired: true, doubt: None };
        judge(&[question], &Limits::default()).remove(0)
    }

    fn samples<'a>(
        &'a self,
        side: impl Fn(&'a Pair) -> &'a Option<Metrics> + 'a,
    ) -> impl Iterator<Item = &'a Metrics> {
        self.pairs.iter().filter_map(move |pair| side(pair).as_ref())
    }

    fn medians_keep<'a>(
        &'a self,
        goal: &Goal,
        side: impl Fn(&'a Pair) -> &'a Option<Metrics> + Copy + 'a,
    ) -> Option<bool> {
        self.samples(side).next()?;
        Some(goal.is_kept_by(|metric| {
            median(self.samples(side).filter_map(|metrics| metrics.get(metric)))
        }))
    }
}

/// Whether the comparison found a change for the better, by what the goal calls better.
pub(super) fn is_gain(comparison: &MetricComparison, goal: &Goal) -> bool {
    let as_usual = higher_is_better(&goal.metric) == (goal.direction == Direction::Maximize);
    let wanted = if as_usual { Finding::Improved } else { Finding::Regressed };
    comparison.finding == wanted
}
