//! Runs the consensus engines under virtual time, and checks what came of it.
//!
//! Invariant: the same input gives the same verdict, bit for bit: no clock, no random source, no
//! randomly seeded map.
//!
//! - [`scenario`] is what a run shall be, [`run`] makes it so, [`judge`] judges it.
//! - [`trace`] is what happened in a run, event by event, with its hash.
//! - [`check`] decides from the trace alone whether the run was safe and live.
//! - [`history`] is what the clients of a key-value run did and saw, in memory and as a file.
//! - [`linearizability`] says whether one store could have answered so.
//! - [`model`] predicts throughput and latency from what each step costs.
//! - [`replay`] runs again what a live replica's engine was told, and compares what it says.
//! - [`verdict`] is what a run's checks come to.

#![forbid(unsafe_code)]

mod byzantine;
pub mod check;
pub mod history;
pub mod judge;
pub mod linearizability;
pub mod model;
mod queue;
pub mod random;
pub mod replay;
pub mod run;
pub mod scenario;
pub mod trace;
pub mod verdict;
mod world;
