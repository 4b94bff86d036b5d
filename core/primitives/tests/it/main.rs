//! Integration tests of the primitives, one module per area.

#![allow(clippy::unwrap_used)] // the functions beside the tests as well

mod allocations;
mod counting;
mod ed25519;
mod ed25519_mutations;
mod hash;
mod merkle;
mod merkle_proofs;
mod signed;
