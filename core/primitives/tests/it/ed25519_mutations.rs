//! Random signatures, spoiled in random ways: every path and backend gives the verdict of the rule.
//!
//! How many is set by `QUORUMARK_CROSS_CHECKS`, 2000 if it is not set; the nightly takes a million.

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::{Scalar, clamp_integer};
use curve25519_dalek::traits::IsIdentity;
use quorumark_primitives::ed25519::{
    Backend, BatchVerifier, PreparedKey, PublicKey, Signature, VerifyMethod, verify_single,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha512};

/// The most signatures of a batch.
const BATCH_SIZE_MAX: usize = 48;

/// A signature that somebody made, or meant to.
struct Attempt {
    key: PublicKey,
    message: [u8; 16],
    signature: Signature,
}

fn attempts() -> usize {
    let set = std::env::var("QUORUMARK_CROSS_CHECKS").ok();
    set.map_or(2000, |count| count.parse().expect("QUORUMARK_CROSS_CHECKS is a number"))
}

fn challenge(commitment: &[u8; 32], key: &PublicKey, message: &[u8]) -> Scalar {
    let hash = Sha512::new().chain_update(commitment).chain_update(key.0).chain_update(message);
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}

/// ZIP-215 by curve25519-dalek alone: `[8][S]B = [8]R + [8][k]A`, and `S` canonical.
fn rule(attempt: &Attempt) -> bool {
    let (commitment, response) = attempt.signature.0.split_at(32);
    let (commitment, response) = (commitment.try_into().unwrap(), response.try_into().unwrap());
    let key = CompressedEdwardsY(attempt.key.0).decompress();
    let r = CompressedEdwardsY(commitment).decompress();
    let s: Option<Scalar> = Scalar::from_canonical_bytes(response).into();
    let (Some(key), Some(r), Some(s)) = (key, r, s) else { return false };
    let k = challenge(&commitment, &attempt.key, &attempt.message);
    let expected = EdwardsPoint::vartime_double_scalar_mul_basepoint(&k, &-key, &s);
    (expected - r).mul_by_cofactor().is_identity()
}

/// A signature of which key and commitment may have a component of small order. By the cofactored
/// rule it is valid all the same.
fn signed(rng: &mut ChaCha8Rng, secrets: &[[u8; 32]]) -> Attempt {
    let mut torsion = || match rng.random_range(0..4) {
        0 => EIGHT_TORSION[rng.random_range(0..8)],
        _ => EIGHT_TORSION[0],
    };
    let (of_key, of_commitment) = (torsion(), torsion());
    let secret = secrets[rng.random_range(0..secrets.len())];
    let a = Scalar::from_bytes_mod_order(clamp_integer(secret));
    let r = Scalar::from_bytes_mod_order(rng.random());
    let key = PublicKey((EdwardsPoint::mul_base(&a) + of_key).compress().0);
    let commitment = (EdwardsPoint::mul_base(&r) + of_commitment).compress().0;
    let message: [u8; 16] = rng.random();
    let s = r + challenge(&commitment, &key, &message) * a;
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&commitment);
    signature[32..].copy_from_slice(s.as_bytes());
    Attempt { key, message, signature: Signature(signature) }
}

/// Leaves half of them alone; of the others some are still valid, such as those whose commitment
/// was exchanged for that of the same point.
fn mutate(rng: &mut ChaCha8Rng, attempt: &mut Attempt) {
    let bit = rng.random_range(0..256usize);
    let flip = |bytes: &mut [u8]| bytes[bit / 8 % bytes.len()] ^= 1 << (bit % 8);
    match rng.random_range(0..20) {
        0 | 1 => flip(&mut attempt.signature.0[..32]),
        2 | 3 => flip(&mut attempt.signature.0[32..]),
        4 => flip(&mut attempt.key.0),
        5 => flip(&mut attempt.message),
        6 => rng.fill_bytes(&mut attempt.signature.0),
        7 => attempt.signature.0[..32].copy_from_slice(&attempt.key.0),
        8 => attempt.key = PublicKey(EIGHT_TORSION[bit % 8].compress().0),
        9 => {
            // S + l: the equation holds, the encoding is not canonical.
            let order = Scalar::ZERO - Scalar::ONE;
            let mut carry = 1;
            for (byte, of_order) in attempt.signature.0[32..].iter_mut().zip(order.as_bytes()) {
                carry += u16::from(*byte) + u16::from(*of_order);
                *byte = carry as u8;
                carry >>= 8;
            }
        }
        _ => {}
    }
}

