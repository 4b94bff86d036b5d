//! `merkle/root` and `merkle/proof`, over leaves made of a real block's txids.

use core::hint::black_box;
use core::time::Duration;

use quorumark_primitives::Digest;
use quorumark_primitives::hash;
use quorumark_primitives::merkle::{
    InclusionProof, Rule, Tree, root, root_parallel_with, root_with,
};
use quorumark_primitives::sha256::{self, Groups, Path};
use quorumark_report::Metrics;
use rayon::ThreadPool;

use super::hash::stock_sha256d;
use super::kernel::{ALLOCATIONS, Kernel, KernelSession, Tally};
use super::{MetricSpec, Oracle, Scenario, Session, Spec, metric, note, pool, run_parameters};
use crate::clock::Scope;
use crate::environment::cores;
use crate::fixture;
use crate::limits::Floor;
use crate::parameter::{Parameter, ParameterError, ParameterSet};
use crate::trial::RunError;
use crate::tune::Tunable;

/// The most leaves: 2 GiB of them.
const LEAVES_MAX: u64 = 1 << 26;
/// Leaves that the stock crate hashes beside each pass: enough for its speed, and little time.
const YARDSTICK_LEAVES: usize = 1 << 13;
/// One thread alone hashes this part of the leaves beside each pass of several, another one each
/// time: always the same part would lie in a cache that the whole does not fit into.
const ALONE_SHARE: usize = 4;
/// The most proofs that one pass builds and verifies.
const PASS_PROOFS: usize = 2048;

const ROOT_METRICS: &[MetricSpec] = &[
    metric("leaves_per_s", "leaves per second of wall-clock time"),
    metric("leaves_per_cpu_s", "leaves per second of CPU time, over all threads"),
    metric("leaves_per_max_cpu_s", "all leaves over CPU time of the busiest thread"),
    metric("scaling", "leaves_per_max_cpu_s over that of one thread alone, interleaved"),
    metric("wall_scaling", "the same by wall-clock time"),
    metric("sha2_cpu_ns_per_leaf", "CPU time of a leaf by a loop over the sha2 crate, interleaved"),
    metric("ratio_to_sha2", "our CPU time over that loop's"),
    ALLOCATIONS,
];

const PROOF_METRICS: &[MetricSpec] = &[
    metric("proofs_per_s", "proofs built and verified per second of wall-clock time"),
    metric("cpu_us_per_proof", "CPU time of building and verifying one proof"),
    metric("hashes_per_proof", "siblings in a proof, mean"),
    ALLOCATIONS,
];

/// The root over many leaves.
#[derive(Debug)]
pub(super) struct MerkleRoot;

/// Proofs from one tree.
#[derive(Debug)]
pub(super) struct MerkleProof;

fn rule_parameter() -> Parameter {
    let rules = Rule::ALL.map(Rule::name);
    Parameter::choice("rule", rules, "how leaves and nodes are hashed")
}

fn rule(parameters: &ParameterSet) -> Rule {
    parameters.choice("rule").parse().expect("the choices are the names of the rules")
}

impl Scenario for MerkleRoot {
    fn spec(&self) -> Spec {
        let threads = u64::from(cores());
        let paths = ["auto"].into_iter().chain(Path::available().map(Path::name));
        let mut parameters = vec![
            Parameter::integer("leaves", "leaves", 1..=LEAVES_MAX, 1 << 20, "leaves of the tree"),
            rule_parameter(),
            Parameter::choice("path", paths, "SHA-256 kernel; auto: the machine's own choice"),
            Parameter::integer("threads", "threads", 1..=1024, threads, "threads that hash"),
        ];
        let (duration, warmup) = (Duration::from_millis(400), Duration::from_millis(100));
        parameters.extend(run_parameters(duration, warmup, 5));
        Spec {
            name: "merkle/root",
            description: "the root of a Merkle tree over leaf hashes",
            parameters,
            metrics: ROOT_METRICS,
        }
    }

    fn tunables(&self, _: &ParameterSet) -> Result<Vec<Tunable>, ParameterError> {
        let paths: Vec<&str> = Path::available().map(Path::name).collect();
        Ok(vec![
            Tunable::integers("threads", 1, u64::from(cores()) * 2),
            Tunable::values("path", &paths),
        ])
    }

