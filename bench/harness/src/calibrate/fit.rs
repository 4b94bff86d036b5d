//! Which costs explain what was timed: non-negative least squares of relative errors.

/// What was timed, and how often each step occurred in it.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) counts: Vec<f64>,
    pub(super) ns: f64,
}

/// Rows that took so many times what the costs say were interrupted, and do not count.
const INTERRUPTED: f64 = 3.0;
/// Times that the weights are brought to the costs found.
const ROUNDS: usize = 6;
/// Sweeps of coordinate descent; a dozen unknowns settle within a few hundred.
const SWEEPS: usize = 2_000;

/// The costs, one for each step, none below 0, that make the sum over `rows` of the squared relative
/// error least: relative to what the costs say, so that their mean is not pulled down by rows that
/// happened to be cheap. Zeros when there is nothing to fit.
pub(super) fn fit(rows: &[Row]) -> Vec<f64> {
    let steps = rows.first().map_or(0, |row| row.counts.len());
    let mut costs = vec![0.0; steps];
    let mut said: Vec<f64> = rows.iter().map(|row| row.ns.max(1.0)).collect();
    for round in 0..ROUNDS {
        let counted = |place: &usize| round == 0 || rows[*place].ns < INTERRUPTED * said[*place];
        let counted: Vec<usize> = (0..rows.len()).filter(counted).collect();
        descend(rows, &counted, &said, &mut costs);
        for (row, said) in rows.iter().zip(&mut said) {
            *said = explained(row, &costs).max(1.0);
        }
    }
    costs
}

/// What the costs say that a row took.
pub(super) fn explained(row: &Row, costs: &[f64]) -> f64 {
    row.counts.iter().zip(costs).map(|(count, cost)| count * cost).sum()
}

/// Coordinate descent on the normal equations, each coordinate kept at 0 or above.
fn descend(rows: &[Row], counted: &[usize], said: &[f64], costs: &mut [f64]) {
    let steps = costs.len();
    let mut products = vec![vec![0.0; steps]; steps];
    let mut target = vec![0.0; steps];
    for &place in counted {
        let (row, weight) = (&rows[place], said[place].powi(-2));
        for step in 0..steps {
            target[step] += weight * row.counts[step] * row.ns;
            for (product, count) in products[step].iter_mut().zip(&row.counts) {
                *product += weight * row.counts[step] * count;
            }
        }
    }
    for _ in 0..SWEEPS {
        for step in 0..steps {
            let curvature = products[step][step];
            if curvature > 0.0 {
                let pull: f64 = (0..steps).map(|other| products[step][other] * costs[other]).sum();
                costs[step] = (costs[step] + (target[step] - pull) / curvature).max(0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_costs_of_made_up_rows_are_found_whatever_was_interrupted() {
        let truth = [500.0, 90.0, 0.0, 1_500.0];
        let row = |nth: usize| {
            let counts = vec![1.0, (nth * 7 % 31) as f64, (nth % 3) as f64, (nth % 5) as f64];
            let exact = explained(&Row { counts: counts.clone(), ns: 0.0 }, &truth);
            // Noise of 5 % up and down, and one in ten that something cut in on.
            let noise = if nth.is_multiple_of(2) { 1.05 } else { 0.95 };
            let ns = exact * noise * if nth % 10 == 9 { 9.0 } else { 1.0 };
            Row { counts, ns }
        };
        let rows: Vec<Row> = (0..600).map(row).collect();
        let found = fit(&rows);
        for (found, truth) in found.iter().zip(truth) {
            assert!((found - truth).abs() <= 0.03 * truth + 15.0, "{found} for {truth}");
        }
        assert!(fit(&[]).is_empty());
    }
}
