//! `pow/miner`: a fixed number of nonces of a real header, all tried.

use core::hint::black_box;
use core::ops::RangeInclusive;
use core::time::Duration;
use std::thread;
use std::time::Instant;

use quorumark_chain::miner::{HashRate, Miner, Stop};
use quorumark_chain::{CompactTarget, Header, Params};
use quorumark_primitives::sha256::{self, Groups, Path};
use quorumark_report::Metrics;
use quorumark_report::stats::median;

use super::hash::stock_sha256d;
use super::kernel::{ALLOCATIONS, Kernel, KernelSession, Tally};
use super::{MetricSpec, Oracle, Scenario, Session, Spec, metric, note, run_parameters};
use crate::clock::Scope;
use crate::environment::cores;
use crate::limits::Floor;
use crate::parameter::{Parameter, ParameterError, ParameterSet};
use crate::trial::RunError;
use crate::tune::Tunable;

/// The most nonces of a pass: the range lies around the genesis block's nonce, which is not nearer
/// than this to the last one.
const HASHES_MAX: u64 = 1 << 31;
/// Nonces that the stock crate tries beside each pass.
const YARDSTICK_HASHES: u32 = 1 << 13;
/// One thread alone tries this part of the nonces beside each pass of several.
const ALONE_SHARE: u32 = 4;
/// Nonces of the check against the stock crate.
const CHECKED_HASHES: u32 = 1 << 12;
/// Searches that are stopped, and how long each has run before.
const STOPS: usize = 33;
const STOP_AFTER: Duration = Duration::from_millis(1);
/// A target that every second hash meets, so that the check sees many hits.
const EASY: CompactTarget = CompactTarget(0x207f_ffff);

const METRICS: &[MetricSpec] = &[
    metric("hashes_per_s", "nonces tried per second of wall-clock time"),
    metric("cpu_ns_per_hash", "CPU time of one nonce, over all threads"),
    metric("hashes_per_max_cpu_s", "all nonces over CPU time of the busiest thread"),
    metric("scaling", "hashes_per_max_cpu_s over that of one thread alone, interleaved"),
    metric("wall_scaling", "the same by wall-clock time"),
    metric("sha2_cpu_ns_per_hash", "CPU time of one nonce by the sha2 crate, interleaved"),
    metric("ratio_to_sha2", "our CPU time over the sha2 crate's"),
    metric("stop_ns", "from a stop to the end of a search by all threads, median of 33"),
    ALLOCATIONS,
];

/// The search for a nonce.
#[derive(Debug)]
pub(super) struct PowMiner;

impl Scenario for PowMiner {
    fn spec(&self) -> Spec {
        let threads = u64::from(cores());
        let paths = ["auto"].into_iter().chain(Path::available().map(Path::name));
        let path = "kernel that hashes; auto: the machine's own choice";
        let mut parameters = vec![
            Parameter::integer("threads", "threads", 1..=1024, threads, "threads that search"),
            Parameter::choice("path", paths, path),
            Parameter::integer("hashes", "hashes", 1..=HASHES_MAX, 1 << 22, "nonces of one pass"),
        ];
        let (duration, warmup) = (Duration::from_millis(500), Duration::from_millis(100));
        parameters.extend(run_parameters(duration, warmup, 5));
        Spec {
            name: "pow/miner",
            description: "double SHA-256 of the genesis header over a range of nonces",
            parameters,
            metrics: METRICS,
        }
    }

    fn tunables(&self, _: &ParameterSet) -> Result<Vec<Tunable>, ParameterError> {
        let paths: Vec<&str> = Path::available().map(Path::name).collect();
        Ok(vec![
            Tunable::integers("threads", 1, u64::from(cores()) * 2),
            Tunable::values("path", &paths),
        ])
    }

    fn prepare(&self, parameters: &ParameterSet) -> Result<Box<dyn Session>, RunError> {
        let path = parameters.choice("path").parse().unwrap_or(sha256::path());
        let threads = parameters.count("threads");
        let start = |threads| {
            Miner::with_path(threads, path).map_err(|error| RunError::Failed {
                what: error.to_string(),
                remedy: "set fewer threads".to_owned(),
            })
        };
        let miner = start(threads)?;
        let alone = if threads > 1 { Some(start(1)?) } else { None };
        let header = Params::mainnet().genesis;
        let hashes = parameters.integer("hashes");
        let first = u64::from(header.nonce) - hashes / 2;
        let nonces = first as u32..=(first + hashes - 1) as u32;
        Ok(Box::new(KernelSession::new(Scan { miner, alone, header, nonces, last: None })))
    }
}