/// Batches of random attempts by one backend, which all have to get the rule's verdicts.
fn mutations(backend: Backend, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let secrets: Vec<[u8; 32]> = (0..6).map(|_| rng.random()).collect();
    let mut verifier = BatchVerifier::new([seed as u8; 32]).with_backend(backend);
    let mut found = Vec::new();
    let (mut done, mut valid) = (0, 0);
    while done < attempts() {
        let size = rng.random_range(1..=BATCH_SIZE_MAX);
        let batch: Vec<Attempt> = (0..size)
            .map(|_| {
                let mut attempt = signed(&mut rng, &secrets);
                mutate(&mut rng, &mut attempt);
                attempt
            })
            .collect();
        for attempt in &batch {
            verifier.queue(&attempt.key, &[&attempt.message], &attempt.signature);
        }
        verifier.verify(&mut found);
        for (attempt, verdict) in batch.iter().zip(&found) {
            let expected = rule(attempt);
            let single = PreparedKey::new(&attempt.key)
                .is_some_and(|key| verify_single(&key, &[&attempt.message], &attempt.signature));
            let text = || format!("{:x?} {:x?} {backend}", attempt.key.0, attempt.signature.0);
            assert_eq!((single, *verdict), (expected, expected), "{}", text());
            valid += usize::from(expected);
        }
        done += size;
    }
    let counters = verifier.counters();
    assert!(counters.tabled > 0 && counters.equations > 0, "both paths were taken: {counters:?}");
    assert!(valid > done / 3 && valid < done * 3 / 4, "both verdicts are common");
}

/// Large batches under few keys, of which none to three attempts were spoiled: there a lone bad one
/// is looked for by sums of small weights, and components of small order must not mislead it.
fn few_among_many(backend: Backend, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let secret = [rng.random()];
    let verifier = BatchVerifier::new([seed as u8; 32]).with_backend(backend);
    let mut verifier = verifier.with_method(VerifyMethod::Equation);
    let mut found = Vec::new();
    let mut lone = 0;
    for spoiled in (0..(attempts() / 200).max(8)).map(|batch| batch % 4) {
        let size = rng.random_range(180..=220);
        let mut batch: Vec<Attempt> = (0..size).map(|_| signed(&mut rng, &secret)).collect();
        for _ in 0..spoiled {
            batch[rng.random_range(0..size)].signature.0[32 + rng.random_range(0..16)] ^= 1;
        }
        for attempt in &batch {
            verifier.queue(&attempt.key, &[&attempt.message], &attempt.signature);
        }
        let before = verifier.counters();
        verifier.verify(&mut found);
        let expected: Vec<bool> = batch.iter().map(rule).collect();
        assert_eq!(found, expected, "{backend}, {spoiled} spoiled of {size}");
        let after = verifier.counters();
        let invalid = after.signatures_invalid - before.signatures_invalid;
        assert_eq!(after.bisections > before.bisections, invalid > 1, "{invalid} invalid");
        lone += u64::from(invalid == 1);
    }
    assert!(lone > 1, "a lone one was found");
}

#[test]
fn zip_215_few_bad_ones_among_many_are_named_by_every_backend() {
    Backend::available().for_each(|backend| few_among_many(backend, 33));
}

#[test]
fn zip_215_random_mutations_get_the_rules_verdicts_by_the_fastest_backend() {
    mutations(Backend::available().next().unwrap(), 31);
}

#[test]
fn zip_215_random_mutations_get_the_rules_verdicts_by_the_portable_backend() {
    mutations(Backend::PORTABLE, 32);
}
