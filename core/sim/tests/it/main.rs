//! Histories, traces and their checkers, seen from outside.

#![allow(clippy::unwrap_used, reason = "functions that prepare a test may fail where it fails")]

mod breaks;
mod checks;
mod corners;
mod history;
mod model;
mod trace;
