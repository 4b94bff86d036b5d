//! The session of every scenario that times one kernel: pass after pass over a fixture.
//!
//! Where a stock crate does the same work, its passes are interleaved with ours, so that their
//! ratio is of one run, one temperature and one load. Only the passes are timed; what each gave is
//! looked at between them.

use core::time::Duration;
use std::time::Instant;

use quorumark_report::Metrics;

use super::{Closing, Control, Measured, MetricSpec, Oracle, Session, metric};
use crate::allocations;
use crate::clock::{Cost, Scope};
use crate::limits::Floor;
use crate::schedule::Schedule;
use crate::trial::RunError;

/// Time between two looks at what the floor costs: they take a twentieth of a trial.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// A figure of every kernel.
pub(super) const ALLOCATIONS: MetricSpec =
    metric("allocations_per_operation", "memory allocations of one item, its share of a pass's");

/// Work that is timed.
pub(super) trait Kernel {
    /// Where the work is done.
    fn scope(&self) -> Scope {
        Scope::Thread
    }

    /// One pass over the fixture: the timed work. Returns the items done.
    fn pass(&mut self) -> u64;

    /// The same work by one thread alone, where [`Kernel::pass`] spreads it over several; returns
    /// the items done, 0 when there is nothing to compare.
    fn alone(&mut self) -> u64 {
        0
    }

    /// The same kind of work by the stock crate; returns the items done, 0 when there is none.
    fn yardstick(&mut self) -> u64 {
        0
    }

    /// Looks at what the last pass gave, outside the timed span: cheap, once a pass.
    fn inspect(&mut self, oracle: &mut Oracle);

    /// The figures of one trial.
    fn figures(&self, tally: &Tally, metrics: &mut Metrics);

    /// Adds the figures that are taken once, after all trials.
    fn closing_figures(&mut self, _: &mut Metrics) {}

    /// Holds the kernel against its reference, once, after all trials.
    fn check(&mut self, oracle: &mut Oracle);

    /// What one item needs at least; `None` where no limit is known.
    fn floor(&self) -> Option<Floor> {
        None
    }

    /// The kernel and the path that a parameter chose for it.
    fn path(&self) -> Option<(&'static str, String)> {
        None
    }
}

/// What the passes of one trial did and cost.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) passes: u64,
    pub(super) items: u64,
    pub(super) cost: Cost,
    /// Of all threads, during the passes; `None` where they are not counted.
    allocations: Option<u64>,
    /// CPU time of each pass's busiest thread, summed; 0 where one thread did it all.
    busiest: Duration,
    alone_items: u64,
    alone: Cost,
    yardstick_items: u64,
    yardstick: Cost,
}

impl Tally {
    /// CPU nanoseconds of one item, over all threads.
    pub(super) fn cpu_ns_per_item(&self) -> Option<f64> {
        per(self.cost.cpu, self.items)
    }

    /// The same of the stock crate.
    pub(super) fn yardstick_cpu_ns_per_item(&self) -> Option<f64> {
        per(self.yardstick.cpu, self.yardstick_items)
    }

    /// Our CPU time over the stock crate's, per item: below 1 is faster.
    pub(super) fn ratio(&self) -> Option<f64> {
        Some(self.cpu_ns_per_item()? / self.yardstick_cpu_ns_per_item()?)
    }

    /// Items per second of wall-clock time.
    pub(super) fn items_per_s(&self) -> Option<f64> {
        rate(self.items, self.cost.wall)
    }

    /// Items per second of CPU time, over all threads.
    pub(super) fn items_per_cpu_s(&self) -> Option<f64> {
        rate(self.items, self.cost.cpu)
    }

    /// All items over the CPU time of the busiest thread: the speed on idle cores, whatever else
    /// the machine was doing.
    pub(super) fn items_per_max_cpu_s(&self) -> Option<f64> {
        let busiest = if self.busiest.is_zero() { self.cost.cpu } else { self.busiest };
        rate(self.items, busiest)
    }

    /// The speed of all threads, by the CPU time of the busiest, over that of one alone.
    pub(super) fn scaling(&self) -> Option<f64> {
        Some(self.items_per_max_cpu_s()? / rate(self.alone_items, self.alone.cpu)?)
    }

