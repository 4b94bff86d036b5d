//! Frontiers, multi-proofs and consistency proofs.

use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use quorumark_primitives::Digest;
use quorumark_primitives::merkle::{
    ConsistencyProof, Frontier, LEAF_COUNT_MAX, MULTI_PROOF_LEAVES_MAX, MultiProof, ProofError,
    Rule, Tree, leaf_hash, root,
};
use quorumark_primitives::wire::{Decode, Encode};

use crate::merkle::leaves;

/// Leaves of the Certificate Transparency project's Merkle tree test.
const CT_LEAVES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];

fn flipped(mut digest: Digest, bit: Index) -> Digest {
    let bit = bit.index(256);
    digest.0[bit / 8] ^= 1 << (bit % 8);
    digest
}

#[test]
fn a_frontier_and_a_growing_tree_have_the_root_of_their_leaves_at_every_count() {
    for rule in Rule::ALL {
        let nodes = leaves(rule, 140);
        let (mut frontier, mut tree) = (Frontier::new(rule), Tree::build(rule, Vec::new()));
        assert_eq!(frontier.root(), rule.empty_root());
        for (before, leaf) in nodes.iter().enumerate() {
            frontier.append(*leaf);
            tree.append(*leaf);
            let expected = root(rule, &nodes[..=before]);
            assert_eq!(frontier.leaf_count(), before as u64 + 1);
            assert_eq!(frontier.root(), expected, "{rule} {before}");
            assert_eq!(tree.root(), expected, "{rule} {before}");
        }
        let built = Tree::build(rule, nodes);
        for index in 0..=140 {
            assert_eq!(tree.proof(index), built.proof(index), "{rule}");
        }
    }
}

#[test]
fn a_frontier_that_is_extended_by_runs_of_any_length_has_the_same_root() {
    for rule in Rule::ALL {
        let nodes = leaves(rule, 3000);
        let mut frontier = Frontier::new(rule);
        let mut rest = &nodes[..];
        for length in [0, 1, 2, 5, 64, 300, 1, 1025, 7].into_iter().cycle() {
            let (run, after) = rest.split_at(length.min(rest.len()));
            frontier.extend(run);
            rest = after;
            let added = nodes.len() - rest.len();
            assert_eq!(frontier.root(), root(rule, &nodes[..added]), "{rule} {added}");
            if rest.is_empty() {
                break;
            }
        }
    }
}

#[test]
fn rfc6962_2_1_2_a_consistency_proof_of_the_certificate_transparency_test() {
    let hex = |text: &str| -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
            .collect()
    };
    let nodes = CT_LEAVES.map(|data| leaf_hash(Rule::Rfc6962, &hex(data)));
    let tree = Tree::build(Rule::Rfc6962, nodes.to_vec());
    let shown = |old| {
        let proof = tree.consistency_proof(old).unwrap();
        proof.path.iter().map(Digest::to_string).collect::<Vec<_>>()
    };
    let (second, third) = (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    );
    let right = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";
    assert_eq!(shown(1), [second, third, right]);
    assert_eq!(shown(4), [right]);
    assert_eq!(shown(8), [""; 0]);
}

/// RFC 6962 2.1.3 draws the tree of seven leaves and names the nodes of its consistency proofs.
#[test]
fn rfc6962_2_1_3_the_examples_over_seven_leaves() {
    let nodes = leaves(Rule::Rfc6962, 7);
    let tree = Tree::build(Rule::Rfc6962, nodes.clone());
    let over = |range: core::ops::Range<usize>| root(Rule::Rfc6962, &nodes[range]);
    let path = |old| tree.consistency_proof(old).unwrap().path;
    assert_eq!(path(3), [over(2..3), over(3..4), over(0..2), over(4..7)]);
    assert_eq!(path(4), [over(4..7)]);
    assert_eq!(path(6), [over(4..6), over(6..7), over(0..4)]);
}

