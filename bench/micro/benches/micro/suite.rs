//! From the grid to criterion.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput};
use quorumark_micro::grid::{EXTENT_VARIABLE, ROWS};
use quorumark_micro::{Extent, Id};

use crate::profiler::Flamegraphs;

/// Samples of each id.
const SAMPLES: usize = 20;
/// Resamples of the bootstrap: criterion's 100,000 take longer than some measurements here.
const RESAMPLES: usize = 20_000;

/// What measures one operation, by the operation's name: it takes the id apart, and gives its
/// fixture and its timed span to [`Bench`].
pub(crate) type Routine = (&'static str, fn(&Id, Bench<'_, '_>));

/// All suites.
pub(crate) struct Suite {
    criterion: Criterion,
    extent: Extent,
}

impl Suite {
    /// Measures what the command line asks for.
    ///
    /// # Panics
    /// When grid and routines do not fit together.
    pub(crate) fn main(areas: &[&[Routine]]) -> ExitCode {
        match Extent::parse(env::var(EXTENT_VARIABLE).ok().as_deref()) {
            Ok(extent) => {
                Suite { criterion: criterion(extent), extent }.run(&areas.concat());
                ExitCode::SUCCESS
            }
            Err(error) => {
                let _ = writeln!(io::stderr(), "{error}");
                ExitCode::from(2)
            }
        }
    }

    fn run(mut self, routines: &[Routine]) {
        for (name, _) in routines {
            assert!(ROWS.iter().any(|row| row.operation == *name), "{name} is not in the grid");
        }
        for rows in ROWS.chunk_by(|one, next| one.operation == next.operation) {
            let operation = rows[0].operation;
            let routine = routines.iter().find(|(name, _)| *name == operation);
            let (_, measure) = routine.unwrap_or_else(|| panic!("{operation} has no routine"));
            let mut group = self.criterion.benchmark_group(operation);
            for id in rows.iter().flat_map(|row| row.ids(self.extent)) {
                measure(&id, Bench { group: &mut group, id: &id });
            }
            group.finish();
        }
        self.criterion.final_summary();
    }
}

fn criterion(extent: Extent) -> Criterion {
    let (warm_up, measurement) = match extent {
        Extent::Quick => (Duration::from_millis(500), Duration::from_millis(2500)),
        Extent::Full => (Duration::from_secs(1), Duration::from_secs(4)),
    };
    Criterion::default()
        .warm_up_time(warm_up)
        .measurement_time(measurement)
        .sample_size(SAMPLES)
        .nresamples(RESAMPLES)
        .without_plots()
        .with_profiler(Flamegraphs::default())
        .configure_from_args()
}

/// The place of one id in criterion.
pub(crate) struct Bench<'a, 'c> {
    group: &'a mut BenchmarkGroup<'c, WallTime>,
    id: &'a Id,
}

impl Bench<'_, '_> {
    /// Times `timed` on a fixture that is made, and its answer checked, when the id is selected.
    pub(crate) fn measure<F, O>(
        self,
        work: Throughput,
        fixture: impl Fn() -> F,
        mut timed: impl FnMut(&mut F) -> O,
    ) {
        let id = BenchmarkId::from_parameter(self.id.parameters());
        let mut made = None;
        self.group.throughput(work).bench_function(id, |bencher| {
            let fixture = made.get_or_insert_with(&fixture);
            bencher.iter(|| timed(fixture));
        });
    }

    /// As [`Bench::measure`], for operations that use up their input: each iteration gets one from
    /// `input`, outside the timed span, and what it returns is released outside it.
    pub(crate) fn measure_each<F, I, O>(
        self,
        work: Throughput,
        fixture: impl Fn() -> F,
        mut input: impl FnMut(&F) -> I,
        mut timed: impl FnMut(&F, I) -> O,
    ) {
        let id = BenchmarkId::from_parameter(self.id.parameters());
        let mut made = None;
        self.group.throughput(work).bench_function(id, |bencher| {
            let fixture = &*made.get_or_insert_with(&fixture);
            let timed = |input| timed(fixture, input);
            bencher.iter_batched(|| input(fixture), timed, BatchSize::PerIteration);
        });
    }
    /// For operations that overlap: `run` makes a number of them and says how long they took
    /// together. Every sample has the same number, so that the first ones are as full as the last.
    pub(crate) fn measure_runs<F>(
        self,
        work: Throughput,
        fixture: impl Fn() -> F,
        mut run: impl FnMut(&mut F, u64) -> Duration,
    ) {
        let id = BenchmarkId::from_parameter(self.id.parameters());
        let mut made = None;
        let group = self.group.sampling_mode(SamplingMode::Flat);
        group.throughput(work).bench_function(id, |bencher| {
            let fixture = made.get_or_insert_with(&fixture);
            bencher.iter_custom(|count| run(fixture, count));
        });
    }
}
