//! `signature/sign`, `signature/verify`, `signature/batch-verify`: ed25519 on one thread.
//!
//! Keys are known beforehand and every signature of a pass is distinct. ed25519-dalek does the same
//! work, interleaved; it decides by another rule, which does not matter for honest signatures.

use core::hint::black_box;
use core::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey, Verifier as _, VerifyingKey, verify_batch};
use quorumark_primitives::ed25519::{
    self, BATCH_SIGNATURES_MAX, BatchVerifier, FieldWork, SecretKey, Signature, TABLE_BATCHES,
    VerifyMethod,
};
use quorumark_report::Metrics;

use super::kernel::{ALLOCATIONS, Kernel, KernelSession, Tally};
use super::{MetricSpec, Oracle, Scenario, Session, Spec, metric, note, run_parameters};
use crate::fixture::{self, SignedMessage};
use crate::limits::Floor;
use crate::parameter::{Parameter, ParameterSet};
use crate::trial::RunError;

/// Distinct signatures of one pass of `batch-verify`, when a batch is not larger.
const PASS_SIGNATURES: usize = 2048;
/// The most messages of a pass.
const SIZE_MAX: u64 = 1 << 16;
/// The most signers.
const SIGNERS_MAX: u64 = 10_000;
/// Bytes of the shortest message: room for the number that makes it distinct.
const MESSAGE_MIN: u64 = 8;
/// Bytes of the longest message.
const MESSAGE_MAX: u64 = 1 << 20;

const METRICS: &[MetricSpec] = &[
    metric("signatures_per_s", "signatures per second of wall-clock time"),
    metric("cpu_us_per_signature", "CPU time of one signature"),
    metric("dalek_cpu_us_per_signature", "CPU time of one signature by ed25519-dalek, interleaved"),
    metric("ratio_to_dalek", "our CPU time over ed25519-dalek's"),
    ALLOCATIONS,
];

/// What is done with signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Sign,
    Verify,
    BatchVerify,
}

impl Scenario for Operation {
    fn spec(&self) -> Spec {
        let (name, description, size) = match self {
            Operation::Sign => ("signature/sign", "ed25519 signing", "messages of one pass"),
            Operation::Verify => {
                let description = "ed25519 verification one by one, keys known beforehand";
                ("signature/verify", description, "signatures of one pass")
            }
            Operation::BatchVerify => {
                let description = "ed25519 verification in batches, keys known beforehand";
                ("signature/batch-verify", description, "signatures of one batch")
            }
        };
        let message = MESSAGE_MIN..=MESSAGE_MAX;
        let path =
            "how; auto: tables for few under known keys, else one equation; dalek: the stock crate";
        let mut parameters = vec![
            Parameter::integer("size", "signatures", 1..=SIZE_MAX, 256, size),
            Parameter::integer("signers", "keys", 1..=SIGNERS_MAX, 4, "keys, used in turn"),
            Parameter::size("message", message, 64, "bytes of one message"),
            Parameter::choice("path", self.paths().iter().copied(), path),
        ];
        let (duration, warmup) = (Duration::from_millis(400), Duration::from_millis(100));
        parameters.extend(run_parameters(duration, warmup, 5));
        Spec { name, description, parameters, metrics: METRICS }
    }

    fn prepare(&self, parameters: &ParameterSet) -> Result<Box<dyn Session>, RunError> {
        let size = parameters.count("size");
        let count = match self {
            Operation::Sign | Operation::Verify => size,
            Operation::BatchVerify => PASS_SIGNATURES.div_ceil(size) * size,
        };
        let seed = parameters.integer("seed");
        let random = &mut fixture::random(seed, 0);
        let signers = fixture::signers(random, parameters.count("signers").min(count));
        let messages =
            fixture::signed_messages(random, &signers, count, parameters.size("message"));
        let path = parameters.choice("path");
        let ours = path != "dalek";
        let size = if *self == Operation::Verify { 1 } else { size };
        Ok(match self {
            Operation::Sign => {
                Box::new(KernelSession::new(Sign::new(signers, messages, seed, ours)))
            }
            Operation::Verify | Operation::BatchVerify => {
                let verify = Verify::new(messages, size, seed, method(path), ours);
                Box::new(KernelSession::new(verify))
            }
        })
    }
}

impl Operation {
    fn paths(self) -> &'static [&'static str] {
        match self {
            Operation::Sign => &["auto", "dalek"],
            Operation::Verify | Operation::BatchVerify => &["auto", "equation", "single", "dalek"],
        }
    }
}

