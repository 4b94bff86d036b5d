//! Headers, targets, proof of work, blocks.
//!
//! Invariant: validation owns no clock, thread, socket or key: the time comes in as a parameter.
//! Only the [`miner`] and the [`puzzle`] run threads, those of one [`Miner`](miner::Miner), and
//! read a clock to say how long they took.

#![forbid(unsafe_code)]

pub mod block;
pub mod header;
pub mod headers;
pub mod hex;
pub mod id;
pub mod miner;
pub mod params;
pub mod puzzle;
mod search;
mod self_check;
pub mod target;
pub mod template;
pub mod uint;

pub use block::Block;
pub use header::Header;
pub use headers::HeaderChain;
pub use id::{BlockHash, MerkleRoot, Txid};
pub use params::Params;
pub use self_check::self_check;
pub use target::{CompactTarget, Target, Work};
pub use uint::U256;