struct Scan {
    miner: Miner,
    /// One thread, which tries a part of the nonces beside each pass; `None` where one does all.
    alone: Option<Miner>,
    header: Header,
    nonces: RangeInclusive<u32>,
    last: Option<HashRate>,
}

impl Scan {
    /// Nanoseconds from a stop to the end of a search that all threads were at; `None` when it had
    /// ended before.
    fn stopped(&self) -> Option<f64> {
        let stop = Stop::new();
        let (asked, ended) = thread::scope(|scope| {
            let search = scope.spawn(|| {
                let rate = self.miner.hash_rate(&self.header, 0..=u32::MAX, &stop).ok()?;
                (!rate.complete).then(Instant::now)
            });
            thread::sleep(STOP_AFTER);
            let asked = Instant::now();
            stop.stop();
            (asked, search.join().ok().flatten())
        });
        Some(ended?.saturating_duration_since(asked).as_nanos() as f64)
    }

    fn try_all(&self, header: &Header, nonces: RangeInclusive<u32>) -> Option<HashRate> {
        self.miner.hash_rate(header, nonces, &Stop::new()).ok()
    }
}

impl Kernel for Scan {
    fn scope(&self) -> Scope {
        Scope::Process
    }

    fn pass(&mut self) -> u64 {
        self.last = self.try_all(black_box(&self.header), self.nonces.clone());
        self.last.as_ref().map_or(0, |rate| rate.statistics.hashes())
    }

    fn alone(&mut self) -> u64 {
        let Some(miner) = &self.alone else { return 0 };
        let (first, last) = (*self.nonces.start(), *self.nonces.end());
        let nonces = first..=first + (last - first) / ALONE_SHARE;
        let rate = miner.hash_rate(black_box(&self.header), nonces, &Stop::new());
        rate.map_or(0, |rate| rate.statistics.hashes())
    }

    fn yardstick(&mut self) -> u64 {
        let mut header = self.header.encode();
        for nonce in 0..YARDSTICK_HASHES {
            header[76..].copy_from_slice(&nonce.to_le_bytes());
            black_box(stock_sha256d(black_box(&header)));
        }
        u64::from(YARDSTICK_HASHES)
    }

    /// The range holds the genesis block's nonce; no other nonce near it meets the target.
    fn inspect(&mut self, oracle: &mut Oracle) {
        let found = self.last.as_ref().map(|rate| (rate.hits, rate.complete));
        let text = || format!("hits and completeness {found:?}, expected the genesis nonce alone");
        note(oracle, "genesis-nonce", (found != Some((1, true))).then(text));
    }

    fn figures(&self, tally: &Tally, metrics: &mut Metrics) {
        metrics.set("hashes_per_s", tally.items_per_s());
        metrics.set("cpu_ns_per_hash", tally.cpu_ns_per_item());
        let busiest = tally.items_per_max_cpu_s();
        metrics.set("hashes_per_max_cpu_s", busiest);
        metrics.set("scaling", tally.scaling());
        metrics.set("wall_scaling", tally.wall_scaling());
        metrics.set("sha2_cpu_ns_per_hash", tally.yardstick_cpu_ns_per_item());
        metrics.set("ratio_to_sha2", tally.ratio());
    }

    fn closing_figures(&mut self, metrics: &mut Metrics) {
        metrics.set("stop_ns", median((0..STOPS).filter_map(|_| self.stopped())));
    }

    /// Counts the hits of an easy target both ways.
    fn check(&mut self, oracle: &mut Oracle) {
        let header = Header { bits: EASY, ..self.header };
        let found = self.try_all(&header, 0..=CHECKED_HASHES - 1).map(|rate| rate.hits);
        let meets = |nonce: &u32| Header { nonce: *nonce, ..header }.meets_own_target() == Ok(true);
        let expected = (0..CHECKED_HASHES).filter(meets).count() as u64;
        let text = || format!("{found:?} hits of {CHECKED_HASHES} nonces, expected {expected}");
        note(oracle, "reference", (found != Some(expected)).then(text));
    }

    fn floor(&self) -> Option<Floor> {
        Floor::of_groups(self.miner.path(), Groups::NONCE)
    }

    fn path(&self) -> Option<(&'static str, String)> {
        Some(("sha256", self.miner.path().to_string()))
    }
}
