//! Verdicts: from samples to a word.

use core::fmt;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::estimate::{CONFIDENCE, Estimate, Evidence, as_logarithm, as_share};
use super::permutation::holm;
use super::render::{signed, unsigned};
use crate::stats;

/// Fewer pairs than this show nothing: with ten equal signs out of ten the sign-flip test reaches
/// 0.002, which stands up to being asked of more than one metric.
pub const PAIRS_MIN: usize = 10;

/// The smallest change that is looked for when nothing else is said, as a share.
pub const THRESHOLD_DEFAULT: f64 = 0.03;

/// What a comparison found. Later ones outweigh earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// No change as large as the threshold: the whole interval lies within it.
    Unchanged,
    /// Better beyond doubt, by more than threshold and noise floor.
    Improved,
    /// The samples allow both a change and none.
    Inconclusive,
    /// There are fewer than [`PAIRS_MIN`] pairs.
    Insufficient,
    /// Worse beyond doubt, by more than threshold and noise floor.
    Regressed,
}

impl Finding {
    /// The word shown and recorded.
    pub fn as_str(self) -> &'static str {
        match self {
            Finding::Unchanged => "unchanged",
            Finding::Improved => "improved",
            Finding::Inconclusive => "inconclusive",
            Finding::Insufficient => "insufficient",
            Finding::Regressed => "regressed",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is asked of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The metric's name.
    pub metric: String,
    /// The baseline's samples; where [`Question::paired`], a sample of B for each.
    pub a: Vec<f64>,
    /// The candidate's samples.
    pub b: Vec<f64>,
    /// Whether samples of one place were taken beside each other.
    pub paired: bool,
    /// Why no verdict may be drawn, whatever the samples say: what the machine did meanwhile, in
    /// one sentence.
    pub doubt: Option<String>,
}

/// What makes a change worth a word.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// The smallest change that is looked for, as a share.
    pub threshold: f64,
    /// By metric, the largest change that comparisons of equal sides showed on this machine, as a
    /// share.
    pub learned: IndexMap<String, f64>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { threshold: THRESHOLD_DEFAULT, learned: IndexMap::new() }
    }
}

/// What was found of one metric. Shares are of the baseline: 0.05 is 5 % more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricComparison {
    /// The metric's name.
    pub metric: String,
    /// Whether more of it is better.
    pub higher_is_better: bool,
    /// Pairs, or the samples of the side that has fewer.
    pub pairs: u32,
    /// The baseline's median.
    pub a: Option<f64>,
    /// The candidate's median.
    pub b: Option<f64>,
    /// Change from A to B: median of the paired ratios, or ratio of the medians.
    pub change_share: Option<f64>,
    /// Lower end of its interval.
    pub change_share_low: Option<f64>,
    /// Upper end.
    pub change_share_high: Option<f64>,
    /// What equal sides differ by: the larger of what this comparison's own samples show and what
    /// was learned before.
    pub noise_floor_share: Option<f64>,
    /// The chance of such a difference were there none, corrected for the number of metrics (Holm).
    pub p_value: Option<f64>,
    /// The verdict.
    #[serde(rename = "verdict")]
    pub finding: Finding,
    /// One sentence why there is no other verdict, where one is needed.
    #[serde(rename = "verdict_reason")]
    pub reason: Option<String>,
}

/// Judges each question; the correction is for as many as there are.
pub fn judge(questions: &[Question], limits: &Limits) -> Vec<MetricComparison> {
    let estimates: Vec<Option<Estimate>> = questions.iter().map(estimate).collect();
    let chances: Vec<f64> =
        estimates.iter().map(|estimate| estimate.map_or(1.0, |e| e.chance)).collect();
    let corrected = holm(&chances);
    let each = questions.iter().zip(&estimates).zip(corrected);
    each.map(|((question, estimate), chance)| {
        let estimate = estimate.map(|e| Estimate { chance, ..e });
        metric(question, estimate, limits)
    })
    .collect()
}

