//! What a search came to.

use quorumark_report::compare::judge::MetricComparison;
use serde::{Deserialize, Serialize};

use super::confirm::is_gain;
use super::search::Search;
use super::space::Setup;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// A setup that is better than the defaults beyond doubt, on fresh seeds.
    Gain,
    /// The best setup is not better than the defaults beyond doubt: they are kept.
    DefaultsWithinNoise,
    /// Nothing was better than the defaults.
    DefaultsBest,
    /// A setup that keeps the limits on fresh seeds, which the defaults do not.
    LimitsKept,
    /// Nothing keeps the limits.
    Unmet,
    /// Whether anything keeps the limits is open: the measurements differ too much.
    Open,
    /// The best so far; there was no time to confirm it.
    Unconfirmed,
    /// No measurement counts.
    Unknown,
}

/// The result of a search, or what is known before its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What was found.
    pub found: Found,
    /// What is recommended; `None` where nothing keeps the limits or nothing is known.
    pub recommended: Option<Setup>,
    /// The setup that was held against the defaults.
    pub candidate: Option<Setup>,
    /// The confirmation, where there was any pair: A are the defaults, B the candidate.
    pub comparison: Option<MetricComparison>,
    /// Whether the defaults keep the limits, by the medians of the confirmation; else by what is
    /// likely.
    pub defaults_keep: Option<bool>,
}

impl Outcome {
    pub(super) fn of(search: &Search) -> Outcome {
        match search.confirmation() {
            Some(found) if found.is_enough() => Outcome::confirmed(search),
            _ => Outcome::likely(search),
        }
    }

    fn confirmed(search: &Search) -> Outcome {
        let (goal, defaults) = (search.goal(), search.space().defaults());
        let pairs = search.confirmation().expect("it was confirmed");
        let comparison = pairs.comparison(goal);
        let kept = pairs.tuned_keeps(goal) == Some(true);
        let defaults_keep = pairs.defaults_keep(goal);
        let tuned = pairs.tuned().clone();
        let (found, recommended) = match (kept, defaults_keep == Some(true)) {
            (true, true) if is_gain(&comparison, goal) => (Found::Gain, Some(tuned.clone())),
            (true, true) => (Found::DefaultsWithinNoise, Some(defaults)),
            (true, false) => (Found::LimitsKept, Some(tuned.clone())),
            (false, true) => (Found::DefaultsBest, Some(defaults)),
            (false, false) => (Found::Unmet, None),
        };
        let (candidate, comparison) = (Some(tuned), Some(comparison));
        Outcome { found, recommended, candidate, comparison, defaults_keep }
    }

    fn likely(search: &Search) -> Outcome {
        let defaults = search.space().defaults();
        let none = |found| Outcome {
            found,
            recommended: None,
            candidate: None,
            comparison: None,
            defaults_keep: None,
        };
        let Some(model) = search.model() else { return none(Found::Unknown) };
        let candidates = search.candidates();
        let best = model.best(&candidates).map(|best| (best, model.judge(best)));
        let known = candidates.contains(&defaults);
        let defaults_keep = known.then(|| model.judge(&defaults).is_likely());
        let best = match best {
            Some((best, judged)) if judged.is_likely() => best.clone(),
            Some((_, judged)) if judged.is_possible() => {
                return Outcome { defaults_keep, ..none(Found::Open) };
            }
            _ => return Outcome { defaults_keep, ..none(Found::Unmet) },
        };
        let comparison = search.confirmation().filter(|pairs| pairs.len() > 0);
        Outcome {
            found: match best == defaults {
                true if search.ended() => Found::DefaultsBest,
                _ => Found::Unconfirmed,
            },
            candidate: (best != defaults).then(|| best.clone()),
            recommended: Some(best),
            comparison: comparison.map(|pairs| pairs.comparison(search.goal())),
            defaults_keep,
        }
    }
}