#[test]
fn every_pair_of_counts_is_consistent_and_only_with_its_own_roots() {
    let nodes = leaves(Rule::Rfc6962, 70);
    let roots: Vec<Digest> = (1..=70).map(|count| root(Rule::Rfc6962, &nodes[..count])).collect();
    for new in 1..=70 {
        let tree = Tree::build(Rule::Rfc6962, nodes[..new].to_vec());
        for old in 1..=new {
            let proof = tree.consistency_proof(old as u64).unwrap();
            let (old_root, new_root) = (roots[old - 1], roots[new - 1]);
            assert_eq!(proof.verify(&old_root, &new_root), Ok(()), "{old} of {new}");
            assert_eq!(ConsistencyProof::from_frame(&proof.to_frame()).as_ref(), Ok(&proof));
            let other = roots[old % 70];
            assert!(proof.verify(&other, &new_root).is_err(), "{old} of {new}");
            assert!(proof.verify(&old_root, &roots[new % 70]).is_err(), "{old} of {new}");
        }
        assert_eq!(tree.consistency_proof(0), None);
        assert_eq!(tree.consistency_proof(new as u64 + 1), None);
    }
    for rule in [Rule::Bitcoin, Rule::Blake3] {
        assert_eq!(Tree::build(rule, nodes.clone()).consistency_proof(3), None, "{rule}");
    }
}

#[test]
fn a_consistency_proof_is_refused_for_counts_that_no_trees_have() {
    let proof = |old_count, new_count| ConsistencyProof { old_count, new_count, path: Vec::new() };
    let verify = |proof: ConsistencyProof| proof.verify(&Digest::ZERO, &Digest::ZERO).unwrap_err();
    let counts = ProofError::Counts { old_count: 0, new_count: 5 };
    assert_eq!(verify(proof(0, 5)), counts);
    assert_eq!(verify(proof(6, 5)), ProofError::Counts { old_count: 6, new_count: 5 });
    let beyond = LEAF_COUNT_MAX + 1;
    assert_eq!(verify(proof(1, beyond)), ProofError::LeafCount { leaf_count: beyond });
    let expected = LEAF_COUNT_MAX.ilog2() as usize;
    let wrong = verify(proof(1, LEAF_COUNT_MAX));
    assert_eq!(wrong, ProofError::PathLength { found: 0, expected });
}

#[test]
fn a_multi_proof_of_all_leaves_has_no_path_and_one_of_a_single_leaf_is_its_inclusion_proof() {
    for rule in [Rule::Rfc6962, Rule::Blake3] {
        for count in 1..=33 {
            let nodes = leaves(rule, count);
            let tree = Tree::build(rule, nodes.clone());
            let all: Vec<u64> = (0..count as u64).collect();
            let proof = tree.multi_proof(&all).unwrap();
            assert!(proof.path.is_empty());
            assert_eq!(proof.verify(&nodes, &tree.root()), Ok(()), "{rule} {count}");
            for index in all {
                let single = tree.multi_proof(&[index]).unwrap();
                assert_eq!(single.path, tree.proof(index).unwrap().path);
            }
        }
    }
}

#[test]
fn a_multi_proof_must_not_use_a_mutated_tree() {
    // CVE-2012-2459: four leaves, the last doubled, have the root of three.
    let mut nodes = leaves(Rule::Bitcoin, 3);
    let honest = root(Rule::Bitcoin, &nodes);
    nodes.push(nodes[2]);
    let tree = Tree::build(Rule::Bitcoin, nodes.clone());
    assert_eq!(tree.root(), honest);
    for indices in [&[2, 3][..], &[3], &[0, 2]] {
        let asked: Vec<Digest> = indices.iter().map(|index| nodes[*index as usize]).collect();
        let refused = tree.multi_proof(indices).unwrap().verify(&asked, &honest);
        assert_eq!(refused, Err(ProofError::Duplicate { level: 0 }), "{indices:?}");
    }
}

