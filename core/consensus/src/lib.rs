//! Sans-IO consensus engines: what each protocol decides, and nothing else.
//!
//! Invariant: an engine owns no clock, thread, socket, key or random source. The same inputs with
//! the same times give the same outputs, bit for bit, under threads, over sockets and in a
//! simulator. The protocol-neutral vocabulary stands in [`types`], [`committee`], [`request`] and
//! [`engine`]; [`pbft`] is the first engine behind that contract.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;

pub mod client_table;
pub mod committee;
pub mod engine;
pub mod parts;
pub mod pbft;
pub mod range;
pub mod recording;
pub mod request;
pub mod types;

pub use committee::Committee;
pub use engine::{
    Engine, Executed, Execution, Input, Outbox, Output, Position, Recipients, StateAnswer,
    StateWork, Vocabulary,
};
pub use parts::StateRoot;
pub use request::{Authentic, Batch, ClientProof, Reply, Request, SignedRequest};
pub use types::{ClientId, Instant, ReplicaId, Seq, Timestamp, View};
