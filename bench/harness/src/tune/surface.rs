//! What some measurements say of setups that were not measured: a Gaussian process.
//!
//! A measured value is taken as mean + effect of the setup + drift of the machine + noise. The
//! effect is smooth over the setups, half of it a sum of effects of single dimensions and half of
//! it whatever they do together; the drift is smooth in time, so that a setup that was measured
//! again and again tells what the machine did meanwhile; the noise falls with the length of a
//! measurement. Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006),
//! algorithm 2.1; how smooth and how noisy is chosen by the evidence (5.8), among a few of each.

use core::f64::consts::TAU;

/// One measured value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// Which of the compared setups.
    pub(super) setup: usize,
    /// When, as a share of the whole time.
    pub(super) at: f64,
    /// Its length, as a share of the longest.
    pub(super) weight: f64,
    /// What was found.
    pub(super) value: f64,
}

/// How setups resemble each other.
pub(super) trait Likeness {
    /// How far apart two of them are along each dimension, 0 to 1.
    fn gaps(&self, a: usize, b: usize) -> Vec<f64>;
}

/// What is believed of the effect of one setup.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Belief {
    /// The most likely value.
    pub(super) mean: f64,
    /// How far it may be off (one standard deviation).
    pub(super) sd: f64,
}

impl Belief {
    /// The chance that the value is at most `bound`.
    pub(super) fn below(&self, bound: f64) -> f64 {
        normal_cdf((bound - self.mean) / self.sd.max(1e-9))
    }

    /// By how much the value is expected to exceed `best`, where it does (expected improvement:
    /// Jones, Schonlau and Welch 1998).
    pub(super) fn gain_over(&self, best: f64) -> f64 {
        let sd = self.sd.max(1e-9);
        let z = (self.mean - best) / sd;
        let density = (-0.5 * z * z).exp() / TAU.sqrt();
        sd * (z * normal_cdf(z) + density)
    }
}

impl Belief {
    /// By how much the value is expected to be below `level`, where it is.
    pub(super) fn relief_below(&self, level: f64) -> f64 {
        Belief { mean: -self.mean, ..*self }.gain_over(-level)
    }
}

/// How smooth, how noisy.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Shape {
    /// The distance along a dimension over which effects are alike.
    length: f64,
    /// Standard deviation of the effects.
    effect: f64,
    /// That of the drift.
    drift: f64,
    /// That of one measurement of the full length.
    noise: f64,
}

/// The share of the whole time over which the machine is alike.
const DRIFT_TIME: f64 = 0.04;

const LENGTHS: [f64; 3] = [0.3, 0.6, 1.2];
const EFFECTS: [f64; 3] = [0.5, 1.0, 2.0];
const DRIFTS: [f64; 3] = [0.001, 0.05, 0.15];
const NOISES: [f64; 3] = [0.02, 0.05, 0.12];

/// A fitted process.
#[derive(Debug, Clone)]
pub(super) struct Surface {
    rows: Vec<Row>,
    shape: Shape,
    mean: f64,
    factor: Factor,
    /// The inverse of the covariance times what is above the mean.
    weights: Vec<f64>,
}

impl Surface {
    /// Fits `rows`, of which there is at least one.
    pub(super) fn fit(rows: &[Row], likeness: &impl Likeness) -> Surface {
        assert!(!rows.is_empty(), "a surface has a measurement to rest on");
        let spread = spread(rows);
        let mut shape =
            Shape { length: LENGTHS[1], effect: spread, drift: DRIFTS[0], noise: NOISES[1] };
        let mut best = Surface::with(rows, shape, likeness);
        let mut evidence = best.evidence();
        let mut consider = |candidate: Shape, shape: &mut Shape| {
            let fitted = Surface::with(rows, candidate, likeness);
            let found = fitted.evidence();
            if found > evidence {
                (best, evidence, *shape) = (fitted, found, candidate);
            }
        };
        // One after the other. A drift that is not looked for first is taken for noise.
        DRIFTS.iter().for_each(|drift| consider(Shape { drift: *drift, ..shape }, &mut shape));
        NOISES.iter().for_each(|noise| consider(Shape { noise: *noise, ..shape }, &mut shape));
        LENGTHS.iter().for_each(|length| consider(Shape { length: *length, ..shape }, &mut shape));
        let effects = EFFECTS.map(|share| share * spread);
        effects.iter().for_each(|effect| consider(Shape { effect: *effect, ..shape }, &mut shape));
        best
    }

