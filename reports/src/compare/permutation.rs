//! Could chance alone have made the difference? Tests that assume nothing but that labels could
//! have been exchanged, and the correction for asking more than once.

/// Pairs up to which every choice of signs is gone through.
const ENUMERATED_MAX: usize = 16;
/// Units in which the sum of the differences is counted where there are more pairs.
const UNITS: f64 = 20_000.0;
/// Values up to which every choice of labels is counted.
const LABELS_MAX: usize = 60;
/// Sums that differ by less than this share are equal.
const ROUNDING: f64 = 1e-9;

/// The paired sign-flip test, two-sided: the chance of a sum of differences as far from zero, were
/// each sign a toss of a coin (Fisher, "The Design of Experiments", 1935, section 21; Pitman 1937).
///
/// Exact up to 16 pairs. Beyond, differences are counted in units of a 20,000th of their
/// sum, which makes the distribution a recursion over the pairs (Streitberg and Röhmel, 1986).
/// 1.0 without differences.
pub fn sign_flip(differences: &[f64]) -> f64 {
    let total: f64 = differences.iter().map(|difference| difference.abs()).sum();
    let observed = differences.iter().sum::<f64>().abs();
    if total <= 0.0 || !total.is_finite() {
        return 1.0;
    }
    if differences.len() <= ENUMERATED_MAX {
        flipped_by_enumeration(differences, observed - total * ROUNDING)
    } else {
        flipped_by_recursion(differences, total)
    }
}

/// The share of all choices of signs whose sum is at least `least` from zero. One pair changes its
/// sign from each choice to the next (a Gray code); the last keeps its own, for the other half is
/// the mirror image.
fn flipped_by_enumeration(differences: &[f64], least: f64) -> f64 {
    let mut signed = differences.to_vec();
    let choices = 1_u32 << (differences.len() - 1);
    let mut sum: f64 = signed.iter().sum();
    let mut as_far = u32::from(sum.abs() >= least);
    for choice in 1..choices {
        let pair = choice.trailing_zeros() as usize;
        sum -= 2.0 * signed[pair];
        signed[pair] = -signed[pair];
        as_far += u32::from(sum.abs() >= least);
    }
    f64::from(as_far) / f64::from(choices)
}

fn flipped_by_recursion(differences: &[f64], total: f64) -> f64 {
    let units = |difference: f64| (difference.abs() / total * UNITS).round() as usize;
    let sum: usize = differences.iter().map(|difference| units(*difference)).sum();
    // The chance of each sum of those whose sign is positive.
    let mut chances = vec![0.0; sum + 1];
    chances[0] = 1.0;
    let mut reached = 0;
    for difference in differences {
        let step = units(*difference);
        reached += step;
        for place in (0..=reached).rev() {
            let with = place.checked_sub(step).map_or(0.0, |before| chances[before]);
            chances[place] = f64::midpoint(chances[place], with);
        }
    }
    let positive = differences.iter().filter(|difference| **difference > 0.0);
    let observed = (2 * positive.map(|difference| units(*difference)).sum::<usize>()).abs_diff(sum);
    let as_far = |place: &usize| (2 * place).abs_diff(sum) >= observed;
    (0..=sum).filter(as_far).map(|place| chances[place]).sum::<f64>().min(1.0)
}

/// The Mann-Whitney test, two-sided: the chance of ranks as unequal, were the labels of all values
/// exchanged at random (Mann and Whitney, 1947). Equal values share their mean rank.
///
/// Exact up to 60 values together; beyond, by the normal distribution with the correction for equal
/// values. 1.0 when a side is empty.
pub fn mann_whitney(a: &[f64], b: &[f64]) -> f64 {
    let ranks = doubled_ranks(a, b);
    let (of_a, all) = (&ranks[..a.len()], ranks.len());
    if a.is_empty() || b.is_empty() {
        return 1.0;
    }
    let observed: usize = of_a.iter().sum();
    // Twice the mean of the sum of doubled ranks, so that it is whole.
    let mean = 2 * a.len() * (all + 1);
    let distance = (2 * observed).abs_diff(mean);
    if all <= LABELS_MAX {
        return ranked_by_counting(&ranks, a.len(), |sum| (2 * sum).abs_diff(mean) >= distance);
    }
    let (of_a, all) = (a.len() as f64, all as f64);
    let centre = all + 1.0;
    let spread: f64 = ranks.iter().map(|rank| (*rank as f64 - centre).powi(2)).sum();
    let variance = of_a * (all - of_a) / (all * (all - 1.0)) * spread;
    // A doubled rank moves in steps of two: half a step is the continuity correction.
    let far = (distance as f64 / 2.0 - 1.0).max(0.0);
    if variance > 0.0 { both_tails(far / variance.sqrt()) } else { 1.0 }
}

/// Twice the rank of each value of `a`, then of `b`, among all: whole where values are equal too.
fn doubled_ranks(a: &[f64], b: &[f64]) -> Vec<usize> {
    let values: Vec<f64> = a.iter().chain(b).copied().collect();
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| *other < value).count();
        let not_above = values.iter().filter(|other| *other <= value).count();
        below + not_above + 1
    };
    values.iter().map(rank).collect()
}

