//! Latencies: recorded per thread, merged, and told by quantile.

use core::time::Duration;

use hdrhistogram::Histogram;
use quorumark_report::{Metrics, Spectrum};

/// The largest latency that is told apart: one hour. Longer ones count as one hour.
pub const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

/// Samples that must lie above a percentile for it to be told. With fewer, another run of the same
/// thing would give another value.
pub const SAMPLES_ABOVE_MIN: u64 = 10;

/// The percentiles that are metrics: the suffix of the name, and the quantile.
pub const PERCENTILES: [(&str, f64); 4] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)];

/// Latencies with three significant digits, from 1 ns to [`LATENCY_NS_MAX`].
///
/// Each recording thread has its own; they are merged, never averaged. Recording is an index and
/// an increment, a few nanoseconds; all memory, about 270 KiB, is taken when it is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Latency {
    histogram: Histogram<u64>,
}

impl Default for Latency {
    fn default() -> Latency {
        Latency::new()
    }
}

impl Latency {
    /// Nothing recorded yet.
    pub fn new() -> Latency {
        let histogram = Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3)
            .expect("the bounds are constants that the histogram takes");
        Latency { histogram }
    }

    /// Records one latency. Zero counts as one nanosecond.
    #[inline]
    pub fn record(&mut self, latency: Duration) {
        self.record_ns(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    /// [`Latency::record`] in nanoseconds.
    #[inline]
    pub fn record_ns(&mut self, ns: u64) {
        self.histogram.saturating_record(ns.max(1));
    }

    /// Adds what another thread or trial recorded.
    pub fn merge(&mut self, other: &Latency) {
        self.histogram.add(&other.histogram).expect("all latencies have the same bounds");
    }

    /// How many were recorded.
    pub fn len(&self) -> u64 {
        self.histogram.len()
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.histogram.is_empty()
    }

    /// Nanoseconds that a share of `quantile` of the samples did not exceed; `None` with fewer than
    /// [`SAMPLES_ABOVE_MIN`] samples above it.
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        assert!((0.0..1.0).contains(&quantile), "a quantile below the maximum");
        let below = (quantile * self.len() as f64).ceil() as u64;
        let above = self.len().saturating_sub(below);
        (above >= SAMPLES_ABOVE_MIN).then(|| self.histogram.value_at_quantile(quantile))
    }

    /// How many were recorded that are no longer than `ns`, to three digits.
    pub fn count_within(&self, ns: u64) -> u64 {
        self.histogram.count_between(0, ns.min(LATENCY_NS_MAX))
    }

    /// The longest, to three digits; `None` when nothing was recorded.
    pub fn max(&self) -> Option<u64> {
        (!self.is_empty()).then(|| self.histogram.max())
    }

    /// The mean in nanoseconds, for Little's law; `None` when nothing was recorded.
    pub fn mean(&self) -> Option<f64> {
        (!self.is_empty()).then(|| self.histogram.mean())
    }

    /// Sets `<name>_p50` to `<name>_p999` and `<name>_max`, as absent where they cannot be told.
    pub fn write_metrics(&self, name: &str, metrics: &mut Metrics) {
        for (suffix, quantile) in PERCENTILES {
            let value = self.quantile(quantile).map(|ns| ns as f64);
            metrics.set(format!("{name}_{suffix}"), value);
        }
        metrics.set(format!("{name}_max"), self.max().map(|ns| ns as f64));
    }

    /// The distribution for a record: quantiles that halve the rest at each step, as far as they
    /// can be told, and the maximum.
    pub fn spectrum(&self) -> Spectrum {
        let least = (!self.is_empty()).then(|| (0.0, self.histogram.min()));
        let halving = (1..=40).flat_map(|power| {
            let rest = 0.5f64.powi(power);
            [1.0 - 1.5 * rest, 1.0 - rest]
        });
        let told = halving.filter_map(|quantile| Some((quantile, self.quantile(quantile)?)));
        let most = self.max().map(|ns| (1.0, ns));
        Spectrum::new(least.into_iter().chain(told).chain(most))
    }

    /// The histogram itself, for a log that other tools read.
    pub(crate) fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    fn samples(count: usize) -> Vec<u64> {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        // Over six decades, as latencies are.
        (0..count).map(|_| (random.next_u64() >> 44) * (random.next_u64() >> 56) + 1).collect()
    }

    fn recorded(samples: &[u64]) -> Latency {
        let mut latency = Latency::new();
        samples.iter().for_each(|ns| latency.record_ns(*ns));
        latency
    }

    #[test]
    fn percentiles_agree_with_sorted_samples_to_three_digits() {
        let mut samples = samples(20_000);
        let latency = recorded(&samples);
        samples.sort_unstable();
        for (suffix, quantile) in PERCENTILES {
            let exact = samples[(quantile * samples.len() as f64).ceil() as usize - 1] as f64;
            let found = latency.quantile(quantile).unwrap() as f64;
            assert!((found / exact - 1.0).abs() <= 0.001, "{suffix}: {found} {exact}");
        }
        let longest = *samples.last().unwrap() as f64;
        assert!((latency.max().unwrap() as f64 / longest - 1.0).abs() <= 0.001);
    }

    #[test]
    fn a_percentile_with_fewer_than_ten_samples_above_it_is_not_told() {
        let told = |count: u64| {
            let latency = recorded(&(1..=count).collect::<Vec<_>>());
            PERCENTILES.map(|(_, quantile)| latency.quantile(quantile).is_some())
        };
        assert_eq!(told(19), [false, false, false, false]);
        assert_eq!(told(20), [true, false, false, false]);
        assert_eq!(told(100), [true, true, false, false]);
        assert_eq!(told(999), [true, true, false, false]);
        assert_eq!(told(1000), [true, true, true, false]);
        assert_eq!(told(10_000), [true, true, true, true]);
        let mut metrics = Metrics::new();
        recorded(&[5]).write_metrics("service_time_ns", &mut metrics);
        assert!(metrics.contains("service_time_ns_p50"));
        assert_eq!(metrics.get("service_time_ns_p50"), None);
        assert_eq!(metrics.get("service_time_ns_max"), Some(5.0));
    }

    #[test]
    fn merging_threads_equals_recording_in_one() {
        let samples = samples(3000);
        let mut merged = Latency::new();
        samples.chunks(1000).for_each(|part| merged.merge(&recorded(part)));
        assert_eq!(merged, recorded(&samples));
    }

    #[test]
    fn what_is_too_short_or_too_long_is_kept_at_the_bounds() {
        let mut latency = Latency::new();
        latency.record(Duration::ZERO);
        latency.record(Duration::from_secs(7200));
        assert_eq!(latency.len(), 2);
        let longest = latency.max().unwrap() as f64;
        assert!((longest / LATENCY_NS_MAX as f64 - 1.0).abs() < 0.001);
        assert_eq!((latency.count_within(0), latency.count_within(1_000_000)), (0, 1));
        assert_eq!(latency.count_within(u64::MAX), 2);
        assert!(latency.spectrum().points()[0] == (0.0, 1));
    }

    #[test]
    fn a_spectrum_rises_and_ends_at_the_maximum() {
        let latency = recorded(&samples(5000));
        let spectrum = latency.spectrum();
        let points = spectrum.points();
        assert!(points.len() > 15, "{points:?}");
        assert!(points.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 <= two[1].1));
        assert_eq!(points.last(), Some(&(1.0, latency.max().unwrap())));
        assert!(Latency::new().spectrum().points().is_empty());
    }
}
