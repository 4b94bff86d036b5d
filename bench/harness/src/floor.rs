//! The least CPU time that a transaction can cost, measured in the process that is judged by it.
//!
//! Every replica has to verify the client's signature and to digest the request, and every reply
//! has to be authenticated. These are measured one by one, at the payload, batch size and number
//! of signers of the run, on one thread with nothing else going on, before the run and after it.
//! What a run costs beyond their sum is consensus, queues and copies. Beside our verification
//! stands ed25519-dalek's, so that a slow kernel cannot flatter the share.
//!
//! What signatures cost is kept in units of [`crate::pace`], since the same core is up to half as
//! fast again from one second to the next, and brought to the pace that the run had. Digests and
//! MACs hardly depend on it, and count as they cost at the best moment.

use core::hint::black_box;

use ed25519_dalek::{VerifyingKey, verify_batch};
use quorumark_consensus::request::{Request, RequestStatement};
use quorumark_consensus::types::{ClientId, Seq, Timestamp, View};
use quorumark_primitives::Digest;
use quorumark_primitives::ed25519::{BatchVerifier, PublicKey, SecretKey, Signature};
use quorumark_primitives::signed::{
    Context, Domain, ProtocolId, ReplicaSessions, Sealer, Signer, Statement,
};
use quorumark_primitives::wire::{Encode, encode_varint};
use quorumark_report::stats::median;

use crate::clock::{Cost, Scope};
use crate::fixture;
use crate::pace::Pace;
use crate::scenario::verifier;

/// How far floors before and after a run may differ, as a share of the smaller, for the run's
/// share of them to be conclusive.
pub const FLOOR_DRIFT_MAX: f64 = 0.05;

/// Runs that count.
const RUNS: usize = 48;
/// The same where nothing is signed: such runs are short, and together have to last long enough for
/// a neighbour to be away once.
const RUNS_UNSIGNED: usize = 1024;
/// The same where the floor itself is not asked for.
const RUNS_BRIEF: usize = 3;
/// The fewest requests of one run: about 5 ms of verification.
const REQUESTS_MIN: usize = 512;
/// Bytes of a reply's result: what a write answers, and no read answers less.
const RESULT_BYTES: usize = 1;
/// Replies of one run: a MAC takes a tenth of a microsecond.
const REPLIES: usize = 4096;

/// What a floor depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Bytes of a request's operation.
    pub payload: usize,
    /// Signatures that are verified together.
    pub batch: usize,
    /// Clients that sign, in turn; 0 where none does, and then no signature is verified.
    pub signers: usize,
    /// Replies of one batch to one client, which share a MAC.
    pub replies: usize,
}

/// The replicas that a transaction costs CPU time at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replicas {
    /// Those that work: a silent one verifies nothing.
    pub live: usize,
    /// Equal replies that a client waits for, whoever is silent: f + 1 of the whole committee, or a
    /// quorum where reads are not ordered or executions tentative.
    pub replies: usize,
}

/// What one item of each kind costs, whatever the pace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RelativeFloor {
    /// Verifying one request's signature in a batch, in looks at the pace.
    pub verify_looks: f64,
    /// The same by ed25519-dalek's `verify_batch`.
    pub dalek_verify_looks: f64,
    /// Digesting one request of a batch, in microseconds of CPU time.
    pub digest_us: f64,
    /// Making, or checking, the MAC of one request, in microseconds of CPU time.
    pub mac_us: f64,
    /// One reply's share of the MAC of its batch to its client, made or checked, in microseconds of
    /// CPU time.
    pub reply_mac_us: f64,
    /// The cheapest look while this was measured, in microseconds.
    pub pace_us: f64,
}

impl RelativeFloor {
    /// What it comes to while a look costs `pace_us`.
    pub fn at(&self, pace_us: f64) -> Floor {
        Floor {
            verify_us: self.verify_looks * pace_us,
            digest_us: self.digest_us,
            mac_us: self.mac_us,
            reply_mac_us: self.reply_mac_us,
            dalek_verify_us: self.dalek_verify_looks * pace_us,
        }
    }

