//! How far a median may be off: its bootstrap distribution, exactly.
//!
//! The bootstrap (Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics
//! 7, 1979) draws as many values as there are, with replacement, again and again. For a median
//! nothing has to be drawn: the chance that the k-th of the drawn values is a given one follows
//! from binomial coefficients (section 3 there, for odd numbers; below for even ones too). So the
//! same values always give the same interval, and no seed is needed.

/// The most values and draws: beyond it binomial coefficients leave the range of `f64`, and no run
/// has more trials.
pub const VALUES_MAX: usize = 1000;

/// The distribution of the median of values drawn with replacement.
#[derive(Debug, Clone, PartialEq)]
pub struct MedianDistribution {
    /// Values in rising order, each with the chance that the median is at most that.
    cumulated: Vec<(f64, f64)>,
}

impl MedianDistribution {
    /// Of the median of `draws` values out of `values`, of which the first [`VALUES_MAX`] count.
    ///
    /// `None` when there are no values, no draws, more draws than [`VALUES_MAX`], or a value that
    /// is not finite.
    pub fn of(values: &[f64], draws: usize) -> Option<MedianDistribution> {
        let mut sorted: Vec<f64> = values.iter().copied().take(VALUES_MAX).collect();
        let possible = (1..=VALUES_MAX).contains(&draws) && !sorted.is_empty();
        if !possible || !sorted.iter().all(|value| value.is_finite()) {
            return None;
        }
        sorted.sort_by(f64::total_cmp);
        let mut atoms =
            if draws % 2 == 1 { middle(&sorted, draws) } else { middle_two(&sorted, draws) };
        atoms.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut sum = 0.0;
        let cumulated = atoms.into_iter().map(|(value, chance)| {
            sum += chance;
            (value, sum)
        });
        Some(MedianDistribution { cumulated: cumulated.collect() })
    }

    /// The smallest value that the median exceeds with a chance of at most `1 - share`.
    pub fn quantile(&self, share: f64) -> f64 {
        let place = self.cumulated.partition_point(|(_, sum)| *sum < share - ROUNDING);
        let last = self.cumulated.len() - 1;
        self.cumulated[place.min(last)].0
    }