    fn prepare(&self, parameters: &ParameterSet) -> Result<Box<dyn Session>, RunError> {
        let leaves = fixture::leaves(parameters.count("leaves"));
        let threads = parameters.count("threads");
        let pool = if threads > 1 { Some(pool(threads, "merkle")?) } else { None };
        let path = parameters.choice("path").parse().unwrap_or(sha256::path());
        let (rule, root) = (rule(parameters), Digest::ZERO);
        let kernel = Root { rule, path, leaves, pool, root, alone: 0 };
        Ok(Box::new(KernelSession::new(kernel)))
    }
}

struct Root {
    rule: Rule,
    path: Path,
    leaves: Vec<Digest>,
    /// `None` for one thread, which is then the calling one.
    pool: Option<ThreadPool>,
    root: Digest,
    /// Times that one thread was alone.
    alone: usize,
}

impl Kernel for Root {
    fn scope(&self) -> Scope {
        if self.pool.is_some() { Scope::Process } else { Scope::Thread }
    }

    fn pass(&mut self) -> u64 {
        let leaves = black_box(&self.leaves);
        self.root = match &self.pool {
            Some(pool) => pool.install(|| root_parallel_with(self.path, self.rule, leaves)),
            None => root_with(self.path, self.rule, leaves),
        };
        leaves.len() as u64
    }

    fn alone(&mut self) -> u64 {
        if self.pool.is_none() {
            return 0;
        }
        let mut parts = self.leaves.chunks(self.leaves.len().div_ceil(ALONE_SHARE));
        // Of fewer leaves than parts, some parts are none.
        let Some(leaves) = parts.nth(self.alone % parts.len()) else { return 0 };
        self.alone += 1;
        black_box(root_with(self.path, self.rule, black_box(leaves)));
        leaves.len() as u64
    }

    fn yardstick(&mut self) -> u64 {
        let leaves = &self.leaves[..self.leaves.len().min(YARDSTICK_LEAVES)];
        match stock_root(self.rule, black_box(leaves)) {
            Some(root) => {
                black_box(root);
                leaves.len() as u64
            }
            None => 0,
        }
    }

    fn inspect(&mut self, oracle: &mut Oracle) {
        let blank = self.root == Digest::ZERO;
        note(oracle, "root-is-made", blank.then(|| "the root is zero".to_owned()));
    }

    fn figures(&self, tally: &Tally, metrics: &mut Metrics) {
        metrics.set("leaves_per_s", tally.items_per_s());
        metrics.set("leaves_per_cpu_s", tally.items_per_cpu_s());
        let busiest = tally.items_per_max_cpu_s();
        metrics.set("leaves_per_max_cpu_s", busiest);
        metrics.set("scaling", tally.scaling());
        metrics.set("wall_scaling", tally.wall_scaling());
        metrics.set("sha2_cpu_ns_per_leaf", tally.yardstick_cpu_ns_per_item());
        metrics.set("ratio_to_sha2", tally.ratio());
    }

    fn check(&mut self, oracle: &mut Oracle) {
        let portable = root_with(Path::PORTABLE, self.rule, &self.leaves);
        compare(oracle, "portable-path", self.root, portable);
        let few = &self.leaves[..self.leaves.len().min(YARDSTICK_LEAVES)];
        if let Some(stock) = stock_root(self.rule, few) {
            compare(oracle, "reference", root(self.rule, few), stock);
        }
        let block = fixture::block_413567();
        let txids: Vec<Digest> = block.txids.iter().map(|txid| txid.0).collect();
        let expected = block.header.merkle_root.0;
        compare(oracle, "block-413567", root(Rule::Bitcoin, &txids), expected);
    }

    /// A tree has a node for each leaf but one.
    fn floor(&self) -> Option<Floor> {
        match self.rule {
            Rule::Bitcoin => Floor::of_groups(self.path, Groups::SHA256D_64),
            Rule::Rfc6962 => Floor::of_groups(self.path, Groups::TAGGED_64),
            Rule::Blake3 => None,
        }
    }

    fn path(&self) -> Option<(&'static str, String)> {
        (self.rule != Rule::Blake3).then(|| ("sha256", self.path.to_string()))
    }
}

fn compare(oracle: &mut Oracle, name: &str, found: Digest, expected: Digest) {
    let differs = || format!("root {found}, expected {expected}");
    note(oracle, name, (found != expected).then(differs));
}

