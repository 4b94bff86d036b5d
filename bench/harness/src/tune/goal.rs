//! What is asked for: a figure to make as good as it gets, and limits that others must keep.

use core::fmt;

use quorumark_report::Metrics;
use serde::{Deserialize, Serialize};

/// Values below this count as this: there is no ratio to zero.
const LEAST: f64 = 1e-9;

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More.
    Maximize,
    /// Less.
    Minimize,
}

/// On which side of a limit a figure has to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Relation {
    /// Below, or there.
    #[serde(rename = "<=")]
    AtMost,
    /// Above, or there.
    #[serde(rename = ">=")]
    AtLeast,
}

/// A limit that has to be kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// The figure.
    pub metric: String,
    /// On which side it has to stay.
    pub relation: Relation,
    /// The limit, above 0, in the unit of the figure's name.
    pub bound: f64,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// The figure that is tuned.
    pub metric: String,
    /// Which way is better.
    pub direction: Direction,
    /// What has to be kept besides.
    pub limits: Vec<Limit>,
}

impl Goal {
    /// The figures that a measurement must have.
    pub fn metrics(&self) -> impl Iterator<Item = &str> {
        let limits = self.limits.iter().map(|limit| limit.metric.as_str());
        core::iter::once(self.metric.as_str()).chain(limits)
    }

    /// How good `value` of the figure is, as a logarithm: more is better, and 0.01 is 1 % more.
    pub fn score(&self, value: f64) -> f64 {
        let logarithm = value.max(LEAST).ln();
        match self.direction {
            Direction::Maximize => logarithm,
            Direction::Minimize => -logarithm,
        }
    }

    /// Whether these figures keep every limit; one that is missing keeps none.
    pub(super) fn is_kept(&self, metrics: &Metrics) -> bool {
        self.is_kept_by(|metric| metrics.get(metric))
    }

    /// As [`Goal::is_kept`], where `figure` tells each.
    pub(super) fn is_kept_by(&self, figure: impl Fn(&str) -> Option<f64>) -> bool {
        let mut limits = self.limits.iter();
        limits.all(|limit| figure(&limit.metric).is_some_and(|value| limit.is_kept(value)))
    }

    /// The score and, for each limit, by how much it is exceeded ([`Limit::excess`]); `None` where
    /// a figure is missing.
    pub(super) fn channels(&self, metrics: &Metrics) -> Option<Vec<f64>> {
        let score = metrics.get(&self.metric).map(|value| self.score(value));
        let excess =
            self.limits.iter().map(|limit| Some(limit.excess(metrics.get(&limit.metric)?)));
        core::iter::once(score).chain(excess).collect()
    }
}

impl Limit {
    /// By how much `value` is beyond the limit, as a logarithm; not above 0 where it is kept.
    pub fn excess(&self, value: f64) -> f64 {
        let beyond = value.max(LEAST).ln() - self.bound.ln();
        match self.relation {
            Relation::AtMost => beyond,
            Relation::AtLeast => -beyond,
        }
    }

    /// Whether `value` keeps it.
    pub fn is_kept(&self, value: f64) -> bool {
        match self.relation {
            Relation::AtMost => value <= self.bound,
            Relation::AtLeast => value >= self.bound,
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Relation::AtMost => "<=",
            Relation::AtLeast => ">=",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_kept_where_it_is_not_exceeded() {
        let limit = |relation| Limit { metric: "p99_ns".to_owned(), relation, bound: 20.0 };
        for (value, below, above) in [(10.0, true, false), (20.0, true, true), (40.0, false, true)]
        {
            for (relation, kept) in [(Relation::AtMost, below), (Relation::AtLeast, above)] {
                let limit = limit(relation);
                assert_eq!((limit.is_kept(value), limit.excess(value) <= 0.0), (kept, kept));
            }
        }
    }

    #[test]
    fn a_score_rises_with_what_is_wanted_and_needs_every_figure() {
        let limits = vec![Limit { metric: "b".into(), relation: Relation::AtMost, bound: 2.0 }];
        let goal = Goal { metric: "a".into(), direction: Direction::Minimize, limits };
        assert!(goal.score(1.0) > goal.score(2.0) && goal.score(0.0).is_finite());
        let metrics: Metrics = [("a", 1.0)].into_iter().collect();
        assert_eq!(goal.channels(&metrics), None);
        let metrics: Metrics = [("a", 1.0), ("b", 4.0)].into_iter().collect();
        assert_eq!(goal.channels(&metrics), Some(vec![0.0, 2.0_f64.ln()]));
        assert_eq!(goal.metrics().collect::<Vec<_>>(), ["a", "b"]);
        let kept = |figures: &[(&str, f64)]| goal.is_kept(&figures.iter().copied().collect());
        assert_eq!([kept(&[("b", 2.0)]), kept(&[("b", 2.1)]), kept(&[])], [true, false, false]);
    }
}
