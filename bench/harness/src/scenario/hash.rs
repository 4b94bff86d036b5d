//! `hash/sha256`, `hash/sha256d`, `hash/blake3`: hashing messages of one size on one thread.

use core::hint::black_box;
use core::time::Duration;

use quorumark_primitives::sha256::{self, Groups, Path};
use quorumark_primitives::{Digest, hash};
use quorumark_report::Metrics;
use sha2::Digest as _;

use super::kernel::{ALLOCATIONS, Kernel, KernelSession, Tally};
use super::{MetricSpec, Oracle, Scenario, Session, Spec, metric, note, run_parameters};
use crate::fixture;
use crate::limits::Floor;
use crate::parameter::{Parameter, ParameterError, ParameterSet};
use crate::trial::RunError;

/// Bytes of all messages of one pass, so that they stay in the second-level cache.
const PASS_BYTES: usize = 256 << 10;
/// The largest message.
const SIZE_MAX: u64 = 64 << 20;
/// The size for which SHA-256d has kernels that hash many messages at once.
const KERNEL_SIZE: usize = 64;

/// A hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha256d,
    Blake3,
}

const METRICS: &[MetricSpec] = &[
    metric("bytes_per_s", "bytes hashed per second of wall-clock time"),
    metric("cpu_ns_per_hash", "CPU time of one hash"),
    metric("hashes_per_s", "hashes per second of wall-clock time"),
    ALLOCATIONS,
];

const SHA256D_METRICS: &[MetricSpec] = &[
    METRICS[0],
    METRICS[1],
    METRICS[2],
    metric("sha2_cpu_ns_per_hash", "CPU time of one hash by the sha2 crate, interleaved"),
    metric("ratio_to_sha2", "our CPU time over the sha2 crate's"),
    ALLOCATIONS,
];

impl Hash {
    fn one(self, message: &[u8]) -> Digest {
        match self {
            Hash::Sha256 => hash::sha256(message),
            Hash::Sha256d => hash::sha256d(message),
            Hash::Blake3 => hash::blake3(message),
        }
    }

    fn paths(self) -> Vec<&'static str> {
        let mut paths = vec!["auto"];
        if self == Hash::Sha256d {
            paths.extend(Path::available().map(Path::name));
        }
        paths
    }
}

impl Scenario for Hash {
    fn spec(&self) -> Spec {
        let (name, description, size, metrics) = match self {
            Hash::Sha256 => ("hash/sha256", "SHA-256 of one message at a time", 1 << 20, METRICS),
            Hash::Sha256d => {
                let description = "double SHA-256; 64-byte messages many at once";
                ("hash/sha256d", description, KERNEL_SIZE as u64, SHA256D_METRICS)
            }
            Hash::Blake3 => ("hash/blake3", "BLAKE3 of one message at a time", 1 << 20, METRICS),
        };
        let mut parameters = vec![
            Parameter::size("size", 1..=SIZE_MAX, size, "bytes of one message"),
            Parameter::choice(
                "path",
                self.paths(),
                "kernel that hashes; auto: the machine's own choice",
            ),
        ];
        let (duration, warmup) = (Duration::from_millis(200), Duration::from_millis(100));
        parameters.extend(run_parameters(duration, warmup, 5));
        Spec { name, description, parameters, metrics }
    }

    fn check(&self, parameters: &ParameterSet) -> Result<(), ParameterError> {
        let (size, path) = (parameters.size("size"), parameters.choice("path"));
        if path == "auto" || size == KERNEL_SIZE {
            return Ok(());
        }
        Err(ParameterError::Conflict {
            names: format!("size={size}B path={path}"),
            problem: format!("the paths hash messages of {KERNEL_SIZE} bytes"),
            remedy: format!("set size={KERNEL_SIZE}B or path=auto"),
        })
    }

    fn prepare(&self, parameters: &ParameterSet) -> Result<Box<dyn Session>, RunError> {
        let size = parameters.size("size");
        let count = (PASS_BYTES / size).max(1);
        let message =
            fixture::bytes(&mut fixture::random(parameters.integer("seed"), 0), count * size);
        let digests = vec![Digest::ZERO; count];
        if *self == Hash::Sha256d && size == KERNEL_SIZE {
            let path = parameters.choice("path").parse().unwrap_or(sha256::path());
            let messages = message.as_chunks::<KERNEL_SIZE>().0.to_vec();
            return Ok(Box::new(KernelSession::new(Many { path, messages, digests })));
        }
        Ok(Box::new(KernelSession::new(Single {
            function: *self,
            size,
            messages: message,
            digests,
        })))
    }
}