#[test]
fn a_multi_proof_out_of_shape_is_refused() {
    let nodes = leaves(Rule::Rfc6962, 9);
    let tree = Tree::build(Rule::Rfc6962, nodes.clone());
    for indices in [&[][..], &[3, 3], &[4, 2], &[9]] {
        assert_eq!(tree.multi_proof(indices), None, "{indices:?}");
    }
    let good = tree.multi_proof(&[2, 5]).unwrap();
    let (asked, root) = ([nodes[2], nodes[5]], tree.root());
    let changed = |change: &dyn Fn(&mut MultiProof)| {
        let mut proof = good.clone();
        change(&mut proof);
        proof.verify(&asked, &root)
    };
    assert_eq!(changed(&|_| ()), Ok(()));
    let indices = |found| Err(ProofError::Indices { found });
    assert_eq!(changed(&|proof| proof.indices = vec![5, 2]), indices(2));
    assert_eq!(changed(&|proof| proof.indices.clear()), indices(0));
    let many = MULTI_PROOF_LEAVES_MAX + 1;
    assert_eq!(changed(&|proof| proof.indices = (0..many as u64).collect()), indices(many));
    let outside = ProofError::Index { index: 9, leaf_count: 9 };
    assert_eq!(changed(&|proof| proof.indices[1] = 9), Err(outside));
    let leaf_count = LEAF_COUNT_MAX + 1;
    let too_large = Err(ProofError::LeafCount { leaf_count });
    assert_eq!(changed(&|proof| proof.leaf_count = leaf_count), too_large);
    let length = ProofError::PathLength { found: good.path.len() - 1, expected: good.path.len() };
    assert_eq!(changed(&|proof| proof.path.truncate(proof.path.len() - 1)), Err(length));
    let leaves = ProofError::Leaves { found: 1, expected: 2 };
    assert_eq!(good.verify(&asked[..1], &root), Err(leaves));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_selection_of_leaves_is_proved_and_nothing_else(
        rule in proptest::sample::select(Rule::ALL.as_slice()),
        (count, indices) in (1usize..=70).prop_flat_map(|count| {
            let all: Vec<u64> = (0..count as u64).collect();
            (Just(count), subsequence(all, 1..=count))
        }),
        (place, bit) in any::<(Index, Index)>(),
    ) {
        let nodes = leaves(rule, count);
        let tree = Tree::build(rule, nodes.clone());
        let root = tree.root();
        let proof = tree.multi_proof(&indices).unwrap();
        let asked: Vec<Digest> = indices.iter().map(|index| nodes[*index as usize]).collect();
        prop_assert_eq!(proof.verify(&asked, &root), Ok(()));
        let decoded = MultiProof::from_frame(&proof.to_frame());
        prop_assert_eq!(decoded.as_ref(), Ok(&proof));
        prop_assert!(proof.verify(&asked, &flipped(root, bit)).is_err());
        let mut others = asked.clone();
        let place = place.index(asked.len());
        others[place] = flipped(others[place], bit);
        prop_assert!(proof.verify(&others, &root).is_err());
        for sibling in 0..proof.path.len() {
            let mut changed = proof.clone();
            changed.path[sibling] = flipped(changed.path[sibling], bit);
            prop_assert!(changed.verify(&asked, &root).is_err());
        }
        let singly: usize =
            indices.iter().map(|index| tree.proof(*index).unwrap().path.len()).sum();
        prop_assert!(proof.path.len() <= singly);
    }

    #[test]
    fn a_consistency_proof_with_one_bit_changed_fails(
        new in 2usize..=70, old in any::<Index>(), bit in any::<Index>(),
    ) {
        let nodes = leaves(Rule::Rfc6962, new);
        let old = 1 + old.index(new - 1);
        let tree = Tree::build(Rule::Rfc6962, nodes.clone());
        let (old_root, new_root) = (root(Rule::Rfc6962, &nodes[..old]), tree.root());
        let proof = tree.consistency_proof(old as u64).unwrap();
        prop_assert!(proof.verify(&flipped(old_root, bit), &new_root).is_err());
        prop_assert!(proof.verify(&old_root, &flipped(new_root, bit)).is_err());
        for place in 0..proof.path.len() {
            let mut changed = proof.clone();
            changed.path[place] = flipped(changed.path[place], bit);
            prop_assert!(changed.verify(&old_root, &new_root).is_err());
        }
    }
}
