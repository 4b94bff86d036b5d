//! What is checked of a run: its trace as it happens, and the history that its clients saw.
//!
//! Invariant: the same input gives the same verdict, bit for bit: no clock, no random source, no
//! randomly seeded map.
//!
//! - [`trace`] is what happened in a run, event by event, with its hash.
//! - [`check`] decides from the trace alone whether the run was safe and live.
//! - [`history`] is what the clients of a key-value run did and saw, in memory and as a file.
//! - [`linearizability`] says whether one store could have answered so.
//! - [`replay`] runs again what a live replica's engine was told, and compares what it says.
//! - [`verdict`] is what a run's checks come to.

#![forbid(unsafe_code)]

pub mod check;
pub mod history;
pub mod linearizability;
pub mod replay;
pub mod trace;
pub mod verdict;
