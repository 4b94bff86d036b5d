//! One figure of two sides: by how much it differs, and how far that may be off.
//!
//! Everything is done in logarithms, so that twice as much and half as much are equally far apart.

use super::median::{MedianDistribution, VALUES_MAX};
use super::permutation::{mann_whitney, sign_flip};

/// How likely an interval holds the change.
pub const CONFIDENCE: f64 = 0.95;

/// The samples of one figure on both sides, in the order in which they were taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evidence<'a> {
    /// The baseline's.
    pub a: &'a [f64],
    /// The candidate's.
    pub b: &'a [f64],
    /// Whether the samples of one place were taken beside each other. Then both sides have equally
    /// many, and what the machine does from minute to minute is in both.
    pub paired: bool,
}

/// What samples say of the change from A to B. Changes are natural logarithms of B over A.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The median of the paired ratios, or the ratio of the medians.
    pub change: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// The chance of a difference as large, were there none.
    pub chance: f64,
    /// What the samples of one side differ by among themselves, as a change of medians that is
    /// exceeded with the chance that the interval leaves.
    pub noise: f64,
}

impl Estimate {
    /// What `evidence` says. `None` where a side has fewer than two samples, where one is not above
    /// zero (there is no ratio then), or where paired sides have not equally many.
    pub fn of(evidence: &Evidence<'_>) -> Option<Estimate> {
        let logarithms = |values: &[f64]| -> Option<Vec<f64>> {
            let logarithms = values.iter().take(VALUES_MAX).map(|value| {
                let logarithm = value.ln();
                logarithm.is_finite().then_some(logarithm)
            });
            logarithms.collect::<Option<Vec<f64>>>().filter(|all| all.len() > 1)
        };
        let (a, b) = (logarithms(evidence.a)?, logarithms(evidence.b)?);
        if evidence.paired { paired(&a, &b) } else { unpaired(&a, &b) }
    }
}

/// A change in logarithms as a share: `0.05` for 5 % more.
pub fn as_share(logarithm: f64) -> f64 {
    logarithm.exp_m1()
}

/// A share as a change in logarithms.
pub fn as_logarithm(share: f64) -> f64 {
    share.ln_1p()
}

const TAIL: f64 = (1.0 - CONFIDENCE) / 2.0;

fn paired(a: &[f64], b: &[f64]) -> Option<Estimate> {
    if a.len() != b.len() {
        return None;
    }
    let ratios: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
    let of_median = MedianDistribution::of(&ratios, ratios.len())?;
    // Neighbours of one side: an A/A comparison that the run holds anyway.
    let neighbours = |side: &[f64]| -> Vec<f64> {
        side.chunks_exact(2).flat_map(|two| mirrored(two[1] - two[0])).collect()
    };
    let among = [neighbours(a), neighbours(b)].concat();
    Some(Estimate {
        change: crate::stats::median(ratios.iter().copied())?,
        low: of_median.quantile(TAIL),
        high: of_median.quantile(1.0 - TAIL),
        chance: sign_flip(&ratios),
        noise: MedianDistribution::of(&among, ratios.len())?.quantile(1.0 - TAIL),
    })
}

fn unpaired(a: &[f64], b: &[f64]) -> Option<Estimate> {
    let medians = [a, b].map(|side| crate::stats::median(side.iter().copied()));
    let [centre_a, centre_b] = [medians[0]?, medians[1]?];
    let of = |values: &[f64], draws: usize| MedianDistribution::of(values, draws);
    let (of_a, of_b) = (of(a, a.len())?, of(b, b.len())?);
    // Both sides moved to one place: what is left is what they differ by among themselves.
    let from = |side: &[f64], centre: f64| -> Vec<f64> {
        side.iter().flat_map(|value| mirrored(value - centre)).collect()
    };
    let among = [from(a, centre_a), from(b, centre_b)].concat();
    let (none_a, none_b) = (of(&among, a.len())?, of(&among, b.len())?);
    Some(Estimate {
        change: centre_b - centre_a,
        low: of_b.quantile_of_difference(&of_a, TAIL),
        high: of_b.quantile_of_difference(&of_a, 1.0 - TAIL),
        chance: mann_whitney(a, b),
        noise: none_b.quantile_of_difference(&none_a, 1.0 - TAIL),
    })
}

/// A difference whose sign means nothing: both.
fn mirrored(difference: f64) -> [f64; 2] {
    [difference, -difference]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(values: &[f64], factor: f64) -> Vec<f64> {
        values.iter().map(|value| value * factor).collect()
    }

    const A: [f64; 10] = [50.0, 75.0, 51.0, 74.0, 52.0, 60.0, 50.5, 73.0, 55.0, 66.0];

    #[test]
    fn what_moves_both_sides_is_not_in_a_paired_change() {
        let b = scaled(&A, 1.05);
        let estimate = Estimate::of(&Evidence { a: &A, b: &b, paired: true }).unwrap();
        for end in [estimate.change, estimate.low, estimate.high] {
            assert!((as_share(end) - 0.05).abs() < 1e-9, "{estimate:?}");
        }
        assert!(estimate.chance < 0.002 && estimate.noise > 0.05, "{estimate:?}");
        let unpaired = Estimate::of(&Evidence { a: &A, b: &b, paired: false }).unwrap();
        assert!((as_share(unpaired.change) - 0.05).abs() < 1e-9, "{unpaired:?}");
        assert!(unpaired.low < 0.0 && unpaired.high > 0.05 && unpaired.chance > 0.3);
        assert!(unpaired.noise > 0.1, "{unpaired:?}");
    }

    #[test]
    fn a_change_and_its_inverse_are_equally_far() {
        let b = scaled(&A, 0.8);
        let there = Estimate::of(&Evidence { a: &A, b: &b, paired: true }).unwrap();
        let back = Estimate::of(&Evidence { a: &b, b: &A, paired: true }).unwrap();
        assert!((there.change + back.change).abs() < 1e-9);
        assert!((there.low + back.high).abs() < 1e-9);
        assert!((as_logarithm(as_share(there.change)) - there.change).abs() < 1e-9);
    }

    #[test]
    fn without_a_ratio_there_is_no_change() {
        let of = |a: &[f64], b: &[f64], paired| Estimate::of(&Evidence { a, b, paired });
        assert_eq!(of(&[1.0], &[1.0], true), None);
        assert_eq!(of(&[1.0, 0.0], &[1.0, 1.0], true), None);
        assert_eq!(of(&[1.0, 2.0], &[1.0, 2.0, 3.0], true), None);
        assert!(of(&[1.0, 2.0], &[1.0, 2.0, 3.0], false).is_some());
    }
}
