//! Known answers and reference equivalence of every kernel, before anything is timed.

use quorumark_primitives::check::Check;
use quorumark_primitives::{ed25519, hash, merkle, sha256};

use crate::latency::Latency;

/// Every check of every kernel that this machine can run, in the order of the crates. Takes about
/// half a second.
pub fn known_answers() -> Vec<Check> {
    let kernels = [hash::self_check, sha256::self_check, ed25519::self_check, merkle::self_check];
    let mut checks: Vec<Check> = kernels.iter().flat_map(|self_check| self_check()).collect();
    checks.extend(quorumark_chain::self_check());
    checks.extend(self_check());
    assert!(!checks.is_empty(), "a kernel without checks would pass unseen");
    checks
}

/// The harness's own arithmetic: percentiles of a distribution that is known.
fn self_check() -> Vec<Check> {
    let mut latency = Latency::new();
    (1..=10_000).for_each(|us| latency.record_ns(us * 1000));
    let near = |quantile: f64, ns: f64| {
        let found = latency.quantile(quantile);
        found.is_some_and(|found| (found as f64 / ns - 1.0).abs() <= 0.001)
    };
    vec![
        Check::new("harness::latency/quantile=0.5", near(0.5, 5_000_000.0)),
        Check::new("harness::latency/quantile=0.99", near(0.99, 9_900_000.0)),
        Check::new("harness::latency/quantile=0.9999", latency.quantile(0.9999).is_none()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_kernel_meets_its_known_answers_under_a_name_of_its_own() {
        let checks = known_answers();
        let failed: Vec<&Check> = checks.iter().filter(|check| !check.passed).collect();
        assert!(failed.is_empty(), "{failed:?}");
        for area in ["hash::", "sha256::", "ed25519::", "merkle::", "chain::", "harness::"] {
            assert!(checks.iter().any(|check| check.name.starts_with(area)), "{area}");
        }
        let names: HashSet<&str> = checks.iter().map(|check| check.name.as_str()).collect();
        assert_eq!(names.len(), checks.len());
    }
}