/// The root as a plain loop over the stock crates makes it; `None` for our own rule.
fn stock_root(rule: Rule, leaves: &[Digest]) -> Option<Digest> {
    let mut level = leaves.to_vec();
    let mut message = [0; 65];
    while level.len() > 1 {
        let parent = |nodes: &[Digest]| {
            let (left, right) = match (nodes, rule) {
                ([left, right], _) => (left, right),
                ([odd], Rule::Bitcoin) => (odd, odd),
                _ => return nodes.first().copied(),
            };
            message[0] = 1;
            message[1..33].copy_from_slice(&left.0);
            message[33..].copy_from_slice(&right.0);
            match rule {
                Rule::Bitcoin => Some(stock_sha256d(&message[1..])),
                Rule::Rfc6962 => Some(hash::sha256(&message)),
                Rule::Blake3 => None,
            }
        };
        level = level.chunks(2).map(parent).collect::<Option<Vec<_>>>()?;
    }
    level.first().copied().filter(|_| rule != Rule::Blake3)
}

impl Scenario for MerkleProof {
    fn spec(&self) -> Spec {
        let leaves = fixture::block_413567().txids.len() as u64;
        let effect = "leaves of the tree; the default is a real block";
        let mut parameters = vec![
            Parameter::integer("leaves", "leaves", 1..=LEAVES_MAX, leaves, effect),
            rule_parameter(),
        ];
        let (duration, warmup) = (Duration::from_millis(200), Duration::from_millis(100));
        parameters.extend(run_parameters(duration, warmup, 5));
        Spec {
            name: "merkle/proof",
            description: "building inclusion proofs from a tree, and verifying them",
            parameters,
            metrics: PROOF_METRICS,
        }
    }

    fn prepare(&self, parameters: &ParameterSet) -> Result<Box<dyn Session>, RunError> {
        let count = parameters.count("leaves");
        let tree = Tree::build(rule(parameters), fixture::leaves(count));
        let proofs = count.min(PASS_PROOFS);
        // Evenly over the tree, so that odd nodes are met as often as they are.
        let places = (0..proofs).map(|i| (i * count / proofs) as u64).collect();
        let root = tree.root();
        Ok(Box::new(KernelSession::new(Proofs { tree, root, places, verified: 0, hashes: 0 })))
    }
}

struct Proofs {
    tree: Tree,
    root: Digest,
    places: Vec<u64>,
    verified: usize,
    hashes: usize,
}

impl Proofs {
    fn verified(&self, place: u64) -> Option<InclusionProof> {
        let proof = self.tree.proof(place)?;
        let leaf = self.tree.leaves().get(place as usize)?;
        proof.verify(black_box(leaf), &self.root).is_ok().then_some(proof)
    }
}

impl Kernel for Proofs {
    fn pass(&mut self) -> u64 {
        let proofs = self.places.iter().filter_map(|place| self.verified(black_box(*place)));
        (self.verified, self.hashes) =
            proofs.fold((0, 0), |(count, hashes), proof| (count + 1, hashes + proof.path.len()));
        self.places.len() as u64
    }

    fn inspect(&mut self, oracle: &mut Oracle) {
        let refused = self.places.len() - self.verified;
        note(oracle, "proofs-hold", (refused > 0).then(|| format!("{refused} proofs refused")));
    }

    fn figures(&self, tally: &Tally, metrics: &mut Metrics) {
        metrics.set("proofs_per_s", tally.items_per_s());
        metrics.set("cpu_us_per_proof", tally.cpu_ns_per_item().map(|ns| ns / 1e3));
        metrics.set("hashes_per_proof", self.hashes as f64 / self.places.len() as f64);
    }

    /// A proof with one bit of the leaf, of the root or of a sibling changed shows nothing.
    fn check(&mut self, oracle: &mut Oracle) {
        for place in self.places.iter().copied().take(64) {
            let Some(proof) = self.verified(place) else { continue };
            let leaf = self.tree.leaves()[place as usize];
            let spoiled = |digest: &Digest| {
                let mut digest = *digest;
                digest.0[31] ^= 1;
                digest
            };
            let mut other = proof.clone();
            if let Some(sibling) = other.path.first_mut() {
                *sibling = spoiled(sibling);
            }
            let accepted = proof.verify(&spoiled(&leaf), &self.root).is_ok()
                || proof.verify(&leaf, &spoiled(&self.root)).is_ok()
                || (!other.path.is_empty() && other.verify(&leaf, &self.root).is_ok());
            let text = || format!("leaf {place}: one bit changed and still accepted");
            note(oracle, "changed-bit-refused", accepted.then(text));
        }
    }
}
