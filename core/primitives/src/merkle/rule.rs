//! The three ways to make a Merkle tree: how leaves and nodes are hashed, what an odd node becomes.

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

use crate::Digest;
use crate::hash::{Sha256, blake3_keyed, blake3_keyed_pairs, sha256, sha256d};
use crate::sha256::{self, Path};
use crate::wire::{Decode, Encode, Reader, WireError};

/// The tag before a leaf's data (RFC 6962 2.1).
const RFC6962_LEAF: u8 = 0;
/// The tag before a node's two children (RFC 6962 2.1).
const RFC6962_NODE: u8 = 1;

/// The keys that part the BLAKE3 rule's leaves, inner nodes and roots. They are public.
const BLAKE3_LEAF: &[u8; 32] = b"quorumark merkle tree v1    leaf";
const BLAKE3_NODE: &[u8; 32] = b"quorumark merkle tree v1    node";
const BLAKE3_ROOT: &[u8; 32] = b"quorumark merkle tree v1    root";

/// A rule for Merkle trees. Prints and parses as `bitcoin`, `rfc6962`, `blake3`.
///
/// | rule | leaf hash | inner node | odd node of a level | empty tree |
/// |---|---|---|---|---|
/// | Bitcoin | SHA-256d(data), a txid | SHA-256d(left, right) | paired with itself | zero |
/// | RFC 6962 | SHA-256(0, data) | SHA-256(1, left, right) | moves up as it is | SHA-256() |
/// | BLAKE3 | keyed `leaf`(data) | keyed `node`(left, right) | moves up as it is | see below |
///
/// Under Bitcoin's rule leaves and inner nodes share one hash function, and equal siblings look
/// like a duplicated odd node; see [`super::bitcoin_root_checked`] and [`super::InclusionProof`].
///
/// RFC 6962 splits a tree of n leaves at the largest power of two below n; hashing level by level
/// and moving an odd node up gives the same tree. BLAKE3 takes that shape too. It is our own rule:
/// its leaves, nodes and roots are keyed BLAKE3 under three public keys, and its root is the hash
/// of the leaf count (`u64`, little-endian) and the top node, so that, unlike the other two, the
/// root commits to the number of leaves. The root of its empty tree is that of count 0, no node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// Bitcoin's block trees.
    Bitcoin,
    /// Certificate Transparency's trees (RFC 6962 2.1, RFC 9162 2.1.1).
    Rfc6962,
    /// RFC 6962's shape over keyed BLAKE3, with the leaf count in the root.
    Blake3,
}

/// A name that is no [`Rule`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no Merkle rule is named {name:?}; known are bitcoin, rfc6962, blake3")]
pub struct UnknownRule {
    /// The name given.
    pub name: String,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Rule; 3] = [Rule::Bitcoin, Rule::Rfc6962, Rule::Blake3];

    /// The rule's name, as in a configuration and a record.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Bitcoin => "bitcoin",
            Rule::Rfc6962 => "rfc6962",
            Rule::Blake3 => "blake3",
        }
    }

    /// The root of the tree without leaves.
    pub fn empty_root(self) -> Digest {
        match self {
            Rule::Bitcoin => Digest::ZERO,
            Rule::Rfc6962 => sha256(&[]),
            Rule::Blake3 => blake3_keyed(BLAKE3_ROOT, &0u64.to_le_bytes()),
        }
    }

    /// The hash of an inner node.
    pub(super) fn node(self, left: Digest, right: Digest) -> Digest {
        let mut parent = [Digest::ZERO];
        self.pairs(sha256::path(), &[[left, right]], &mut parent);
        parent[0]
    }

    /// Whether an odd node of a level is paired with itself, rather than moved up.
    pub(super) fn duplicates_odd(self) -> bool {
        self == Rule::Bitcoin
    }

    /// The root of a tree of `leaf_count` leaves, at least one, whose top node is `top`.
    pub(super) fn seal(self, leaf_count: u64, top: Digest) -> Digest {
        debug_assert!(leaf_count > 0, "an empty tree has no top node");
        match self {
            Rule::Bitcoin | Rule::Rfc6962 => top,
            Rule::Blake3 => {
                let mut message = [0; 40];
                message[..8].copy_from_slice(&leaf_count.to_le_bytes());
                message[8..].copy_from_slice(&top.0);
                blake3_keyed(BLAKE3_ROOT, &message)
            }
        }
    }

    /// The level above `nodes`, into `out`, which holds half as many, rounded up.
    pub(super) fn parents(self, path: Path, nodes: &[Digest], out: &mut [Digest]) {
        assert_eq!(out.len(), nodes.len().div_ceil(2), "one parent for every two nodes");
        let (pairs, odd) = nodes.as_chunks::<2>();
        let (paired, last) = out.split_at_mut(pairs.len());
        self.pairs(path, pairs, paired);
        if let ([node], [parent]) = (odd, last) {
            *parent = if self.duplicates_odd() { self.node(*node, *node) } else { *node };
        }
    }

    /// The inner node of each pair.
    pub(super) fn pairs(self, path: Path, pairs: &[[Digest; 2]], out: &mut [Digest]) {
        match self {
            Rule::Bitcoin => sha256::sha256d_pairs_with(path, pairs, out),
            Rule::Rfc6962 => sha256::tagged_pairs_with(path, RFC6962_NODE, pairs, out),
            Rule::Blake3 => blake3_keyed_pairs(BLAKE3_NODE, pairs, out),
        }
    }
}

/// The hash of a leaf with this data; under Bitcoin's rule the data is a transaction without its
/// witness, and the hash its txid.
pub fn leaf_hash(rule: Rule, data: &[u8]) -> Digest {
    match rule {
        Rule::Bitcoin => sha256d(data),
        Rule::Rfc6962 => {
            let mut hasher = Sha256::new();
            hasher.update(&[RFC6962_LEAF]);
            hasher.update(data);
            hasher.finish()
        }
        Rule::Blake3 => blake3_keyed(BLAKE3_LEAF, data),
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Rule {
    type Err = UnknownRule;

    fn from_str(name: &str) -> Result<Rule, UnknownRule> {
        let known = Rule::ALL.into_iter().find(|rule| rule.name() == name);
        known.ok_or_else(|| UnknownRule { name: name.to_owned() })
    }
}

impl Encode for Rule {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Rule::Bitcoin => 0,
            Rule::Rfc6962 => 1,
            Rule::Blake3 => 2,
        });
    }
}

impl Decode for Rule {
    const SIZE_MIN: usize = 1;

    fn decode(reader: &mut Reader<'_>) -> Result<Rule, WireError> {
        let tag = u8::decode(reader)?;
        let rule = Rule::ALL.get(usize::from(tag)).copied();
        rule.ok_or(WireError::Tag { tag, of: "Merkle rule" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_survives_its_name_and_its_encoding() {
        for rule in Rule::ALL {
            assert_eq!(rule.to_string().parse(), Ok(rule));
            assert_eq!(Rule::from_frame(&rule.to_frame()), Ok(rule));
        }
        assert!("sha1".parse::<Rule>().is_err());
        assert!(Rule::from_frame(&bytes::Bytes::from_static(&[3])).is_err());
    }

    #[test]
    fn leaves_and_nodes_are_apart_except_under_bitcoins_rule() {
        let (left, right) = (sha256(b"left"), sha256(b"right"));
        let data = [left.0, right.0].concat();
        for rule in Rule::ALL {
            let alike = leaf_hash(rule, &data) == rule.node(left, right);
            assert_eq!(alike, rule == Rule::Bitcoin, "{rule}");
        }
    }
}
