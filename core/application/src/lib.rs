//! Replicated state machines: a key-value store and a ledger of blocks.
//!
//! Invariant: the state and every result are a function of the operations executed, in their order:
//! no clock, no random source, no randomly seeded map. Replicas that execute the same batches hold
//! the same state root, bit for bit.

#![forbid(unsafe_code)]

mod application;

pub use application::{Application, run};