fn estimate(question: &Question) -> Option<Estimate> {
    let Question { a, b, paired, .. } = question;
    Estimate::of(&Evidence { a, b, paired: *paired })
}

fn metric(question: &Question, estimate: Option<Estimate>, limits: &Limits) -> MetricComparison {
    let pairs = question.a.len().min(question.b.len());
    let learned = limits.learned.get(&question.metric).copied().unwrap_or(0.0);
    let noise = estimate.map(|e| e.noise.max(as_logarithm(learned)));
    let higher_is_better = higher_is_better(&question.metric);
    let (finding, reason) = match (estimate, noise) {
        _ if pairs < PAIRS_MIN => (Finding::Insufficient, Some(too_few(pairs, question.paired))),
        (Some(estimate), Some(noise)) => match &question.doubt {
            Some(doubt) => (Finding::Inconclusive, Some(doubt.clone())),
            None => find(&estimate, noise, limits.threshold, higher_is_better),
        },
        _ => (Finding::Insufficient, Some("is not above zero, so there is no ratio".to_owned())),
    };
    MetricComparison {
        metric: question.metric.clone(),
        higher_is_better,
        pairs: u32::try_from(pairs).unwrap_or(u32::MAX),
        a: stats::median(question.a.iter().copied()),
        b: stats::median(question.b.iter().copied()),
        change_share: estimate.map(|e| as_share(e.change)),
        change_share_low: estimate.map(|e| as_share(e.low)),
        change_share_high: estimate.map(|e| as_share(e.high)),
        noise_floor_share: noise.map(as_share),
        p_value: estimate.map(|e| e.chance),
        finding,
        reason,
    }
}

/// The verdict of enough samples, and a sentence where it is that nothing is known.
fn find(
    estimate: &Estimate,
    noise: f64,
    threshold: f64,
    higher_is_better: bool,
) -> (Finding, Option<String>) {
    let Estimate { change, low, high, chance, .. } = *estimate;
    let threshold = as_logarithm(threshold);
    let sure = (low > 0.0 || high < 0.0) && chance <= 1.0 - CONFIDENCE;
    if sure && change.abs() > threshold.max(noise) {
        let better = (change > 0.0) == higher_is_better;
        return (if better { Finding::Improved } else { Finding::Regressed }, None);
    }
    // What is called unchanged must be so by what was asked for, whatever the noise hides.
    if low > -threshold && high < threshold {
        return (Finding::Unchanged, None);
    }
    let between = format!("between {} and {}", signed(as_share(low)), signed(as_share(high)));
    let reason = if sure && change.abs() > threshold {
        format!("{between}, but equal sides differ by {} here", unsigned(as_share(noise)))
    } else if sure {
        format!("{between}: whether that is less than the threshold is open")
    } else {
        format!("{between}: both a change and none are possible")
    };
    (Finding::Inconclusive, Some(format!("{reason}; raise --repeat or --duration")))
}

fn too_few(pairs: usize, paired: bool) -> String {
    let what = match (paired, pairs) {
        (true, 1) => "pair".to_owned(),
        (true, _) => "pairs".to_owned(),
        (false, 1) => "sample a side".to_owned(),
        (false, _) => "samples a side".to_owned(),
    };
    format!("{pairs} {what}, at least {PAIRS_MIN} are needed; raise --repeat")
}

