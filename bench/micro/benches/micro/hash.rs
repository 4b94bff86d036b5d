//! Hash functions by size of message, and the kernels for many small messages by path.
//!
//! Timed: the hashing alone, from a message in memory to the digest; for the kernels, from a slice
//! of messages to a slice of digests that is used again.

use std::hint::black_box;

use criterion::Throughput;
use quorumark_micro::{Id, fixtures};
use quorumark_primitives::Digest;
use quorumark_primitives::hash::{self, Sha256};
use quorumark_primitives::sha256::{self, Path};

use crate::suite::{Bench, Routine};

pub(crate) const ROUTINES: &[Routine] = &[
    ("hash::sha256", |id, bench| whole(id, bench, hash::sha256)),
    ("hash::sha256d", |id, bench| whole(id, bench, hash::sha256d)),
    ("hash::blake3", |id, bench| whole(id, bench, hash::blake3)),
    ("hash::sha256d_64", sha256d_64),
    ("hash::tagged_pairs", tagged_pairs),
];

/// The tag of inner nodes (RFC 6962 2.1).
const TAG: u8 = 1;

fn whole(id: &Id, bench: Bench<'_, '_>, hash: fn(&[u8]) -> Digest) {
    let size = id.number("size");
    let fixture = || {
        assert!(hash::self_check().iter().all(|check| check.passed), "a hash is wrong");
        fixtures::message(size)
    };
    bench.measure(Throughput::Bytes(size as u64), fixture, |message| hash(black_box(message)));
}

fn sha256d_64(id: &Id, bench: Bench<'_, '_>) {
    let (count, path) = (id.number("messages"), path(id));
    let fixture = || {
        let messages = fixtures::blocks(count);
        let mut digests = vec![Digest::ZERO; count];
        sha256::sha256d_64_with(path, &messages, &mut digests);
        for (message, digest) in messages.iter().zip(&digests) {
            assert_eq!(*digest, hash::sha256d(message), "the kernel is wrong on {path}");
        }
        (messages, digests)
    };
    bench.measure(Throughput::Elements(count as u64), fixture, |(messages, digests)| {
        sha256::sha256d_64_with(path, black_box(messages), black_box(digests));
    });
}

fn tagged_pairs(id: &Id, bench: Bench<'_, '_>) {
    let (count, path) = (id.number("pairs"), path(id));
    let fixture = || {
        let pairs = fixtures::pairs(count);
        let mut digests = vec![Digest::ZERO; count];
        sha256::tagged_pairs_with(path, TAG, &pairs, &mut digests);
        for ([left, right], digest) in pairs.iter().zip(&digests) {
            let mut whole = Sha256::new();
            whole.update(&[TAG]);
            whole.update(&left.0);
            whole.update(&right.0);
            assert_eq!(*digest, whole.finish(), "the kernel is wrong on {path}");
        }
        (pairs, digests)
    };
    bench.measure(Throughput::Elements(count as u64), fixture, |(pairs, digests)| {
        sha256::tagged_pairs_with(path, TAG, black_box(pairs), black_box(digests));
    });
}

/// The SHA-256 path that an id names.
pub(crate) fn path(id: &Id) -> Path {
    id.text("path").parse().unwrap_or_else(|error| panic!("{id}: {error}"))
}
