//! The statistics of repeated trials.

use serde::{Deserialize, Serialize};

/// How far throughput times latency may be from the number in flight, as a share of the latter.
pub const LITTLES_LAW_TOLERANCE: f64 = 0.10;

/// Median and range of one metric over the trials of a run. Every number is finite.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    min: f64,
    median: f64,
    max: f64,
    n: u32,
}

impl Interval {
    /// The interval over the finite values; `None` when there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Interval> {
        let sorted = sorted(values);
        Some(Interval {
            min: *sorted.first()?,
            median: median_of_sorted(&sorted)?,
            max: *sorted.last()?,
            n: u32::try_from(sorted.len()).unwrap_or(u32::MAX),
        })
    }

    /// The smallest value.
    pub fn min(&self) -> f64 {
        self.min
    }

    /// The value in the middle; the mean of the two in the middle when `n` is even.
    pub fn median(&self) -> f64 {
        self.median
    }

    /// The largest value.
    pub fn max(&self) -> f64 {
        self.max
    }

    /// How many values there were.
    pub fn n(&self) -> u32 {
        self.n
    }

    /// Half the range as a share of the median, for `±3 %`; `None` when the median is zero.
    pub fn half_range_share(&self) -> Option<f64> {
        let share = (self.max - self.min) / 2.0 / self.median.abs();
        share.is_finite().then_some(share)
    }
}

/// The median of the finite values; `None` when there are none.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    median_of_sorted(&sorted(values))
}

/// By how much `throughput x latency` differs from `in_flight`, as a share of `in_flight`.
///
/// Little's law says that the two are equal in a steady state, whatever the distributions; a share
/// outside of ±[`LITTLES_LAW_TOLERANCE`] means that one of the three was mismeasured or that the
/// run was not steady. `throughput_per_s` counts completions, `latency_mean_ns` is the mean service
/// time, `in_flight` the mean number of requests sent and not yet answered. `None` when `in_flight`
/// is not positive or a number is not finite.
pub fn littles_law_deviation(
    in_flight: f64,
    throughput_per_s: f64,
    latency_mean_ns: f64,
) -> Option<f64> {
    let deviation = throughput_per_s * latency_mean_ns / 1e9 / in_flight - 1.0;
    (in_flight > 0.0 && deviation.is_finite()).then_some(deviation)
}

fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(sorted[sorted.len() / 2 - 1], upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_the_two_in_the_middle() {
        assert_eq!(median([9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median([4.0, 1.0, 2.0, 9.0]), Some(3.0));
        assert_eq!(median([]), None);
        assert_eq!(median([f64::MAX, f64::MAX]), Some(f64::MAX));
    }

    #[test]
    fn an_interval_leaves_out_what_is_not_finite() {
        let interval = Interval::of([3.0, f64::NAN, 1.0, f64::INFINITY, 2.0]).unwrap();
        assert_eq!((interval.min(), interval.median(), interval.max()), (1.0, 2.0, 3.0));
        assert_eq!(interval.n(), 3);
        assert_eq!(interval.half_range_share(), Some(0.5));
        assert_eq!(Interval::of([f64::NAN]), None);
        assert_eq!(Interval::of([0.0, 0.0]).unwrap().half_range_share(), None);
    }

    #[test]
    fn littles_law_deviation_is_the_share_by_which_it_is_missed() {
        let deviation = |latency| littles_law_deviation(256.0, 20_000.0, latency).unwrap();
        assert!(deviation(12_800_000.0).abs() < 1e-9);
        assert!((deviation(11_520_000.0) + LITTLES_LAW_TOLERANCE).abs() < 1e-9);
        assert_eq!(littles_law_deviation(0.0, 20_000.0, 1.0), None);
        assert_eq!(littles_law_deviation(1.0, f64::NAN, 1.0), None);
    }
}
