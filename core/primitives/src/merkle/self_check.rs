//! Trees against published roots, on every path.

use super::{Rule, Tree, leaf_hash, root_parallel_with, root_with};
use crate::Digest;
use crate::check::Check;
use crate::sha256::Path;

/// The leaves of the Certificate Transparency project's Merkle tree test.
const CT_LEAVES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];

/// The roots over the first 1 to 8 of [`CT_LEAVES`], from the same test.
const CT_ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/// Leaves of the check that one root has many ways to it: more than one block of them, and odd.
const LEAVES: usize = 1557;

/// Holds the trees against published roots (RFC 6962) and, for each rule, every SHA-256 path, the
/// parallel root and the tree with all levels against each other. Takes some milliseconds.
pub fn self_check() -> Vec<Check> {
    let mut checks: Vec<Check> = Path::available().map(ct_roots).collect();
    checks.extend(Rule::ALL.map(ways_agree));
    checks
}

fn ct_roots(path: Path) -> Check {
    let leaves = CT_LEAVES.map(|data| leaf_hash(Rule::Rfc6962, data));
    let agrees = |(i, root): (usize, &&str)| {
        root_with(path, Rule::Rfc6962, &leaves[..=i]).to_string() == **root
    };
    let passed = CT_ROOTS.iter().enumerate().all(agrees);
    Check::new(format!("merkle::root/rule=rfc6962 vectors=ct path={path}"), passed)
}

fn ways_agree(rule: Rule) -> Check {
    let leaves: Vec<Digest> =
        (0..LEAVES).map(|i| leaf_hash(rule, &(i as u64).to_le_bytes())).collect();
    let root = root_with(Path::PORTABLE, rule, &leaves);
    let tree = Tree::build(rule, leaves.clone());
    let proof_holds = |index: usize| {
        let proof = tree.proof(index as u64);
        proof.is_some_and(|proof| proof.verify(&leaves[index], &root).is_ok())
    };
    let passed = Path::available().all(|path| {
        root_with(path, rule, &leaves) == root && root_parallel_with(path, rule, &leaves) == root
    }) && tree.root() == root
        && [0, LEAVES / 2, LEAVES - 1].into_iter().all(proof_holds);
    Check::new(format!("merkle::root/rule={rule} leaves={LEAVES}"), passed)
}