    /// What it comes to in the best moments of its own measurement.
    pub fn least(&self) -> Floor {
        self.at(self.pace_us)
    }

    /// The floor of two measurements: the mean of what they found, and the better pace.
    pub fn mean(&self, other: &RelativeFloor) -> RelativeFloor {
        RelativeFloor {
            verify_looks: f64::midpoint(self.verify_looks, other.verify_looks),
            dalek_verify_looks: f64::midpoint(self.dalek_verify_looks, other.dalek_verify_looks),
            digest_us: f64::midpoint(self.digest_us, other.digest_us),
            mac_us: f64::midpoint(self.mac_us, other.mac_us),
            reply_mac_us: f64::midpoint(self.reply_mac_us, other.reply_mac_us),
            pace_us: self.pace_us.min(other.pace_us),
        }
    }
}

/// CPU time of one item of each kind, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Floor {
    /// Verifying one request's signature in a batch.
    pub verify_us: f64,
    /// Digesting one request.
    pub digest_us: f64,
    /// Making, or checking, the MAC of one request.
    pub mac_us: f64,
    /// One reply's share of the MAC of its batch to its client, made or checked.
    pub reply_mac_us: f64,
    /// Verifying one signature by ed25519-dalek's `verify_batch`: the yardstick.
    pub dalek_verify_us: f64,
}

impl Floor {
    /// The least CPU time of one transaction over all replicas and its client, in microseconds:
    /// verification and digest at each live replica, a reply's MAC made by each, and f + 1 checked.
    /// `verify_us` stands for the check at a request's entry, whatever it is.
    pub fn cpu_us_per_tx(&self, at: Replicas) -> f64 {
        self.sum(at, self.verify_us)
    }

    /// The same with ed25519-dalek's verification in place of ours.
    pub fn yardstick_cpu_us_per_tx(&self, at: Replicas) -> f64 {
        self.sum(at, self.dalek_verify_us)
    }

    /// By how much the larger sum exceeds the smaller, as a share of it.
    pub fn drift(&self, other: &Floor, at: Replicas) -> f64 {
        let (a, b) = (self.cpu_us_per_tx(at), other.cpu_us_per_tx(at));
        a.max(b) / a.min(b) - 1.0
    }

    fn sum(&self, at: Replicas, verify_us: f64) -> f64 {
        let macs = (at.live + at.replies) as f64;
        at.live as f64 * (verify_us + self.digest_us) + macs * self.reply_mac_us
    }
}

/// Distinct signed requests and replies, ready to be timed as often as wanted.
pub struct FloorBench {
    batch: usize,
    /// Of the requests.
    encodings: Vec<Vec<u8>>,
    /// The signed bytes of each request; none where nothing is signed, and so below.
    messages: Vec<Vec<u8>>,
    signatures: Vec<Signature>,
    /// Per request, its client's key.
    keys: Vec<PublicKey>,
    stock: Vec<(VerifyingKey, ed25519_dalek::Signature)>,
    verifier: BatchVerifier,
    sessions: ReplicaSessions,
    /// Encodings, one after the other, of as many as share a MAC.
    replies: Vec<Vec<u8>>,
    replies_together: usize,
    pace: Pace,
}