fn method(path: &str) -> VerifyMethod {
    match path {
        "equation" => VerifyMethod::Equation,
        "single" => VerifyMethod::Single,
        _ => VerifyMethod::Auto,
    }
}

fn figures(tally: &Tally, metrics: &mut Metrics) {
    let microseconds = |ns: Option<f64>| ns.map(|ns| ns / 1e3);
    metrics.set("signatures_per_s", tally.items_per_s());
    metrics.set("cpu_us_per_signature", microseconds(tally.cpu_ns_per_item()));
    let stock = microseconds(tally.yardstick_cpu_ns_per_item());
    metrics.set("dalek_cpu_us_per_signature", stock);
    metrics.set("ratio_to_dalek", tally.ratio());
}

fn path_name(ours: bool) -> Option<(&'static str, String)> {
    let path = if ours { ed25519::backend().name() } else { "ed25519-dalek" };
    Some(("ed25519", path.to_owned()))
}

struct Sign {
    ours: bool,
    signers: Vec<SecretKey>,
    stock: Vec<SigningKey>,
    messages: Vec<SignedMessage>,
    signatures: Vec<Signature>,
}

impl Sign {
    fn new(signers: Vec<SecretKey>, messages: Vec<SignedMessage>, seed: u64, ours: bool) -> Sign {
        // The same keys as `signers`: the first of the stream's bytes.
        let random = &mut fixture::random(seed, 0);
        let seeds = signers.iter().map(|_| fixture::bytes(random, 32));
        let key = |seed: Vec<u8>| {
            let seed = seed.try_into().expect("thirty-two bytes were asked for");
            SigningKey::from_bytes(&seed)
        };
        let stock = seeds.map(key).collect();
        Sign { ours, signers, stock, messages, signatures: Vec::new() }
    }

    fn by_dalek(&self, place: usize) -> Signature {
        let key = &self.stock[place % self.stock.len()];
        Signature(key.sign(black_box(&self.messages[place].message)).to_bytes())
    }

    fn by_us(&self, place: usize) -> Signature {
        let key = &self.signers[place % self.signers.len()];
        key.sign(black_box(&self.messages[place].message))
    }
}

impl Kernel for Sign {
    fn pass(&mut self) -> u64 {
        let mut signatures = core::mem::take(&mut self.signatures);
        signatures.clear();
        for place in 0..self.messages.len() {
            signatures.push(if self.ours { self.by_us(place) } else { self.by_dalek(place) });
        }
        self.signatures = signatures;
        self.messages.len() as u64
    }

    fn yardstick(&mut self) -> u64 {
        for place in 0..self.messages.len() {
            black_box(self.by_dalek(place));
        }
        self.messages.len() as u64
    }

    fn inspect(&mut self, oracle: &mut Oracle) {
        let whole = self.signatures.len() == self.messages.len();
        note(oracle, "one-signature-each", (!whole).then(|| "a message is unsigned".to_owned()));
    }

    fn figures(&self, tally: &Tally, metrics: &mut Metrics) {
        figures(tally, metrics);
    }

    fn floor(&self) -> Option<Floor> {
        let one = self.messages.first().filter(|_| self.ours && ed25519::backend().signs())?;
        let work = FieldWork::of(|counting| {
            black_box(self.signers[0].sign_with(counting, &one.message));
        });
        Floor::of_work(work, 1)
    }

    fn check(&mut self, oracle: &mut Oracle) {
        for (place, signature) in self.signatures.iter().enumerate() {
            let (ours, stock) = (self.by_us(place), self.by_dalek(place));
            let agrees = ours == stock && ours == *signature;
            let text = || format!("message {place}: {ours:?} is not dalek's {stock:?}");
            note(oracle, "reference", (!agrees).then(text));
        }
    }

    fn path(&self) -> Option<(&'static str, String)> {
        path_name(self.ours)
    }
}

/// Verification in batches; with batches of one, verification one by one.
struct Verify {
    ours: bool,
    size: usize,
    method: VerifyMethod,
    verifier: BatchVerifier,
    messages: Vec<SignedMessage>,
    stock: Vec<(VerifyingKey, ed25519_dalek::Signature)>,
    verdicts: Vec<bool>,
    accepted: usize,
}

