//! Batch verification: fixed tables for few signatures under keys that are seen often, one equation
//! for many and for the rest.
//!
//! For signatures `i` under keys `A_i`, with `z_i` of 128 random bits, all are accepted when
//!
//! ```text
//! [8] ( sum z_i R_i  +  sum [z_i k_i] A_i  -  [sum z_i s_i] B )  =  0
//! ```
//!
//! If every equation holds, the sum is zero. If one does not, its residue has prime order once
//! the cofactor is multiplied in, and at most one of 2^128 values of its weight makes the sum
//! vanish. Equal keys share one term, so few signers and many messages, the shape of PBFT, cost
//! one point per signature.
//!
//! # The weights
//! They come from BLAKE3, keyed with the verifier's seed, over every `(k_i, s_i)` of the batch.
//! `k_i` is a hash of `R_i`, `A_i` and the message, so the weights depend on every bit of every
//! signature, and an attacker has to fix the whole batch before any weight is known: choosing
//! signatures adaptively gains nothing over guessing. With a secret seed he cannot even test a
//! guess offline. With a public one (a simulator's, so that runs repeat) each guess costs a hash
//! and succeeds with probability 2^-128. The verdicts do not depend on the seed but with that
//! probability.
//!
//! # Policy
//! - A key that is seen in many batches gets a table while there is memory for it (see `tables`).
//!   By it a small batch is verified, each signature with a verdict of its own (see `tabled`).
//! - A large batch is one multiscalar multiplication per group of [`BATCH_SIGNATURES_MAX`]; beyond
//!   that size the cost per signature no longer falls.
//! - Up to three signatures without a table take the single path: a batch of one is never slower.
//! - In a group whose sum does not vanish, a lone bad signature is named by two more sums, where
//!   keys are few; otherwise the group is bisected, which names all bad ones (see `bisect`).
//! - For some batches after several bad signatures, or a bisection, the verifier is wary and takes
//!   tables wherever they are, because there a bad signature costs its neighbours nothing.
//!
//! The function that decides stands in `policy`; [`VerifyMethod`] chooses one path for all.
//!
//! The points are ours (see `lanes`): commitments are decompressed eight at a time, and the sum is
//! Pippenger's in four lanes.
//!
//! Measured on Zen 3 with AVX2, a signature costs 31 us alone, 12 in a batch of 16 and 5.3 in one
//! of 256 from 4 keys; from distinct keys 8.1 in one of 256. By tables it is 7 in a batch of 8 and
//! 6.6 from 16 on, as long as the tables stay in the cache. On a Xeon (Sapphire Rapids) 256 from 4 keys
//! cost 3.9 us each by AVX-512 and 7.9 by AVX2, 16 by tables 6.2 and 12.9.

use std::collections::HashMap;

use curve25519_dalek::edwards::CompressedEdwardsY;

use super::bisect::{Residues, Term};
use super::equation::{challenge, holds, response};
use super::lanes::{Backend, backend};
use super::point::decompress;
use super::policy::{Plan, Shape, VerifyMethod, WARY_BATCHES};
use super::tabled::Tabled;
use super::tables::{KeyTables, TABLE_BYTES_MAX};
use super::{KeyCache, PreparedKey, PublicKey, Signature};
use crate::wire::FRAME_BYTES_MAX;

/// The most signatures in one equation.
pub const BATCH_SIGNATURES_MAX: usize = 1024;

/// The most signatures that can be queued: twice what one frame can carry.
pub const QUEUE_SIGNATURES_MAX: usize = 2 * (FRAME_BYTES_MAX / 64);

/// Exact counts of a verifier's work since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VerifyCounters {
    /// Signatures that got a verdict.
    pub signatures_verified: u64,
    /// Of these, refused ones.
    pub signatures_invalid: u64,
    /// Calls that gave verdicts, whatever the number of signatures.
    pub batches: u64,
    /// Multiscalar multiplications, those that name bad signatures included.
    pub equations: u64,
    /// Signatures that were checked one by one.
    pub singles: u64,
    /// Signatures that were checked by their key's table.
    pub tabled: u64,
    /// Times that a failing group was split in two.
    pub bisections: u64,
}

