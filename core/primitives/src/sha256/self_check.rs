//! Every path against the `sha2` crate, on seeded inputs.

use sha2::Digest as _;

use super::{
    Path, Scan, sha256_each_with, sha256_with, sha256d_64_with, sha256d_pairs_with,
    tagged_pairs_with,
};
use crate::Digest;
use crate::check::Check;

/// Inputs of each check: an odd number, so that every path has streams left over, with sixteen lanes as many
/// as are not hashed singly, and so many that every path hashes them as it hashes thousands.
const INPUTS: usize = 139;

/// Nonces of the scan's check.
const NONCES: u32 = 4099;

/// Holds each path that this machine can run against the `sha2` crate: 64-byte double hashes, inner
/// nodes of both rules, messages of every length up to two blocks and beyond, and a proof-of-work
/// scan. Takes a few milliseconds.
pub fn self_check() -> Vec<Check> {
    Path::available().flat_map(checks).collect()
}

fn checks(path: Path) -> [Check; 6] {
    let name = |operation: &str| format!("sha256::{operation}/path={path}");
    [
        Check::new(name("sha256d_64"), sha256d_64_agrees(path)),
        Check::new(name("sha256d_pairs"), pairs_agree(path)),
        Check::new(name("tagged_pairs"), tagged_pairs_agree(path)),
        Check::new(name("sha256_each"), each_agrees(path)),
        Check::new(name("sha256"), one_agrees(path)),
        Check::new(name("scan"), scan_agrees(path)),
    ]
}

fn sha256(message: &[u8]) -> Digest {
    Digest(sha2::Sha256::digest(message).into())
}

fn sha256d(message: &[u8]) -> Digest {
    sha256(&sha256(message).0)
}

/// The seeded input: a chain of digests.
fn seeded(index: usize) -> Digest {
    sha256(&(index as u64).to_le_bytes())
}

fn pairs() -> Vec<[Digest; 2]> {
    (0..INPUTS).map(|i| [seeded(2 * i), seeded(2 * i + 1)]).collect()
}

fn joined([left, right]: &[Digest; 2]) -> [u8; 64] {
    core::array::from_fn(|i| if i < 32 { left.0[i] } else { right.0[i - 32] })
}

fn sha256d_64_agrees(path: Path) -> bool {
    let input: Vec<[u8; 64]> = pairs().iter().map(joined).collect();
    let mut out = vec![Digest::ZERO; input.len()];
    sha256d_64_with(path, &input, &mut out);
    input.iter().map(|message| sha256d(message)).eq(out)
}

fn pairs_agree(path: Path) -> bool {
    let input = pairs();
    let mut out = vec![Digest::ZERO; input.len()];
    sha256d_pairs_with(path, &input, &mut out);
    input.iter().map(|pair| sha256d(&joined(pair))).eq(out)
}

fn tagged_pairs_agree(path: Path) -> bool {
    let input = pairs();
    let mut out = vec![Digest::ZERO; input.len()];
    tagged_pairs_with(path, 1, &input, &mut out);
    let reference = |pair: &[Digest; 2]| sha256(&[&[1], &joined(pair)[..]].concat());
    input.iter().map(reference).eq(out)
}

/// Prefixes of one message, of every length from 0 to 130 and then by larger steps, so that each
/// kind of last block occurs beside each other; before them 33 messages of one length, which some paths
/// hash another way.
fn messages() -> Vec<Vec<u8>> {
    let whole: Vec<u8> = (0..32).flat_map(|i| seeded(i).0).collect();
    let lengths = (0..=130).chain((131..=whole.len()).step_by(89));
    let alike = (0..33).map(|n| whole[n..][..100].to_vec());
    alike.chain(lengths.map(|length| whole[..length].to_vec())).collect()
}

fn each_agrees(path: Path) -> bool {
    let messages = messages();
    let input: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    let mut out = vec![Digest::ZERO; input.len()];
    sha256_each_with(path, &input, &mut out);
    input.iter().map(|message| sha256(message)).eq(out)
}

fn one_agrees(path: Path) -> bool {
    messages().iter().all(|message| sha256_with(path, message) == sha256(message))
}

fn scan_agrees(path: Path) -> bool {
    let mut header = [0; 80];
    header[..64].copy_from_slice(&joined(&[seeded(0), seeded(1)]));
    header[64..76].copy_from_slice(&seeded(2).0[..12]);
    let first = u32::MAX - NONCES + 1;
    // One nonce in sixteen is a hit, so that every stream of every path has some.
    let top_word_max = u32::MAX >> 4;
    let mut hits = Vec::new();
    Scan::new(&header).scan_with(path, first, u64::from(NONCES), top_word_max, &mut hits);
    let is_hit = |nonce: &u32| {
        header[76..].copy_from_slice(&nonce.to_le_bytes());
        let top = sha256d(&header).0.last_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        top.is_some_and(|top| top <= top_word_max)
    };
    (first..=u32::MAX).filter(is_hit).eq(hits)
}
