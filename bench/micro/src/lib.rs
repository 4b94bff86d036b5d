//! Criterion suites for each hot path and their fixtures.
