//! Merkle roots, trees and proofs under every rule.

use proptest::prelude::*;
use quorumark_primitives::Digest;
use quorumark_primitives::hash::{blake3_keyed, blake3_keyed_pairs, sha256, sha256d};
use quorumark_primitives::merkle::{
    InclusionProof, Mutated, ProofError, Rule, Tree, bitcoin_root_checked, leaf_hash, root,
    root_parallel, root_with, self_check,
};
use quorumark_primitives::sha256::Path;
use quorumark_primitives::wire::{Decode, Encode};

/// More leaves than any block of the reduction holds.
const MANY: usize = 1557;

pub(crate) fn leaves(rule: Rule, count: usize) -> Vec<Digest> {
    (0..count).map(|i| leaf_hash(rule, &(i as u64).to_le_bytes())).collect()
}

/// Bitcoin's rule as its definition reads, without blocks or kernels.
fn naive_bitcoin_root(nodes: &[Digest]) -> Digest {
    if let [root] = nodes {
        return *root;
    }
    let parent = |pair: &[Digest]| sha256d(&[pair[0].0, pair[pair.len() - 1].0].concat());
    naive_bitcoin_root(&nodes.chunks(2).map(parent).collect::<Vec<_>>())
}

/// RFC 6962 2.1 as it reads: split at the largest power of two below the count.
fn naive_rfc6962_root(nodes: &[Digest]) -> Digest {
    if let [root] = nodes {
        return *root;
    }
    let (left, right) = nodes.split_at(nodes.len().next_power_of_two() / 2);
    let children = [naive_rfc6962_root(left).0, naive_rfc6962_root(right).0].concat();
    sha256(&[&[1], &children[..]].concat())
}

/// Where the siblings of a leaf stand; two counts with equal answers share their proofs.
fn shape(index: u64, leaf_count: u64) -> Vec<(bool, bool)> {
    let (mut position, mut last) = (index, leaf_count - 1);
    let mut shape = Vec::new();
    while last > 0 {
        shape.push((position % 2 == 1, position == last && position % 2 == 0));
        (position, last) = (position / 2, last / 2);
    }
    shape
}

#[test]
fn roots_of_the_certificate_transparency_test_and_every_other_self_check() {
    let checks = self_check();
    assert!(checks.iter().any(|check| check.name.contains("vectors=ct")));
    for check in checks {
        assert!(check.passed, "{}", check.name);
    }
}

#[test]
fn roots_agree_with_the_definitions_for_every_small_count_and_around_a_block() {
    for count in (1..=70).chain([511, 513, 1025, MANY, 2047, 2048, 2049]) {
        let nodes = leaves(Rule::Bitcoin, count);
        assert_eq!(root(Rule::Bitcoin, &nodes), naive_bitcoin_root(&nodes), "{count}");
        assert_eq!(root(Rule::Rfc6962, &nodes), naive_rfc6962_root(&nodes), "{count}");
        for rule in Rule::ALL {
            let tree = Tree::build(rule, nodes.clone());
            assert_eq!(tree.root(), root(rule, &nodes), "{rule} {count}");
            assert_eq!(tree.leaf_count(), count as u64);
        }
    }
}

#[test]
fn blake3_nodes_hashed_many_at_once_are_the_keyed_hashes_of_their_children() {
    let nodes = leaves(Rule::Blake3, 80);
    for count in 0..=40 {
        let pairs = &nodes.as_chunks::<2>().0[..count];
        let mut out = vec![Digest::ZERO; count];
        blake3_keyed_pairs(&[7; 32], pairs, &mut out);
        for ([left, right], digest) in pairs.iter().zip(out) {
            assert_eq!(digest, blake3_keyed(&[7; 32], &[left.0, right.0].concat()));
        }
    }
}

