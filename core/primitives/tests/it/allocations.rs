//! Hashing and signing allocate nothing, verifying nothing once its buffers have grown.

use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::{
    Backend, BatchVerifier, PublicKey, SecretKey, Signature, TABLE_BATCHES, VerifyMethod,
};
use quorumark_primitives::hash::sha256;
use quorumark_primitives::merkle::{Frontier, Rule, root};
use quorumark_primitives::sha256::{
    Path, Scan, sha256_each_with, sha256_with, sha256d_64_with, sha256d_pairs_with,
    tagged_pairs_with,
};

use crate::counting::allocations;

/// 128 signatures by 4 signers, one of them spoiled.
fn signed() -> Vec<(PublicKey, [u8; 8], Signature)> {
    let secrets: Vec<SecretKey> = (1..5).map(|i| SecretKey::from_seed(&[i; 32])).collect();
    let sign = |i: usize| {
        let (secret, message) = (&secrets[i % 4], (i as u64).to_le_bytes());
        let mut signature = secret.sign(&message);
        signature.0[32] ^= u8::from(i == 9);
        (secret.public(), message, signature)
    };
    (0..128).map(sign).collect()
}

#[test]
fn verification_allocates_nothing_once_its_buffers_have_grown() {
    let signed = signed();
    for backend in Backend::available() {
        for method in [VerifyMethod::Auto, VerifyMethod::Equation, VerifyMethod::Single] {
            let mut verifier =
                BatchVerifier::new([1; 32]).with_backend(backend).with_method(method);
            let mut verdicts = Vec::new();
            let mut verify = |size: usize| {
                for (key, message, signature) in &signed[..size] {
                    verifier.queue(key, &[message], signature);
                }
                verifier.verify(&mut verdicts);
                assert!((0..size).all(|i| verdicts[i] == (i != 9)));
            };
            (0..=TABLE_BATCHES).for_each(|_| [128, 32].into_iter().for_each(&mut verify));
            let before = allocations();
            [1, 7, 16, 128].into_iter().for_each(&mut verify);
            assert_eq!(allocations() - before, 0, "{backend} {method:?}");
        }
    }
}

#[test]
fn hashing_allocates_nothing_on_any_path() {
    let digests: Vec<Digest> = (0..202u64).map(|i| sha256(&i.to_le_bytes())).collect();
    let pairs = digests.as_chunks::<2>().0;
    let messages: Vec<&[u8]> = digests.iter().map(|digest| &digest.0[..]).collect();
    let mut out = vec![Digest::ZERO; digests.len()];
    let (header, mut hits) = ([7; 80], Vec::with_capacity(64));
    for path in Path::available() {
        let before = allocations();
        sha256d_64_with(path, &[[3; 64]; 101], &mut out[..101]);
        sha256d_pairs_with(path, pairs, &mut out[..101]);
        tagged_pairs_with(path, 1, pairs, &mut out[..101]);
        sha256_each_with(path, &messages, &mut out);
        out[0] = sha256_with(path, &header);
        hits.clear();
        Scan::new(&header).scan_with(path, 0, 64, u32::MAX, &mut hits);
        assert_eq!(allocations() - before, 0, "{path}");
        assert_eq!(hits.len(), 64, "{path}");
    }
}

#[test]
fn a_root_allocates_nothing_whatever_the_number_of_leaves() {
    let leaves: Vec<Digest> = (0..5000u64).map(|i| sha256(&i.to_le_bytes())).collect();
    for rule in Rule::ALL {
        let mut frontier = Frontier::new(rule);
        let before = allocations();
        let roots = [1, 513, 2049, 5000].map(|count| root(rule, &leaves[..count]));
        frontier.extend(&leaves);
        assert_eq!(roots[3], frontier.root());
        assert_eq!(allocations() - before, 0, "{rule}");
    }
}

#[test]
fn signing_allocates_nothing() {
    let secret = SecretKey::from_seed(&[1; 32]);
    let first = secret.sign(b"message");
    let before = allocations();
    let second = secret.sign(b"message");
    assert_eq!(allocations() - before, 0);
    assert_eq!(first, second);
}