impl FloorBench {
    /// Signs the requests. A run of many signers has at least one request of each, up to 4096.
    ///
    /// # Panics
    /// When the payload, the batch or the replies of `shape` are 0.
    pub fn new(shape: Shape, protocol: ProtocolId, seed: u64) -> FloorBench {
        let Shape { payload, batch, signers, replies: together } = shape;
        assert!(payload > 0 && batch > 0 && together > 0, "{shape:?}");
        let context = Context { cluster: seed, protocol };
        let count = REQUESTS_MIN.max(signers.min(4096)).next_multiple_of(batch);
        let mut random = fixture::random(seed, FLOOR_STREAM);
        let keys = fixture::signers(&mut random, signers.min(count));
        let publics: Vec<PublicKey> = keys.iter().map(SecretKey::public).collect();
        let request = |place: usize| Request {
            client: ClientId((place % keys.len().max(1)) as u32),
            timestamp: Timestamp(place as u64),
            operation: fixture::bytes(&mut random, payload).into(),
        };
        let requests: Vec<Request> = (0..count).map(request).collect();
        let signed = if keys.is_empty() { &[][..] } else { &requests };
        let messages: Vec<Vec<u8>> =
            signed.iter().map(|request| signed_bytes(context, request)).collect();
        let signatures = sign(context, keys, signed);
        let keys: Vec<PublicKey> = publics.iter().copied().cycle().take(count).collect();
        FloorBench {
            batch,
            stock: keys.iter().zip(&signatures).map(|(k, s)| stock(k, s)).collect(),
            verifier: verifier(seed),
            sessions: ReplicaSessions::new(context, &[7; 32], 0, 1),
            replies: (0..REPLIES.div_ceil(together)).map(|_| replies(together)).collect(),
            replies_together: together,
            pace: Pace::new(seed),
            encodings: requests.iter().map(encoding).collect(),
            messages,
            signatures,
            keys,
        }
    }

    /// Measures the floor on the calling thread by 48 short runs, after two to warm up. Each
    /// verification stands between two looks at the pace, and counts as the median of what it cost
    /// in looks; of digests and MACs the cheapest run counts, since a neighbour can only add to
    /// them. Takes about 1.5 s, half of it where nothing is signed and 1,024 shorter runs are made.
    /// `None` when a valid signature was refused: then there is nothing to hold a run against.
    pub fn measure(&mut self) -> Option<RelativeFloor> {
        self.once()?;
        self.measure_by(if self.messages.is_empty() { RUNS_UNSIGNED } else { RUNS })
    }

    /// The same by three runs, good enough to know how many requests a trial needs. Takes about
    /// 0.1 s.
    pub fn estimate(&mut self) -> Option<RelativeFloor> {
        self.measure_by(RUNS_BRIEF)
    }

    fn measure_by(&mut self, runs: usize) -> Option<RelativeFloor> {
        self.once()?;
        let runs: Vec<RelativeFloor> = (0..runs).map(|_| self.once()).collect::<Option<_>>()?;
        let all = |of: fn(&RelativeFloor) -> f64| runs.iter().map(of);
        let least = |of| all(of).fold(f64::INFINITY, f64::min);
        Some(RelativeFloor {
            verify_looks: median(all(|run| run.verify_looks))?,
            dalek_verify_looks: median(all(|run| run.dalek_verify_looks))?,
            digest_us: least(|run| run.digest_us),
            mac_us: least(|run| run.mac_us),
            reply_mac_us: least(|run| run.reply_mac_us),
            pace_us: least(|run| run.pace_us),
        })
    }

    fn once(&mut self) -> Option<RelativeFloor> {
        let Looks { verify, dalek_verify, pace_us } = match self.messages.is_empty() {
            true => Looks { pace_us: self.pace.warm_look()?, ..Looks::default() },
            false => self.signatures()?,
        };
        let encodings: Vec<&[u8]> = self.encodings.iter().map(Vec::as_slice).collect();
        let mut digests = vec![Digest::ZERO; self.batch];
        let (digest_us, ()) = timed(encodings.len(), || {
            for batch in encodings.chunks(self.batch) {
                Request::digest_each(black_box(batch), &mut digests[..batch.len()]);
                black_box(&digests);
            }
        });
        let (mac_us, ()) = timed(REPLIES, || {
            for _ in 0..REPLIES {
                let digest = black_box(&digests[0].0);
                black_box(self.sessions.tag(0, Domain::Request, digest));
            }
        });
        let (reply_mac_us, ()) = timed(self.replies.len() * self.replies_together, || {
            for replies in &self.replies {
                black_box(self.sessions.tag(0, Domain::Reply, black_box(replies)));
            }
        });
        Some(RelativeFloor {
            verify_looks: verify,
            dalek_verify_looks: dalek_verify,
            digest_us,
            mac_us,
            reply_mac_us,
            pace_us,
        })
    }

