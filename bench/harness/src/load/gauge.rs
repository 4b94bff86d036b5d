//! What a load has reached so far, for who watches it.

use core::sync::atomic::{AtomicU64, Ordering};

/// Written by the generator at the end of each slice, ten times a second; read by whoever draws it.
///
/// Each figure is one atomic number. Nothing hangs on the two being of one moment, and nothing is
/// published through them: relaxed loads and stores are enough.
#[derive(Debug)]
pub struct Gauge {
    /// The bits of the throughput of the last slices; NaN before the first one ends.
    throughput: AtomicU64,
    /// The p99 of all responses so far in nanoseconds; 0 where there is none.
    p99_ns: AtomicU64,
}

impl Default for Gauge {
    fn default() -> Gauge {
        let nothing = AtomicU64::new(f64::NAN.to_bits());
        Gauge { throughput: nothing, p99_ns: AtomicU64::new(0) }
    }
}

impl Gauge {
    pub(super) fn set(&self, throughput: f64, p99_ns: Option<u64>) {
        self.throughput.store(throughput.to_bits(), Ordering::Relaxed);
        self.p99_ns.store(p99_ns.unwrap_or(0), Ordering::Relaxed);
    }

    /// Results a second in the last half second; `None` before the first one ends.
    pub fn throughput(&self) -> Option<f64> {
        let value = f64::from_bits(self.throughput.load(Ordering::Relaxed));
        (!value.is_nan()).then_some(value)
    }

    /// The p99 of all response times so far, in nanoseconds; `None` while too few are known.
    pub fn p99_ns(&self) -> Option<u64> {
        Some(self.p99_ns.load(Ordering::Relaxed)).filter(|ns| *ns > 0)
    }
}
