//! Histories, traces and their checkers, scenarios and their runs, seen from outside.

#![allow(clippy::unwrap_used, reason = "functions that prepare a test may fail where it fails")]

mod agreement;
mod breaks;
mod campaigns;
mod checks;
mod corners;
mod generator;
mod history;
mod model;
mod predict;
mod properties;
mod runs;
mod scenarios;
mod store;
mod trace;
mod verdicts;