#[test]
fn roots_of_many_blocks_agree_on_every_path_and_with_the_definition() {
    // A hundred blocks of 2048, and a short one.
    let nodes: Vec<Digest> = (0..100u64 * 2048 + 515).map(|i| sha256(&i.to_le_bytes())).collect();
    for (rule, expected) in [
        (Rule::Bitcoin, naive_bitcoin_root(&nodes)),
        (Rule::Rfc6962, naive_rfc6962_root(&nodes)),
        (Rule::Blake3, Tree::build(Rule::Blake3, nodes.clone()).root()),
    ] {
        assert_eq!(root(rule, &nodes), expected, "{rule}");
        assert_eq!(root_parallel(rule, &nodes), expected, "{rule}");
        assert_eq!(root_with(Path::PORTABLE, rule, &nodes), expected, "{rule}");
    }
}

#[test]
fn the_empty_tree_has_the_documented_root_and_no_proof() {
    for rule in Rule::ALL {
        let tree = Tree::build(rule, Vec::new());
        assert_eq!(tree.root(), rule.empty_root());
        assert_eq!(root(rule, &[]), rule.empty_root());
        assert_eq!(root_parallel(rule, &[]), rule.empty_root());
        assert_eq!(tree.proof(0), None);
    }
    assert_eq!(Rule::Bitcoin.empty_root(), Digest::ZERO);
    assert_eq!(Rule::Rfc6962.empty_root(), sha256(b""));
    assert_eq!(bitcoin_root_checked(&[]), Ok(Digest::ZERO));
}

#[test]
fn parallel_roots_and_trees_equal_the_sequential_ones_in_any_pool() {
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for count in [1, 513, MANY, 2048, 2049, 5000] {
            for rule in Rule::ALL {
                let nodes = leaves(rule, count);
                let expected = root(rule, &nodes);
                assert_eq!(pool.install(|| root_parallel(rule, &nodes)), expected);
                let tree = pool.install(|| Tree::build_parallel(rule, nodes));
                assert_eq!(tree.root(), expected);
            }
        }
    }
}

#[test]
fn bitcoin_root_detects_the_duplicated_last_leaf() {
    // CVE-2012-2459: repeating the last leaves where the tree repeats them keeps the root.
    for (count, repeated) in
        [(3, 1), (5, 1), (6, 2), (7, 1), (9, 1), (12, 4), (1027, 1), (1536, 512)]
    {
        let honest = leaves(Rule::Bitcoin, count);
        let root = bitcoin_root_checked(&honest).unwrap();
        let mut mutated = honest.clone();
        mutated.extend_from_slice(&honest[count - repeated..]);
        assert_eq!(bitcoin_root_checked(&mutated), Err(Mutated { root }), "{count}");
    }
}

#[test]
fn bitcoin_root_accepts_equal_leaves_that_are_no_siblings() {
    let mut nodes = leaves(Rule::Bitcoin, 6);
    nodes[2] = nodes[1];
    assert_eq!(bitcoin_root_checked(&nodes), Ok(naive_bitcoin_root(&nodes)));
}

#[test]
fn the_proof_of_every_leaf_verifies() {
    for rule in Rule::ALL {
        for count in 1..=70 {
            let nodes = leaves(rule, count);
            let tree = Tree::build(rule, nodes.clone());
            for (index, leaf) in nodes.iter().enumerate() {
                let proof = tree.proof(index as u64).unwrap();
                assert_eq!(proof.verify(leaf, &tree.root()), Ok(()), "{rule} {index} of {count}");
                assert_eq!(InclusionProof::from_frame(&proof.to_frame()).as_ref(), Ok(&proof));
                let data = (index as u64).to_le_bytes();
                assert_eq!(proof.verify_data(&data, &tree.root()), Ok(()));
            }
            assert_eq!(tree.proof(count as u64), None);
        }
    }
}

#[test]
fn a_bitcoin_proof_of_a_block_of_1557_transactions_has_11_hashes() {
    let tree = Tree::build(Rule::Bitcoin, leaves(Rule::Bitcoin, 1557));
    for index in [0, 700, 1556] {
        assert_eq!(tree.proof(index).unwrap().path.len(), 11);
    }
}

