//! Merkle roots of 2^20 leaves: Bitcoin's rule, RFC 6962's and BLAKE3's.

use std::hint::black_box;

use merkle_cbt::{CBMT, merkle_tree::Merge};
use quorumark_micro::fixtures;
use quorumark_primitives::hash;
use quorumark_primitives::merkle::{Rule, root};
use sha2::{Digest as _, Sha256};

use super::{Contender, Contest, Goal, MICROSECOND, Row, Unit};

pub(super) const CONTESTS: &[Row] = &[
    ("Merkle root of 2^20 leaves, Bitcoin's rule, a leaf", bitcoin),
    ("the same, RFC 6962's rule", rfc_6962),
    ("the same, BLAKE3", blake3),
];

const LEAVES: usize = 1 << 20;

fn sha256d(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let inner = Sha256::new().chain_update(left).chain_update(right).finalize();
    Sha256::digest(inner).into()
}

/// Double SHA-256 of two nodes, as rs_merkle asks for it.
#[derive(Clone)]
struct Bitcoin;

impl rs_merkle::Hasher for Bitcoin {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        Sha256::digest(Sha256::digest(data)).into()
    }
}

/// The same as merkle-cbt asks for it.
struct Pairs;

impl Merge for Pairs {
    type Item = [u8; 32];

    fn merge(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
        sha256d(left, right)
    }
}

fn bitcoin(name: &'static str) -> Contest {
    let leaves = fixtures::digests(LEAVES);
    let plain: Vec<[u8; 32]> = leaves.iter().map(|leaf| leaf.0).collect();
    let expected = root(Rule::Bitcoin, &leaves).0;
    let each = |name, root: fn(&[[u8; 32]]) -> [u8; 32]| {
        let plain = plain.clone();
        Contender::new(name, move || assert_eq!(root(black_box(&plain)), expected))
    };
    let contenders = vec![
        Contender::new("ours", move || {
            assert_eq!(root(Rule::Bitcoin, black_box(&leaves)).0, expected);
        }),
        each("a loop of sha2", |leaves| halve(leaves, sha256d)),
        each("rs_merkle", |leaves| {
            let tree = rs_merkle::MerkleTree::<Bitcoin>::from_leaves(leaves);
            tree.root().expect("a tree of leaves has a root")
        }),
        each("merkle-cbt", CBMT::<[u8; 32], Pairs>::build_merkle_root),
    ];
    let goals = &[
        // 19 M leaves a second.
        Goal::Cycles(MICROSECOND / 19.0),
        Goal::Share("a loop of sha2", 1.0 / 3.0),
        Goal::Share("rs_merkle", 1.0 / 9.0),
        Goal::Share("merkle-cbt", 1.0 / 2.7),
    ];
    Contest { name, unit: Unit::Nanoseconds, items: LEAVES, goals, contenders }
}

fn rfc_6962(name: &'static str) -> Contest {
    by_halves(name, Rule::Rfc6962, |leaves| {
        halve(leaves, |left, right| {
            Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
        })
    })
}

/// The keys are those of the rule; its root binds the number of leaves.
fn blake3(name: &'static str) -> Contest {
    let keyed = |key: &[u8; 32], parts: [&[u8]; 2]| hash::blake3_keyed(key, &parts.concat()).0;
    by_halves(name, Rule::Blake3, move |leaves| {
        let top = halve(leaves, |left, right| {
            let mut pair = [0; 64];
            pair[..32].copy_from_slice(left);
            pair[32..].copy_from_slice(right);
            hash::blake3_keyed(b"quorumark merkle tree v1    node", &pair).0
        });
        let count = (leaves.len() as u64).to_le_bytes();
        keyed(b"quorumark merkle tree v1    root", [&count, &top])
    })
}

/// Ours beside one node after the other.
fn by_halves(
    name: &'static str,
    rule: Rule,
    unbatched: impl Fn(&[[u8; 32]]) -> [u8; 32] + 'static,
) -> Contest {
    let leaves = fixtures::digests(LEAVES);
    let plain: Vec<[u8; 32]> = leaves.iter().map(|leaf| leaf.0).collect();
    let expected = root(rule, &leaves).0;
    let contenders = vec![
        Contender::new("ours", move || assert_eq!(root(rule, black_box(&leaves)).0, expected)),
        Contender::new("node by node", move || assert_eq!(unbatched(black_box(&plain)), expected)),
    ];
    let goals = &[Goal::Share("node by node", 0.5)];
    Contest { name, unit: Unit::Nanoseconds, items: LEAVES, goals, contenders }
}

/// The root over a power of two of leaves, level by level.
fn halve(leaves: &[[u8; 32]], node: impl Fn(&[u8; 32], &[u8; 32]) -> [u8; 32]) -> [u8; 32] {
    let above = |level: &[[u8; 32]]| -> Vec<[u8; 32]> {
        level.as_chunks::<2>().0.iter().map(|[left, right]| node(left, right)).collect()
    };
    let mut level = above(leaves);
    while level.len() > 1 {
        level = above(&level);
    }
    level[0]
}
