//! Hash kernels, signatures and batch verification, MACs, Merkle trees, the wire codec.
//!
//! Invariant: this crate knows nothing of consensus, threads or sockets (rayon's data parallelism
//! excepted). It is the only crate in which a signature can turn a value into [`Verified`].

#![deny(unsafe_code)] // allowed in the kernel modules alone, where they are declared

pub mod check;
pub mod ed25519;
pub mod hash;
pub mod limits;
pub mod mac;
pub mod merkle;
#[allow(unsafe_code)] // the intrinsic
pub mod prefetch;
pub mod sha256;
pub mod signed;
pub mod wire;

pub use hash::Digest;
pub use signed::Verified;
