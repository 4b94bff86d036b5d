//! Merkle trees by number of leaves and rule.
//!
//! Timed: `root`, from leaf hashes to the root, nothing kept; `build`, a tree with all its levels;
//! `proof`, the proof of one leaf from a tree in memory; `verify`, one proof against the root.
//! Proofs are those of [`LEAVES_ASKED`] random leaves in turn. With more than one thread the work
//! is done by a rayon pool that was started before.

use std::hint::black_box;

use criterion::Throughput;
use quorumark_micro::{Id, fixtures};
use quorumark_primitives::Digest;
use quorumark_primitives::merkle::{InclusionProof, Rule, Tree, root, root_parallel};
use rand::RngExt;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::suite::{Bench, Routine};

pub(crate) const ROUTINES: &[Routine] = &[
    ("merkle::root", measure_root),
    ("merkle::build", build),
    ("merkle::proof", proof),
    ("merkle::verify", verify),
];

/// Leaves whose proofs are asked for in turn.
const LEAVES_ASKED: usize = 64;

fn measure_root(id: &Id, bench: Bench<'_, '_>) {
    let (leaves, rule) = (id.number("leaves"), rule(id));
    let work = Throughput::Elements(leaves as u64);
    let fixture = || {
        let leaves = fixtures::digests(leaves);
        let expected = Tree::build(rule, leaves.clone()).root();
        let pool = pool(id);
        assert_eq!(root(rule, &leaves), expected, "root and tree differ");
        assert_eq!(pool.install(|| root_parallel(rule, &leaves)), expected, "threads differ");
        (leaves, pool)
    };
    match id.number("threads") {
        1 => bench.measure(work, fixture, |(leaves, _)| root(rule, black_box(leaves))),
        _ => bench.measure(work, fixture, |(leaves, pool)| {
            pool.install(|| root_parallel(rule, black_box(leaves)))
        }),
    }
}

fn build(id: &Id, bench: Bench<'_, '_>) {
    let (leaves, rule, threads) = (id.number("leaves"), rule(id), id.number("threads"));
    let fixture = || {
        let leaves = fixtures::digests(leaves);
        let pool = pool(id);
        let parallel = pool.install(|| Tree::build_parallel(rule, leaves.clone()));
        assert_eq!(parallel.root(), root(rule, &leaves), "tree and root differ");
        (leaves, pool)
    };
    let work = Throughput::Elements(leaves as u64);
    bench.measure_each(
        work,
        fixture,
        |(leaves, _)| leaves.clone(),
        |(_, pool), leaves| match threads {
            1 => Tree::build(rule, leaves),
            _ => pool.install(|| Tree::build_parallel(rule, leaves)),
        },
    );
}

fn proof(id: &Id, bench: Bench<'_, '_>) {
    let (leaves, rule) = (id.number("leaves"), rule(id));
    let mut turn = 0;
    let fixture = || Asked::new(rule, leaves);
    bench.measure(Throughput::Elements(1), fixture, |asked| {
        turn = (turn + 1) % LEAVES_ASKED;
        asked.tree.proof(black_box(asked.proofs[turn].index))
    });
}

fn verify(id: &Id, bench: Bench<'_, '_>) {
    let (leaves, rule) = (id.number("leaves"), rule(id));
    let mut turn = 0;
    let fixture = || Asked::new(rule, leaves);
    bench.measure(Throughput::Elements(1), fixture, |asked| {
        turn = (turn + 1) % LEAVES_ASKED;
        asked.verify(black_box(turn))
    });
}

/// A tree and the proofs of some of its leaves.
struct Asked {
    tree: Tree,
    root: Digest,
    proofs: Vec<InclusionProof>,
}

impl Asked {
    fn new(rule: Rule, leaves: usize) -> Asked {
        let tree = Tree::build(rule, fixtures::digests(leaves));
        let mut random = fixtures::random(5);
        let proof = |_| {
            let index = random.random_range(0..leaves as u64);
            tree.proof(index).expect("the leaf is in the tree")
        };
        let proofs = (0..LEAVES_ASKED).map(proof).collect();
        let mut asked = Asked { root: tree.root(), tree, proofs };
        assert!((0..LEAVES_ASKED).all(|nth| asked.verify(nth)), "a proof is refused");
        asked.root.0[0] ^= 1;
        assert!(!(0..LEAVES_ASKED).any(|nth| asked.verify(nth)), "a wrong root is accepted");
        asked.root.0[0] ^= 1;
        asked
    }

    fn verify(&self, nth: usize) -> bool {
        let proof = &self.proofs[nth];
        proof.verify(&self.tree.leaves()[proof.index as usize], &self.root).is_ok()
    }
}

fn rule(id: &Id) -> Rule {
    id.text("rule").parse().unwrap_or_else(|error| panic!("{id}: {error}"))
}

fn pool(id: &Id) -> ThreadPool {
    let builder = ThreadPoolBuilder::new().num_threads(id.number("threads"));
    builder.build().expect("the suite's threads start")
}