#[test]
fn a_bitcoin_proof_must_not_use_a_mutated_tree() {
    let mut nodes = leaves(Rule::Bitcoin, 3);
    let honest = root(Rule::Bitcoin, &nodes);
    nodes.push(nodes[2]);
    let tree = Tree::build(Rule::Bitcoin, nodes.clone());
    assert_eq!(tree.root(), honest);
    for index in [2, 3] {
        let refused = tree.proof(index).unwrap().verify(&nodes[2], &honest);
        assert_eq!(refused, Err(ProofError::Duplicate { level: 0 }));
    }
}

#[test]
fn a_bitcoin_leaf_of_64_bytes_is_refused() {
    // CVE-2017-12842: the inner node over leaves 0 and 1, sold as a leaf of a tree half as wide.
    let nodes = leaves(Rule::Bitcoin, 4);
    let tree = Tree::build(Rule::Bitcoin, nodes.clone());
    let data = [nodes[0].0, nodes[1].0].concat();
    let mut proof = tree.proof(0).unwrap();
    let root = tree.root();
    assert!(matches!(proof.verify_data(&data, &root), Err(ProofError::AmbiguousLeaf)));
    let inner = sha256d(&data);
    assert!(matches!(proof.verify(&inner, &root), Err(ProofError::Root { .. })));
    proof.path.remove(0);
    assert_eq!(proof.verify(&inner, &root), Err(ProofError::PathLength { found: 1, expected: 2 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_proof_with_one_bit_changed_fails(
        rule in proptest::sample::select(Rule::ALL.as_slice()),
        count in 1usize..=70,
        index in any::<proptest::sample::Index>(),
        bit in any::<proptest::sample::Index>(),
    ) {
        let nodes = leaves(rule, count);
        let tree = Tree::build(rule, nodes.clone());
        let index = index.index(count);
        let (leaf, root) = (nodes[index], tree.root());
        let proof = tree.proof(index as u64).unwrap();
        let flipped = |mut digest: Digest| {
            let bit = bit.index(256);
            digest.0[bit / 8] ^= 1 << (bit % 8);
            digest
        };
        prop_assert!(proof.verify(&flipped(leaf), &root).is_err());
        prop_assert!(proof.verify(&leaf, &flipped(root)).is_err());
        for level in 0..proof.path.len() {
            let mut changed = proof.clone();
            changed.path[level] = flipped(changed.path[level]);
            prop_assert!(changed.verify(&leaf, &root).is_err());
        }
        for bit in 0..64 {
            let mut changed = proof.clone();
            changed.index ^= 1 << bit;
            prop_assert!(changed.verify(&leaf, &root).is_err());
            let mut changed = proof.clone();
            changed.leaf_count ^= 1 << bit;
            // Only the BLAKE3 root commits to the count; the others bind the steps it asks for.
            let same_steps = rule != Rule::Blake3
                && changed.leaf_count > proof.index
                && changed.leaf_count <= 1 << 40
                && bound_steps(rule, &changed) == bound_steps(rule, &proof);
            prop_assert_eq!(changed.verify(&leaf, &root).is_ok(), same_steps);
        }
    }

    #[test]
    fn a_path_of_another_length_fails(
        rule in proptest::sample::select(Rule::ALL.as_slice()),
        count in 1usize..=70,
        index in any::<proptest::sample::Index>(),
    ) {
        let nodes = leaves(rule, count);
        let tree = Tree::build(rule, nodes.clone());
        let index = index.index(count);
        let mut proof = tree.proof(index as u64).unwrap();
        proof.path.push(Digest::ZERO);
        let refused = proof.verify(&nodes[index], &tree.root());
        let expected = proof.path.len() - 1;
        let found = proof.path.len();
        prop_assert_eq!(refused, Err(ProofError::PathLength { found, expected }));
    }
}

/// The steps of a proof as far as its rule sees them: RFC 6962 skips a level where the node is odd.
fn bound_steps(rule: Rule, proof: &InclusionProof) -> Vec<(bool, bool)> {
    let mut steps = shape(proof.index, proof.leaf_count);
    steps.retain(|(_, odd)| rule == Rule::Bitcoin || !odd);
    steps
}
