//! How a state is cut into parts, so that it can be fetched piece by piece and each piece checked.
//!
//! A state is a list of leaves under the Merkle tree of RFC 6962, section 2.1. A *part* is 2^c
//! consecutive leaves, the last one what is left; c is the least with which there are at most
//! [`PARTS_MAX`] parts, so both sides know the cut from the number of leaves. RFC 6962 splits at
//! powers of two, so the root of a part is an inner node of the tree, and the parts' roots combine
//! to the state's root as leaves do.

use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;
use quorumark_primitives::Digest;
use quorumark_primitives::merkle::{self, Rule, leaf_hash};
use quorumark_primitives::wire::{
    Decode, Encode, FRAME_BYTES_MAX, Reader, WireError, encode_bytes,
};

/// The most parts of one tree.
pub const PARTS_MAX: usize = 1024;
/// The most leaves of one tree: more than any state here has, and few enough to count in.
pub const LEAVES_MAX: u64 = 1 << 40;

/// The most bytes of one part of an application's state: whoever fetches it holds it unchecked until
/// it is whole. An application refuses what would make a part larger, as it is a function of the
/// state alone; a larger one cannot be transferred. The client table has bounds of its own.
pub const PART_BYTES_MAX: u64 = 64 << 20;

/// What stands for a whole tree: its root, and the number of leaves, without which the cut into
/// parts would be the sender's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateRoot {
    /// The Merkle root over the leaves (RFC 6962, section 2.1).
    pub root: Digest,
    /// How many leaves there are; at most [`LEAVES_MAX`].
    pub leaves: u64,
}

/// The cut of a tree into parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    leaves: u64,
    /// c: a part is 2^c leaves.
    log: u32,
}

impl Cut {
    /// The cut of a tree of so many leaves; `None` above [`LEAVES_MAX`].
    pub fn new(leaves: u64) -> Option<Cut> {
        if leaves > LEAVES_MAX {
            return None;
        }
        let log = leaves.div_ceil(PARTS_MAX as u64).max(1).next_power_of_two().ilog2();
        let cut = Cut { leaves, log };
        debug_assert!(cut.parts() as usize <= PARTS_MAX, "{leaves} leaves in parts of 2^{log}");
        Some(cut)
    }

    /// c: the level of the tree at which the parts' digests stand; leaves stand at level 0.
    pub fn level(self) -> u32 {
        self.log
    }

    /// How many parts there are.
    pub fn parts(self) -> u32 {
        self.leaves.div_ceil(1 << self.log) as u32
    }

    /// The leaves of a part, by their place; empty beyond the last part.
    pub fn leaves_of(self, nth: u32) -> Range<u64> {
        let first = (u64::from(nth) << self.log).min(self.leaves);
        first..(first + (1 << self.log)).min(self.leaves)
    }

    /// The root of the tree whose parts have these digests; `None` when it has not as many parts.
    pub fn root(self, digests: &[Digest]) -> Option<Digest> {
        (digests.len() == self.parts() as usize).then(|| merkle::root(Rule::Rfc6962, digests))
    }

    /// Cuts leaf hashes into the digests of the parts.
    pub fn digests(self, leaves: &[Digest]) -> Vec<Digest> {
        debug_assert_eq!(leaves.len() as u64, self.leaves, "the cut of another tree");
        leaves.chunks(1 << self.log).map(|part| merkle::root(Rule::Rfc6962, part)).collect()
    }

    /// The digest of a part that carries its leaves as byte strings (see [`append_leaf`]).
    ///
    /// # Errors
    /// [`WireError`] when `part` does not hold exactly the leaves of that place.
    pub fn digest_of(self, nth: u32, part: &Bytes) -> Result<Digest, WireError> {
        let leaves = self.read(nth, part)?;
        let hashes: Vec<_> = leaves.iter().map(|leaf| leaf_hash(Rule::Rfc6962, leaf)).collect();
        Ok(merkle::root(Rule::Rfc6962, &hashes))
    }

    /// The leaves that a part carries; views of its bytes.
    ///
    /// # Errors
    /// As [`Cut::digest_of`].
    pub fn read(self, nth: u32, part: &Bytes) -> Result<Vec<Bytes>, WireError> {
        let mut reader = Reader::new(part);
        // A hostile part costs no more than its own bytes: the count is not reserved beforehand.
        let mut leaves = Vec::new();
        for _ in self.leaves_of(nth) {
            leaves.push(reader.bytes(FRAME_BYTES_MAX, "leaf")?);
        }
        reader.finish()?;
        Ok(leaves)
    }
}

/// Appends a leaf to a part.
///
/// # Panics
/// When the leaf is longer than a frame.
pub fn append_leaf(leaf: &[u8], part: &mut Vec<u8>) {
    encode_bytes(leaf, part);
}

impl Encode for StateRoot {
    fn encode(&self, out: &mut Vec<u8>) {
        self.root.encode(out);
        self.leaves.encode(out);
    }
}

impl Decode for StateRoot {
    const SIZE_MIN: usize = 32 + 8;
    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(StateRoot { root: Digest::decode(reader)?, leaves: u64::decode(reader)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u64) -> Vec<Vec<u8>> {
        (0..count).map(|leaf| leaf.to_le_bytes()[..(leaf % 9) as usize].to_vec()).collect()
    }

    #[test]
    fn the_parts_digests_combine_to_the_root_at_every_size() {
        for count in (0..40).chain([1023, 1024, 1025, 2047, 2048, 2049, 5000]) {
            let leaves = leaves(count);
            let hashes: Vec<_> = leaves.iter().map(|leaf| leaf_hash(Rule::Rfc6962, leaf)).collect();
            let cut = Cut::new(count).unwrap();
            let digests = cut.digests(&hashes);
            assert_eq!(cut.root(&digests), Some(merkle::root(Rule::Rfc6962, &hashes)), "{count}");
            for nth in 0..cut.parts() {
                let mut part = Vec::new();
                let range = cut.leaves_of(nth);
                range.clone().for_each(|leaf| append_leaf(&leaves[leaf as usize], &mut part));
                let part = Bytes::from(part);
                assert_eq!(cut.digest_of(nth, &part), Ok(digests[nth as usize]));
                assert_eq!(cut.read(nth, &part).unwrap().len() as u64, range.end - range.start);
                assert!(cut.digest_of(nth, &part.slice(..part.len() - 1)).is_err());
                let longer = Bytes::from([&part[..], &[0; 4]].concat());
                assert!(matches!(cut.digest_of(nth, &longer), Err(WireError::Trailing { .. })));
            }
        }
    }

    #[test]
    fn there_are_never_more_parts_than_the_bound_and_no_fewer_than_half_of_it() {
        for leaves in [1025, 1 << 17, (1 << 17) + 1, (1 << 20) + 1, LEAVES_MAX] {
            let parts = Cut::new(leaves).unwrap().parts() as usize;
            assert!((PARTS_MAX / 2..=PARTS_MAX).contains(&parts), "{leaves} leaves: {parts}");
        }
        assert_eq!(Cut::new(1000).unwrap().parts(), 1000);
        assert_eq!(Cut::new(LEAVES_MAX + 1), None);
    }
}
