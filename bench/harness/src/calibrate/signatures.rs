//! Verifying the votes of a large committee: many keys, and a signature of each.

use std::sync::Arc;
use std::time::Instant;

use quorumark_consensus::pbft::{Commit, Message, PROTOCOL};
use quorumark_consensus::types::{ReplicaId, Seq, View};
use quorumark_primitives::Digest;
use quorumark_primitives::signed::{
    ClientAuth, Context, KeyDirectory, Sealable, Sealer, Signed, Signer, Verifier,
};
use quorumark_sim::model::costs::VerifyCost;

use super::Figure;
use crate::fixture;

/// Replicas of the large committee.
const KEYS: usize = 100;
/// Votes that are verified together.
const SIZES: [usize; 8] = [1, 2, 4, 8, 16, 32, 66, 99];
/// Times that the votes of every replica are verified.
const ROUNDS: u64 = 24;
/// Rounds before those that count: a key that comes again and again gets a table.
const WARM_UP: u64 = 20;
/// Keeps these keys apart from those of runs.
const STREAM: u64 = 0xca1b;

/// Verifies batches of votes: what each size of batch costs.
pub(super) fn votes(seed: u64) -> Vec<VerifyCost> {
    let context = Context { cluster: seed, protocol: PROTOCOL };
    let secrets = fixture::signers(&mut fixture::random(seed, STREAM), KEYS);
    let publics = secrets.iter().map(|secret| secret.public()).collect();
    let directory = Arc::new(KeyDirectory::new(publics, Vec::new()));
    let sealer = |(id, secret)| Sealer::new(context, Signer::Replica(id), secret);
    let mut sealers: Vec<Sealer> = (0..).zip(secrets).map(sealer).collect();
    let mut verifier = Verifier::new(context, directory, ClientAuth::Signature, [5; 32]);
    let mut times = vec![Vec::new(); SIZES.len()];
    for round in 0..WARM_UP + ROUNDS {
        let mut votes = Vec::new();
        for (id, sealer) in (0..).zip(&mut sealers) {
            let body = Commit {
                view: View(0),
                seq: Seq(round + 1),
                digest: Digest::ZERO,
                replica: ReplicaId(id),
            };
            let mut vote = Message::Commit(Signed::blank(body));
            vote.seal(sealer);
            votes.push(vote);
        }
        for (size, times) in SIZES.iter().zip(&mut times) {
            // Others each time, as they come in at a replica.
            let from = round as usize * 7 % (KEYS - size);
            let mut together = votes[from..from + size].to_vec();
            let begun = Instant::now();
            verifier.verify(&mut together, |verdict| {
                core::hint::black_box(verdict.is_ok());
            });
            let ns = begun.elapsed().as_nanos() as f64;
            if round >= WARM_UP {
                times.push(ns);
            }
        }
    }
    let cost = |(size, times): (usize, Vec<f64>)| {
        let Figure { value, spread } = Figure::median(times);
        VerifyCost { signatures: size as u64, keys: KEYS as u64, value, spread }
    };
    SIZES.into_iter().zip(times).map(cost).collect()
}
