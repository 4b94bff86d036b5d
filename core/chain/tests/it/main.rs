//! Integration tests of the chain crate: real headers and blocks, published vectors, hostile input.

#![allow(clippy::unwrap_used, reason = "functions that prepare a test may fail where it fails")]

mod blocks;
mod checkpoints;
mod data;
mod headers;
mod hostile;
mod miner;
mod puzzle;
mod spv_vectors;
mod template;
mod witnesses;
