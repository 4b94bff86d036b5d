//! What this core can do, and how near the kernels come to it: the roofline by measurement.
//!
//! Probes ([`Probe`]) repeat one kind of instructions with nothing around them. A kernel's floor is
//! what it needs of them, times what they cost: groups of four rounds for SHA-256, multiplications
//! in four lanes for ed25519. A floor leaves out whatever is around (loads, byte swaps, inversions,
//! hashing of messages), so that a share of one is not to be had.
//!
//! Probes and kernels run in turn, round after round, and a share is the median over the rounds of
//! floor over cost in the same round: what the neighbours of a shared core take, they take of both.
//! Times are the thread's CPU time.

mod kernel;

use core::time::Duration;
use std::time::Instant;

use indexmap::IndexMap;
use quorumark_primitives::ed25519::FieldWork;
use quorumark_primitives::limits::Probe;
use quorumark_primitives::sha256::{self, Group, Groups, Path};
use quorumark_report::stats::median;

use self::kernel::Subject;
use crate::clock::{Cost, Scope};

/// Rounds of [`measure`] that a figure to be quoted rests on.
pub const ROUNDS: usize = 101;
/// FIPS 180-4 6.2.2.
const ROUNDS_OF_A_BLOCK: u32 = 64;
/// Rounds of each of the groups that are probed.
const ROUNDS_OF_A_GROUP: u32 = 4;
/// The longest that [`measure`] goes on, down to one round.
const SPAN_MAX: Duration = Duration::from_secs(8);

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Rounds that were measured.
    pub rounds: usize,
    /// The core's clock by the fastest round of dependent additions; `None` when the CPU clock is
    /// too coarse.
    pub clock_ghz: Option<f64>,
    /// What the core can do.
    pub limits: Vec<Limit>,
    /// How near the kernels come.
    pub kernels: Vec<Share>,
}

/// One thing that the core can do.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// Its name.
    pub name: &'static str,
    /// How it is measured.
    pub how: &'static str,
    /// The path that it takes.
    pub path: &'static str,
    /// What one of it costs; `None` where this machine cannot do it.
    pub cost: Option<Spread>,
}

/// A kernel held against its floor.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// Its name.
    pub name: &'static str,
    /// What is counted: one hash, one signature.
    pub item: &'static str,
    /// What the floor is made of.
    pub floor_of: String,
    /// The path that the kernel takes.
    pub path: &'static str,
    /// What one item costs.
    pub cost: Spread,
    /// The least that one item could cost; `None` where nothing is known of the path.
    pub floor: Option<Spread>,
    /// Floor over cost, the median of the rounds.
    pub share: Option<f64>,
}

/// Nanoseconds of CPU time over the rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The median.
    pub median_ns: f64,
    /// The least.
    pub min_ns: f64,
}

/// What every limit costs in one round, by name, in nanoseconds.
type Costs = IndexMap<&'static str, f64>;

impl Spread {
    fn of(rounds: impl Iterator<Item = f64> + Clone) -> Option<Spread> {
        let min_ns = rounds.clone().fold(f64::INFINITY, f64::min);
        median(rounds).map(|median_ns| Spread { median_ns, min_ns })
    }
}

/// Measures for `rounds` rounds, or as many of them as fit into a few seconds. Each takes 20 ms.
///
/// # Panics
/// When `rounds` is 0, and when a kernel's answer is wrong: then there is nothing to be measured.
pub fn measure(rounds: usize) -> Limits {
    assert!(rounds > 0, "there is something to take the median of");
    let mut copies = [Copy::new(L1), Copy::new(MEMORY)];
    let mut subjects = kernel::subjects();
    round(&mut copies, &mut subjects); // caches and tables are warm then
    let began = Instant::now();
    let mut costs: Vec<Costs> = Vec::new();
    let mut kernels: Vec<Vec<f64>> = Vec::new();
    while costs.len() < rounds && (costs.is_empty() || began.elapsed() < SPAN_MAX) {
        let (of_limits, of_kernels) = round(&mut copies, &mut subjects);
        costs.push(of_limits);
        kernels.push(of_kernels);
    }
    let of_kernel = |place: usize| kernels.iter().map(move |round| round[place]);
    let share =
        |(place, subject): (usize, &Subject)| share(subject, of_kernel(place).collect(), &costs);
    Limits {
        rounds: costs.len(),
        clock_ghz: best(&costs, Probe::Cycle.name()).map(|ns| 1.0 / ns),
        limits: limits(&copies, &costs),
        kernels: subjects.iter().enumerate().map(share).collect(),
    }
}

