//! Merkle trees: roots, trees with all levels, inclusion proofs, under three rules.
//!
//! [`root`] computes a root and keeps nothing, level by level in blocks that stay in the cache;
//! [`root_parallel`] does so on the current rayon pool. [`Tree`] keeps every level and makes an
//! [`InclusionProof`] for any leaf, a [`MultiProof`] for several, and under RFC 6962's rule a
//! [`ConsistencyProof`] that one tree continues another. [`Frontier`] takes leaves one by one, keeps a
//! node a level, and knows the root at any time. A [`Rule`] says how leaves and nodes are hashed. All functions
//! take leaf hashes; [`leaf_hash`] makes one of data.

mod consistency;
mod frontier;
mod multi;
mod proof;
mod root;
mod rule;
mod self_check;
mod tree;

pub use consistency::{CONSISTENCY_PATH_LENGTH_MAX, ConsistencyProof};
pub use frontier::Frontier;
pub use multi::{MULTI_PROOF_LEAVES_MAX, MultiProof};
pub use proof::{InclusionProof, LEAF_COUNT_MAX, PATH_LENGTH_MAX, ProofError};
pub use root::{Mutated, bitcoin_root_checked, root, root_parallel, root_parallel_with, root_with};
pub use rule::{Rule, UnknownRule, leaf_hash};
pub use self_check::self_check;
pub use tree::Tree;