    /// [`MedianDistribution::quantile`] of this median minus `other`, an independent one.
    pub fn quantile_of_difference(&self, other: &MedianDistribution, share: f64) -> f64 {
        let (first, last) = (|d: &Self| d.cumulated[0].0, |d: &Self| d.quantile(1.0));
        let mut low = first(self) - last(other);
        let mut high = last(self) - first(other);
        // 64 halvings bring any interval below the last digit of its ends.
        for _ in 0..64 {
            let middle = f64::midpoint(low, high);
            if self.chance_of_difference(other, middle) < share - ROUNDING {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }

    /// The chance that this median minus `other` is at most `most`.
    fn chance_of_difference(&self, other: &MedianDistribution, most: f64) -> f64 {
        let (mut sum, mut before, mut place) = (0.0, 0.0, 0);
        for (subtracted, until) in &other.cumulated {
            while self.cumulated.get(place).is_some_and(|(value, _)| value - subtracted <= most) {
                place += 1;
            }
            let at_most = place.checked_sub(1).map_or(0.0, |last| self.cumulated[last].1);
            sum += (until - before) * at_most;
            before = *until;
        }
        sum
    }
}

/// Sums of chances are off by less than this.
const ROUNDING: f64 = 1e-9;

/// An odd number of draws: the chance of each of `sorted` to be the one in the middle.
fn middle(sorted: &[f64], draws: usize) -> Vec<(f64, f64)> {
    let at_most = order_statistic(sorted.len(), draws, draws / 2 + 1);
    sorted.iter().copied().zip(at_most.windows(2).map(|pair| pair[1] - pair[0])).collect()
}

/// An even number of draws: the chance of each two of `sorted` to be the two in the middle, whose
/// mean is the median.
///
/// With i < j, m draws are at most the i-th value and reach it, the other m are at least the j-th
/// and reach it: C(2m, m) (i^m - (i-1)^m) ((n-j+1)^m - (n-j)^m) / n^2m.
fn middle_two(sorted: &[f64], draws: usize) -> Vec<(f64, f64)> {
    let (count, half) = (sorted.len(), draws / 2);
    let power = |k: usize| (k as f64 / count as f64).powi(half as i32);
    let reached: Vec<f64> = (0..count).map(|k| power(k + 1) - power(k)).collect();
    let ways = binomials(draws)[half];
    let at_most = order_statistic(count, draws, half);
    let mut atoms = Vec::with_capacity(count * (count + 1) / 2);
    for low in 0..count {
        let mut both = at_most[low + 1] - at_most[low];
        for high in low + 1..count {
            let chance = ways * reached[low] * reached[count - 1 - high];
            both -= chance;
            atoms.push((f64::midpoint(sorted[low], sorted[high]), chance));
        }
        atoms.push((sorted[low], both.max(0.0)));
    }
    atoms
}

/// The chance that the `rank`-th smallest of `draws` is among the first i of `count`, i from 0.
fn order_statistic(count: usize, draws: usize, rank: usize) -> Vec<f64> {
    let ways = binomials(draws);
    let at_most = |i: usize| {
        let share = i as f64 / count as f64;
        let term =
            |k: usize| ways[k] * share.powi(k as i32) * (1.0 - share).powi((draws - k) as i32);
        (rank..=draws).map(term).sum::<f64>().min(1.0)
    };
    (0..=count).map(at_most).collect()
}

/// `n` over k, for each k from 0 to `n`.
fn binomials(n: usize) -> Vec<f64> {
    let mut ways = vec![1.0; n + 1];
    for k in 0..n {
        ways[k + 1] = ways[k] * (n - k) as f64 / (k + 1) as f64;
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same by going through every possible draw.
    fn by_enumeration(values: &[f64], draws: u32, most: f64) -> f64 {
        let count = values.len().pow(draws);
        let median = |mut number: usize| {
            let drawn = (0..draws).map(|_| {
                let value = values[number % values.len()];
                number /= values.len();
                value
            });
            crate::stats::median(drawn).unwrap()
        };
        let within = (0..count).filter(|number| median(*number) <= most + 1e-12).count();
        within as f64 / count as f64
    }

    #[test]
    fn efron_1979_the_distribution_is_that_of_all_draws() {
        let values = [3.0, 1.0, 4.0, 1.5, 9.0];
        for draws in 1..=6 {
            let distribution = MedianDistribution::of(&values, draws).unwrap();
            for (value, chance) in &distribution.cumulated {
                // Equal values stand one by one: the last of them has the whole chance.
                let whole = distribution.cumulated.iter().filter(|atom| atom.0 <= *value);
                let chance = whole.map(|atom| atom.1).fold(*chance, f64::max);
                let counted = by_enumeration(&values, draws as u32, *value);
                assert!((chance - counted).abs() < 1e-9, "{draws} {value}: {chance} {counted}");
            }
        }
    }

    #[test]
    fn the_interval_of_ten_values_leaves_out_the_outermost() {
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        let distribution = MedianDistribution::of(&values, 10).unwrap();
        assert_eq!((distribution.quantile(0.025), distribution.quantile(0.975)), (3.0, 8.0));
        assert_eq!((distribution.quantile(0.0), distribution.quantile(1.0)), (1.0, 10.0));
    }

    #[test]
    fn a_thousand_values_do_not_leave_the_range_of_numbers() {
        let values: Vec<f64> = (0..1000).map(f64::from).collect();
        for draws in [999, 1000] {
            let distribution = MedianDistribution::of(&values, draws).unwrap();
            let whole = distribution.cumulated.last().unwrap().1;
            assert!((whole - 1.0).abs() < 1e-6, "{draws}: {whole}");
            let half = distribution.quantile(0.975) - 499.5;
            // 1.96 standard errors of the median of a uniform variable: n / (2 sqrt(n)).
            assert!((half - 31.0).abs() < 1.5, "{draws}: {half}");
        }
        assert_eq!(MedianDistribution::of(&values, 1001), None);
        assert_eq!(MedianDistribution::of(&[1.0, f64::NAN], 2), None);
        assert_eq!(MedianDistribution::of(&[], 2), None);
    }

    #[test]
    fn the_difference_of_two_medians_is_that_of_all_pairs() {
        let [a, b] = [[1.0, 2.0, 7.0], [0.5, 0.75, 4.0]]
            .map(|values| MedianDistribution::of(&values, 3).unwrap());
        // Chances of the first, second and third value: 7, 13 and 7 of 27.
        let chance = a.chance_of_difference(&b, 0.25);
        let expected = (7.0 * (13.0 + 7.0) + 13.0 * 7.0) / (27.0 * 27.0);
        assert!((chance - expected).abs() < 1e-9, "{chance} {expected}");
        assert!((a.quantile_of_difference(&b, 0.5) - 1.25).abs() < 1e-6);
        assert!((a.quantile_of_difference(&b, 1.0) - 6.5).abs() < 1e-6);
    }
}