impl VerifyCounters {
    /// Adds the counts of another verifier.
    pub fn merge(&mut self, other: &VerifyCounters) {
        self.signatures_verified += other.signatures_verified;
        self.signatures_invalid += other.signatures_invalid;
        self.batches += other.batches;
        self.equations += other.equations;
        self.singles += other.singles;
        self.tabled += other.tabled;
        self.bisections += other.bisections;
    }
}

/// Collects signatures and verifies them together. Reusable; its buffers keep their capacity, and
/// only the multiscalar multiplication allocates.
#[derive(Debug)]
pub struct BatchVerifier {
    seed: [u8; 32],
    backend: Backend,
    method: VerifyMethod,
    cache: KeyCache,
    tables: KeyTables,
    slots: HashMap<PublicKey, Option<u32>>,
    keys: Vec<PreparedKey>,
    /// Per key, the place of its table.
    places: Vec<Option<u32>>,
    queued: usize,
    /// Signatures under keys with a table.
    tabled_terms: Vec<Term>,
    terms: Vec<Term>,
    tabled: Tabled,
    residues: Residues,
    /// Batches that the verifier stays wary for.
    wary: u32,
    counters: VerifyCounters,
}

impl BatchVerifier {
    /// A verifier whose weights are derived from `seed`, best a secret one; see the module's
    /// documentation.
    pub fn new(seed: [u8; 32]) -> BatchVerifier {
        BatchVerifier {
            seed,
            backend: backend(),
            method: VerifyMethod::default(),
            cache: KeyCache::default(),
            tables: KeyTables::new(TABLE_BYTES_MAX),
            slots: HashMap::new(),
            keys: Vec::new(),
            places: Vec::new(),
            queued: 0,
            tabled_terms: Vec::new(),
            terms: Vec::new(),
            tabled: Tabled::default(),
            residues: Residues::new(backend().kernels()),
            wary: 0,
            counters: VerifyCounters::default(),
        }
    }

    /// The same verifier with another backend. No verdict depends on it.
    pub fn with_backend(self, backend: Backend) -> BatchVerifier {
        BatchVerifier { backend, residues: Residues::new(backend.kernels()), ..self }
    }

    /// The same verifier by another method.
    pub fn with_method(self, method: VerifyMethod) -> BatchVerifier {
        BatchVerifier { method, ..self }
    }

    /// The same verifier with room for so many bytes of tables instead of [`TABLE_BYTES_MAX`]. Its
    /// keys have to earn them anew.
    pub fn with_table_bytes_max(self, bytes: usize) -> BatchVerifier {
        BatchVerifier { tables: KeyTables::new(bytes), ..self }
    }

    /// Bytes that the tables of keys take now.
    pub fn table_bytes(&self) -> usize {
        self.tables.bytes()
    }

    /// Signatures queued.
    pub fn len(&self) -> usize {
        self.queued
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.queued == 0
    }

    /// Counts since the start.
    pub fn counters(&self) -> VerifyCounters {
        self.counters
    }

    /// Queues a signature of the concatenation of `parts`. The message is hashed now.
    ///
    /// A malformed signature or key takes its place in the queue and will be refused.
    ///
    /// # Panics
    /// When [`QUEUE_SIGNATURES_MAX`] signatures are queued: callers verify before that.
    pub fn queue(&mut self, key: &PublicKey, parts: &[&[u8]], signature: &Signature) {
        assert!(self.queued < QUEUE_SIGNATURES_MAX, "the queue is verified before it is full");
        let position = self.queued as u32;
        self.queued += 1;
        if let Some((s, slot)) = response(signature).zip(self.slot(key)) {
            let commitment = CompressedEdwardsY(signature.commitment());
            let k = challenge(&commitment, key, parts);
            let term = Term { position, key: slot, s, k, commitment };
            match self.places[slot as usize] {
                Some(_) => self.tabled_terms.push(term),
                None => self.terms.push(term),
            }
        }
    }

