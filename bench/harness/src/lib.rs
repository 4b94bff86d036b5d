//! Workloads, load, recorders, trials, environment, warnings.