/// Runs everything once: what each limit and each kernel costs.
fn round(copies: &mut [Copy], subjects: &mut [Subject]) -> (Costs, Vec<f64>) {
    let mut costs = Costs::new();
    for probe in Probe::ALL {
        if let Some(ns) = timed(|| probe.run().unwrap_or(0)) {
            costs.insert(probe.name(), ns);
        }
    }
    for copy in copies {
        costs.extend(timed(|| copy.run()).map(|ns| (copy.name, ns)));
    }
    let kernels = subjects.iter_mut().map(|subject| timed(|| subject.run()).unwrap_or(f64::NAN));
    (costs, kernels.collect())
}

/// CPU nanoseconds of one of what `work` says that it did; `None` for nothing, and below what the
/// clock shows.
fn timed(work: impl FnOnce() -> u64) -> Option<f64> {
    let mut cost = Cost::default();
    let count = cost.add(Scope::Thread, work);
    (count > 0 && !cost.cpu.is_zero()).then(|| cost.cpu.as_nanos() as f64 / count as f64)
}

fn limits(copies: &[Copy], costs: &[Costs]) -> Vec<Limit> {
    let probes = Probe::ALL.map(|probe| (probe.name(), probe.meaning(), probe.path()));
    let copies = copies.iter().map(|copy| (copy.name, copy.how, "memcpy"));
    let limit = |(name, how, path)| {
        let rounds = costs.iter().filter_map(|round| round.get(name).copied());
        Limit { name, how, path, cost: Spread::of(rounds) }
    };
    probes.into_iter().chain(copies).map(limit).collect()
}

fn best(costs: &[Costs], name: &str) -> Option<f64> {
    costs.iter().filter_map(|round| round.get(name).copied()).reduce(f64::min)
}

fn share(subject: &Subject, rounds: Vec<f64>, costs: &[Costs]) -> Share {
    let floors: Vec<Option<f64>> =
        costs.iter().map(|costs| subject.floor.as_ref()?.ns(costs)).collect();
    let ratios = floors.iter().zip(&rounds).filter_map(|(floor, cost)| Some((*floor)? / cost));
    Share {
        name: subject.name,
        item: subject.item,
        floor_of: subject.floor.as_ref().map_or_else(String::new, Floor::text),
        path: subject.path,
        cost: Spread::of(rounds.iter().copied()).expect("there is at least one round"),
        floor: Spread::of(floors.iter().flatten().copied()),
        share: median(ratios),
    }
}