    /// Drops what was queued after the first `length` signatures.
    pub fn truncate(&mut self, length: usize) {
        self.queued = self.queued.min(length);
        for terms in [&mut self.terms, &mut self.tabled_terms] {
            terms.truncate(terms.partition_point(|term| (term.position as usize) < length));
        }
    }

    /// Verifies everything queued and empties the queue. `verdicts` is overwritten with one verdict
    /// per signature, in the order of the queue.
    pub fn verify(&mut self, verdicts: &mut Vec<bool>) {
        self.verify_by(self.method, verdicts);
    }

    /// As [`BatchVerifier::verify`], each signature by itself. The verdicts are the same.
    pub fn verify_each(&mut self, verdicts: &mut Vec<bool>) {
        self.verify_by(VerifyMethod::Single, verdicts);
    }

    fn verify_by(&mut self, method: VerifyMethod, verdicts: &mut Vec<bool>) {
        self.begin(verdicts);
        let bisections = self.counters.bisections;
        let (tabled, others) = (self.tabled_terms.len(), self.terms.len());
        let shape = Shape { tabled, others, keys: self.keys.len(), wary: self.wary > 0 };
        self.wary = self.wary.saturating_sub(1);
        let Plan { by_tables, by_equation } = method.plan(shape);
        if by_tables {
            self.verify_by_tables(verdicts);
        } else {
            self.terms.append(&mut self.tabled_terms);
        }
        if by_equation {
            self.verify_together(verdicts);
        } else {
            self.verify_terms_singly(verdicts);
        }
        self.finish(verdicts, bisections);
    }

    fn slot(&mut self, key: &PublicKey) -> Option<u32> {
        *self.slots.entry(*key).or_insert_with(|| {
            let (prepared, batches) = self.cache.get_counted(key)?;
            let kernels = self.backend.kernels();
            let tables = self.method.builds_tables().then_some(&mut self.tables);
            self.places.push(tables.and_then(|tables| tables.place(prepared, batches, kernels)));
            self.keys.push(*prepared);
            Some(self.keys.len() as u32 - 1)
        })
    }

    fn begin(&mut self, verdicts: &mut Vec<bool>) {
        let terms = self.terms.len() + self.tabled_terms.len();
        assert!(terms <= self.queued, "every term was queued");
        verdicts.clear();
        verdicts.resize(self.queued, false);
    }

    /// Counts the verdicts and forgets the batch; `bisections` is their number before it.
    fn finish(&mut self, verdicts: &[bool], bisections: u64) {
        assert_eq!(verdicts.len(), self.queued, "one verdict per queued signature");
        let invalid = verdicts.iter().filter(|verdict| !**verdict).count();
        self.counters.signatures_verified += verdicts.len() as u64;
        self.counters.signatures_invalid += invalid as u64;
        if invalid > 1 || self.counters.bisections > bisections {
            self.wary = WARY_BATCHES;
        }
        self.counters.batches += u64::from(!verdicts.is_empty());
        self.queued = 0;
        self.terms.clear();
        self.tabled_terms.clear();
        self.tables.end_batch();
        self.keys.clear();
        self.places.clear();
        self.slots.clear();
    }

    fn verify_by_tables(&mut self, verdicts: &mut [bool]) {
        let (tables, places) = (&self.tables, &self.places);
        let table = |term: &Term| {
            let place = places[term.key as usize];
            tables.table(place.expect("terms with a table are listed apart"))
        };
        let kernels = self.backend.kernels();
        self.tabled.verify(kernels, &self.tabled_terms, table, verdicts);
        self.counters.tabled += self.tabled_terms.len() as u64;
    }

    fn verify_terms_singly(&mut self, verdicts: &mut [bool]) {
        for term in &self.terms {
            let key = &self.keys[term.key as usize];
            verdicts[term.position as usize] = holds(&term.s, &term.k, &term.commitment, key);
        }
        self.counters.singles += self.terms.len() as u64;
    }