/// Whether more of a metric is better: rates, shares of a limit, what threads add. All else is a
/// cost.
pub fn higher_is_better(metric: &str) -> bool {
    let suffixes = ["_per_s", "_per_cpu_s", "_per_max_cpu_s", "scaling", "completed"];
    let shares = ["limit_share", "wall_limit_share", "yardstick_share", "cpu_share"];
    suffixes.iter().any(|suffix| metric.ends_with(suffix)) || shares.contains(&metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten pairs whose ratios are `change` and a little, in both directions.
    fn question(metric: &str, change: f64, spread: f64) -> Question {
        let a: Vec<f64> = (0..10).map(|i| 50.0 + f64::from(i % 3)).collect();
        let wobble = |i: usize| 1.0 + change + spread * (i as f64 - 4.5) / 4.5;
        let b = a.iter().enumerate().map(|(i, a)| a * wobble(i)).collect();
        Question { metric: metric.to_owned(), a, b, paired: true, doubt: None }
    }

    fn found(metric: &str, change: f64, spread: f64, learned: f64) -> MetricComparison {
        let learned = IndexMap::from([(metric.to_owned(), learned)]);
        let limits = Limits { learned, ..Limits::default() };
        judge(&[question(metric, change, spread)], &limits).remove(0)
    }

    #[test]
    fn a_change_is_told_by_its_direction() {
        let of = |metric, change| found(metric, change, 0.01, 0.0).finding;
        assert_eq!(of("cpu_us_per_tx", 0.1), Finding::Regressed);
        assert_eq!(of("cpu_us_per_tx", -0.1), Finding::Improved);
        assert_eq!(of("throughput_tx_per_s", 0.1), Finding::Improved);
        assert_eq!(of("throughput_tx_per_s", -0.1), Finding::Regressed);
        assert_eq!(of("throughput_tx_per_s", 0.0), Finding::Unchanged);
        assert!(higher_is_better("leaves_per_cpu_s") && !higher_is_better("response_time_ns_p99"));
    }

    #[test]
    fn what_is_below_the_learned_noise_floor_is_no_regression() {
        let judged = found("cpu_us_per_tx", 0.1, 0.01, 0.15);
        assert_eq!(judged.finding, Finding::Inconclusive);
        let reason = judged.reason.unwrap();
        assert!(reason.contains("equal sides differ by 15.0 % here"), "{reason}");
        assert!(judged.noise_floor_share.unwrap() > 0.1499);
    }

    #[test]
    fn a_wide_interval_is_neither_a_change_nor_none() {
        let judged = found("cpu_us_per_tx", 0.02, 0.2, 0.0);
        assert_eq!(judged.finding, Finding::Inconclusive);
        assert!(judged.reason.unwrap().contains("both a change and none are possible"));
        let judged = found("cpu_us_per_tx", 0.025, 0.02, 0.0);
        assert_eq!(judged.finding, Finding::Inconclusive, "{judged:?}");
    }

    #[test]
    fn nine_pairs_are_insufficient_and_doubt_outweighs_what_the_samples_say() {
        let mut few = question("cpu_us_per_tx", 0.5, 0.0);
        few.a.truncate(9);
        few.b.truncate(9);
        let mut doubted = question("cpu_us_per_tx", 0.5, 0.0);
        doubted.doubt = Some("the machine was another's".to_owned());
        let judged = judge(&[few, doubted], &Limits::default());
        assert_eq!(judged[0].finding, Finding::Insufficient);
        let reason = judged[0].reason.as_deref().unwrap();
        assert_eq!(reason, "9 pairs, at least 10 are needed; raise --repeat");
        assert_eq!(judged[1].finding, Finding::Inconclusive);
        assert!((judged[1].change_share.unwrap() - 0.5).abs() < 1e-6);
    }

    #[test]
    fn asking_of_many_metrics_costs_certainty() {
        let names: Vec<String> = (0..30).map(|i| format!("cpu_{i}_us_per_tx")).collect();
        let one = |name: &String| question(name, 0.1, 0.01);
        let judged = judge(&names.iter().map(one).collect::<Vec<_>>(), &Limits::default());
        assert!(judged.iter().all(|metric| metric.finding == Finding::Inconclusive));
        assert!((judged[0].p_value.unwrap() - 30.0 * 2.0 / 1024.0).abs() < 1e-9);
    }
}