fn figures(size: usize, tally: &Tally, metrics: &mut Metrics) {
    metrics.set("bytes_per_s", tally.items_per_s().map(|hashes| hashes * size as f64));
    metrics.set("cpu_ns_per_hash", tally.cpu_ns_per_item());
    metrics.set("hashes_per_s", tally.items_per_s());
}

/// One message at a time. SHA-256 is the `sha2` crate's here, so there is no ratio to it.
struct Single {
    function: Hash,
    size: usize,
    messages: Vec<u8>,
    digests: Vec<Digest>,
}

impl Kernel for Single {
    fn pass(&mut self) -> u64 {
        for (message, digest) in self.messages.chunks_exact(self.size).zip(&mut self.digests) {
            *digest = self.function.one(black_box(message));
        }
        self.digests.len() as u64
    }

    fn inspect(&mut self, oracle: &mut Oracle) {
        let (first, last) = (self.digests.first(), self.digests.last());
        let blank = self.digests.len() > 1 && first == last;
        note(oracle, "answers-differ", blank.then(|| "distinct messages, one digest".to_owned()));
    }

    fn figures(&self, tally: &Tally, metrics: &mut Metrics) {
        figures(self.size, tally, metrics);
    }

    /// A message with its padding, a byte and a length of eight; a digest is hashed again in one
    /// block more.
    fn floor(&self) -> Option<Floor> {
        let blocks = (self.size + 9).div_ceil(64);
        match self.function {
            Hash::Sha256 => Floor::of_blocks(blocks as f64),
            Hash::Sha256d => Floor::of_blocks((blocks + 1) as f64),
            Hash::Blake3 => None,
        }
    }

    fn check(&mut self, oracle: &mut Oracle) {
        for check in hash::self_check() {
            note(oracle, "known-answers", (!check.passed).then_some(check.name));
        }
        // Only for SHA-256 is there a second implementation: our own kernel, without instructions
        // of the machine. It hashes twice, so it is asked at its own size.
        if self.function == Hash::Blake3 || self.size != KERNEL_SIZE {
            return;
        }
        let messages = self.messages.as_chunks::<KERNEL_SIZE>().0;
        let mut twice = vec![Digest::ZERO; messages.len()];
        sha256::sha256d_64_with(Path::PORTABLE, messages, &mut twice);
        for (digest, twice) in self.digests.iter().zip(twice) {
            let agrees = hash::sha256(&digest.0) == twice;
            note(oracle, "reference", (!agrees).then(|| format!("{digest} differs from ours")));
        }
    }
}

/// Many messages of 64 bytes at once.
struct Many {
    path: Path,
    messages: Vec<[u8; KERNEL_SIZE]>,
    digests: Vec<Digest>,
}

impl Kernel for Many {
    fn pass(&mut self) -> u64 {
        sha256::sha256d_64_with(self.path, black_box(&self.messages), &mut self.digests);
        self.digests.len() as u64
    }

    fn yardstick(&mut self) -> u64 {
        for message in &self.messages {
            black_box(stock_sha256d(black_box(message)));
        }
        self.digests.len() as u64
    }

    fn inspect(&mut self, oracle: &mut Oracle) {
        let blank = self.digests.first() == self.digests.last();
        note(oracle, "answers-differ", blank.then(|| "distinct messages, one digest".to_owned()));
    }

    fn figures(&self, tally: &Tally, metrics: &mut Metrics) {
        figures(KERNEL_SIZE, tally, metrics);
        yardstick_figures(tally, metrics);
    }

    fn check(&mut self, oracle: &mut Oracle) {
        for (message, digest) in self.messages.iter().zip(&self.digests) {
            let agrees = stock_sha256d(message) == *digest;
            note(oracle, "reference", (!agrees).then(|| format!("{digest} differs from sha2's")));
        }
    }

    fn floor(&self) -> Option<Floor> {
        Floor::of_groups(self.path, Groups::SHA256D_64)
    }

    fn path(&self) -> Option<(&'static str, String)> {
        Some(("sha256", self.path.to_string()))
    }
}

fn yardstick_figures(tally: &Tally, metrics: &mut Metrics) {
    metrics.set("sha2_cpu_ns_per_hash", tally.yardstick_cpu_ns_per_item());
    metrics.set("ratio_to_sha2", tally.ratio());
}

/// Double SHA-256 by the `sha2` crate as it is.
pub(super) fn stock_sha256d(message: &[u8]) -> Digest {
    Digest(sha2::Sha256::digest(sha2::Sha256::digest(message)).into())
}
