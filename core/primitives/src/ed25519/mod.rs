//! ed25519 signatures under one acceptance rule.
//!
//! The rule is ZIP-215: `R` and `A` may be any encodings that decompress, canonical or not; `S`
//! must be canonical (below the group order `l`); and the cofactored equation
//! `[8][S]B = [8]R + [8][k]A` with `k = SHA-512(R || A || M)` must hold. It is the one common rule
//! that a batch can decide exactly: the factor 8 removes every small-order component, so a random
//! combination of equations holds just when each of them does. The stock `verify` and
//! `verify_batch` of ed25519-dalek decide by other rules, which disagree with each other depending
//! on how signatures were batched; two honest replicas would split over them. They appear here only
//! as a path labelled for comparison.
//!
//! Signing is RFC 8032's, byte for byte. Public keys are data: a key that does not decompress is a
//! key under which no signature is valid.

mod batch;
mod bisect;
#[cfg(test)]
mod cross_check;
mod equation;
mod field;
mod inverse;
mod lanes;
mod multiscalar;
mod point;
mod policy;
mod prepared;
mod secret;
mod self_check;
mod table;
mod tabled;
mod tables;

use core::fmt;

pub use batch::{BATCH_SIGNATURES_MAX, BatchVerifier, QUEUE_SIGNATURES_MAX, VerifyCounters};
pub use equation::verify_single;
pub use lanes::{Backend, BackendError, FieldWork, backend};
pub use policy::VerifyMethod;
pub use prepared::{KEY_CACHE_CAPACITY, KeyCache, PreparedKey};
pub use secret::SecretKey;
pub use self_check::self_check;
pub use tables::{KEY_TABLE_BYTES, TABLE_BATCHES, TABLE_BYTES_MAX};

use crate::wire::{Decode, Encode, Reader, WireError};

/// The encoding of a public key: 32 bytes, compared as bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

/// A signature: the 32 bytes of `R`, then the 32 bytes of `S`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(pub [u8; 64]);

impl Signature {
    /// What a statement carries before it is signed. No key but one of small order accepts it.
    pub const BLANK: Signature = Signature([0; 64]);

    /// The encoding of the commitment `R`.
    pub(crate) fn commitment(&self) -> [u8; 32] {
        core::array::from_fn(|i| self.0[i])
    }

    /// The encoding of the response `S`.
    pub(crate) fn response(&self) -> [u8; 32] {
        core::array::from_fn(|i| self.0[32 + i])
    }
}

macro_rules! byte_string {
    ($name:ident, $length:literal) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("…")
            }
        }

        impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.0);
            }
        }

        impl Decode for $name {
            const SIZE_MIN: usize = $length;
            fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
                reader.array().map($name)
            }
        }
    };
}
byte_string!(PublicKey, 32);
byte_string!(Signature, 64);
