//! What is checked of a run once it is over: the histories that its clients saw.
//!
//! Invariant: the same input gives the same verdict, bit for bit: no clock, no random source, no
//! randomly seeded map.

#![forbid(unsafe_code)]
