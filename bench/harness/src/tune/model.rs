//! All measurements so far, and what they say of each setup: how good it is, and whether it keeps
//! the limits.

use super::space::{Setup, Space};
use super::surface::{Belief, Likeness, Row, Surface};

/// Scores this far below the best are equally bad: half and a tenth need not be told apart, and
/// the surface stays smooth where it matters.
const WORSE_MAX: f64 = 0.8;

/// As far beyond a limit, or as far from it, as it is told apart.
const EXCESS_MAX: f64 = 1.0;

/// What a score is worth less for each unit by which a limit is exceeded.
const PENALTY: f64 = 5.0;

/// How sure it must be that limits are kept, to recommend a setup.
const SURE: f64 = 0.8;

/// How likely that must be for a setup to count as one that keeps them.
const LIKELY: f64 = 0.5;

/// Less likely than this is as good as never.
const POSSIBLE: f64 = 0.02;

/// Standard deviations that are taken off a recommendation: who was lucky once is not the best.
const CAUTION: f64 = 0.5;

/// One measurement.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) setup: Setup,
    /// When, as a share of the budget.
    pub(super) at: f64,
    /// Its length, as a share of the longest.
    pub(super) weight: f64,
    /// The score, then the excess over each limit.
    pub(super) channels: Vec<f64>,
}

/// What is known of one setup.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judgement {
    pub(super) score: Belief,
    /// By how much it is beyond each limit.
    excess: Vec<Belief>,
}

impl Judgement {
    /// How likely all limits are kept.
    pub(super) fn keeps(&self) -> f64 {
        self.excess.iter().map(|excess| excess.below(0.0)).product()
    }

    /// Whether that is more likely than not.
    pub(super) fn is_likely(&self) -> bool {
        self.keeps() >= LIKELY
    }

    /// Whether it can be at all.
    pub(super) fn is_possible(&self) -> bool {
        self.keeps() >= POSSIBLE
    }

    /// By how much less a setup is expected to exceed what `head` exceeds.
    fn relief_from(&self, head: &Judgement) -> f64 {
        let both = self.excess.iter().zip(&head.excess).filter(|(_, head)| head.mean > 0.0);
        both.map(|(own, head)| own.relief_below(head.mean)).sum()
    }

    /// What setups are ranked by: the score, less what limits are likely exceeded by.
    pub(super) fn merit(&self) -> f64 {
        let beyond = self.excess.iter().map(|excess| excess.mean.max(0.0)).sum::<f64>();
        self.score.mean - PENALTY * beyond
    }

    /// What one is recommended by: whether it surely keeps the limits, else how likely it does,
    /// then what it is worth at least.
    fn standing(&self) -> (f64, f64) {
        let kept = self.keeps();
        let sure = if kept >= SURE { 1.0 } else { kept };
        (sure, self.score.mean - CAUTION * self.score.sd)
    }
}

/// The surfaces over the measurements.
pub(super) struct Model<'a> {
    space: &'a Space,
    setups: Vec<&'a Setup>,
    surfaces: Vec<Surface>,
}

impl<'a> Model<'a> {
    /// Fits all that was `seen`: something.
    pub(super) fn fit(space: &'a Space, seen: &'a [Seen]) -> Model<'a> {
        let mut setups: Vec<&Setup> = Vec::new();
        let mut places: Vec<usize> = Vec::new();
        for one in seen {
            let known = setups.iter().position(|setup| **setup == one.setup);
            places.push(known.unwrap_or(setups.len()));
            if known.is_none() {
                setups.push(&one.setup);
            }
        }
        let channels = seen.first().map_or(0, |one| one.channels.len());
        let likeness = Alike { space, setups: &setups, other: None };
        let surface = |channel: usize| {
            let values = seen.iter().map(|one| one.channels[channel]);
            let best = values.clone().fold(f64::NEG_INFINITY, f64::max);
            let row = |((one, setup), value): ((&Seen, &usize), f64)| Row {
                setup: *setup,
                at: one.at,
                weight: one.weight,
                value: match channel {
                    0 => value.max(best - WORSE_MAX),
                    _ => value.clamp(-EXCESS_MAX, EXCESS_MAX),
                },
            };
            let rows: Vec<Row> = seen.iter().zip(&places).zip(values).map(row).collect();
            Surface::fit(&rows, &likeness)
        };
        let surfaces = (0..channels).map(surface).collect();
        Model { space, setups, surfaces }
    }

    /// What is known of `setup`, measured or not.
    pub(super) fn judge(&self, setup: &Setup) -> Judgement {
        let likeness = Alike { space: self.space, setups: &self.setups, other: Some(setup) };
        let belief = |surface: &Surface| surface.belief(self.setups.len(), &likeness);
        let mut beliefs = self.surfaces.iter().map(belief);
        let score = beliefs.next().expect("the first channel is the score");
        Judgement { score, excess: beliefs.collect() }
    }

    /// The setup of `among` to recommend; the first of equal ones.
    pub(super) fn best<'b>(&self, among: &'b [Setup]) -> Option<&'b Setup> {
        let mut best: Option<(&Setup, (f64, f64))> = None;
        for setup in among {
            let standing = self.judge(setup).standing();
            if best.is_none_or(|(_, other)| standing > other) {
                best = Some((setup, standing));
            }
        }
        best.map(|(setup, _)| setup)
    }

    /// `among`, the most promising first: each is worth what the best of its surroundings is likely
    /// worth, for the foot of a high hill is below the top of a low one.
    pub(super) fn ranked(&self, among: &[Setup]) -> Vec<Setup> {
        let worth = |setup: &Setup| {
            let beside = self.space.neighbours(setup);
            let merits = beside.iter().chain([setup]).map(|one| self.judge(one).merit());
            merits.fold(f64::NEG_INFINITY, f64::max)
        };
        let mut ranked: Vec<(f64, Setup)> =
            among.iter().map(|setup| (worth(setup), setup.clone())).collect();
        ranked.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        ranked.into_iter().map(|(_, setup)| setup).collect()
    }

    /// The neighbour of `head` that promises most over it, and by which share it is expected to be
    /// better, in score or in what it exceeds; none of `barred`, and no setup that is surely beyond a limit.
    pub(super) fn challenger(&self, head: &Setup, barred: &[Setup]) -> Option<(f64, Setup)> {
        let judged = self.judge(head);
        let promise = |setup: Setup| {
            let other = self.judge(&setup);
            let gain = match judged.is_likely() {
                true => other.score.gain_over(judged.score.mean) * other.keeps(),
                // First of all the limits have to be kept; far from them, to come nearer counts.
                false => other.keeps().max(other.relief_from(&judged)),
            };
            (gain, setup)
        };
        let beside = self.space.neighbours(head).into_iter();
        let open = beside.filter(|setup| !barred.contains(setup)).map(promise);
        open.max_by(|(a, _), (b, _)| a.total_cmp(b))
    }
}

/// The measured setups, and one more behind them.
struct Alike<'a> {
    space: &'a Space,
    setups: &'a [&'a Setup],
    other: Option<&'a Setup>,
}

impl Likeness for Alike<'_> {
    fn gaps(&self, a: usize, b: usize) -> Vec<f64> {
        let at = |place: usize| match self.setups.get(place) {
            Some(setup) => *setup,
            None => self.other.expect("only the setup that is asked for lies behind the measured"),
        };
        let (a, b) = (at(a), at(b));
        (0..self.space.dimensions().len())
            .map(|dimension| self.space.gap(dimension, a, b))
            .collect()
    }
}