/// What an item needs at least: so many of these limits.
pub(crate) struct Floor(Vec<(&'static str, f64)>);

impl Floor {
    /// Groups of rounds by a path; `None` where the path does not compute in them.
    pub(crate) fn of_groups(path: Path, groups: Groups) -> Option<Floor> {
        Groups::describe(path).then(|| {
            Floor(vec![
                (Probe::Sha256(Group::Rounds).name(), groups.rounds),
                (Probe::Sha256(Group::RoundsWithWords).name(), groups.with_words),
                (Probe::Sha256(Group::Extended).name(), groups.extended),
            ])
        })
    }

    /// So many blocks of one message, which cannot be spread over streams: each round waits for the
    /// one before it. `None` without a SHA unit.
    pub(crate) fn of_blocks(blocks: f64) -> Option<Floor> {
        let groups = blocks * f64::from(ROUNDS_OF_A_BLOCK / ROUNDS_OF_A_GROUP);
        Groups::describe(sha256::path())
            .then(|| Floor(vec![(Probe::Sha256(Group::Chain).name(), groups)]))
    }

    /// The field multiplications in lanes of so many items; `None` where there are none.
    pub(crate) fn of_work(work: FieldWork, items: usize) -> Option<Floor> {
        let each = |count: u64| count as f64 / items as f64;
        (work != FieldWork::default()).then(|| {
            Floor(vec![
                (Probe::LaneProduct.name(), each(work.products)),
                (Probe::LaneSquare.name(), each(work.squares)),
            ])
        })
    }

    /// What it costs now, in CPU nanoseconds of the calling thread. Takes a millisecond.
    pub(crate) fn look(&self) -> Option<f64> {
        let needed = |probe: &Probe| self.0.iter().any(|(name, _)| *name == probe.name());
        let probes = Probe::ALL.into_iter().filter(needed);
        let costs =
            probes.filter_map(|probe| Some((probe.name(), timed(|| probe.run().unwrap_or(0))?)));
        self.ns(&costs.collect())
    }

    /// What it costs at the prices of a round; `None` where one of its limits cannot be had.
    fn ns(&self, costs: &Costs) -> Option<f64> {
        let needed = self.0.iter().filter(|(_, count)| *count > 0.0);
        needed.map(|(name, count)| Some(costs.get(name)? * count)).sum()
    }

    fn text(&self) -> String {
        let needed = self.0.iter().filter(|(_, count)| *count > 0.0);
        let part = |(name, count): &(&str, f64)| format!("{} {name}", shown(*count));
        needed.map(part).collect::<Vec<_>>().join(" + ")
    }
}

/// A count with as many digits as it has, at most two after the point.
fn shown(count: f64) -> String {
    let hundredths = (count * 100.0).round() / 100.0;
    format!("{hundredths}")
}

/// Copying of memory from one place to another.
struct Copy {
    name: &'static str,
    how: &'static str,
    from: Vec<u8>,
    to: Vec<u8>,
    times: usize,
}

/// Bytes that a cache holds together.
const LINE: usize = 64;

/// A copy's name, what it shows, its bytes, and how often it is made in a round.
type CopySpec = (&'static str, &'static str, usize, usize);

/// Source and target together are half of a first-level cache.
const L1: CopySpec =
    ("copy_l1_line", "64 bytes of a memcpy of 8 KiB, inside the nearest cache", 8 << 10, 64);
/// Source and target together are beyond every second-level cache.
const MEMORY: CopySpec =
    ("copy_memory_line", "64 bytes of a memcpy of 8 MiB, beyond the second cache", 8 << 20, 1);

impl Copy {
    fn new((name, how, bytes, times): CopySpec) -> Copy {
        Copy { name, how, from: vec![1; bytes], to: vec![0; bytes], times }
    }

    fn run(&mut self) -> u64 {
        for _ in 0..self.times {
            core::hint::black_box(&mut self.to).copy_from_slice(core::hint::black_box(&self.from));
        }
        (self.times * self.from.len() / LINE) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_and_every_kernel_is_measured_and_no_share_is_absurd() {
        let found = measure(5);
        assert!(found.clock_ghz.is_some_and(|ghz| ghz > 0.1), "{found:?}");
        assert_eq!(found.limits.len(), Probe::ALL.len() + 2);
        assert!(found.kernels.len() >= 8);
        let sha = Probe::Sha256(Group::Rounds).run().is_some();
        for limit in &found.limits {
            assert!(limit.cost.is_some() || (!sha && limit.path == "sha-ni"), "{limit:?}");
        }
        for kernel in &found.kernels {
            assert!(kernel.cost.min_ns > 0.0 && kernel.cost.min_ns <= kernel.cost.median_ns);
            assert_eq!(kernel.share.is_some(), kernel.floor.is_some(), "{kernel:?}");
            // A floor far above what the kernel costs has counted what is not needed.
            assert!(kernel.share.is_none_or(|share| share > 0.0 && share < 1.5), "{kernel:?}");
        }
    }

    #[test]
    fn a_floor_is_the_sum_of_its_parts_and_unknown_without_one_of_them() {
        let costs = Costs::from([("a", 2.0), ("b", 0.5)]);
        let floor = |parts: &[(&'static str, f64)]| Floor(parts.to_vec());
        assert_eq!(floor(&[("a", 3.0), ("b", 2.0)]).ns(&costs), Some(7.0));
        assert_eq!(floor(&[("a", 3.0), ("c", 0.0)]).ns(&costs), Some(6.0), "none of c is needed");
        assert_eq!(floor(&[("a", 3.0), ("c", 1.0)]).ns(&costs), None);
        assert_eq!(floor(&[("a", 4.5), ("c", 0.0)]).text(), "4.5 a");
    }
}