    fn with(rows: &[Row], shape: Shape, likeness: &impl Likeness) -> Surface {
        let mean = rows.iter().map(|row| row.value).sum::<f64>() / rows.len() as f64;
        let factor =
            Factor::of(rows.len(), |i, j| shape.covariance(&rows[i], &rows[j], i == j, likeness));
        let above: Vec<f64> = rows.iter().map(|row| row.value - mean).collect();
        let weights = factor.solve_transposed(&factor.solve(&above));
        Surface { rows: rows.to_vec(), shape, mean, factor, weights }
    }

    /// The logarithm of how likely the values are under the shape (algorithm 2.1, line 7).
    fn evidence(&self) -> f64 {
        let fit = self.rows.iter().zip(&self.weights);
        let fit: f64 = fit.map(|(row, weight)| (row.value - self.mean) * weight).sum();
        let n = self.rows.len() as f64;
        -0.5 * fit - self.factor.log_diagonal() - 0.5 * n * TAU.ln()
    }

    /// What is believed of `setup` at any time, measured or not.
    pub(super) fn belief(&self, setup: usize, likeness: &impl Likeness) -> Belief {
        let toward = |row: &Row| self.shape.effect_covariance(&likeness.gaps(setup, row.setup));
        let toward: Vec<f64> = self.rows.iter().map(toward).collect();
        let above: f64 = toward.iter().zip(&self.weights).map(|(k, weight)| k * weight).sum();
        let known: f64 = self.factor.solve(&toward).iter().map(|v| v * v).sum();
        let variance = (self.shape.effect.powi(2) - known).max(0.0);
        Belief { mean: self.mean + above, sd: variance.sqrt() }
    }
}

impl Shape {
    fn covariance(&self, a: &Row, b: &Row, same: bool, likeness: &impl Likeness) -> f64 {
        let effect = self.effect_covariance(&likeness.gaps(a.setup, b.setup));
        let apart = (a.at - b.at) / DRIFT_TIME;
        let drift = self.drift.powi(2) * (-0.5 * apart * apart).exp();
        let noise = if same { self.noise.powi(2) / a.weight } else { 0.0 };
        effect + drift + noise
    }

    fn effect_covariance(&self, gaps: &[f64]) -> f64 {
        let alike = |gap: &f64| (-0.5 * (gap / self.length).powi(2)).exp();
        let (sum, product) = gaps.iter().map(alike).fold((0.0, 1.0), |(s, p), k| (s + k, p * k));
        self.effect.powi(2) * 0.5 * (sum / gaps.len() as f64 + product)
    }
}

/// The standard deviation of the values, never so small that nothing could be learned any more.
fn spread(rows: &[Row]) -> f64 {
    let n = rows.len() as f64;
    let mean = rows.iter().map(|row| row.value).sum::<f64>() / n;
    let squares = rows.iter().map(|row| (row.value - mean).powi(2)).sum::<f64>();
    (squares / n).sqrt().max(0.05)
}

/// The lower triangle L of a matrix L L^T, row by row (Cholesky).
#[derive(Debug, Clone)]
struct Factor {
    rows: Vec<Vec<f64>>,
}

impl Factor {
    /// Factors the matrix whose lower triangle `entry` gives.
    fn of(n: usize, entry: impl Fn(usize, usize) -> f64) -> Factor {
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(n);
        for i in 0..n {
            let mut row: Vec<f64> = Vec::with_capacity(i + 1);
            for (j, other) in rows.iter().enumerate() {
                let known: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
                row.push((entry(i, j) - known) / other[j]);
            }
            let known: f64 = row.iter().map(|a| a * a).sum();
            row.push((entry(i, i) - known).max(1e-12).sqrt());
            rows.push(row);
        }
        Factor { rows }
    }

    /// L^-1 `right`.
    fn solve(&self, right: &[f64]) -> Vec<f64> {
        let mut solved: Vec<f64> = Vec::with_capacity(right.len());
        for (row, right) in self.rows.iter().zip(right) {
            let known: f64 = row.iter().zip(&solved).map(|(a, b)| a * b).sum();
            solved.push((right - known) / row[solved.len()]);
        }
        solved
    }

