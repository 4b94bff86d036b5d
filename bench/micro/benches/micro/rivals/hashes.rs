//! SHA-256, and the proof-of-work scan.

use std::hint::black_box;

use quorumark_micro::fixtures;
use quorumark_micro::fixtures::nonces::genesis;
use quorumark_primitives::sha256::{Scan, sha256d_64};
use quorumark_primitives::{Digest, hash};
use sha2::{Digest as _, Sha256};

use super::{Contender, Contest, Goal, MICROSECOND, Row, Unit};

pub(super) const CONTESTS: &[Row] = &[
    ("sha256d of 64 B, 4096 messages", sha256d),
    ("proof-of-work scan, a hash", scan),
    ("SHA-256 of 1 MiB", whole),
];

fn sha256d(name: &'static str) -> Contest {
    const COUNT: usize = 4096;
    let messages = fixtures::blocks(COUNT);
    let mut digests = vec![Digest::ZERO; COUNT];
    sha256d_64(&messages, &mut digests);
    let expected = digests.clone();
    let each = |name, hash: fn(&[u8; 64]) -> [u8; 32]| {
        for (message, expected) in messages.iter().zip(&expected) {
            assert_eq!(hash(message), expected.0, "{name} hashes otherwise");
        }
        let messages = messages.clone();
        Contender::new(name, move || {
            for message in black_box(&messages) {
                black_box(hash(message));
            }
        })
    };
    let rivals = [
        each("sha2", |message| Sha256::digest(Sha256::digest(message)).into()),
        each("ring", |message| {
            let inner = ring::digest::digest(&ring::digest::SHA256, message);
            let outer = ring::digest::digest(&ring::digest::SHA256, inner.as_ref());
            outer.as_ref().try_into().expect("a digest of 32 bytes")
        }),
        each("bitcoin_hashes", |message| bitcoin_hashes::sha256d::hash(message).to_byte_array()),
    ];
    let ours = messages.clone();
    let mut contenders =
        vec![Contender::new("ours", move || sha256d_64(black_box(&ours), &mut digests))];
    contenders.extend(rivals);
    let goals = &[Goal::Cycles(0.050 * MICROSECOND), Goal::Share("sha2", 0.42)];
    Contest { name, unit: Unit::Nanoseconds, items: COUNT, goals, contenders }
}

fn scan(name: &'static str) -> Contest {
    const COUNT: u32 = 1 << 16;
    let (header, nonces) = genesis(COUNT);
    let top_word = header.bits.target().expect("the genesis target is one").top_word();
    let (scan, mut hits) = (Scan::new(&header.encode()), Vec::new());
    let first = *nonces.start();
    let mut bytes = header.encode();
    let plain = move || {
        let mut found = 0;
        for nonce in (first..=u32::MAX).take(COUNT as usize) {
            bytes[76..].copy_from_slice(&nonce.to_le_bytes());
            let hash = Sha256::digest(Sha256::digest(black_box(&bytes)));
            found += u32::from(hash[28..].iter().all(|byte| *byte == 0));
        }
        assert_eq!(found, 1, "the range has one solution");
    };
    let ours = move || {
        hits.clear();
        scan.scan(first, u64::from(COUNT), top_word, &mut hits);
        assert_eq!(hits, [header.nonce]);
    };
    let contenders = vec![Contender::new("ours", ours), Contender::new("a loop of sha2", plain)];
    let goals = &[Goal::Cycles(114.0)];
    Contest { name, unit: Unit::Nanoseconds, items: COUNT as usize, goals, contenders }
}

fn whole(name: &'static str) -> Contest {
    let message = fixtures::message(1 << 20);
    let expected = hash::sha256(&message);
    let each = |name, hash: fn(&[u8]) -> [u8; 32]| {
        assert_eq!(hash(&message), expected.0, "{name} hashes otherwise");
        let message = message.clone();
        Contender::new(name, move || assert_eq!(hash(black_box(&message)), expected.0))
    };
    let contenders = vec![
        each("ours", |message| hash::sha256(message).0),
        each("sha2", |message| Sha256::digest(message).into()),
        each("ring", |message| {
            let digest = ring::digest::digest(&ring::digest::SHA256, message);
            digest.as_ref().try_into().expect("a digest of 32 bytes")
        }),
    ];
    // Equal: it is the limit.
    let goals = &[Goal::Share("sha2", 1.03)];
    Contest { name, unit: Unit::Microseconds, items: 1, goals, contenders }
}