    /// The same by wall-clock time: what the machine gave while others used it too.
    pub(super) fn wall_scaling(&self) -> Option<f64> {
        Some(self.items_per_s()? / rate(self.alone_items, self.alone.wall)?)
    }

    fn pass(&mut self, kernel: &mut impl Kernel) {
        let scope = kernel.scope();
        let schedule = if scope == Scope::Process { Schedule::now() } else { None };
        let allocations = allocations::count();
        self.items += self.cost.add(scope, || kernel.pass());
        if let Some((after, before)) = allocations::count().zip(allocations) {
            *self.allocations.get_or_insert(0) += after - before;
        }
        if let Some(usage) = schedule.and_then(|before| before.usage_since()) {
            self.busiest += Duration::from_nanos(usage.largest_ran_ns);
        }
        self.passes += 1;
    }

    /// One thread alone works on another thread than this one, as all of them do.
    fn alone(&mut self, kernel: &mut impl Kernel) {
        let scope = kernel.scope();
        self.alone_items += self.alone.add(scope, || kernel.alone());
    }

    fn yardstick(&mut self, kernel: &mut impl Kernel) {
        self.yardstick_items += self.yardstick.add(Scope::Thread, || kernel.yardstick());
    }
}

fn per(time: Duration, items: u64) -> Option<f64> {
    (items > 0).then(|| time.as_nanos() as f64 / items as f64)
}

fn rate(items: u64, time: Duration) -> Option<f64> {
    (!time.is_zero()).then(|| items as f64 / time.as_secs_f64())
}

/// A kernel under measurement.
pub(super) struct KernelSession<K> {
    kernel: K,
    /// Asked for once: to count what a batch multiplies takes a while.
    floor: Option<Option<Floor>>,
}

impl<K: Kernel> KernelSession<K> {
    pub(super) fn new(kernel: K) -> KernelSession<K> {
        KernelSession { kernel, floor: None }
    }
}

impl<K: Kernel> Session for KernelSession<K> {
    fn trial(&mut self, span: Duration, control: &Control<'_>) -> Result<Measured, RunError> {
        let KernelSession { kernel, floor } = self;
        let floor = floor.get_or_insert_with(|| kernel.floor());
        let mut measured = Measured::default();
        let mut tally = Tally::default();
        let mut floors = Vec::new();
        control.progress.span_begins();
        let started = Instant::now();
        loop {
            if started.elapsed() >= LOOK_INTERVAL * floors.len() as u32 {
                floors.push(floor.as_ref().and_then(Floor::look));
            }
            tally.pass(kernel);
            kernel.inspect(&mut measured.oracle);
            tally.alone(kernel);
            tally.yardstick(kernel);
            let elapsed = started.elapsed();
            if elapsed >= span || control.interrupted() {
                break;
            }
            control.progress.advance(elapsed.as_secs_f64() / span.as_secs_f64());
        }
        control.progress.span_ends();
        assert!(tally.passes > 0 && tally.items > 0, "a trial has at least one pass");
        measured.span = tally.cost.wall;
        kernel.figures(&tally, &mut measured.metrics);
        let allocations = tally.allocations.map(|count| count as f64 / tally.items as f64);
        measured.metrics.set(ALLOCATIONS.name, allocations);
        // The cheapest look: a neighbour can only add to a limit, and a dearer one would flatter.
        let floor_ns = floors.into_iter().flatten().reduce(f64::min);
        let share = floor_ns.zip(tally.cpu_ns_per_item()).map(|(floor, cost)| floor / cost);
        measured.metrics.set("limit_share", share);
        Ok(measured)
    }

    fn finish(&mut self, metrics: &mut Metrics) -> Result<Closing, RunError> {
        let mut closing = Closing::default();
        self.kernel.closing_figures(metrics);
        self.kernel.check(&mut closing.oracle);
        let path = self.kernel.path();
        closing.simd.extend(path.map(|(kernel, path)| (kernel.to_owned(), path)));
        Ok(closing)
    }
}