/// The share of all choices of `chosen` of `ranks` whose sum is `as_far`.
fn ranked_by_counting(ranks: &[usize], chosen: usize, as_far: impl Fn(usize) -> bool) -> f64 {
    let sum: usize = ranks.iter().sum();
    // Number of choices by how many were taken, and their sum.
    let mut ways = vec![vec![0.0_f64; sum + 1]; chosen + 1];
    ways[0][0] = 1.0;
    for rank in ranks {
        for taken in (1..=chosen).rev() {
            for place in (*rank..=sum).rev() {
                ways[taken][place] += ways[taken - 1][place - rank];
            }
        }
    }
    let all: f64 = ways[chosen].iter().sum();
    let counted = ways[chosen].iter().enumerate().filter(|(sum, _)| as_far(*sum));
    counted.map(|(_, ways)| ways).sum::<f64>() / all
}

/// The chance that a normal variable is at least `z` standard deviations from its mean
/// (Abramowitz and Stegun 7.1.26: off by less than 2e-7).
fn both_tails(z: f64) -> f64 {
    let x = z / core::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let series = [0.254_829_592, -0.284_496_736, 1.421_413_741, -1.453_152_027, 1.061_405_429];
    let polynomial = series.iter().rev().fold(0.0, |sum, factor| (sum + factor) * t);
    polynomial * (-x * x).exp()
}

/// Holm's correction for asking several questions at once ("A simple sequentially rejective
/// multiple test procedure", Scandinavian Journal of Statistics 6, 1979): the i-th smallest of n
/// counts n - i + 1 times, and no less than a smaller one.
pub fn holm(chances: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..chances.len()).collect();
    order.sort_by(|a, b| chances[*a].total_cmp(&chances[*b]));
    let mut corrected = vec![1.0; chances.len()];
    let mut least: f64 = 0.0;
    for (place, index) in order.into_iter().enumerate() {
        least = least.max(chances[index] * (chances.len() - place) as f64).min(1.0);
        corrected[index] = least;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-3 * expected, "{found}, expected {expected}");
    }

    #[test]
    fn fisher_1935_darwin_s_maize() {
        // Section 21: differences in height of 15 pairs, in eighths of an inch; 1,726 of 32,768
        // choices of signs are as far from zero, 5.267 %.
        let differences =
            [49., -67., 8., 16., 6., 23., 28., 41., 14., 29., 56., 24., 75., 60., -48.];
        near(sign_flip(&differences), 1726.0 / 32_768.0);
    }

    #[test]
    fn equal_signs_leave_two_choices() {
        near(sign_flip(&[1.0; 10]), 2.0 / 1024.0);
        near(sign_flip(&[-0.3; 5]), 2.0 / 32.0);
        for differences in [&[][..], &[0.0; 12], &[7.0]] {
            near(sign_flip(differences), 1.0);
        }
    }

    #[test]
    fn streitberg_roehmel_1986_the_recursion_agrees_with_the_enumeration() {
        let differences: Vec<f64> =
            (1..=16).map(|i| f64::from(i * i % 23) - 6.0 + f64::from(i) / 7.0).collect();
        let total = differences.iter().map(|difference| difference.abs()).sum();
        let counted = sign_flip(&differences);
        assert!((flipped_by_recursion(&differences, total) - counted).abs() < 0.01, "{counted}");
        near(sign_flip(&[0.01; 20]), 2.0 / 1_048_576.0);
    }

    #[test]
    fn mann_whitney_1947_counts_choices_of_labels() {
        // Table I there: n = m = 3, U = 0 has a chance of 0.05 on one side.
        near(mann_whitney(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]), 0.1);
        // n = 4, m = 4, U = 1: 0.029 on one side (2 of 70).
        near(mann_whitney(&[1.0, 2.0, 3.0, 5.0], &[4.0, 6.0, 7.0, 8.0]), 4.0 / 70.0);
        near(mann_whitney(&[], &[1.0]), 1.0);
        near(mann_whitney(&[1.0; 9], &[1.0; 7]), 1.0);
    }

    #[test]
    fn many_values_are_judged_by_the_normal_distribution_alike() {
        let a: Vec<f64> = (0..40).map(|i| f64::from(i * 37 % 41)).collect();
        let b: Vec<f64> = a.iter().map(|value| value + 9.5).collect();
        let normal = mann_whitney(&a, &b);
        let ranks = doubled_ranks(&a, &b);
        let distance = (2 * ranks[..40].iter().sum::<usize>()).abs_diff(2 * 40 * 81);
        let as_far = |sum: usize| (2 * sum).abs_diff(2 * 40 * 81) >= distance;
        let counted = ranked_by_counting(&ranks, 40, as_far);
        assert!((normal - counted).abs() < 2e-3, "{normal}, counted {counted}");
        near(both_tails(1.959_964), 0.05);
    }

    #[test]
    fn holm_1979_the_smallest_counts_as_often_as_there_are_questions() {
        let corrected = holm(&[0.01, 0.04, 0.03, 0.5]);
        for (found, expected) in corrected.iter().zip([0.04, 0.09, 0.09, 0.5]) {
            near(*found, expected);
        }
        assert_eq!(holm(&[0.7, 0.6]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
