//! Replicated state machines: a key-value store and a ledger of blocks.
//!
//! Invariant: the state and every result are a function of the operations executed, in their order:
//! no clock, no random source, no randomly seeded map. Replicas that execute the same batches hold
//! the same state root, bit for bit.
//!
//! - [`Application`] is the contract, [`run`] the step from a committed batch to its results, and
//!   [`serve`] what an engine asks of the state itself. [`run_and_begin`] leaves the hashes of a
//!   checkpoint to [`Application::settle`].
//! - [`kv::KvStore`] keeps values by key; [`kv::Operation`] and [`kv::Outcome`] are its language.
//! - [`Ledger`] turns each batch into a block; [`Receipt`] tells where a transaction landed.
//! - [`Permissions`] says what each client may do, in both.

#![forbid(unsafe_code)]

mod application;
mod history;
pub mod kv;
pub mod ledger;
mod pages;
pub mod permissions;

pub use application::{Application, NotKept, RestoreError, Settling, run, run_and_begin, serve};
pub use kv::KvStore;
pub use ledger::{Ledger, Receipt};
pub use permissions::{Allowed, Permissions};
