//! What is checked of a run once it is over: the history that its clients saw.
//!
//! Invariant: the same input gives the same verdict, bit for bit: no clock, no random source, no
//! randomly seeded map.
//!
//! - [`history`] is what the clients of a key-value run did and saw, in memory and as a file.
//! - [`linearizability`] says whether one store could have answered so.

#![forbid(unsafe_code)]

pub mod history;
pub mod linearizability;
