//! What measurements have cost, and what the next will.

use core::time::Duration;

/// Time for each unit of span, where measurements of one length alone are known: what is made
/// beforehand grows with the span.
const SLOPE: f64 = 1.3;
/// The slopes that are believed.
const SLOPES: (f64, f64) = (1.0, 4.0);

/// Spans and what measuring them took, in seconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Costs {
    known: Vec<(f64, f64)>,
}

impl Costs {
    /// Measuring for `span` took `cost`.
    pub(super) fn add(&mut self, span: Duration, cost: Duration) {
        self.known.push((span.as_secs_f64(), cost.as_secs_f64()));
    }

    /// What measuring for `span` will take: on the straight line through what is known, by least
    /// squares; the span alone where nothing is.
    pub(super) fn of(&self, span: Duration) -> Duration {
        let x = span.as_secs_f64();
        let n = self.known.len() as f64;
        if self.known.is_empty() {
            return span;
        }
        let mean = |of: fn(&(f64, f64)) -> f64| self.known.iter().map(of).sum::<f64>() / n;
        let (mean_x, mean_y) = (mean(|(x, _)| *x), mean(|(_, y)| *y));
        let above: f64 = self.known.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
        let both: f64 = self.known.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
        let slope = if above > 1e-9 { (both / above).clamp(SLOPES.0, SLOPES.1) } else { SLOPE };
        let cost = (mean_y + slope * (x - mean_x)).max(x);
        Duration::from_secs_f64(cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_next_costs_what_the_line_through_the_known_says() {
        let ms = Duration::from_millis;
        let mut costs = Costs::default();
        assert_eq!(costs.of(ms(500)), ms(500));
        costs.add(ms(100), ms(1100));
        assert_eq!(costs.of(ms(100)), ms(1100));
        assert_eq!(costs.of(ms(200)), ms(1230));
        costs.add(ms(300), ms(1500));
        assert_eq!(costs.of(ms(200)).as_millis(), 1300);
        assert_eq!(costs.of(ms(400)).as_millis(), 1700);
    }
}