    /// Verifies every signature by both, each between two looks at the pace.
    fn signatures(&mut self) -> Option<Looks> {
        let count = self.messages.len();
        let first = self.pace.warm_look()?;
        let (verify_us, accepted) = timed(count, || self.verify());
        let second = self.pace.warm_look()?;
        let (dalek_verify_us, accepted_by_dalek) = timed(count, || self.verify_by_dalek());
        let third = self.pace.warm_look()?;
        (accepted == count && accepted_by_dalek).then_some(Looks {
            verify: verify_us / f64::midpoint(first, second),
            dalek_verify: dalek_verify_us / f64::midpoint(second, third),
            pace_us: first.min(second).min(third),
        })
    }

    fn verify(&mut self) -> usize {
        let mut verdicts = Vec::with_capacity(self.batch);
        let mut accepted = 0;
        for start in (0..self.messages.len()).step_by(self.batch) {
            for place in start..start + self.batch {
                let message: &[&[u8]] = &[&self.messages[place]];
                self.verifier.queue(&self.keys[place], message, &self.signatures[place]);
            }
            self.verifier.verify(&mut verdicts);
            accepted += verdicts.iter().filter(|verdict| **verdict).count();
        }
        accepted
    }

    fn verify_by_dalek(&self) -> bool {
        let mut batches = self.messages.chunks(self.batch).zip(self.stock.chunks(self.batch));
        let accepted = |(messages, stock): (&[Vec<u8>], &[(VerifyingKey, _)])| {
            let texts: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
            let (keys, signatures): (Vec<_>, Vec<_>) = stock.iter().copied().unzip();
            verify_batch(&texts, &signatures, &keys).is_ok()
        };
        batches.all(accepted)
    }
}

/// What a signature cost in one run, in looks at the pace, and the cheapest of these.
#[derive(Debug, Default)]
struct Looks {
    verify: f64,
    dalek_verify: f64,
    pace_us: f64,
}

/// Keeps the floor's requests apart from those of the run, so that no cache knows them.
const FLOOR_STREAM: u64 = 0xf100;

/// Microseconds of CPU of one of `count` items.
fn timed<T>(count: usize, work: impl FnOnce() -> T) -> (f64, T) {
    let mut cost = Cost::default();
    let answer = cost.add(Scope::Thread, work);
    (cost.cpu.as_nanos() as f64 / 1e3 / count as f64, answer)
}

fn statement(request: &Request) -> RequestStatement {
    RequestStatement { client: request.client, digest: request.digest() }
}

fn signed_bytes(context: Context, request: &Request) -> Vec<u8> {
    let statement = statement(request);
    let mut bytes = context.prefix(RequestStatement::DOMAIN, statement.signer()).to_vec();
    statement.encode(&mut bytes);
    bytes
}

fn encoding(request: &Request) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode(&mut bytes);
    bytes
}

fn sign(context: Context, keys: Vec<SecretKey>, requests: &[Request]) -> Vec<Signature> {
    let sealer = |(id, key)| Sealer::new(context, Signer::Client(id), key);
    let mut sealers: Vec<Sealer> = (0..).zip(keys).map(sealer).collect();
    let sign = |request: &Request| sealers[request.client.0 as usize].sign(&statement(request));
    requests.iter().map(sign).collect()
}

fn stock(key: &PublicKey, signature: &Signature) -> (VerifyingKey, ed25519_dalek::Signature) {
    let key = VerifyingKey::from_bytes(&key.0).expect("a signer's key is a point");
    (key, ed25519_dalek::Signature::from_bytes(&signature.0))
}

