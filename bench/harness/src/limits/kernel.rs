//! The kernels that are held against the limits, each with its fixture and its floor.

use core::hint::black_box;

use quorumark_primitives::ed25519::{
    BatchVerifier, FieldWork, SecretKey, TABLE_BATCHES, VerifyMethod, backend,
};
use quorumark_primitives::merkle::{Rule, root};
use quorumark_primitives::sha256::{self, Groups, Scan, sha256d_64};
use quorumark_primitives::{Digest, hash};
use sha2::{Digest as _, Sha512};

use super::{Floor, L1, LINE};
use crate::fixture::{self, SignedMessage};
use crate::scenario::verifier;

/// Messages, nonces and leaves of a run: some tenths of a millisecond.
const HASHES: usize = 1 << 12;
const NONCES: u32 = 1 << 13;
/// Bytes of a long message.
const LONG: usize = 1 << 18;
/// Bytes of a message that is signed.
const MESSAGE: usize = 64;
/// Single verifications and signatures of a run.
const SINGLES: usize = 16;
/// What all inputs are made from.
const SEED: u64 = 0x1111;

/// A kernel with its fixture.
pub(super) struct Subject {
    pub(super) name: &'static str,
    /// What is counted.
    pub(super) item: &'static str,
    pub(super) path: &'static str,
    /// `None` where nothing is known of the path.
    pub(super) floor: Option<Floor>,
    work: Box<dyn FnMut() -> u64>,
}

impl Subject {
    /// Runs it once; returns the items done.
    pub(super) fn run(&mut self) -> u64 {
        (self.work)()
    }
}

/// Every kernel that is shown.
pub(super) fn subjects() -> Vec<Subject> {
    let mut subjects = vec![sha256d(), scan(), merkle_node(), sha256_long(), sha256_copied()];
    subjects.push(sha512());
    subjects.extend([
        batch("ed25519_batch_256_from_4_keys", 256, 4, 0),
        batch("ed25519_batch_256_from_256_keys", 256, 256, 0),
        batch("ed25519_batch_16_known_keys", 16, 16, TABLE_BATCHES),
        batch("ed25519_one_known_key", 1, 1, TABLE_BATCHES),
        sign(),
    ]);
    subjects
}

fn sha256d() -> Subject {
    let messages = fixture::bytes(&mut fixture::random(SEED, 0), 64 * HASHES);
    let messages = messages.as_chunks::<64>().0.to_vec();
    let mut out = vec![Digest::ZERO; HASHES];
    let work = move || {
        sha256d_64(black_box(&messages), &mut out);
        HASHES as u64
    };
    let floor = Floor::of_groups(sha256::path(), Groups::SHA256D_64);
    let path = sha256::path().name();
    Subject { name: "sha256d_64", item: "hash", path, floor, work: Box::new(work) }
}

fn scan() -> Subject {
    let scan = Scan::new(&[7; 80]);
    let mut hits = Vec::new();
    let work = move || {
        hits.clear();
        black_box(&scan).scan(0, u64::from(NONCES), 0, &mut hits);
        u64::from(NONCES)
    };
    let floor = Floor::of_groups(sha256::path(), Groups::NONCE);
    let path = sha256::path().name();
    Subject { name: "pow_scan", item: "nonce", path, floor, work: Box::new(work) }
}

fn merkle_node() -> Subject {
    let leaves = fixture::leaves(HASHES);
    let work = move || {
        black_box(root(Rule::Bitcoin, black_box(&leaves)));
        HASHES as u64 - 1
    };
    let floor = Floor::of_groups(sha256::path(), Groups::SHA256D_64);
    let path = sha256::path().name();
    Subject { name: "merkle_node", item: "node", path, floor, work: Box::new(work) }
}

fn sha256_long() -> Subject {
    long("sha256_long", Floor::of_blocks(1.0))
}

/// What hashing costs who would otherwise only copy.
fn sha256_copied() -> Subject {
    long("sha256_long_beside_copying", Some(Floor(vec![(L1.0, 1.0)])))
}

fn long(name: &'static str, floor: Option<Floor>) -> Subject {
    let message = fixture::bytes(&mut fixture::random(SEED, 1), LONG);
    let work = move || {
        black_box(hash::sha256(black_box(&message)));
        (LONG / LINE) as u64
    };
    Subject { name, item: "64 bytes", path: "sha2", floor, work: Box::new(work) }
}

/// It has no limit of its own; what it costs is part of every signature.
fn sha512() -> Subject {
    let message = fixture::bytes(&mut fixture::random(SEED, 2), LONG);
    let work = move || {
        black_box(Sha512::digest(black_box(&message)));
        (LONG / LINE) as u64
    };
    Subject {
        name: "sha512_long",
        item: "64 bytes",
        path: "sha2",
        floor: None,
        work: Box::new(work),
    }
}

/// A batch under keys that were seen in so many batches before.
fn batch(name: &'static str, size: usize, keys: usize, seen: u32) -> Subject {
    let random = &mut fixture::random(SEED, 3);
    let signers = fixture::signers(random, keys);
    let messages = fixture::signed_messages(random, &signers, size, MESSAGE);
    let mut verdicts = Vec::new();
    // Keys that are seen round after round would earn tables in the midst of it.
    let method = if seen == 0 { VerifyMethod::Equation } else { VerifyMethod::Auto };
    let fresh = || verifier(SEED).with_method(method);
    let mut work = FieldWork::default();
    FieldWork::of(|counting| {
        let mut verifier = fresh().with_backend(counting);
        (0..=seen).for_each(|_| verify(&mut verifier, &messages, &mut verdicts));
        work = FieldWork::of(|_| verify(&mut verifier, &messages, &mut verdicts));
    });
    let floor = Floor::of_work(work, size);
    let mut verifier = fresh();
    (0..=seen).for_each(|_| verify(&mut verifier, &messages, &mut verdicts));
    let batches = SINGLES.div_ceil(size);
    let work = move || {
        (0..batches).for_each(|_| verify(&mut verifier, &messages, &mut verdicts));
        (batches * size) as u64
    };
    let path = backend().name();
    Subject { name, item: "signature", path, floor, work: Box::new(work) }
}

fn verify(verifier: &mut BatchVerifier, messages: &[SignedMessage], verdicts: &mut Vec<bool>) {
    for one in black_box(messages) {
        verifier.queue(&one.key, &[&one.message], &one.signature);
    }
    verifier.verify(verdicts);
    assert!(verdicts.iter().all(|verdict| *verdict), "an honest signature was refused");
}

fn sign() -> Subject {
    let secret = SecretKey::from_seed(&[5; 32]);
    let message = fixture::bytes(&mut fixture::random(SEED, 4), MESSAGE);
    secret.sign(&message); // the table of the base point is made by the first
    let floor = backend().signs().then(|| {
        let work = FieldWork::of(|counting| {
            black_box(secret.sign_with(counting, &message));
        });
        Floor::of_work(work, 1)
    });
    let floor = floor.flatten();
    let work = move || {
        for _ in 0..SINGLES {
            black_box(secret.sign(black_box(&message)));
        }
        SINGLES as u64
    };
    let path = if backend().signs() { backend().name() } else { "ed25519-dalek" };
    Subject { name: "ed25519_sign", item: "signature", path, floor, work: Box::new(work) }
}
