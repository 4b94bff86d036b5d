//! Headers, targets, proof of work, blocks.
//!
//! Invariant: nothing here owns a clock, a socket or a key: the time comes in as a parameter. Only
//! the [`miner`] and the [`puzzle`] use threads, each in the pool of one
//! [`Miner`](miner::Miner).

#![forbid(unsafe_code)]

pub mod header;
pub mod headers;
pub mod hex;
pub mod id;
pub mod params;
pub mod target;
pub mod uint;

pub use header::Header;
pub use headers::HeaderChain;
pub use id::{BlockHash, MerkleRoot, Txid};
pub use params::Params;
pub use target::{CompactTarget, Target, Work};
pub use uint::U256;