    /// L^-T `right`.
    fn solve_transposed(&self, right: &[f64]) -> Vec<f64> {
        let mut rest = right.to_vec();
        for i in (0..rest.len()).rev() {
            rest[i] /= self.rows[i][i];
            let found = rest[i];
            for (j, known) in self.rows[i].iter().take(i).enumerate() {
                rest[j] -= known * found;
            }
        }
        rest
    }

    /// The sum of the logarithms of the diagonal.
    fn log_diagonal(&self) -> f64 {
        self.rows.iter().filter_map(|row| row.last()).map(|last| last.ln()).sum()
    }
}

/// The normal distribution function, to 1e-7 (Abramowitz and Stegun 26.2.17).
fn normal_cdf(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let terms = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum = terms.iter().rev().fold(0.0, |sum, term| (sum + term) * t);
    let tail = (-0.5 * z * z).exp() / TAU.sqrt() * sum;
    if z > 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eleven setups on a line.
    struct Line;

    impl Likeness for Line {
        fn gaps(&self, a: usize, b: usize) -> Vec<f64> {
            vec![a.abs_diff(b) as f64 / 10.0]
        }
    }

    fn row(setup: usize, at: f64, value: f64) -> Row {
        Row { setup, at, weight: 1.0, value }
    }

    #[test]
    fn a_factor_solves_what_it_was_made_of() {
        let matrix = [[4.0, 2.0, 1.0], [2.0, 5.0, 3.0], [1.0, 3.0, 6.0]];
        let factor = Factor::of(3, |i, j| matrix[i][j]);
        let solved = factor.solve_transposed(&factor.solve(&[1.0, 2.0, 3.0]));
        for (row, right) in matrix.iter().zip([1.0, 2.0, 3.0]) {
            let left: f64 = row.iter().zip(&solved).map(|(a, x)| a * x).sum();
            assert!((left - right).abs() < 1e-12);
        }
        // det = 67, and the diagonal's product is its root.
        assert!((factor.log_diagonal() - 0.5 * 67.0_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn the_normal_distribution_is_that_of_the_tables() {
        for (z, expected) in
            [(0.0, 0.5), (1.0, 0.841_344_7), (-1.96, 0.024_997_9), (3.0, 0.998_650_1)]
        {
            assert!((normal_cdf(z) - expected).abs() < 1e-6, "{z}");
        }
        let even = Belief { mean: 1.0, sd: 1.0 };
        assert!(
            (even.gain_over(1.0) - 0.398_942).abs() < 1e-5 && (even.below(1.0) - 0.5).abs() < 1e-6
        );
        assert!(Belief { mean: 0.0, sd: 1e-12 }.gain_over(1.0) < 1e-9);
    }

    #[test]
    fn what_lies_between_is_told_and_what_lies_far_is_uncertain() {
        let value = |setup: usize| -(setup as f64 - 6.0).powi(2) / 50.0;
        let rows: Vec<Row> = [0, 2, 4, 5, 7, 8].map(|setup| row(setup, 0.5, value(setup))).into();
        let surface = Surface::fit(&rows, &Line);
        let six = surface.belief(6, &Line);
        assert!((six.mean - value(6)).abs() < 0.1, "{six:?}");
        let (near, far) = (surface.belief(4, &Line), surface.belief(10, &Line));
        assert!(near.sd < far.sd, "{near:?} {far:?}");
    }

    #[test]
    fn a_drift_is_told_from_an_effect_by_what_was_measured_again() {
        // The machine slows down by a fifth halfway; setup 0 is measured all the time, 10 after it.
        let pace = |at: f64| if at < 0.5 { 0.0 } else { -0.2 };
        let mut rows: Vec<Row> = Vec::new();
        for turn in 0..20 {
            let at = f64::from(turn) / 20.0;
            rows.push(row(0, at, pace(at)));
            if turn >= 10 {
                rows.push(row(10, at + 0.01, 0.1 + pace(at)));
            }
        }
        let surface = Surface::fit(&rows, &Line);
        let gain = surface.belief(10, &Line).mean - surface.belief(0, &Line).mean;
        assert!((gain - 0.1).abs() < 0.03, "{gain}");
    }
}