/// What the MAC of so many replies to one client is of: view, sequence number and flag, then by reply
/// the step to its timestamp and its result.
fn replies(count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    View(0).encode(&mut bytes);
    Seq(1).encode(&mut bytes);
    false.encode(&mut bytes);
    for _ in 0..count {
        encode_varint(2, &mut bytes);
        encode_varint(RESULT_BYTES as u64, &mut bytes);
        bytes.extend([0; RESULT_BYTES]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(shape: Shape) -> Floor {
        FloorBench::new(shape, ProtocolId(1), 42).measure().unwrap().least()
    }

    #[test]
    fn every_part_of_a_floor_is_measured_and_verification_is_the_largest() {
        let floor = measured(Shape { payload: 512, batch: 64, signers: 4, replies: 16 });
        let Floor { verify_us, digest_us, mac_us, reply_mac_us, dalek_verify_us } = floor;
        assert!(digest_us > 0.0 && mac_us > reply_mac_us && reply_mac_us > 0.0, "{floor:?}");
        assert!(verify_us > digest_us && dalek_verify_us > digest_us, "{floor:?}");
    }

    #[test]
    fn without_signers_only_digests_and_macs_are_measured() {
        let mut bench = FloorBench::new(
            Shape { payload: 512, batch: 64, signers: 0, replies: 16 },
            ProtocolId(1),
            42,
        );
        let floor = bench.measure().unwrap();
        assert!((floor.verify_looks, floor.dalek_verify_looks) == (0.0, 0.0), "{floor:?}");
        assert!(floor.digest_us > 0.0 && floor.reply_mac_us > 0.0 && floor.pace_us > 0.0);
    }

    #[test]
    fn a_batch_that_does_not_divide_the_requests_and_one_of_one_are_measured() {
        assert!(
            measured(Shape { payload: 16, batch: 100, signers: 7, replies: 14 }).verify_us > 0.0
        );
        assert!(measured(Shape { payload: 1, batch: 1, signers: 1, replies: 1 }).verify_us > 0.0);
    }

    #[test]
    fn a_transaction_costs_n_verifications_and_digests_and_the_macs_of_its_replies() {
        let floor = Floor {
            verify_us: 9.0,
            digest_us: 1.0,
            mac_us: 0.7,
            reply_mac_us: 0.5,
            dalek_verify_us: 17.0,
        };
        let committee = Replicas { live: 4, replies: 2 };
        assert!((floor.cpu_us_per_tx(committee) - 43.0).abs() < 1e-9);
        assert!((floor.yardstick_cpu_us_per_tx(committee) - 75.0).abs() < 1e-9);
        // One silent replica of four: three work, and still two replies are waited for.
        let silent = Replicas { live: 3, replies: 2 };
        assert!((floor.cpu_us_per_tx(silent) - 32.5).abs() < 1e-9);
        let slower = Floor { verify_us: 10.0, ..floor };
        let drift = floor.drift(&slower, committee);
        assert!((drift - 4.0 / 43.0).abs() < 1e-9 && drift > FLOOR_DRIFT_MAX);
        assert!((slower.drift(&floor, committee) - drift).abs() < 1e-9);
    }

    #[test]
    fn a_floor_follows_the_pace_in_what_signatures_cost_and_in_nothing_else() {
        let measured = RelativeFloor {
            verify_looks: 0.02,
            dalek_verify_looks: 0.04,
            digest_us: 1.0,
            mac_us: 0.7,
            reply_mac_us: 0.5,
            pace_us: 450.0,
        };
        let (least, slow) = (measured.least(), measured.at(675.0));
        assert!((least.verify_us - 9.0).abs() < 1e-9 && (slow.verify_us - 13.5).abs() < 1e-9);
        assert!((slow.dalek_verify_us - 27.0).abs() < 1e-9);
        assert!((slow.digest_us, slow.reply_mac_us) == (least.digest_us, least.reply_mac_us));
        // The same machine at two paces: no drift. Verification that got dearer by itself: drift.
        let committee = Replicas { live: 4, replies: 2 };
        let later = RelativeFloor { pace_us: 675.0, ..measured };
        assert!(measured.at(500.0).drift(&later.at(500.0), committee) < 1e-9);
        let dearer = RelativeFloor { verify_looks: 0.022, ..measured };
        assert!(measured.at(500.0).drift(&dearer.at(500.0), committee) > FLOOR_DRIFT_MAX);
        let mean = measured.mean(&RelativeFloor { pace_us: 675.0, ..dearer });
        assert!((mean.verify_looks - 0.021).abs() < 1e-9 && (mean.pace_us - 450.0).abs() < 1e-9);
    }
}