impl Verify {
    fn new(
        messages: Vec<SignedMessage>,
        size: usize,
        seed: u64,
        method: VerifyMethod,
        ours: bool,
    ) -> Verify {
        let stock = |one: &SignedMessage| {
            let key = VerifyingKey::from_bytes(&one.key.0).expect("a signer's key is a point");
            (key, ed25519_dalek::Signature::from_bytes(&one.signature.0))
        };
        Verify {
            ours,
            size,
            method,
            verifier: verifier(seed).with_method(method),
            stock: messages.iter().map(stock).collect(),
            messages,
            verdicts: Vec::new(),
            accepted: 0,
        }
    }

    fn by_us(&mut self) -> usize {
        let mut all = 0;
        for batch in self.messages.chunks(self.size) {
            all += accepted(&mut self.verifier, batch, &mut self.verdicts);
        }
        all
    }

    fn by_dalek(&self) -> usize {
        let batches = self.messages.chunks(self.size).zip(self.stock.chunks(self.size));
        batches.map(|(messages, stock)| dalek_accepts(black_box(messages), stock)).sum()
    }
}

/// How many of a batch a verifier accepts.
fn accepted(
    verifier: &mut BatchVerifier,
    batch: &[SignedMessage],
    verdicts: &mut Vec<bool>,
) -> usize {
    for one in black_box(batch) {
        verifier.queue(&one.key, &[&one.message], &one.signature);
    }
    verifier.verify(verdicts);
    verdicts.iter().filter(|verdict| **verdict).count()
}

/// A verifier whose weights are seeded, so that runs repeat.
pub(crate) fn verifier(seed: u64) -> BatchVerifier {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    BatchVerifier::new(bytes)
}

/// How many signatures of a batch ed25519-dalek accepts: all or none; one by its single path.
fn dalek_accepts(
    messages: &[SignedMessage],
    stock: &[(VerifyingKey, ed25519_dalek::Signature)],
) -> usize {
    let accepted = match (messages, stock) {
        ([one], [(key, signature)]) => key.verify(&one.message, signature).is_ok(),
        _ => {
            let texts: Vec<&[u8]> = messages.iter().map(|one| one.message.as_slice()).collect();
            let (keys, signatures): (Vec<_>, Vec<_>) = stock.iter().copied().unzip();
            verify_batch(&texts, &signatures, &keys).is_ok()
        }
    };
    if accepted { messages.len() } else { 0 }
}

impl Kernel for Verify {
    fn pass(&mut self) -> u64 {
        self.accepted = if self.ours { self.by_us() } else { self.by_dalek() };
        self.messages.len() as u64
    }

    fn yardstick(&mut self) -> u64 {
        black_box(self.by_dalek());
        self.messages.len() as u64
    }

    fn inspect(&mut self, oracle: &mut Oracle) {
        let refused = self.messages.len() - self.accepted;
        let text = || format!("{refused} of {} valid ones refused", self.messages.len());
        note(oracle, "valid-accepted", (refused > 0).then(text));
    }

    fn figures(&self, tally: &Tally, metrics: &mut Metrics) {
        figures(tally, metrics);
    }

    /// Of a batch by a verifier that has seen the keys so often that they have their tables. What
    /// goes beyond one equation begins another and costs the same.
    fn floor(&self) -> Option<Floor> {
        let size = self.size.min(BATCH_SIGNATURES_MAX).min(self.messages.len());
        let batch = &self.messages[..size];
        let mut verdicts = Vec::new();
        let mut work = FieldWork::default();
        FieldWork::of(|counting| {
            let mut verifier = verifier(0).with_method(self.method).with_backend(counting);
            for _ in 0..=TABLE_BATCHES {
                accepted(&mut verifier, batch, &mut verdicts);
            }
            work = FieldWork::of(|_| {
                accepted(&mut verifier, batch, &mut verdicts);
            });
        });
        Floor::of_work(work, size).filter(|_| self.ours)
    }

    /// Spoils one signature of a batch, which has to be named, and the others accepted.
    fn check(&mut self, oracle: &mut Oracle) {
        let size = self.size.min(self.messages.len());
        let spoiled = size / 2;
        for (place, one) in self.messages[..size].iter().enumerate() {
            let mut signature = one.signature;
            signature.0[40] ^= u8::from(place == spoiled);
            self.verifier.queue(&one.key, &[&one.message], &signature);
        }
        self.verifier.verify(&mut self.verdicts);
        let refused: Vec<usize> = (0..size).filter(|place| !self.verdicts[*place]).collect();
        let text = || format!("signature {spoiled} is bad, refused were {refused:?}");
        note(oracle, "spoiled-named", (refused != [spoiled]).then(text));
    }

    fn path(&self) -> Option<(&'static str, String)> {
        path_name(self.ours)
    }
}