    fn verify_together(&mut self, verdicts: &mut [bool]) {
        let mut weights = self.weights();
        self.residues.clear(self.keys.len());
        for eight in self.terms.chunks(8) {
            let mut encodings = [eight[0].commitment.as_bytes(); 8];
            for (to, term) in encodings.iter_mut().zip(eight) {
                *to = term.commitment.as_bytes();
            }
            let pow_p58 = self.backend.kernels().pow_p58;
            let points: [_; 8] = decompress(&encodings[..eight.len()], pow_p58);
            for (term, point) in eight.iter().zip(points) {
                let z = next_weight(&mut weights);
                if let Some(r) = point {
                    self.residues.push(*term, z, &r);
                }
            }
        }
        let mut start = 0;
        while start < self.residues.len() {
            let end = self.residues.len().min(start + BATCH_SIGNATURES_MAX);
            self.verify_group(start..end, verdicts);
            start = end;
        }
    }

    fn verify_group(&mut self, group: core::ops::Range<usize>, verdicts: &mut [bool]) {
        let sum = self.residues.sum(group.clone(), &self.keys);
        self.counters.equations += 1;
        if sum.vanishes() {
            self.residues.accept(group, verdicts);
        } else {
            let (tables, places, keys) = (&self.tables, &self.places, &self.keys);
            let table = |key: u32| places[key as usize].map(|place| tables.table(place));
            self.residues.name_bad(group, sum, keys, table, verdicts, &mut self.counters);
        }
    }

    /// The source of this batch's weights: a keyed hash of all of it.
    fn weights(&self) -> blake3::OutputReader {
        let mut transcript = blake3::Hasher::new_keyed(&self.seed);
        for term in &self.terms {
            transcript.update(term.k.as_bytes());
            transcript.update(term.s.as_bytes());
        }
        transcript.finalize_xof()
    }
}

