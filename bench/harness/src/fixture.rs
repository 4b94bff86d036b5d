//! Inputs that are made before a timed span: seeded, distinct, and the same in every run.

use std::sync::OnceLock;

use quorumark_chain::Block;
use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::{PublicKey, SecretKey, Signature};
use quorumark_primitives::hash::sha256d;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Bitcoin's block 413567, as it stands on the wire: 1,557 transactions of June 2016, the block
/// that Bitcoin Core benches with.
pub const BLOCK_413567: &[u8] = include_bytes!("../../../core/testdata/bitcoin/block413567.raw");

/// [`BLOCK_413567`], read.
pub fn block_413567() -> &'static Block {
    static BLOCK: OnceLock<Block> = OnceLock::new();
    BLOCK.get_or_init(|| Block::parse(BLOCK_413567).expect("the block in the source tree is whole"))
}

/// `count` distinct Merkle leaves: the txids of block 413567, and when they are used up, hashes of
/// each txid and the number of the round.
pub fn leaves(count: usize) -> Vec<Digest> {
    let txids = &block_413567().txids;
    let leaf = |place: usize| {
        let (txid, round) = (txids[place % txids.len()].0, (place / txids.len()) as u64);
        match round {
            0 => txid,
            _ => sha256d(&[&txid.0[..], &round.to_le_bytes()].concat()),
        }
    };
    (0..count).map(leaf).collect()
}

/// The source of all random inputs of a run: `stream` keeps different uses of one seed apart.
pub fn random(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(stream);
    random
}

/// `count` random bytes.
pub fn bytes(random: &mut impl Rng, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    random.fill_bytes(&mut bytes);
    bytes
}

/// Secret keys of `count` signers.
pub fn signers(random: &mut impl Rng, count: usize) -> Vec<SecretKey> {
    let key = |random: &mut _| {
        let mut seed = [0; 32];
        Rng::fill_bytes(random, &mut seed);
        SecretKey::from_seed(&seed)
    };
    (0..count).map(|_| key(random)).collect()
}

/// One message with its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedMessage {
    /// Who signed.
    pub key: PublicKey,
    /// What was signed.
    pub message: Vec<u8>,
    /// The signature.
    pub signature: Signature,
}

/// `count` distinct messages of `size` bytes, signed by `signers` in turn.
///
/// # Panics
/// Without signers, and when `size` is so small that `count` messages cannot be distinct.
pub fn signed_messages(
    random: &mut impl Rng,
    signers: &[SecretKey],
    count: usize,
    size: usize,
) -> Vec<SignedMessage> {
    assert!(!signers.is_empty() && size >= size_of::<u64>(), "distinct messages of some signer");
    let publics: Vec<PublicKey> = signers.iter().map(SecretKey::public).collect();
    let sign = |(place, random): (usize, &mut _)| {
        let mut message = bytes(random, size);
        message[..8].copy_from_slice(&(place as u64).to_le_bytes());
        let signer = place % signers.len();
        let signature = signers[signer].sign(&message);
        SignedMessage { key: publics[signer], message, signature }
    };
    (0..count).map(|place| sign((place, &mut *random))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn leaves_begin_with_the_block_s_txids_and_are_distinct() {
        let txids = &block_413567().txids;
        assert_eq!(txids.len(), 1557);
        let leaves = leaves(5000);
        assert!(txids.iter().zip(&leaves).all(|(txid, leaf)| txid.0 == *leaf));
        assert_eq!(leaves.iter().collect::<HashSet<_>>().len(), leaves.len());
    }

    #[test]
    fn the_same_seed_gives_the_same_inputs_and_streams_differ() {
        let first = bytes(&mut random(1, 0), 64);
        assert_eq!(first, bytes(&mut random(1, 0), 64));
        assert_ne!(first, bytes(&mut random(1, 1), 64));
        assert_ne!(first, bytes(&mut random(2, 0), 64));
    }

    #[test]
    fn signed_messages_are_distinct_and_take_signers_in_turn() {
        let mut random = random(1, 0);
        let signers = signers(&mut random, 3);
        let signed = signed_messages(&mut random, &signers, 12, 8);
        assert_eq!(signed.iter().map(|one| &one.message).collect::<HashSet<_>>().len(), 12);
        assert_eq!(signed.iter().map(|one| one.key).collect::<HashSet<_>>().len(), 3);
        assert_eq!(signed[0].key, signed[3].key);
    }
}