/// The next 128-bit weight. Zero, which would let any signature pass, is as likely as any other
/// value a forger may hope for.
fn next_weight(weights: &mut blake3::OutputReader) -> u128 {
    let mut bytes = [0; 16];
    weights.fill(&mut bytes);
    u128::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ed25519::{KEY_TABLE_BYTES, SecretKey, TABLE_BATCHES};

    /// A verifier with `count` signatures queued, those at `bad` spoiled.
    fn queued(count: usize, signers: usize, bad: &[usize]) -> BatchVerifier {
        let mut verifier = BatchVerifier::new([3; 32]);
        queue(&mut verifier, count, signers, bad);
        verifier
    }

    fn queue(verifier: &mut BatchVerifier, count: usize, signers: usize, bad: &[usize]) {
        let secrets: Vec<SecretKey> =
            (0..signers).map(|i| SecretKey::from_seed(&[i as u8 + 1; 32])).collect();
        for i in 0..count {
            let secret = &secrets[i % signers];
            let mut signature = secret.sign(&(i as u64).to_le_bytes());
            signature.0[32] ^= u8::from(bad.contains(&i));
            verifier.queue(&secret.public(), &[&(i as u64).to_le_bytes()], &signature);
        }
    }

    #[test]
    fn a_lone_bad_signature_is_named_by_two_sums_and_no_bisection() {
        for (count, bad) in [(256, 0), (256, 1), (256, 102), (256, 255), (255, 254), (129, 126)] {
            let mut verifier = queued(count, 4, &[bad]);
            let mut verdicts = Vec::new();
            verifier.verify(&mut verdicts);
            let named: Vec<usize> = (0..count).filter(|i| !verdicts[*i]).collect();
            assert_eq!(named, [bad]);
            let counters = verifier.counters();
            assert_eq!((counters.equations, counters.bisections, counters.singles), (3, 0, 0));
            assert_eq!((counters.signatures_invalid, verifier.wary), (1, 0));
        }
    }

    #[test]
    fn several_bad_signatures_are_named_by_bisection() {
        for bad in [vec![0, 1], vec![7, 255], vec![3, 100, 101, 200]] {
            let mut verifier = queued(256, 4, &bad);
            let mut verdicts = Vec::new();
            verifier.verify(&mut verdicts);
            let named: Vec<usize> = (0..256).filter(|i| !verdicts[*i]).collect();
            assert_eq!(named, bad);
            assert!(verifier.counters().bisections >= 6, "256 is halved down to four");
            assert_eq!(verifier.wary, WARY_BATCHES);
        }
    }

    #[test]
    fn under_many_keys_one_bad_signature_is_named_by_bisection() {
        let mut verifier = queued(256, 200, &[77]);
        let mut verdicts = Vec::new();
        verifier.verify(&mut verdicts);
        assert!((0..256).all(|i| verdicts[i] == (i != 77)));
        assert_eq!(verifier.counters().bisections, 6, "256 is halved down to four");
    }

    /// Two bad signatures whose residues are known multiples of the base point: they cancel out in
    /// the plain sum, or both sums together point at a good signature between them (1 and 1: at the
    /// place 106), or at none. No verdict may depend on it.
    #[test]
    fn bad_signatures_that_look_like_one_are_all_refused() {
        for (first, second) in [(1, -1), (3, -1), (1, 1), (-2, 5)] {
            let mut verifier = BatchVerifier::new([3; 32]);
            let secret = SecretKey::from_seed(&[1; 32]);
            for i in 0..256u64 {
                let mut signature = secret.sign(&i.to_le_bytes());
                match i {
                    10 => shift_response(&mut signature, first),
                    200 => shift_response(&mut signature, second),
                    _ => {}
                }
                verifier.queue(&secret.public(), &[&i.to_le_bytes()], &signature);
            }
            let mut verdicts = Vec::new();
            verifier.verify(&mut verdicts);
            assert!((0..256).all(|i| verdicts[i] == (i != 10 && i != 200)), "{first} {second}");
        }
    }

    /// Adds a small number to `S`, which adds a known multiple of the base point to the residue.
    fn shift_response(signature: &mut Signature, by: i64) {
        let shift = curve25519_dalek::Scalar::from(by.unsigned_abs());
        let s = response(signature).expect("an honest response is canonical");
        let shifted = if by < 0 { s - shift } else { s + shift };
        signature.0[32..].copy_from_slice(shifted.as_bytes());
    }

    #[test]
    fn a_group_full_of_bad_signatures_has_a_bounded_cost() {
        let bad: Vec<usize> = (0..128).step_by(2).collect();
        let mut verifier = queued(128, 128, &bad);
        let mut verdicts = Vec::new();
        verifier.verify(&mut verdicts);
        assert!((0..128).all(|i| verdicts[i] == (i % 2 == 1)));
        let counters = verifier.counters();
        assert!(counters.singles <= 128, "each is checked by itself at most once");
        assert!(counters.equations <= 2 * 128 / 5, "{} equations", counters.equations);
    }

    #[test]
    fn a_batch_of_one_takes_the_single_path() {
        let mut verifier = queued(1, 1, &[]);
        let mut verdicts = Vec::new();
        verifier.verify(&mut verdicts);
        assert_eq!(verdicts, [true]);
        let counters = verifier.counters();
        assert_eq!((counters.singles, counters.equations), (1, 0));
    }

    /// Verifies batches of `count` until the keys have their tables, then one with `bad` ones.
    fn with_tables(method: VerifyMethod, count: usize, bad: &[usize]) -> BatchVerifier {
        let mut verifier = BatchVerifier::new([4; 32]).with_method(method);
        let mut verdicts = Vec::new();
        for _ in 0..TABLE_BATCHES {
            queue(&mut verifier, count, 4, &[]);
            verifier.verify(&mut verdicts);
        }
        verifier.counters = VerifyCounters::default();
        queue(&mut verifier, count, 4, bad);
        verifier.verify(&mut verdicts);
        let named: Vec<usize> = (0..count).filter(|i| !verdicts[*i]).collect();
        assert_eq!(named, bad);
        verifier
    }

    #[test]
    fn often_seen_keys_are_verified_by_tables_and_a_bad_signature_costs_its_neighbours_nothing() {
        for count in [1, 2, 3, 4, 5, 7, 64] {
            let verifier = with_tables(VerifyMethod::Auto, count, &[count - 1]);
            let counters = verifier.counters();
            assert_eq!((counters.tabled, counters.singles), (count as u64, 0));
            assert_eq!(counters.equations, 0);
            assert_eq!(verifier.table_bytes(), KEY_TABLE_BYTES * count.min(4));
        }
    }

    #[test]
    fn a_large_batch_shares_an_equation_until_bad_signatures_make_the_verifier_wary() {
        let mut verifier = with_tables(VerifyMethod::Auto, 256, &[7, 9]);
        let mut verdicts = Vec::new();
        let mut paths = |verifier: &mut BatchVerifier| {
            verifier.counters = VerifyCounters::default();
            queue(verifier, 256, 4, &[]);
            verifier.verify(&mut verdicts);
            assert!(verdicts.iter().all(|verdict| *verdict));
            (verifier.counters().tabled, verifier.counters().equations)
        };
        assert!(verifier.counters().bisections > 0, "the bad ones were found in an equation");
        for _ in 0..WARY_BATCHES {
            assert_eq!(paths(&mut verifier), (256, 0));
        }
        assert_eq!(paths(&mut verifier), (0, 1), "it is calm again");
    }

    #[test]
    fn a_lone_bad_signature_under_keys_with_tables_makes_no_verifier_wary() {
        for bad in [0, 130, 255] {
            let verifier = with_tables(VerifyMethod::Auto, 256, &[bad]);
            let counters = verifier.counters();
            assert_eq!((counters.tabled, counters.equations, counters.bisections), (0, 3, 0));
            assert_eq!(verifier.wary, 0);
        }
    }

    #[test]
    fn a_method_without_tables_builds_none() {
        for method in [VerifyMethod::Equation, VerifyMethod::Single] {
            let verifier = with_tables(method, 8, &[3]);
            assert_eq!((verifier.counters().tabled, verifier.table_bytes()), (0, 0));
        }
    }

    #[test]
    fn without_memory_for_tables_the_equation_verifies() {
        let mut verifier = queued(16, 4, &[]).with_table_bytes_max(2 * KEY_TABLE_BYTES);
        let mut verdicts = Vec::new();
        for _ in 0..=TABLE_BATCHES {
            verifier.verify(&mut verdicts);
            queue(&mut verifier, 16, 4, &[5]);
        }
        verifier.verify(&mut verdicts);
        assert!((0..16).all(|i| verdicts[i] == (i != 5)));
        assert_eq!(verifier.table_bytes(), 2 * KEY_TABLE_BYTES, "two of four keys have a table");
        assert!(verifier.counters().tabled > 0 && verifier.counters().equations > 0);
    }

    #[test]
    fn a_queue_longer_than_one_equation_is_verified_in_groups() {
        let bad = [5, BATCH_SIGNATURES_MAX + 3];
        let mut verifier = queued(BATCH_SIGNATURES_MAX + 10, 4, &bad);
        let mut verdicts = Vec::new();
        verifier.verify(&mut verdicts);
        let named: Vec<usize> = (0..verdicts.len()).filter(|i| !verdicts[*i]).collect();
        assert_eq!(named, bad);
    }

    #[test]
    fn what_is_truncated_is_not_verified() {
        let mut verifier = queued(8, 2, &[6]);
        verifier.truncate(6);
        let mut verdicts = Vec::new();
        verifier.verify(&mut verdicts);
        assert_eq!(verdicts, [true; 6]);
        verifier.verify(&mut verdicts);
        assert!(verdicts.is_empty() && verifier.is_empty());
    }

    #[test]
    fn the_seed_changes_no_verdict() {
        for seed in 0..4 {
            let mut verifier = queued(32, 3, &[7, 8]);
            verifier.seed = [seed; 32];
            let mut verdicts = Vec::new();
            verifier.verify(&mut verdicts);
            assert!((0..32).all(|i| verdicts[i] == (i != 7 && i != 8)));
        }
    }
}
